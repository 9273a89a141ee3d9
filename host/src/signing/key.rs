//! The keys of Standard Webhooks as people write them: a prefix says what a key is for, base64 follows.
//!
//! `whsec_` signs and verifies `v1`; `whsk_` signs `v1a`, and `whpk_` verifies it. A key in the wrong place is refused with a word on where it
//! belongs, and no error shows any part of one.

use super::ed25519::{self, PrivateKey, PublicKey};
use super::secret::{self, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The two ways to sign of Standard Webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyScheme {
    /// HMAC-SHA256: both sides hold the same `whsec_`.
    #[default]
    V1,
    /// Ed25519: the host holds `whsk_`, receivers `whpk_`.
    V1a,
}

/// What signs.
#[derive(Clone, Debug)]
pub enum SigningKey {
    /// `whsec_…`.
    V1(Secret),
    /// `whsk_…`.
    V1a(PrivateKey),
}

/// What verifies.
#[derive(Clone, Debug)]
pub enum VerifyingKey {
    /// `whsec_…`.
    V1(Secret),
    /// `whpk_…`.
    V1a(PublicKey),
}

/// Why a text is not the key that is wanted. Shows nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// It does not begin as a key that signs must.
    #[error("a key that signs begins with `whsec_` (v1) or `whsk_` (v1a), then base64; this one does not")]
    NotSigning,
    /// It does not begin as a key that verifies must.
    #[error("a key that verifies begins with `whsec_` (v1) or `whpk_` (v1a), then base64; this one does not")]
    NotVerifying,
    /// It is no public key in any form.
    #[error("a public key is `whpk_…`, or 32 bytes as 64 hex digits or in base64; this one is none of these")]
    NotPublic,
    /// A public key where a key has to sign.
    #[error("`whpk_` is a public key, which only verifies: give the private key, `whsk_…`")]
    Public,
    /// A private key where none is needed.
    #[error("`whsk_` is a private key, which only the sender should have: give its public key, `whpk_…`")]
    Private,
    /// What follows is not base64.
    #[error(
        "what follows `{prefix}` is not base64 (A-Z, a-z, 0-9, `+`, `/`): was it cut, or does it have a space or line end?"
    )]
    Base64 {
        /// How the key begins.
        prefix: &'static str,
    },
    /// The key is too short or too long.
    #[error("the key after `{prefix}` has {bytes} bytes: {wanted} are wanted")]
    Length {
        /// How the key begins.
        prefix: &'static str,
        /// How many it has once decoded.
        bytes: usize,
        /// How many it may have.
        wanted: &'static str,
    },
    /// The second half of a private key is not the public key of the first.
    #[error(
        "the key after `whsk_` has 64 bytes, but the second half is not the public key of the first: was it mixed up?"
    )]
    Halves,
}

impl SigningKey {
    /// A new key in its written form, from random bytes. Parse it to sign with it.
    ///
    /// # Errors
    /// Never: any 32 bytes make a key.
    pub fn generate(scheme: KeyScheme, random: [u8; 32]) -> Result<String, InvalidKey> {
        match scheme {
            KeyScheme::V1 => Ok(Secret::generate(random)),
            KeyScheme::V1a => PrivateKey::generate(random),
        }
    }

    /// How it signs.
    #[must_use]
    pub const fn scheme(&self) -> KeyScheme {
        match self {
            Self::V1(_) => KeyScheme::V1,
            Self::V1a(_) => KeyScheme::V1a,
        }
    }

    /// What receivers verify with, where that is no secret.
    #[must_use]
    pub fn public(&self) -> Option<PublicKey> {
        match self {
            Self::V1(_) => None,
            Self::V1a(key) => Some(key.public()),
        }
    }
}

impl FromStr for SigningKey {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        if text.starts_with(secret::PREFIX) {
            text.parse().map(Self::V1)
        } else if text.starts_with(ed25519::PRIVATE_PREFIX) {
            text.parse().map(Self::V1a)
        } else if text.starts_with(ed25519::PUBLIC_PREFIX) {
            Err(InvalidKey::Public)
        } else {
            Err(InvalidKey::NotSigning)
        }
    }
}

impl FromStr for VerifyingKey {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        if text.starts_with(secret::PREFIX) {
            Secret::of_others(text).map(Self::V1)
        } else if text.starts_with(ed25519::PUBLIC_PREFIX) {
            text.parse().map(Self::V1a)
        } else if text.starts_with(ed25519::PRIVATE_PREFIX) {
            Err(InvalidKey::Private)
        } else {
            Err(InvalidKey::NotVerifying)
        }
    }
}

/// A key as it is written.
pub(super) fn encode(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{}", STANDARD.encode(bytes))
}

/// The bytes of a key that is written with this prefix.
pub(super) fn decode(prefix: &'static str, text: &str) -> Result<Vec<u8>, InvalidKey> {
    let wrong = InvalidKey::Base64 { prefix };
    // Padding or not: people copy keys from places that leave it out.
    STANDARD_PAD_INDIFFERENT.decode(text.strip_prefix(prefix).ok_or(wrong)?).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_reads_back_as_its_scheme_and_differs_with_its_randomness() {
        for scheme in [KeyScheme::V1, KeyScheme::V1a] {
            let generate = |random| SigningKey::generate(scheme, random).unwrap();
            assert_eq!(generate([1; 32]).parse::<SigningKey>().unwrap().scheme(), scheme);
            assert_eq!(generate([1; 32]), generate([1; 32]));
            assert_ne!(generate([1; 32]), generate([2; 32]));
        }
    }

    #[test]
    fn other_texts_are_refused_without_repeating_them() {
        for text in ["hunter2hunter2", "WHSEC_AAAA", ""] {
            assert_eq!(text.parse::<SigningKey>().unwrap_err(), InvalidKey::NotSigning);
            assert_eq!(text.parse::<VerifyingKey>().unwrap_err(), InvalidKey::NotVerifying);
        }
        for text in ["_hunter2!", "_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\n", "_AAECAwQFBgcI CQoLDA0ODxAREhMUFRYX"] {
            for prefix in ["whsec", "whsk"] {
                let error = format!("{prefix}{text}").parse::<SigningKey>().unwrap_err();
                assert!(matches!(error, InvalidKey::Base64 { .. }), "{error}");
                assert!(!error.to_string().contains("hunter2"));
            }
        }
    }

    #[test]
    fn a_key_in_the_wrong_place_is_told_where_it_belongs() {
        let private = SigningKey::generate(KeyScheme::V1a, [1; 32]).unwrap();
        assert_eq!(private.parse::<VerifyingKey>().unwrap_err(), InvalidKey::Private);
        let public = private.parse::<SigningKey>().unwrap().public().unwrap().to_string();
        assert_eq!(public.parse::<SigningKey>().unwrap_err(), InvalidKey::Public);
        assert!(matches!(public.parse(), Ok(VerifyingKey::V1a(_))));
    }
}
