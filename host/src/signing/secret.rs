//! A Standard Webhooks secret: `whsec_` and the base64 of 24 to 64 random bytes. Once it is read it can sign, and nothing else: the text
//! cannot be had back from it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::str::FromStr;

/// The fewest bytes of a secret, as the specification has it.
pub const SECRET_BYTES_MIN: usize = 24;
/// The most bytes of a secret, as the specification has it.
pub const SECRET_BYTES_MAX: usize = 64;

const PREFIX: &str = "whsec_";

/// A key for HMAC-SHA256. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// Why a text is not a secret. Shows nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// It does not begin as it must.
    #[error("a signing secret begins with `whsec_`, then base64; this one does not")]
    Prefix,
    /// What follows is not base64.
    #[error(
        "what follows `whsec_` is not base64 (A-Z, a-z, 0-9, `+`, `/`): was it cut, or does it have a space or line end?"
    )]
    Base64,
    /// The key is too short or too long.
    #[error("the signing secret has {bytes} bytes: {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} are wanted")]
    Length {
        /// How many it has once decoded.
        bytes: usize,
    },
}

impl Secret {
    /// A new secret in its written form, from random bytes. Parse it to sign with it.
    #[must_use]
    pub fn generate(random: [u8; 32]) -> String {
        format!("{PREFIX}{}", STANDARD.encode(random))
    }

    /// The HMAC-SHA256 of the parts, one after the other.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;
    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret::Prefix)?;
        // Padding or not: people copy secrets from places that leave it out.
        let key = STANDARD_PAD_INDIFFERENT.decode(encoded).map_err(|_| InvalidSecret::Base64)?;
        let wrong_length = InvalidSecret::Length { bytes: key.len() };
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&key.len()) {
            return Err(wrong_length);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| wrong_length)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: usize) -> String {
        format!("whsec_{}", STANDARD.encode(vec![7; bytes]))
    }

    #[test]
    fn it_has_24_to_64_bytes() {
        for bytes in [24, 32, 64] {
            assert!(written(bytes).parse::<Secret>().is_ok(), "{bytes}");
        }
        for bytes in [0, 23, 65] {
            assert_eq!(written(bytes).parse::<Secret>().unwrap_err(), InvalidSecret::Length { bytes });
        }
    }

    #[test]
    fn other_texts_are_refused_without_repeating_them() {
        assert_eq!("hunter2hunter2".parse::<Secret>().unwrap_err(), InvalidSecret::Prefix);
        assert_eq!("WHSEC_AAAA".parse::<Secret>().unwrap_err(), InvalidSecret::Prefix);
        for text in
            ["whsec_hunter2!", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\n", "whsec_AAECAwQFBgcI CQoLDA0ODxAREhMUFRYX"]
        {
            let error = text.parse::<Secret>().unwrap_err();
            assert_eq!(error, InvalidSecret::Base64);
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn padding_makes_no_difference() {
        let (with, without) = (written(25), written(25).trim_end_matches('=').to_owned());
        assert_ne!(with, without);
        let mac = |text: &str| text.parse::<Secret>().unwrap().mac(&[b"x"]);
        assert_eq!(mac(&with), mac(&without));
    }

    #[test]
    fn a_generated_one_reads_back_and_differs_with_its_randomness() {
        let mac = |random| Secret::generate(random).parse::<Secret>().unwrap().mac(&[b"x"]);
        assert_eq!(mac([1; 32]), mac([1; 32]));
        assert_ne!(mac([1; 32]), mac([2; 32]));
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = written(24).parse::<Secret>().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
