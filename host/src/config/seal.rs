//! Secrets at rest: sealed with the master key (XChaCha20-Poly1305) and bound to the place they belong to, so that a sealed
//! text copied to another resource does not open there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

const PREFIX: &str = "sealed1:";
const NONCE_BYTES: usize = 24;

/// The key that seals every secret of a data directory. Written as 64 hex digits.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

/// Why a secret does not open, or a master key does not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key's text is wrong.
    #[error("the master key is not 64 hex digits")]
    KeyInvalid,
    /// The text was never sealed, or by a version to come.
    #[error("the stored secret is not in the form `{PREFIX}…` that this version knows")]
    FormatUnknown,
    /// Another key sealed it, or somebody changed it.
    #[error("the stored secret does not open: the master key is not the one that sealed it, or the data was changed")]
    WrongKey,
    /// The cipher refused its input.
    #[error("the secret could not be sealed")]
    NotSealed,
}

impl MasterKey {
    /// A key of these bytes, which must be random.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 64 hex digits, to be written to a file that only its owner reads.
    #[must_use]
    pub fn to_hex(&self) -> String {
        crate::model::Digest::from_bytes(self.0).to_string()
    }

    /// Seals `secret` for `place`. `nonce` must be random.
    ///
    /// # Errors
    /// [`SealError::NotSealed`] where the cipher refuses, which it does for gigabytes only.
    pub fn seal(&self, place: &str, secret: &str, nonce: [u8; NONCE_BYTES]) -> Result<String, SealError> {
        let payload = Payload { msg: secret.as_bytes(), aad: place.as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::NotSealed)?;
        Ok(format!("{PREFIX}{}", STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    /// Opens what [`MasterKey::seal`] made for the same place.
    ///
    /// # Errors
    /// Where the text has another form, or was sealed by another key or for another place.
    pub fn open(&self, place: &str, sealed: &str) -> Result<String, SealError> {
        let text = sealed.strip_prefix(PREFIX).ok_or(SealError::FormatUnknown)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| SealError::FormatUnknown)?;
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::FormatUnknown)?;
        let payload = Payload { msg: rest, aad: place.as_bytes() };
        let secret = self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| SealError::WrongKey)?;
        String::from_utf8(secret).map_err(|_| SealError::WrongKey)
    }

    /// Whether `text` has the form of a sealed secret.
    #[must_use]
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// A key of its own for another purpose, which `label` names. It tells nothing of this key, nor of other labels' keys.
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 32] {
        // A key shorter than the hash's block is filled up with zeros.
        let block: [u8; 64] = std::array::from_fn(|at| self.0.get(at).copied().unwrap_or_default());
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(b"hookswitch derived key: ");
        mac.update(label.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// A short text that tells keys apart and tells nothing of the key.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut sha = Sha256::new();
        sha.update(b"hookswitch master key fingerprint");
        sha.update(self.0);
        let digest: [u8; 32] = sha.finalize().into();
        crate::model::Digest::from_bytes(digest).to_string().chars().take(16).collect()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.0.into())
    }
}

impl FromStr for MasterKey {
    type Err = SealError;
    fn from_str(text: &str) -> Result<Self, SealError> {
        let digest: crate::model::Digest = text.trim().parse().map_err(|_| SealError::KeyInvalid)?;
        Ok(Self(*digest.as_bytes()))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_with_its_key_at_its_place_only() {
        let key = MasterKey::new([7; 32]);
        let sealed = key.seal("acme/endpoint/a", "whsec_x", [1; 24]).unwrap();
        assert!(MasterKey::is_sealed(&sealed) && !sealed.contains("whsec"));
        assert_eq!(key.open("acme/endpoint/a", &sealed).as_deref(), Ok("whsec_x"));
        assert_eq!(key.open("acme/endpoint/b", &sealed), Err(SealError::WrongKey));
        assert_eq!(MasterKey::new([8; 32]).open("acme/endpoint/a", &sealed), Err(SealError::WrongKey));
        assert_eq!(key.open("acme/endpoint/a", "whsec_x"), Err(SealError::FormatUnknown));
        assert_eq!(key.open("acme/endpoint/a", "sealed1:AAAA"), Err(SealError::FormatUnknown));
    }

    #[test]
    fn each_label_and_each_key_gives_a_key_of_its_own() {
        let (key, other) = (MasterKey::new([7; 32]), MasterKey::new([8; 32]));
        assert_eq!(key.derive("a"), key.derive("a"));
        let all = std::collections::BTreeSet::from([key.derive("a"), key.derive("b"), other.derive("a"), [7; 32]]);
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_key_reads_back_and_hides_itself() {
        let key = MasterKey::new([0xab; 32]);
        assert_eq!(key.to_hex().parse::<MasterKey>().unwrap().to_hex(), key.to_hex());
        assert!(!format!("{key:?}{}", key.fingerprint()).contains("abab"));
        assert!("abab".parse::<MasterKey>().is_err());
    }
}
