//! From a delivery to the request that carries it. Pure.
//!
//! Who has the last word on a header: first the message's own, then the endpoint's, then what the host says about the delivery and what
//! makes it provable. Names that belong to the host or to the connection are left out of a message's headers: routing refuses them
//! already, and what was stored by another version must not slip through.

use crate::config::Endpoint;
use crate::model::{Delivery, Header, Unfilled, is_header_for_modules};
use crate::signing;
use crate::transport::Request;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("hookswitch/", env!("CARGO_PKG_VERSION")));
const DEFAULT_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsendable {
    /// A header.
    #[error("the header `{name}` cannot be sent: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no URL for it.
    #[error(transparent)]
    Url(#[from] Unfilled),
}

/// The request for this attempt, which begins at `now_ms`.
pub(super) fn build(delivery: &Delivery, body: Bytes, endpoint: &Endpoint, now_ms: u64) -> Result<Request, Unsendable> {
    let mut headers = HeaderMap::new();
    for header in delivery.headers.iter().filter(|header| is_header_for_modules(&header.name)) {
        let (name, value) = parse(header)?;
        headers.append(name, value);
    }
    headers.insert(CONTENT_TYPE, content_type(&delivery.content_type)?);
    headers.insert(USER_AGENT, AGENT);
    for header in &endpoint.headers {
        let (name, value) = parse(header)?;
        headers.insert(name, value);
    }

    let (id, timestamp_s) = (delivery.id.to_string(), now_ms / 1000);
    if let Some(signature) = signing::sign(&endpoint.secrets, &id, timestamp_s, &body) {
        headers.insert(WEBHOOK_SIGNATURE, value_of("webhook-signature", &signature)?);
    }
    headers.insert(WEBHOOK_ID, value_of("webhook-id", &id)?);
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp_s));
    Ok(Request {
        method: endpoint.method.clone(),
        url: endpoint.url.fill(delivery)?,
        headers,
        body,
        first_byte_timeout_ms: endpoint.first_byte_timeout_ms,
        timeout_ms: endpoint.timeout_ms,
    })
}

fn content_type(text: &str) -> Result<HeaderValue, Unsendable> {
    if text.is_empty() { Ok(DEFAULT_CONTENT_TYPE) } else { value_of("content-type", text) }
}

fn parse(header: &Header) -> Result<(HeaderName, HeaderValue), Unsendable> {
    let name = HeaderName::from_bytes(header.name.as_bytes());
    let name = name.map_err(|_| Unsendable::Header { name: header.name.clone(), why: "this is not a header name" })?;
    Ok((name, value_of(&header.name, &header.value)?))
}

fn value_of(name: &str, value: &str) -> Result<HeaderValue, Unsendable> {
    // Beyond ASCII it goes out as UTF-8.
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| Unsendable::Header { name: name.to_owned(), why: "its value has a control character in it" })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{delivery, endpoint};
    use super::*;
    use crate::signing::{StandardHeaders, verify_standard_webhooks};
    use http::Method;

    const NOW_MS: u64 = 1_674_087_231_999;

    fn header(name: &str, value: &str) -> Header {
        Header { name: name.to_owned(), value: value.to_owned() }
    }

    fn build_with(headers: &[(&str, &str)], spec: &str) -> Result<Request, Unsendable> {
        let mut delivery = delivery();
        delivery.headers = headers.iter().map(|(name, value)| header(name, value)).collect();
        build(&delivery, Bytes::from_static(b"body"), &endpoint(spec), NOW_MS)
    }

    #[test]
    fn a_plain_delivery_says_what_it_is_and_from_whom() {
        let request = build_with(&[], r#""timeout_ms": 700"#).unwrap();
        assert_eq!(
            (request.method, request.url.as_str(), request.timeout_ms),
            (Method::POST, "http://127.0.0.1:9/x", 700)
        );
        let mut headers: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        headers.sort_unstable();
        let id = delivery().id.to_string();
        let expected = [
            ("content-type", "application/json"),
            ("user-agent", concat!("hookswitch/", env!("CARGO_PKG_VERSION"))),
            ("webhook-id", id.as_str()),
            ("webhook-timestamp", "1674087231"),
        ];
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_body_of_no_type_is_bytes() {
        let untyped = Delivery { content_type: String::new(), ..delivery() };
        let request = build(&untyped, Bytes::new(), &endpoint(""), NOW_MS).unwrap();
        assert_eq!(request.headers["content-type"], "application/octet-stream");
    }

    #[test]
    fn every_secret_signs_what_is_sent() {
        let secrets = ["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH"];
        let request = build_with(&[], &format!(r#""secrets": ["{}", "{}"]"#, secrets[0], secrets[1])).unwrap();
        let text = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
        let headers = StandardHeaders {
            id: text("webhook-id"),
            timestamp: text("webhook-timestamp"),
            signature: text("webhook-signature"),
        };
        for secret in secrets {
            let verified = verify_standard_webhooks(&[secret.parse().unwrap()], &headers, b"body", NOW_MS / 1000, 0);
            assert_eq!(verified, Ok(()));
        }
    }

    #[test]
    fn the_endpoints_headers_win_over_the_messages() {
        let message = [("x-a", "1"), ("x-a", "2"), ("x-b", "mine")];
        let request = build_with(&message, r#""headers": {"x-b": "theirs", "authorization": "Bearer t"}"#).unwrap();
        assert_eq!(request.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(request.headers.get_all("x-b").iter().collect::<Vec<_>>(), ["theirs"]);
        assert_eq!(request.headers["authorization"], "Bearer t");
    }

    #[test]
    fn what_belongs_to_the_host_is_not_taken_from_a_message() {
        let plain = build_with(&[], "").unwrap().headers;
        for name in ["webhook-id", "Webhook-Signature", "HOST", "te", "Proxy-Connection", "authorization", "cookie"] {
            assert_eq!(build_with(&[(name, "x")], "").unwrap().headers, plain, "{name}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named() {
        let error = |name, value| build_with(&[(name, value)], "").unwrap_err().to_string();
        assert!(error("x-a", "1\r\nhost: evil").contains("`x-a`"));
        assert!(error("x a", "1").contains("`x a` cannot be sent: this is not a header name"));
        let request = build_with(&[("x-a", "grün")], "").unwrap();
        assert_eq!(request.headers["x-a"].as_bytes(), "grün".as_bytes());
    }
}
