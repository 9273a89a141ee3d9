//! Proof of origin: how deliveries are signed, and how requests that come in are verified.
//!
//! Pure: keys, bytes and the time come in, an answer goes out. Signatures are compared in constant time, and no error or `Debug` shows
//! any part of a secret or of the signature that would have been right.

mod ed25519;
mod ed25519_scheme;
mod explain;
mod header;
mod hmac_scheme;
mod key;
mod secret;
mod shared_secret;
mod signed_text;
mod standard;
mod timestamp;
mod twilio;

pub use ed25519::{PrivateKey, PublicKey};
pub use ed25519_scheme::Ed25519Scheme;
pub use explain::Looked;
pub use header::{BodySigner, HashAlgorithm, SignatureEncoding};
pub use hmac_scheme::{HmacForm, HmacScheme};
pub use key::{InvalidKey, KeyScheme, SigningKey, VerifyingKey};
pub use secret::{SECRET_BYTES_MAX, SECRET_BYTES_MIN, Secret};
pub use shared_secret::SharedSecret;
pub use signed_text::{InvalidSignedText, SignedText};
pub use standard::{SIGNATURES_MAX, StandardScheme, V1A_SIGNATURES_MAX, sign};
pub use timestamp::{TIMESTAMP_TOLERANCE_S, TimestampHeader, Tolerance};
pub use twilio::TwilioScheme;

use http::HeaderName;

/// Why a request is not believed. The text is for whoever integrates the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header that the scheme needs is not there.
    #[error("the request has no `{header}` header: the sender does not sign, or something on the way took it out")]
    SignatureMissing {
        /// Which.
        header: HeaderName,
    },
    /// A header that has to hold a secret is not there.
    #[error("the request has no `{header}` header, which has to hold the source's secret")]
    SecretMissing {
        /// Which.
        header: HeaderName,
    },
    /// A parameter that the scheme needs is not in the URL.
    #[error("the request's URL has no parameter `{parameter}`, which has to hold the source's secret")]
    ParameterMissing {
        /// Which.
        parameter: String,
    },
    /// The signature header is not written as the scheme wants it.
    #[error("`{header}` is not written as the scheme wants it: {wanted}")]
    SignatureMalformed {
        /// Which.
        header: HeaderName,
        /// How it should be.
        wanted: String,
    },
    /// No secret of the source made any of the signatures.
    #[error(
        "no secret of this source made the signature: compare the secrets on both sides, and see that nothing on the way \
         changes the body"
    )]
    SignatureInvalid,
    /// No public key of the source fits the signature.
    #[error(
        "no public key of this source fits the signature: compare the keys on both sides, and see that nothing on the way \
         changes the body"
    )]
    KeyInvalid,
    /// What the request holds is no secret of the source.
    #[error("the request holds another secret than this source has: compare the secrets on both sides")]
    SecretInvalid,
    /// The time stamp is not a number of seconds.
    #[error("the time in `{header}` is not a whole number of seconds since 1970-01-01T00:00:00Z")]
    TimestampMalformed {
        /// Where it stands.
        header: HeaderName,
    },
    /// The time stamp is too far from now.
    #[error(
        "the time in `{header}` is more than {tolerance_s} seconds from now: a replay, or one of the two clocks is wrong"
    )]
    TimestampStale {
        /// Where it stands.
        header: HeaderName,
        /// How far it may be.
        tolerance_s: u64,
    },
}

impl VerifyError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SignatureMissing { .. } | Self::SecretMissing { .. } | Self::ParameterMissing { .. } => {
                "signature_missing"
            }
            Self::SignatureMalformed { .. } => "signature_malformed",
            Self::SignatureInvalid | Self::KeyInvalid | Self::SecretInvalid => "signature_invalid",
            Self::TimestampMalformed { .. } => "timestamp_malformed",
            Self::TimestampStale { .. } => "timestamp_stale",
        }
    }
}
