//! A call of a module for its own sake, outside of any run, as `tests/it/containment.rs` and `make fuzz` make them.

use bytes::Bytes;
use hookswitch::model::{Event, EventId, Message};
use hookswitch::runtime::{Call, CallError, Module, Verdict};
use std::time::Duration;

/// Calls it once with this body, for so long at most.
pub(crate) fn call(module: &Module, body: &Bytes, time: Duration) -> Result<Verdict, CallError> {
    let event = Event {
        event_type: "push".into(),
        content_type: "application/json".into(),
        ..Event::new(EventId::new(1_700_000_000_000, 7), "acme".parse().unwrap(), "in".parse().unwrap(), body.len())
    };
    let message = Message::of_event(&event, body);
    module.call(&Call { time, ..Call::trial(&event, body, &message, "{}") }).result
}
