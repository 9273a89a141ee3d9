//! What came in, and the message that travels along a route.

use super::{EventId, SourceName, TenantName};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One HTTP header: a lower-case name, and the value as UTF-8 where it is valid, read as Latin-1 otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Lower case.
    pub name: String,
    /// As text.
    pub value: String,
}

/// The source of operational events: what the host itself has to say to a tenant. Routes may name it; nobody makes it, and nobody
/// sends to it from outside.
pub const OPERATIONAL_SOURCE: &str = "hookswitch";

/// The source of what an application publishes, where it names no other. Every tenant has it, made or not.
pub const PUBLISHED_SOURCE: &str = "api";

/// The type of the operational event that a delivery is dead.
pub const DELIVERY_DEAD: &str = "delivery.dead";

/// The route that the run of a test event for an endpoint is said to go through. Nobody makes one of this name.
pub const TEST_ROUTE: &str = "hookswitch";

/// What was received. The body is kept apart from it, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Its place in the order of commits, from 1; 0 until the committer has given it one.
    pub seq: u64,
    /// Whose it is.
    pub tenant: TenantName,
    /// How it came in.
    pub source: SourceName,
    /// What kind it is, by the source's rule; may be empty.
    pub event_type: String,
    /// The request's media type; empty where it gave none.
    pub content_type: String,
    /// When the host had it whole: milliseconds since 1970-01-01T00:00:00Z.
    pub received_at_ms: u64,
    /// The request's headers without credentials.
    pub headers: Vec<Header>,
    /// The length of the body.
    pub body_bytes: u64,
    /// What made it unique at its source, where the source has a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedup_key: Option<String>,
    /// That it does not fit the schema of its type, and was taken all the same. Not there otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaVerdict>,
}

/// What a schema says of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaVerdict {
    /// Whether the event fits.
    pub valid: bool,
    /// What is wrong with it, the first few things.
    pub errors: Vec<SchemaError>,
}

/// One thing that is wrong with a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaError {
    /// The JSON pointer (RFC 6901) of the place in the payload.
    pub pointer: String,
    /// What is wrong there, without what stands there.
    pub message: String,
}

impl Event {
    /// An event that came in at the time of its id, of no type, without headers and dedup key.
    #[must_use]
    pub fn new(id: EventId, tenant: TenantName, source: SourceName, body_bytes: usize) -> Self {
        Self {
            id,
            seq: 0,
            tenant,
            source,
            event_type: String::new(),
            content_type: String::new(),
            received_at_ms: id.received_at_ms(),
            headers: Vec::new(),
            body_bytes: body_bytes as u64,
            dedup_key: None,
            schema: None,
        }
    }

    /// Whether the host itself made it. Nothing that fails of such an event causes another one: there are no loops.
    #[must_use]
    pub fn is_operational(&self) -> bool {
        self.source.as_str() == OPERATIONAL_SOURCE
    }
}

/// What is left of an event that was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The event's id.
    pub id: EventId,
    /// Its place in the order of commits.
    pub seq: u64,
    /// How it came in.
    pub source: SourceName,
    /// When: milliseconds since 1970-01-01T00:00:00Z.
    pub received_at_ms: u64,
    /// When it was erased.
    pub erased_at_ms: u64,
    /// How many of its runs were pending or held then, and are given up.
    pub runs_given_up: u64,
    /// How many of its deliveries were pending or held then, and are given up.
    pub deliveries_given_up: u64,
}

/// One message on its way along a route, as the step before left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What endpoints subscribe to.
    pub event_type: String,
    /// The media type of the body; may be empty.
    pub content_type: String,
    /// Headers to send along.
    pub headers: Vec<Header>,
    /// The payload.
    pub body: Bytes,
    /// Whether `body` is still the event's own, untouched: such a body is stored once.
    pub body_is_event: bool,
    /// Deliveries with the same key go to one endpoint in order.
    pub ordering_key: Option<String>,
    /// How long to wait before the first attempt.
    pub delay_ms: u64,
}

impl Message {
    /// The message a route begins with: the event itself, without its headers.
    #[must_use]
    pub fn of_event(event: &Event, body: &Bytes) -> Self {
        Self {
            event_type: event.event_type.clone(),
            content_type: event.content_type.clone(),
            headers: Vec::new(),
            body: body.clone(),
            body_is_event: true,
            ordering_key: None,
            delay_ms: 0,
        }
    }
}
