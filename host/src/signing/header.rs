//! Signatures for receivers that expect neither Standard Webhooks nor anything else in common: an HMAC of the body in one header. It signs
//! neither an id nor a time, so nothing here tells a replay; `webhook-id` does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fmt::Write as _;

/// The hash under the HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashAlgorithm {
    /// For old receivers only.
    Sha1,
    /// The usual one.
    Sha256,
    /// The long one.
    Sha512,
}

impl HashAlgorithm {
    /// How long its HMAC is.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl HashAlgorithm {
    pub(super) fn of_ring(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

/// A key of this algorithm: the bytes of the secret.
pub(super) fn key(algorithm: HashAlgorithm, secret: &str) -> hmac::Key {
    hmac::Key::new(algorithm.of_ring(), secret.as_bytes())
}

/// How the bytes of a signature are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureEncoding {
    /// Lower case.
    Hex,
    /// With padding.
    Base64,
}

impl SignatureEncoding {
    pub(super) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => STANDARD.encode(bytes),
            Self::Hex => bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut written, byte| {
                // Writing to a string does not fail.
                let _ = write!(written, "{byte:02x}");
                written
            }),
        }
    }

    /// Reads it, hexadecimal digits in either case; none where it is not written so.
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Hex => {
                let (pairs, rest) = text.as_bytes().as_chunks::<2>();
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let byte = |[high, low]: &[u8; 2]| Some(digit(high)? << 4 | digit(low)?);
                if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
            }
        }
    }
}

/// What writes the value of such a header. Its `Debug` shows nothing of the key.
#[derive(Clone)]
pub struct BodySigner {
    key: hmac::Key,
    encoding: SignatureEncoding,
    prefix: String,
}

impl BodySigner {
    /// Signs with the bytes of `secret`; the signature follows `prefix`.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm, encoding: SignatureEncoding, prefix: String, secret: &str) -> Self {
        Self { key: key(algorithm, secret), encoding, prefix }
    }

    /// Signs as GitHub does.
    #[must_use]
    pub fn github(secret: &str) -> Self {
        Self::new(HashAlgorithm::Sha256, SignatureEncoding::Hex, "sha256=".to_owned(), secret)
    }

    /// The value of the header for this body.
    #[must_use]
    pub fn sign(&self, body: &[u8]) -> String {
        let tag = hmac::sign(&self.key, body);
        self.prefix.clone() + &self.encoding.encode(tag.as_ref())
    }
}

impl fmt::Debug for BodySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodySigner(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 2202 and RFC 4231, test case 2: the key "Jefe".
    const BODY: &[u8] = b"what do ya want for nothing?";

    fn sign(algorithm: HashAlgorithm, encoding: SignatureEncoding, prefix: &str) -> String {
        BodySigner::new(algorithm, encoding, prefix.to_owned(), "Jefe").sign(BODY)
    }

    #[test]
    fn signs_as_the_standards_do() {
        use HashAlgorithm::{Sha1, Sha256, Sha512};
        use SignatureEncoding::{Base64, Hex};
        assert_eq!(sign(Sha1, Hex, "sha1="), "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        let sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign(Sha256, Hex, ""), sha256);
        assert_eq!(sign(Sha256, Base64, ""), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
        assert!(sign(Sha512, Hex, "").starts_with("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"));
    }

    #[test]
    fn signs_as_github_documents() {
        let signed = BodySigner::github("It's a Secret to Everybody").sign(b"Hello, World!");
        assert_eq!(signed, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", BodySigner::github("hush")), "BodySigner(…)");
    }
}
