//! Who may use the admin interface: whoever has the operator's key, and comes by a name that is the host's.

use super::Api;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Request, StatusCode, header};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// The shortest key, in bytes.
const KEY_BYTES_MIN: usize = 16;

/// The operator's key, of which only a hash is kept.
#[derive(Clone)]
pub struct OperatorKey([u8; 32]);

/// A text that is no operator key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operator key is shorter than {KEY_BYTES_MIN} bytes or has other characters than visible ASCII")]
pub struct InvalidOperatorKey;

impl OperatorKey {
    /// Takes a key.
    ///
    /// # Errors
    /// Where it is too short, or cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, InvalidOperatorKey> {
        if text.len() < KEY_BYTES_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidOperatorKey);
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    fn is(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.0.ct_eq(&given).into()
    }
}

/// Who may come in.
pub struct Access {
    /// The operator's key.
    pub operator: OperatorKey,
    /// Names that `Host` may have, beside `localhost` and addresses.
    pub hosts: Vec<String>,
}

/// Lets a request with the operator's key through.
pub(super) async fn require_key(
    State(api): State<Api>,
    request: Request<Body>,
    next: Next,
) -> Result<Response, Problem> {
    let key = bearer(request.headers());
    if key.is_some_and(|key| api.parts().access.operator.is(key)) {
        return Ok(next.run(request).await);
    }
    let detail = "send `Authorization: Bearer KEY` with the operator's key; it is in the file operator.key of the data directory";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "key_required", detail))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Lets a request through whose `Host` is the host's own.
pub(super) async fn require_host(
    State(api): State<Api>,
    request: Request<Body>,
    next: Next,
) -> Result<Response, Problem> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if host_allowed(host, &api.parts().access.hosts) {
        return Ok(next.run(request).await);
    }
    let detail =
        format!("the admin interface is not reached by the name `{host}`; add it to `admin.hosts` if it should be");
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host_unknown", detail))
}

fn host_allowed(host: &str, allowed: &[String]) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_opens() {
        let key = OperatorKey::new("0123456789abcdef").unwrap();
        assert!(key.is("0123456789abcdef"));
        assert!(!key.is("0123456789abcdeF") && !key.is("") && !key.is("0123456789abcdef0"));
        assert!(OperatorKey::new("short").is_err());
        assert!(OperatorKey::new("0123456789 abcdef").is_err());
    }

    #[test]
    fn a_foreign_name_is_refused() {
        let own = ["hooks.example.com".to_owned()];
        for good in ["127.0.0.1:8081", "[::1]:8081", "localhost", "LOCALHOST:1", "10.0.0.7", "Hooks.example.com:443"] {
            assert!(host_allowed(good, &own), "{good}");
        }
        for bad in ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8081", "a b"] {
            assert!(!host_allowed(bad, &own), "{bad}");
        }
    }
}
