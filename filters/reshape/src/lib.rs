//! A transform: makes new payloads from old ones, by a template or by edits.
//!
//! ```json
//! {
//!   "each": "/commits",
//!   "template": {
//!     "text": "${item:/author/name}: ${item:/message}",
//!     "repository": { "$pointer": "/repository/full_name" },
//!     "files": { "$item": "/added", "default": [] },
//!     "event": { "$event": "id" }
//!   },
//!   "event_type": "commit",
//!   "ordering_key": "${/repository/id}"
//! }
//! ```
//!
//! The README of this crate has every setting. What must hold: what is copied is copied byte for byte, so that numbers of any
//! size and precision stay what they were; the number and the size of the outputs are bounded before they are built.

mod apply;
mod render;
mod settings;
mod template;
mod text;

pub use apply::{OUTPUTS_MAX, apply};
pub use render::OUTPUT_BYTES_MAX;
pub use settings::{OnMissing, Payload, Settings};
pub use template::{DEPTH_MAX, Fact, PARTS_MAX, Place, Template};
pub use text::{Piece, Text};

hookswitch_guest::transform!(apply);
