//! A filter: lets a message through when enough of them came in a time, by number or by the sum of a field.
//!
//! ```json
//! { "reaches": 5, "window_s": 300, "by": "/user/id" }
//! ```
//!
//! The README of this crate has every setting. What must hold: time is the events' own, so that a rerun decides as the first run
//! would have; sums are exact decimals; what is kept for one key is bounded, however many messages come.

mod amount;
mod settings;
mod threshold;
mod window;

pub use amount::Amount;
pub use settings::{Pass, Settings, WINDOW_S_MAX};
pub use threshold::threshold;
pub use window::{SLOTS, Window};

hookswitch_guest::filter!(threshold);
