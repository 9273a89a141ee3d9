//! Facts about the call. In a native test, [`crate::testing`] gives them.

#[cfg(target_arch = "wasm32")]
use crate::bindings::filter::hookswitch::module::context as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::host::context as host;

/// The event's body as received, whatever the steps before made of the message.
#[must_use]
pub fn event_body() -> Vec<u8> {
    host::event_body()
}

/// Why the module runs: `live`, `rerun` (a held run again), `replay` (the event again), `test`. More values may come.
#[must_use]
pub fn origin() -> String {
    host::origin()
}
