//! A transform: makes CloudEvents 1.0 of messages, in structured or binary mode, and messages of CloudEvents.
//!
//! ```json
//! { "to": "structured", "type": "com.example.order.created", "subject": { "from": "/order/id" } }
//! ```
//! ```json
//! { "to": "data" }
//! ```
//!
//! The README of this crate has every setting. Sections cited here and there are those of "CloudEvents - Version 1.0.2", of its
//! "JSON Event Format" and of its "HTTP Protocol Binding".
//!
//! What must hold: data goes through byte for byte, as JSON or in base64; what is not a valid CloudEvent is never sent as one; the
//! only headers that are set are `ce-*`.

mod apply;
mod binary;
mod event;
mod media_type;
mod settings;
mod structured;
mod syntax;

pub use apply::apply;
pub use settings::{EXTENSIONS_MAX, Settings, To, Value};
pub use structured::EVENTS_MAX;

hookswitch_guest::transform!(apply);
