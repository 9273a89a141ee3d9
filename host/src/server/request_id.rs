//! The name of one request, by which its sender and the host's log speak of the same: `req_` and a ULID. A listed proxy may have named it
//! already; that name is taken over.

use super::forwarded::is_trusted;
use crate::model::AddressRange;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::net::IpAddr;
use ulid::Ulid;

/// The header that has it, in requests of listed proxies and in every answer.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest name that is taken over, in bytes.
const GIVEN_BYTES_MAX: usize = 128;

/// Names a request. Each has it among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The name that a listed proxy gave, or a new one of `now_ms` with 80 of these random bits.
    pub(super) fn of(headers: &HeaderMap, peer: IpAddr, trusted: &[AddressRange], now_ms: u64, random: u128) -> Self {
        let given = is_trusted(peer, trusted).then(|| given(headers)).flatten();
        given.map_or_else(|| Self::new(now_ms, random), Self)
    }

    fn new(now_ms: u64, random: u128) -> Self {
        let text = format!("req_{}", Ulid::from_parts(now_ms, random));
        // A ULID is letters and digits, so this never is the other one.
        Self(HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("req_")))
    }

    /// As the value of a header.
    #[must_use]
    pub const fn as_header(&self) -> &HeaderValue {
        &self.0
    }

    /// As text: visible ASCII.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// The one name that was given, where it is visible ASCII and not too long.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut all = headers.get_all(X_REQUEST_ID).iter();
    let (first, None) = (all.next()?, all.next()) else { return None };
    let bytes = first.as_bytes();
    let usable = (1..=GIVEN_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    usable.then(|| first.clone())
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_REQUEST_ID, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        RequestId::of(&headers, peer.parse().unwrap(), &["10.0.0.0/8".parse().unwrap()], 1_700_000_000_000, 7)
            .to_string()
    }

    #[test]
    fn a_request_is_named_by_us_unless_a_listed_proxy_did() {
        let ours = id("10.0.0.1", &[]);
        assert_eq!((ours.len(), ours.starts_with("req_01")), (30, true), "{ours}");
        assert_eq!(id("192.0.2.1", &["theirs"]), ours, "anybody can write the header");
        assert_eq!(id("10.0.0.1", &["theirs-1/2:3"]), "theirs-1/2:3");
        let longest = "x".repeat(GIVEN_BYTES_MAX);
        assert_eq!(id("10.0.0.1", &[&longest]), longest);
        for unusable in [&[""][..], &["a b"], &["\u{e9}"], &[&format!("{longest}x")], &["a", "b"]] {
            assert_eq!(id("10.0.0.1", unusable), ours, "{unusable:?}");
        }
    }
}
