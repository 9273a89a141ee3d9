//! Events and messages as a person writes them. Every member may be left out; a wrong one is an error.

use crate::model::{EndpointName, Event, EventId, Header, InvalidName, Message, SourceName, TenantName};
use crate::runtime::{Directory, EndpointInfo};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// When an event came in that does not say: 2023-11-14T22:13:20Z. The same always, so that results can be compared.
const RECEIVED_AT_MS: u64 = 1_700_000_000_000;
/// Whose it is then, and how it came in.
const NAME: &str = "test";

/// What is wrong with what a person wrote, beyond its form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenError {
    /// A body in the event, and one apart from it.
    #[error("the body stands in a file of its own: leave out `body`, `body_text` and `body_base64`")]
    Apart,
    /// The name of the test itself: it is one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The event is said to be another tenant's.
    #[error("the event's tenant is `{given}`, and it is tried for `{tenant}`: leave `tenant` out")]
    Tenant {
        /// What it says.
        given: TenantName,
        /// Whose it can only be.
        tenant: TenantName,
    },
    /// Two bodies.
    #[error("give one of `body` (JSON), `body_text` and `body_base64`, not several")]
    Bodies,
    /// Bytes that are none.
    #[error("`body_base64` is not base64 (RFC 4648, section 4): {0}")]
    Base64(String),
    /// A header that the host would not have.
    #[error("the header name `{0}` is not in lower case, as a module gets it")]
    HeaderName(String),
}

/// An event. Its body is given apart from it, in a file, or as one of the last three members.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenEvent {
    id: Option<EventId>,
    tenant: Option<TenantName>,
    source: Option<SourceName>,
    event_type: String,
    content_type: Option<String>,
    received_at_ms: Option<u64>,
    headers: Vec<Header>,
    #[serde(deserialize_with = "present")]
    body: Option<Box<RawValue>>,
    body_text: Option<String>,
    body_base64: Option<String>,
}

/// What the message has otherwise than the event.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenMessage {
    event_type: Option<String>,
    content_type: Option<String>,
    headers: Vec<Header>,
    ordering_key: Option<String>,
    delay_ms: u64,
    #[serde(deserialize_with = "present")]
    body: Option<Box<RawValue>>,
    body_text: Option<String>,
    body_base64: Option<String>,
}

/// An endpoint, as routers see it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenEndpoint {
    name: EndpointName,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// `null` is a body like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// The bytes of a body in one of its three forms, and its media type where nothing else is said; none where there is none.
fn body_of(
    json: Option<&RawValue>,
    text: Option<String>,
    base64: Option<&str>,
) -> Result<Option<GivenBody>, GivenError> {
    let given = |bytes: Bytes, content_type| Ok(Some(GivenBody { bytes, content_type }));
    match (json, text, base64) {
        (None, None, None) => Ok(None),
        // As it is written, byte for byte.
        (Some(json), None, None) => given(json.get().to_owned().into(), "application/json"),
        (None, Some(text), None) => given(text.into(), "text/plain; charset=utf-8"),
        (None, None, Some(base64)) => {
            let bytes = BASE64_STANDARD.decode(base64).map_err(|error| GivenError::Base64(error.to_string()))?;
            given(bytes.into(), "application/octet-stream")
        }
        _ => Err(GivenError::Bodies),
    }
}

/// A body, and the media type it has where the event or the message does not say.
#[derive(Clone, Debug, Default)]
pub struct GivenBody {
    /// Byte for byte.
    pub bytes: Bytes,
    /// Empty where nothing is known.
    pub content_type: &'static str,
}

impl GivenEvent {
    /// The same as an event of this tenant, where there is one.
    ///
    /// # Errors
    /// It says that it is another tenant's.
    pub fn of_tenant(self, tenant: Option<&TenantName>) -> Result<Self, GivenError> {
        match (self.tenant, tenant) {
            (Some(given), Some(tenant)) if given != *tenant => {
                Err(GivenError::Tenant { given, tenant: tenant.clone() })
            }
            (given, tenant) => Ok(Self { tenant: given.or_else(|| tenant.cloned()), ..self }),
        }
    }

    /// The event and its body: the one that is given apart from it, or the one that it holds, or none.
    ///
    /// # Errors
    /// There are several bodies, or one that is no base64; or a header's name is not in lower case.
    pub fn resolve(self, apart: Option<GivenBody>) -> Result<(Event, Bytes), GivenError> {
        let own = body_of(self.body.as_deref(), self.body_text, self.body_base64.as_deref())?;
        if own.is_some() && apart.is_some() {
            return Err(GivenError::Apart);
        }
        let GivenBody { bytes, content_type } = apart.or(own).unwrap_or_default();
        let event = Event {
            id: self.id.unwrap_or(EventId::from_bytes([0; 16])),
            seq: 0,
            tenant: self.tenant.map_or_else(|| NAME.parse(), Ok)?,
            source: self.source.map_or_else(|| NAME.parse(), Ok)?,
            event_type: self.event_type,
            content_type: self.content_type.unwrap_or_else(|| content_type.to_owned()),
            received_at_ms: self.received_at_ms.unwrap_or(RECEIVED_AT_MS),
            headers: in_lower_case(self.headers)?,
            body_bytes: bytes.len() as u64,
            dedup_key: None,
            schema: None,
        };
        Ok((event, bytes))
    }
}

impl GivenMessage {
    /// The message that begins a route with this event, but for what is written here.
    ///
    /// # Errors
    /// There are several bodies, or one that is no base64; or a header's name is not in lower case.
    pub fn over(self, event: &Event, body: &Bytes) -> Result<Message, GivenError> {
        let mut message = Message::of_event(event, body);
        if let Some(own) = body_of(self.body.as_deref(), self.body_text, self.body_base64.as_deref())? {
            (message.body, message.body_is_event) = (own.bytes, false);
            own.content_type.clone_into(&mut message.content_type);
        }
        message.event_type = self.event_type.unwrap_or(message.event_type);
        message.content_type = self.content_type.unwrap_or(message.content_type);
        message.headers = in_lower_case(self.headers)?;
        message.ordering_key = self.ordering_key;
        message.delay_ms = self.delay_ms;
        Ok(message)
    }
}

/// Modules get names in lower case: a test with others would be of nothing that happens.
fn in_lower_case(headers: Vec<Header>) -> Result<Vec<Header>, GivenError> {
    match headers.iter().find(|header| header.name.bytes().any(|byte| byte.is_ascii_uppercase())) {
        Some(header) => Err(GivenError::HeaderName(header.name.clone())),
        None => Ok(headers),
    }
}

impl GivenEndpoint {
    /// These endpoints, for a router.
    #[must_use]
    pub fn directory(endpoints: Vec<Self>) -> Directory {
        let infos = endpoints.into_iter().map(|Self { name, labels }| EndpointInfo { name, labels });
        Directory::new(infos.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &str) -> Result<(Event, Bytes), GivenError> {
        serde_json::from_str::<GivenEvent>(json).unwrap_or_else(|error| panic!("{json}: {error}")).resolve(None)
    }

    #[test]
    fn what_is_left_out_has_a_default_that_never_changes() {
        let (event, body) = event("{}").unwrap();
        assert_eq!((event.id.to_string().as_str(), &body[..]), ("evt_00000000000000000000000000", &b""[..]));
        assert_eq!((event.tenant.as_str(), event.source.as_str()), ("test", "test"));
        assert_eq!((event.received_at_ms, event.event_type.as_str()), (1_700_000_000_000, ""));
    }

    #[test]
    fn a_body_is_json_as_it_is_written_or_text_or_bytes() {
        let given = |json: &str| event(json).map(|(event, body)| (event.content_type, body));
        let json = |body: &'static str| Ok(("application/json".to_owned(), Bytes::from(body)));
        assert_eq!(given(r#"{"body": { "n": 1.50 }}"#), json(r#"{ "n": 1.50 }"#));
        assert_eq!(given(r#"{"body": null}"#), json("null"));
        assert_eq!(given(r#"{"body": "x"}"#), json(r#""x""#));
        let text = given(r#"{"body_text": "<a/>", "content_type": "application/xml"}"#);
        assert_eq!(text, Ok(("application/xml".to_owned(), "<a/>".into())));
        let bytes = given(r#"{"body_base64": "//4="}"#);
        assert_eq!(bytes, Ok(("application/octet-stream".to_owned(), Bytes::from_static(b"\xff\xfe"))));
        assert_eq!(given(r#"{"body": 1, "body_text": "x"}"#), Err(GivenError::Bodies));
        assert!(matches!(given(r#"{"body_base64": "?"}"#), Err(GivenError::Base64(_))));
        let own: GivenEvent = serde_json::from_str(r#"{"body": 1}"#).unwrap();
        assert_eq!(own.resolve(Some(GivenBody::default())), Err(GivenError::Apart));
    }

    #[test]
    fn what_cannot_come_is_refused() {
        assert!(serde_json::from_str::<GivenEvent>(r#"{"event-type": "x"}"#).is_err());
        let upper = event(r#"{"headers": [{"name": "X-Team", "value": "a"}]}"#);
        assert_eq!(upper, Err(GivenError::HeaderName("X-Team".to_owned())));
    }

    #[test]
    fn a_message_is_the_event_but_for_what_is_written() {
        let (event, body) = event(r#"{"event_type": "push", "body": {}}"#).unwrap();
        let over = |json: &str| serde_json::from_str::<GivenMessage>(json).unwrap().over(&event, &body).unwrap();
        assert_eq!(over("{}"), Message::of_event(&event, &body));
        let other = over(r#"{"event_type": "item", "body_text": "hi", "ordering_key": "k", "delay_ms": 5}"#);
        let text = ("item", "text/plain; charset=utf-8", Some("k"), 5);
        let made = (&*other.event_type, &*other.content_type, other.ordering_key.as_deref(), other.delay_ms);
        assert_eq!((made, other.body_is_event, &other.body[..]), (text, false, &b"hi"[..]));
    }
}
