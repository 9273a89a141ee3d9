//! The time that a request says it was signed at.

use super::VerifyError;
use super::hmac_scheme::text;
use http::{HeaderMap, HeaderName};

/// How far a time stamp may be from now, where a source does not say otherwise, in seconds.
pub const TIMESTAMP_TOLERANCE_S: u64 = 300;

/// How far a time stamp may be from now, in seconds, on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance(pub u64);

/// A header that holds a time stamp, and how far that may be from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampHeader {
    /// Which.
    pub name: HeaderName,
    /// How far.
    pub tolerance: Tolerance,
}

impl TimestampHeader {
    pub(super) fn read<'a>(&'a self, headers: &'a HeaderMap) -> Result<Stamp<'a>, VerifyError> {
        Stamp::read(text(headers, &self.name)?, &self.name, self.tolerance)
    }
}

/// A time stamp that was read.
#[derive(Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// As it came, and as it was signed.
    pub(super) text: &'a str,
    at_s: u64,
    header: &'a HeaderName,
    tolerance: Tolerance,
}

impl<'a> Stamp<'a> {
    /// Reads what stands in `header`. Digits only: `+5` and ` 5` would be signed differently from what they mean.
    pub(super) fn read(text: &'a str, header: &'a HeaderName, tolerance: Tolerance) -> Result<Self, VerifyError> {
        let at_s = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let at_s = at_s.ok_or_else(|| VerifyError::TimestampMalformed { header: header.clone() })?;
        Ok(Self { text, at_s, header, tolerance })
    }

    /// Whether it is near enough to now. To be asked last: only who holds a key learns what the host's clock thinks.
    pub(super) fn check(self, now_s: u64) -> Result<(), VerifyError> {
        if self.at_s.abs_diff(now_s) > self.tolerance.0 {
            return Err(VerifyError::TimestampStale { header: self.header.clone(), tolerance_s: self.tolerance.0 });
        }
        Ok(())
    }
}
