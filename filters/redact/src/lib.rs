//! A transform: removes, masks or hashes fields of a JSON payload, by path.
//!
//! ```json
//! {
//!   "remove": ["/customer/phone", "/items/*/internal"],
//!   "mask": ["/card/number"], "mask_keep": 4,
//!   "hash": ["/customer/email"], "salt": "3c1f9a70b25e4d68"
//! }
//! ```
//!
//! The README of this crate has every setting, and what a salt in settings is worth. What must hold: what a path leads to does not
//! get through, whichever of several equal keys it is under; what no path leads to stays byte for byte.

mod apply;
mod path;
mod settings;

pub use apply::apply;
pub use path::{PARTS_MAX, Path};
pub use settings::{MASK_BYTES_MAX, PATHS_MAX, SALT_BYTES_MIN, Settings};

hookswitch_guest::transform!(apply);
