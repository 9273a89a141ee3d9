//! Proof of origin: how deliveries are signed, and how requests that come in are verified.
//!
//! Pure: keys, bytes and the time come in, an answer goes out. Signatures are compared in constant time, and no error or `Debug` shows
//! any part of a secret or of the signature that would have been right.

mod ed25519;
mod github;
mod header;
mod key;
mod secret;
mod standard;

pub use ed25519::{PrivateKey, PublicKey};
pub use github::verify_github;
pub use header::{BodySigner, HashAlgorithm, SignatureEncoding};
pub use key::{InvalidKey, KeyScheme, SigningKey, VerifyingKey};
pub use secret::{SECRET_BYTES_MAX, SECRET_BYTES_MIN, Secret};
pub use standard::{
    SIGNATURES_MAX, StandardHeaders, TIMESTAMP_TOLERANCE_S, V1A_SIGNATURES_MAX, sign, verify_standard_webhooks,
};

/// Why a request is not believed. The text is for whoever integrates the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header that the scheme needs is not there.
    #[error("the request has no `{header}` header: the sender does not sign, or something on the way took it out")]
    SignatureMissing {
        /// Which.
        header: &'static str,
    },
    /// The signature header is not written as the scheme wants it.
    #[error("`{header}` is not written as the scheme wants it: {wanted}")]
    SignatureMalformed {
        /// Which.
        header: &'static str,
        /// How it should be.
        wanted: &'static str,
    },
    /// No secret of the source made any of the signatures.
    #[error(
        "no secret of this source made the signature: compare the secrets on both sides, and see that nothing on the way \
         changes the body"
    )]
    SignatureInvalid,
    /// The time stamp is not a number of seconds.
    #[error("`webhook-timestamp` is not a whole number of seconds since 1970-01-01T00:00:00Z")]
    TimestampMalformed,
    /// The time stamp is too far from now.
    #[error(
        "`webhook-timestamp` is more than {tolerance_s} seconds from now: a replay, or one of the two clocks is wrong"
    )]
    TimestampStale {
        /// How far it may be.
        tolerance_s: u64,
    },
}

impl VerifyError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::SignatureMissing { .. } => "signature_missing",
            Self::SignatureMalformed { .. } => "signature_malformed",
            Self::SignatureInvalid => "signature_invalid",
            Self::TimestampMalformed => "timestamp_malformed",
            Self::TimestampStale { .. } => "timestamp_stale",
        }
    }
}
