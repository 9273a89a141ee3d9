//! A transform: turns XML bodies into JSON, by one mapping that does not guess.
//!
//! ```json
//! { "arrays": ["line", "/order/notes/note"], "strip_prefixes": true }
//! ```
//!
//! The README of this crate has the mapping. What must hold: the shape of the JSON follows from the names in the XML and the
//! settings alone, never from how a value reads: all values are strings, so that `007` and ids above 2^53 stay what they are.

mod convert;
mod settings;

pub use convert::apply;
pub use settings::{ARRAYS_MAX, Settings};

hookswitch_guest::transform!(apply);
