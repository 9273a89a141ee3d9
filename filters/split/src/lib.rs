//! A transform: splits one large payload into pages over an array in it.
//!
//! ```json
//! { "pointer": "/items", "items_max": 100, "number": "/page", "total": "header:x-pages", "ordering_key": "event:id" }
//! ```
//!
//! The README of this crate has every setting. What must hold: every item is in exactly one page, byte for byte, and in order; no
//! page is above the bounds that the settings name.

mod apply;
mod pages;
mod settings;

pub use apply::{OUTPUT_BYTES_MAX, apply};
pub use pages::PAGES_MAX;
pub use settings::{Keep, Settings, Target};

hookswitch_guest::transform!(apply);
