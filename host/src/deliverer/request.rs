//! From a delivery to the request that carries it. Pure.
//!
//! Who has the last word on a header: first the message's own, then the endpoint's, then what the host says about the delivery and what
//! makes it provable: credentials, signatures. Names that belong to the host or to the connection are left out of a message's headers: routing refuses them
//! already, and what was stored by another version must not slip through.

use super::cloudevent::{self, Attributes};
use super::handshake::REQUEST_ORIGIN;
use crate::config::{Auth, CloudEventsSpec, Endpoint, Unfilled, UrlVariable};
use crate::model::{Delivery, Header, SourceName, TenantName, is_header_for_modules};
use crate::signing;
use crate::transport::{RESPONSE_BYTES_MAX, Request};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What the host calls itself.
pub(super) const AGENT: HeaderValue = HeaderValue::from_static(concat!("hookswitch/", env!("CARGO_PKG_VERSION")));
const DEFAULT_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// A request that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidRequest {
    /// A header cannot be sent.
    #[error("the header `{name}` cannot be sent: {why}")]
    Header { name: String, why: &'static str },
    /// It cannot be written as a CloudEvent.
    #[error("the delivery cannot be written as a CloudEvent: {why}")]
    CloudEvent { why: String },
    /// The URL needs what the delivery does not have.
    #[error(transparent)]
    Url(#[from] Unfilled),
}

/// What an attempt is made with, beside the delivery and its endpoint.
#[derive(Clone, Debug)]
pub(super) struct Attempted {
    /// When it begins.
    pub(super) now_ms: u64,
    /// Whose delivery it is.
    pub(super) tenant: TenantName,
    /// The source of the event, where the request says it.
    pub(super) source: Option<SourceName>,
    /// `Authorization`, where it was fetched.
    pub(super) token: Option<HeaderValue>,
    /// The host's name, where the receiver was asked whether it allows deliveries from there.
    pub(super) origin: Option<HeaderValue>,
}

/// The request for this attempt.
pub(super) fn build(
    delivery: &Delivery,
    body: Bytes,
    endpoint: &Endpoint,
    attempted: &Attempted,
) -> Result<Request, InvalidRequest> {
    let url = endpoint.url.fill(|variable| value_in_url(variable, delivery, attempted))?;
    let mut headers = HeaderMap::new();
    // What a module has made a CloudEvent goes as it is.
    let is_one = endpoint.cloudevents.is_some() && cloudevent::is_one(delivery);
    let cloudevents = endpoint.cloudevents.as_ref().filter(|_| !is_one);
    for header in delivery.headers.iter().filter(|header| is_header_for_modules(&header.name)) {
        if cloudevents.is_some() && cloudevent::is_attribute(header) {
            continue;
        }
        let (name, value) = parse(header)?;
        headers.append(name, value);
    }
    headers.insert(CONTENT_TYPE, content_type(delivery, endpoint.content_type.as_ref().filter(|_| !is_one))?);
    // Each takes the place of those of its name.
    put_headers(&mut headers, endpoint)?;
    let body = match cloudevents {
        None => body,
        Some(CloudEventsSpec { mode, source }) => {
            let source = source.clone().unwrap_or_else(|| source_path(attempted));
            cloudevent::write(*mode, &Attributes::of(delivery, &source), body, &mut headers)?
        }
    };

    authorize(&mut headers, endpoint, attempted.token.as_ref());
    headers.extend(attempted.origin.clone().map(|origin| (REQUEST_ORIGIN, origin)));
    sign(&mut headers, endpoint, &delivery.id.to_string(), attempted.now_ms, &body)?;
    Ok(Request {
        method: endpoint.method.clone(),
        url,
        headers,
        body,
        connect_timeout_ms: endpoint.connect_timeout_ms,
        first_byte_timeout_ms: endpoint.first_byte_timeout_ms,
        timeout_ms: endpoint.timeout_ms,
        response_bytes_max: RESPONSE_BYTES_MAX,
        tls: endpoint.tls.clone(),
    })
}

/// Puts in what the host and the endpoint say in each request: no two of them have the same name.
pub(super) fn put_headers(headers: &mut HeaderMap, endpoint: &Endpoint) -> Result<(), InvalidRequest> {
    headers.insert(USER_AGENT, AGENT);
    for header in &endpoint.headers {
        let (name, value) = parse(header)?;
        headers.insert(name, value);
    }
    Ok(())
}

/// Puts the endpoint's credentials in; `token` is what was fetched.
pub(super) fn authorize(headers: &mut HeaderMap, endpoint: &Endpoint, token: Option<&HeaderValue>) {
    match &endpoint.auth {
        Some(Auth::Header(name, value)) => drop(headers.insert(name, value.clone())),
        Some(Auth::Oauth2(_)) => headers.extend(token.map(|token| (AUTHORIZATION, token.clone()))),
        None => {}
    }
}

/// Puts in what proves the message: the endpoint's own signatures, and those of Standard Webhooks with the id and the time that they cover.
pub(super) fn sign(
    headers: &mut HeaderMap,
    endpoint: &Endpoint,
    id: &str,
    now_ms: u64,
    body: &[u8],
) -> Result<(), InvalidRequest> {
    for signature in &endpoint.signatures {
        let value = value_of(signature.header.as_str(), &signature.signer.sign(body))?;
        headers.insert(signature.header.clone(), value);
    }
    let timestamp_s = now_ms / 1000;
    if let Some(signature) = signing::sign(endpoint.keys_at(now_ms), id, timestamp_s, body) {
        headers.insert(WEBHOOK_SIGNATURE, value_of("webhook-signature", &signature)?);
    }
    headers.insert(WEBHOOK_ID, value_of("webhook-id", id)?);
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp_s));
    Ok(())
}

/// A source, for CloudEvents that do not say theirs otherwise.
fn source_path(attempted: &Attempted) -> String {
    let source = attempted.source.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("/{}/{source}", attempted.tenant)
}

fn value_in_url(variable: UrlVariable, delivery: &Delivery, attempted: &Attempted) -> String {
    match variable {
        UrlVariable::EventType => delivery.event_type.clone(),
        UrlVariable::EventId => delivery.id.event().to_string(),
        UrlVariable::DeliveryId => delivery.id.to_string(),
        UrlVariable::Source => attempted.source.as_ref().map(ToString::to_string).unwrap_or_default(),
        UrlVariable::Route => delivery.route.to_string(),
        UrlVariable::OrderingKey => delivery.ordering_key.clone().unwrap_or_default(),
    }
}

fn content_type(delivery: &Delivery, of_endpoint: Option<&HeaderValue>) -> Result<HeaderValue, InvalidRequest> {
    match (of_endpoint, delivery.content_type.as_str()) {
        (Some(own), _) => Ok(own.clone()),
        (None, "") => Ok(DEFAULT_CONTENT_TYPE),
        (None, text) => value_of("content-type", text),
    }
}

fn parse(header: &Header) -> Result<(HeaderName, HeaderValue), InvalidRequest> {
    let name = HeaderName::from_bytes(header.name.as_bytes());
    let name =
        name.map_err(|_| InvalidRequest::Header { name: header.name.clone(), why: "this is not a header name" })?;
    Ok((name, value_of(&header.name, &header.value)?))
}

fn value_of(name: &str, value: &str) -> Result<HeaderValue, InvalidRequest> {
    // Beyond ASCII it goes out as UTF-8.
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| InvalidRequest::Header { name: name.to_owned(), why: "its value has a control character in it" })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{delivery, endpoint, endpoint_at, tenant};
    use super::*;
    use crate::signing::{StandardScheme, Tolerance};
    use http::Method;

    const NOW_MS: u64 = 1_674_087_231_999;

    fn attempted() -> Attempted {
        Attempted { now_ms: NOW_MS, tenant: tenant(), source: None, token: None, origin: None }
    }

    fn header(name: &str, value: &str) -> Header {
        Header { name: name.to_owned(), value: value.to_owned() }
    }

    fn build_with(headers: &[(&str, &str)], spec: &str) -> Result<Request, InvalidRequest> {
        let mut delivery = delivery();
        delivery.headers = headers.iter().map(|(name, value)| header(name, value)).collect();
        build(&delivery, Bytes::from_static(b"body"), &endpoint(spec), &attempted())
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
        let request = build(&untyped, Bytes::new(), &endpoint(""), &attempted()).unwrap();
        assert_eq!(request.headers["content-type"], "application/octet-stream");
    }

    #[test]
    fn an_endpoint_that_says_a_type_says_it_of_every_body() {
        let request = build_with(&[], r#""content_type": "application/vnd.acme+json; v=2""#).unwrap();
        assert_eq!(request.headers["content-type"], "application/vnd.acme+json; v=2");
    }

    #[test]
    fn every_secret_signs_what_is_sent() {
        let (secret, other) = ("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH");
        let private = "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let request = build_with(&[], &format!(r#""secrets": ["{secret}", "{private}", "{other}"]"#)).unwrap();
        for key in [secret, "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=", other] {
            let scheme = StandardScheme::standard_webhooks(vec![key.parse().unwrap()], Tolerance(0));
            assert_eq!(scheme.verify(&request.headers, b"body", NOW_MS / 1000), Ok(()));
        }
    }

    #[test]
    fn a_secret_stops_to_sign_at_its_time() {
        let lasting = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
        let signatures = |until_ms: u64| {
            let ending = format!(r#"{{"secret": "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH", "until_ms": {until_ms}}}"#);
            let request = build_with(&[], &format!(r#""secrets": ["{lasting}", {ending}]"#)).unwrap();
            request.headers["webhook-signature"].to_str().unwrap().split(' ').count()
        };
        assert_eq!([signatures(NOW_MS + 1), signatures(NOW_MS), signatures(0)], [2, 1, 1]);
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
    fn credentials_and_other_signatures_win_over_all_that_a_message_says() {
        let spec = r#""auth": {"type": "api-key", "header": "x-api-key", "value": "k"},
            "signatures": [{"scheme": "github", "secrets": ["a", "b"]},
                {"scheme": "hmac", "header": "x-mac", "algorithm": "sha512", "encoding": "base64", "prefix": "v0=", "secrets": ["a"]}]"#;
        let message = [("x-api-key", "mine"), ("x-hub-signature-256", "mine"), ("x-mac", "mine")];
        let headers = build_with(&message, spec).unwrap().headers;
        let all = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all("x-api-key"), ["k"]);
        assert_eq!(all("x-hub-signature-256"), [signing::BodySigner::github("a").sign(b"body")]);
        assert!(all("x-mac").len() == 1 && all("x-mac")[0].starts_with("v0="));

        let basic =
            build_with(&[], r#""auth": {"type": "basic", "username": "Aladdin", "password": "open sesame"}"#).unwrap();
        assert_eq!(basic.headers["authorization"], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(basic.headers["authorization"].is_sensitive());
    }

    #[test]
    fn the_urls_variables_are_the_deliverys() {
        let names = "{event_type}/{event_id}/{delivery_id}/{source}/{route}/{ordering_key}";
        let to = endpoint_at(&format!("http://127.0.0.1:9/{names}"));
        let keyed = Delivery { ordering_key: Some("a/b".to_owned()), ..delivery() };
        let attempted = Attempted { source: Some("in".parse().unwrap()), ..attempted() };
        let url = build(&keyed, Bytes::new(), &to, &attempted).unwrap().url;
        let (event, id) = (keyed.id.event(), keyed.id);
        assert_eq!(url, format!("http://127.0.0.1:9/push/{event}/{id}/in/route/a%2Fb"));
        let error = build(&delivery(), Bytes::new(), &to, &attempted).unwrap_err();
        assert!(matches!(error, InvalidRequest::Url(_)), "{error}");
    }

    #[test]
    fn a_cloudevent_is_signed_as_it_is_sent() {
        let spec = r#""cloudevents": {"mode": "structured"}, "signatures": [{"scheme": "github", "secrets": ["a"]}]"#;
        let request = build_with(&[("ce-subject", "x"), ("x-a", "1")], spec).unwrap();
        assert!(request.body.starts_with(br#"{"specversion":"1.0""#));
        assert_eq!(request.headers["x-hub-signature-256"], signing::BodySigner::github("a").sign(&request.body));
        assert!(request.headers.contains_key("x-a") && !request.headers.contains_key("ce-subject"));
        let binary = build_with(&[], r#""cloudevents": {"mode": "binary", "source": "urn:x"}"#).unwrap();
        assert_eq!(
            (&binary.headers["ce-source"], &binary.body[..]),
            (&HeaderValue::from_static("urn:x"), &b"body"[..])
        );
        // A module's own is not touched, nor is its type.
        let spec = &format!(r#"{spec}, "content_type": "text/plain""#);
        let own = build_with(&[("ce-specversion", "1.0"), ("ce-subject", "x")], spec).unwrap();
        assert_eq!(own.headers["content-type"], "application/json");
        assert_eq!((&own.headers["ce-subject"], &own.body[..]), (&HeaderValue::from_static("x"), &b"body"[..]));
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
