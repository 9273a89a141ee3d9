//! A call of a module for its own sake, outside of any run, as `tests/it/containment.rs` and `make fuzz` make them.

use bytes::Bytes;
use hookswitch::model::{Event, EventId, Message};
use hookswitch::runtime::{Call, CallError, Module, Verdict};
use std::time::Duration;

/// Calls it once with this body, for so long at most.
pub(crate) fn call(module: &Module, body: &Bytes, time: Duration) -> Result<Verdict, CallError> {
    let event = Event {
        id: EventId::new(1_700_000_000_000, 7),
        seq: 0,
        tenant: "acme".parse().unwrap(),
        source: "in".parse().unwrap(),
        event_type: "push".into(),
        content_type: "application/json".into(),
        received_at_ms: 1_700_000_000_000,
        headers: Vec::new(),
        body_bytes: body.len() as u64,
        dedup_key: None,
    };
    let message = Message::of_event(&event, body);
    module.call(&Call { time, ..Call::trial(&event, body, &message, "{}") }).result
}
