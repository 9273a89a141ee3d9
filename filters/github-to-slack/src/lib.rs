//! A transform: turns GitHub's webhook events into Slack messages made of Block Kit blocks.
//!
//! ```json
//! { "channel": "#builds", "events": ["push", "pull_request.opened", "workflow_run.completed"] }
//! ```
//!
//! The common events each have words of their own; any other event gets a message with what all events have: who, what, where.
//! What must hold: no payload that GitHub sends makes it fail; nothing in a payload can mention a person or a channel in Slack, or
//! make a link look like another; every text stays within Slack's limits.

mod apply;
mod block;
mod events;
mod line;
mod note;
mod payload;

pub use apply::{Settings, apply};
pub use block::{BLOCKS_MAX, CONTEXT_ELEMENTS_MAX, HEADER_UNITS_MAX};
pub use line::{LABEL_UNITS_MAX, Line, TEXT_UNITS_MAX};
pub use note::Note;
pub use payload::Payload;

hookswitch_guest::transform!(apply);
