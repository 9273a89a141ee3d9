//! The keys of `v1a`: `whsk_` signs, `whpk_` verifies. Whoever verifies holds nothing to sign with, so a receiver that is broken into
//! can forge nothing.

use super::header::SignatureEncoding;
use super::key::{InvalidKey, decode, encode};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub(super) const PRIVATE_PREFIX: &str = "whsk_";
pub(super) const PUBLIC_PREFIX: &str = "whpk_";

const SEED_BYTES: usize = 32;

/// A private key. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct PrivateKey(Arc<Ed25519KeyPair>);

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PrivateKey {
    /// A new key in its written form, from random bytes: the seed and the public key, as most libraries hold a private key.
    pub(super) fn generate(random: [u8; SEED_BYTES]) -> Result<String, InvalidKey> {
        let public = Self::from_seed(&random)?.public();
        Ok(encode(PRIVATE_PREFIX, &[random, public.0].concat()))
    }

    fn from_seed(seed: &[u8]) -> Result<Self, InvalidKey> {
        let wrong = InvalidKey::Length { prefix: PRIVATE_PREFIX, bytes: seed.len(), wanted: "32 or 64" };
        Ed25519KeyPair::from_seed_unchecked(seed).map(|pair| Self(Arc::new(pair))).map_err(|_| wrong)
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        PublicKey(bytes)
    }

    /// The signature of a message: 64 bytes.
    pub(super) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.0.sign(message)
    }
}

impl FromStr for PrivateKey {
    type Err = InvalidKey;
    /// Reads a seed of 32 bytes, or 64 bytes: the seed and its public key.
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = decode(PRIVATE_PREFIX, text)?;
        let Some((seed, public)) = bytes.split_at_checked(SEED_BYTES) else { return Self::from_seed(&bytes) };
        let key = Self::from_seed(seed)?;
        match public.len() {
            0 => Ok(key),
            32 if key.public().0 == public => Ok(key),
            32 => Err(InvalidKey::Halves),
            _ => Self::from_seed(&bytes),
        }
    }
}

impl PublicKey {
    /// Reads `whpk_…`, or 32 bytes in hex or base64, as providers show them.
    ///
    /// # Errors
    /// Where it is none of these.
    pub fn read(text: &str) -> Result<Self, InvalidKey> {
        if text.starts_with(PUBLIC_PREFIX) {
            return text.parse();
        }
        let bytes = [SignatureEncoding::Hex, SignatureEncoding::Base64].into_iter().find_map(|it| it.decode(text));
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(InvalidKey::NotPublic)
    }

    /// Whether the private key made this signature of this message.
    pub(super) fn verifies(self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;
    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = decode(PUBLIC_PREFIX, text)?;
        let wrong = InvalidKey::Length { prefix: PUBLIC_PREFIX, bytes: bytes.len(), wanted: "32" };
        bytes.try_into().map(Self).map_err(|_| wrong)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(PUBLIC_PREFIX, &self.0))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> Result<PrivateKey, InvalidKey> {
        encode(PRIVATE_PREFIX, bytes).parse()
    }

    #[test]
    fn a_private_key_is_a_seed_with_or_without_its_public_key() {
        let seed = [7; 32];
        let public = key(&seed).unwrap().public();
        assert_eq!(key(&[seed, public.0].concat()).unwrap().public(), public);
        assert_eq!(key(&[seed, [1; 32]].concat()).unwrap_err(), InvalidKey::Halves);
        for bytes in [0, 31, 33, 63, 65] {
            let error = key(&vec![7; bytes]).unwrap_err().to_string();
            assert!(error.contains(&format!("has {bytes} bytes: 32 or 64 are wanted")), "{error}");
        }
        assert!(encode(PUBLIC_PREFIX, &[1; 31]).parse::<PublicKey>().is_err());
    }

    #[test]
    fn the_public_key_verifies_what_the_private_key_signed_and_nothing_else() {
        let (private, other) = (key(&[7; 32]).unwrap(), key(&[8; 32]).unwrap());
        let signature = private.sign(b"message");
        let public: PublicKey = private.public().to_string().parse().unwrap();
        assert!(public.verifies(b"message", signature.as_ref()));
        assert!(!public.verifies(b"massage", signature.as_ref()));
        assert!(!public.verifies(b"message", &signature.as_ref()[1..]));
        assert!(!other.public().verifies(b"message", signature.as_ref()));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", key(&[7; 32]).unwrap()), "PrivateKey(…)");
    }
}
