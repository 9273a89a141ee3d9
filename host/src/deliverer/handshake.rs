//! Asking a receiver whether it wants deliveries at all: the validation handshake of CloudEvents' "HTTP 1.1 Web Hooks for Event Delivery",
//! section 4. Pure.
//!
//! Consent is the header `WebHook-Allowed-Origin` alone: an answer's status says nothing (section 4.2). What was allowed is kept by the endpoint's
//! gate, in memory; who asks is `send`.

use super::request::{self, InvalidRequest};
use crate::config::Endpoint;
use crate::transport::{HEADER_BYTES_MAX, RESPONSE_BYTES_MAX, Request, Response, SendError};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

/// Also on each delivery (section 2.1).
pub(super) const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const REQUEST_RATE: HeaderName = HeaderName::from_static("webhook-request-rate");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// No endpoint may be sent to more often in a minute than this; who allows more allows this.
const RATE_PER_MIN_MAX: u64 = 60 * 10_000;

/// Why nothing may be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The host has no name to ask for.
    #[error("the endpoint wants a handshake, and this host has no origin to ask for: set `deliverer.origin`")]
    NoOrigin,
    /// No answer came.
    #[error("the receiver could not be asked whether it allows deliveries: {0}")]
    Send(SendError),
    /// What came is no consent.
    #[error("the receiver does not allow deliveries: {0}")]
    Refused(String),
}

/// The question, with the endpoint's credentials and headers.
pub(super) fn question(
    endpoint: &Endpoint,
    origin: &HeaderValue,
    token: Option<&HeaderValue>,
) -> Result<Request, InvalidRequest> {
    let url = endpoint.url.fill(|_| String::new())?;
    let mut headers = HeaderMap::new();
    request::put_headers(&mut headers, endpoint)?;
    request::authorize(&mut headers, endpoint, token);
    headers.insert(REQUEST_ORIGIN, origin.clone());
    if let Some(per_s) = endpoint.rate_per_s {
        headers.insert(REQUEST_RATE, HeaderValue::from(u64::from(per_s) * 60));
    }
    Ok(Request {
        method: Method::OPTIONS,
        url,
        headers,
        body: Bytes::new(),
        connect_timeout_ms: endpoint.connect_timeout_ms,
        first_byte_timeout_ms: endpoint.first_byte_timeout_ms,
        timeout_ms: endpoint.timeout_ms,
        response_bytes_max: RESPONSE_BYTES_MAX,
        tls: endpoint.tls.clone(),
    })
}

/// How many deliveries each minute an answer allows; none for as many as there are.
pub(super) fn answer(answer: &Response, origin: &HeaderValue) -> Result<Option<u64>, HandshakeError> {
    let refused =
        |why: String| Err(HandshakeError::Refused(format!("its answer to OPTIONS ({}) {why}", answer.status)));
    let Some(allowed) = answer.header(ALLOWED_ORIGIN) else {
        return refused(format!("has no `WebHook-Allowed-Origin` of at most {HEADER_BYTES_MAX} bytes"));
    };
    if allowed != "*" && !allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()) {
        return refused(format!("allows another origin, `{allowed}`"));
    }
    let wrong = |rate: &str| {
        refused(format!("has a `WebHook-Allowed-Rate` that is neither `*` nor a number above 0, `{rate}`"))
    };
    match answer.header(ALLOWED_RATE) {
        None if answer.headers.contains_key(ALLOWED_RATE) => wrong("what cannot be read"),
        None | Some("*") => Ok(None),
        Some(rate) => match rate.parse::<u64>() {
            Ok(per_min @ 1..) => Ok(Some(per_min.min(RATE_PER_MIN_MAX))),
            _ => wrong(rate),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::endpoint;
    use super::*;
    use http::StatusCode;

    const ORIGIN: HeaderValue = HeaderValue::from_static("hooks.example.com");

    #[test]
    fn a_question_names_the_origin_and_the_rate_and_proves_itself() {
        let spec =
            r#""handshake": true, "rate_per_s": 2, "headers": {"x-a": "1"}, "auth": {"type": "bearer", "token": "t"}"#;
        let request = question(&endpoint(spec), &ORIGIN, None).unwrap();
        assert_eq!(
            (request.method, request.url.as_str(), request.body.len()),
            (Method::OPTIONS, "http://127.0.0.1:9/x", 0)
        );
        let header = |name: &str| request.headers[name].to_str().unwrap();
        assert_eq!((header("webhook-request-origin"), header("webhook-request-rate")), ("hooks.example.com", "120"));
        assert_eq!((header("authorization"), header("x-a")), ("Bearer t", "1"));
        let without = question(&endpoint(r#""handshake": true"#), &ORIGIN, None).unwrap();
        assert!(!without.headers.contains_key("webhook-request-rate"));
    }

    #[test]
    fn consent_is_what_the_headers_say_whatever_the_status() {
        let of = |status: u16, headers: &[(HeaderName, &str)]| {
            let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            let status = StatusCode::from_u16(status).unwrap();
            answer(&Response { status, headers, body_prefix: Vec::new(), cut: false }, &ORIGIN)
        };
        let origin = |value| (ALLOWED_ORIGIN, value);
        let rate = |value| (ALLOWED_RATE, value);
        assert_eq!(of(200, &[origin("*"), rate("100")]), Ok(Some(100)));
        assert_eq!(of(405, &[origin("Hooks.example.com"), rate("*")]), Ok(None));
        assert_eq!(of(204, &[origin("*")]), Ok(None));
        assert_eq!(of(204, &[origin("*"), rate("18446744073709551615")]), Ok(Some(RATE_PER_MIN_MAX)));
        let refused = [
            (200, vec![], "has no `WebHook-Allowed-Origin`"),
            (200, vec![rate("*")], "has no `WebHook-Allowed-Origin`"),
            (200, vec![origin("evil.example.com"), rate("*")], "allows another origin, `evil.example.com`"),
            (200, vec![origin("*"), rate("0")], "neither `*` nor a number above 0, `0`"),
            (200, vec![origin("*"), rate("many")], "neither `*` nor a number above 0, `many`"),
            (200, vec![origin("*"), rate("10\u{e9}")], "neither `*` nor a number above 0, `what cannot be read`"),
        ];
        for (status, headers, why) in refused {
            let error = of(status, &headers).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("(200 OK)"), "{error}");
        }
    }
}
