//! A Standard Webhooks secret: `whsec_` and the base64 of 24 to 64 random bytes. Once it is read it can sign, and nothing else: the text
//! cannot be had back from it.

use super::key::{InvalidKey, decode, encode};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::str::FromStr;

/// The fewest bytes of a secret, as the specification has it.
pub const SECRET_BYTES_MIN: usize = 24;
/// The most bytes of a secret, as the specification has it.
pub const SECRET_BYTES_MAX: usize = 64;

/// The most bytes of a secret that verifies what others sign.
const OTHERS_BYTES_MAX: usize = 256;

pub(super) const PREFIX: &str = "whsec_";

/// A key for HMAC-SHA256. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret {
    key: Hmac<Sha256>,
    /// Of one that others sign with: what they may have taken for the key, with words for it.
    mistaken: Vec<(&'static str, Hmac<Sha256>)>,
}

impl Secret {
    /// A new secret in its written form, from random bytes. Parse it to sign with it.
    pub(super) fn generate(random: [u8; 32]) -> String {
        encode(PREFIX, &random)
    }

    /// The HMAC-SHA256 of the parts, one after the other.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.key, parts)
    }

    /// The same by what others may have taken for the key.
    pub(super) fn mistaken_macs(&self, parts: &[&[u8]]) -> impl Iterator<Item = (&'static str, [u8; 32])> {
        self.mistaken.iter().map(|(how, key)| (*how, mac(key, parts)))
    }
}

fn mac(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

impl Secret {
    /// One that others have made and sign with: it may be longer than the specification has it.
    pub(super) fn of_others(text: &str) -> Result<Self, InvalidKey> {
        let secret = Self::read(text, OTHERS_BYTES_MAX, "24 to 256")?;
        let base64 = text.strip_prefix(PREFIX).unwrap_or(text);
        let texts = [
            ("by the text of the secret with its `whsec_`, and the key is what its base64 holds", text),
            ("by the base64 of the secret as it is written, and the key is what that holds", base64),
        ];
        let keys = texts.into_iter().filter_map(|(how, text)| Some((how, Hmac::new_from_slice(text.as_bytes()).ok()?)));
        Ok(Self { mistaken: keys.collect(), ..secret })
    }

    fn read(text: &str, bytes_max: usize, wanted: &'static str) -> Result<Self, InvalidKey> {
        let key = decode(PREFIX, text)?;
        let wrong_length = InvalidKey::Length { prefix: PREFIX, bytes: key.len(), wanted };
        if !(SECRET_BYTES_MIN..=bytes_max).contains(&key.len()) {
            return Err(wrong_length);
        }
        let key = Hmac::new_from_slice(&key).map_err(|_| wrong_length)?;
        Ok(Self { key, mistaken: Vec::new() })
    }
}

impl FromStr for Secret {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::read(text, SECRET_BYTES_MAX, "24 to 64")
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
        encode(PREFIX, &vec![7; bytes])
    }

    #[test]
    fn it_has_24_to_64_bytes() {
        for bytes in [24, 32, 64] {
            assert!(written(bytes).parse::<Secret>().is_ok(), "{bytes}");
        }
        for bytes in [0, 23, 65] {
            let error = written(bytes).parse::<Secret>().unwrap_err().to_string();
            assert!(error.contains(&format!("has {bytes} bytes: 24 to 64")), "{error}");
        }
    }

    #[test]
    fn one_that_others_sign_with_has_up_to_256() {
        assert!(Secret::of_others(&written(65)).is_ok() && Secret::of_others(&written(256)).is_ok());
        let error = Secret::of_others(&written(257)).unwrap_err().to_string();
        assert!(error.contains("has 257 bytes: 24 to 256"), "{error}");
    }

    #[test]
    fn padding_makes_no_difference() {
        let (with, without) = (written(25), written(25).trim_end_matches('=').to_owned());
        assert_ne!(with, without);
        let mac = |text: &str| text.parse::<Secret>().unwrap().mac(&[b"x"]);
        assert_eq!(mac(&with), mac(&without));
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = written(24).parse::<Secret>().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
