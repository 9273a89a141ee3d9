//! A filter: lets the first of equal messages through, within a time or a calendar day.
//!
//! ```json
//! { "by": "body", "window_s": 3600 }
//! ```
//! ```json
//! { "by": ["/user/id", "event:type"], "per": "day" }
//! ```
//!
//! The README of this crate has every setting. What must hold: a message that is let through is remembered in the same call, so
//! that of equal ones exactly one goes through; time is the events' own.

mod dedupe;
mod settings;

pub use dedupe::dedupe;
pub use settings::{Period, Settings, WINDOW_S_MAX};

hookswitch_guest::filter!(dedupe);
