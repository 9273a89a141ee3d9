//! A delivery: one message for one endpoint, the durable unit of the queue; and its attempts.

use super::{DeliveryId, EndpointName, Header, RouteName, Run, RunId};
use serde::{Deserialize, Serialize};

/// How much of a receiver's response is kept, in bytes.
pub const ENDPOINT_RESPONSE_BYTES_MAX: usize = 4096;

/// One message for one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id, and its `webhook-id`.
    pub id: DeliveryId,
    /// The run that made it.
    pub run: RunId,
    /// The route of that run.
    pub route: RouteName,
    /// Where it goes.
    pub endpoint: EndpointName,
    /// What kind of message it is; may be empty.
    pub event_type: String,
    /// The media type of the body; may be empty.
    pub content_type: String,
    /// Headers that the modules set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Deliveries with the same key go in order, where the endpoint asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering_key: Option<String>,
    /// Its place in the line of its ordering key, where its endpoint keeps lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Turn>,
    /// Whether it is of an operational event: then no other one ever comes of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub operational: bool,
    /// Where the body is.
    pub body: BodyRef,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Why it stands there, where an attempt does not tell: the words of who cancelled it, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many attempts were made in all.
    pub attempts: u32,
    /// How many were made since it was last put on its schedule from the start (a retry by hand begins anew).
    pub schedule_position: u32,
    /// When it was made: milliseconds since 1970-01-01T00:00:00Z.
    pub created_at_ms: u64,
    /// When it is to be tried next; only while `pending`.
    pub due_ms: u64,
}

impl Delivery {
    /// A delivery that this run makes of the `ordinal`th message that left its last step: to be tried now, with the event's body.
    #[must_use]
    pub fn new(run: &Run, step: u32, ordinal: u32, endpoint: &EndpointName, now_ms: u64) -> Self {
        Self {
            id: DeliveryId::new(run.id, step, ordinal, endpoint),
            run: run.id,
            route: run.route.clone(),
            endpoint: endpoint.clone(),
            event_type: String::new(),
            content_type: String::new(),
            headers: Vec::new(),
            ordering_key: None,
            turn: None,
            operational: false,
            body: BodyRef::Event,
            status: DeliveryStatus::Pending,
            reason: None,
            attempts: 0,
            schedule_position: 0,
            created_at_ms: now_ms,
            due_ms: now_ms,
        }
    }
}

/// A place among the deliveries of one ordering key to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Turn {
    /// The event's place in the order; 0 until the committer has given it one.
    pub seq: u64,
    /// Which of the messages that its run made, from 0.
    pub ordinal: u32,
}

/// Where a delivery's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyRef {
    /// It is the event's, unchanged.
    Event,
    /// It is its own.
    Own,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// To be tried, now or later.
    Pending,
    /// The receiver has it.
    Delivered,
    /// Kept, not sent, until someone resumes it.
    Held,
    /// Retries used up, or cancelled: kept, can be retried.
    Dead,
}

impl DeliveryStatus {
    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Held => "held",
            Self::Dead => "dead",
        }
    }
}

/// One HTTP try of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// When it began: milliseconds since 1970-01-01T00:00:00Z.
    pub started_at_ms: u64,
    /// How long it took, the response's body included.
    pub duration_ms: u64,
    /// The receiver's status, where it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The first [`ENDPOINT_RESPONSE_BYTES_MAX`] bytes of the answer's body as text; what is not UTF-8 is replaced.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub response: String,
    /// Why it does not count as delivered; none for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<AttemptError>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    /// Stable: `status`, `connect`, `dns`, `tls`, `timeout`, `address_refused`, `interrupted`, ….
    pub code: String,
    /// For a person.
    pub message: String,
}
