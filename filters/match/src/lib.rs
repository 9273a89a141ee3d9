//! A filter: lets a message through if a tree of conditions holds, and says in words which one did not.
//!
//! ```json
//! { "all": [
//!   { "pointer": "/ref", "equals": "refs/heads/main" },
//!   { "any": [ { "event": "type", "in": ["push", "create"] }, { "header": "x-urgent", "exists": true } ] },
//!   { "not": { "pointer": "/sender/login", "suffix": "[bot]" } }
//! ] }
//! ```
//!
//! The README of this crate has all subjects and tests. What must hold: numbers are compared exactly, whatever their size; a
//! body is looked at only if a condition needs it; wrong settings are refused with the path to what is wrong.

mod condition;
mod evaluate;
mod parse;
mod value;

pub use condition::{Condition, Subject, Test};
pub use evaluate::{REASON_BYTES_MAX, matches};
pub use parse::{CONDITIONS_MAX, DEPTH_MAX, REGEX_BYTES_MAX};
pub use value::Value;

hookswitch_guest::filter!(matches);
