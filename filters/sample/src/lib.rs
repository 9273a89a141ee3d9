//! A filter: lets every n-th message through, or a share of them.
//!
//! ```json
//! { "every": 100 }
//! ```
//! ```json
//! { "percent": 2.5, "by": "/user/id" }
//! ```
//!
//! The README of this crate has every setting. What must hold: a share is a pure function of settings and what `by` names: the
//! same today, on a rerun, and in later versions of this module; it needs no state.

mod sample;
mod settings;

pub use sample::{COUNTER_TTL_S, sample};
pub use settings::{How, SEED_BYTES_MAX, Settings};

hookswitch_guest::filter!(sample);
