//! Write Hookswitch modules in Rust. A module is an ordinary function and one line that says which world it is for:
//! [`filter!`] (does the message go on?), [`transform!`] (what becomes of it?) or [`router!`] (where does it go?).
//!
//! ```
//! use hookswitch_guest::{Decision, Event, Failure, Message, accept, filter, reject};
//!
//! #[derive(serde::Deserialize)]
//! struct Settings { branch: String }
//! #[derive(serde::Deserialize)]
//! struct Push { r#ref: String }
//!
//! filter!(only_branch);
//!
//! fn only_branch(settings: &Settings, _: &Event, message: &Message) -> Result<Decision, Failure> {
//!     let push: Push = message.json()?;
//!     let is_ours = push.r#ref == format!("refs/heads/{}", settings.branch);
//!     Ok(if is_ours { accept() } else { reject(format!("a push to {}", push.r#ref)) })
//! }
//! # let settings = Settings { branch: "main".to_owned() };
//! # let push = Message::from_json(r#"{"ref":"refs/heads/next"}"#);
//! # assert_eq!(only_branch(&settings, &Event::default(), &push), Ok(reject("a push to refs/heads/next")));
//! ```
//!
//! The settings are any `serde::Deserialize` type. They are parsed when a route is saved and again before each call; what does
//! not parse is refused with serde's own words. Settings that need more than parsing (a regular expression, say) go through a
//! checked constructor: `#[serde(try_from = "Raw")]`. A module without settings takes [`NoSettings`].
//!
//! Build with `cargo build --release --target wasm32-unknown-unknown`, and test natively with `cargo test`: the function
//! is a plain function, the exports exist only in WebAssembly, and [`testing`] stands in for the host.
//!
//! What must hold: a module built with this crate imports `hookswitch:module/*` and nothing else, and a failure or a panic
//! reaches the event's trace in words.

// The generated code names the crate by its name, here as well as in a module's crate.
extern crate self as hookswitch_guest;

#[cfg(any(test, all(target_arch = "wasm32", feature = "allocator")))]
mod allocator;
mod hex;
mod message;
mod output;
mod verdict;

pub mod context;
pub mod endpoints;
pub mod json;
pub mod log;
pub mod state;
pub mod time;

#[cfg(feature = "form")]
pub mod form;
#[cfg(feature = "msgpack")]
pub mod msgpack;
#[cfg(feature = "place")]
pub mod place;
#[cfg(feature = "protobuf")]
pub mod protobuf;
#[cfg(feature = "xml")]
pub mod xml;

mod settings;

#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

#[doc(hidden)]
pub mod module;

#[doc(hidden)]
pub mod bindings;

#[doc(inline)]
pub use bindings::filter::hookswitch::module::types::{
    Decision, Dispatch, Endpoint, Event, Failure, Header, Message, Output,
};
pub use hex::hex;
pub use settings::NoSettings;
pub use verdict::{accept, reject};

/// The modules of this crate's README and of the project's compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../README.md")]
struct Readmes;
