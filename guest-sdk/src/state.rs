//! A small store that outlives the call. It belongs to one step of one route of one tenant, and survives new versions of the
//! module. The step of the route has to say `state = true`; elsewhere every function fails with `denied`.
//!
//! What a call writes is kept together with the deliveries of its run, or not at all: a call that fails writes nothing. Time is that of
//! events: `ttl_s` counts from the event at hand, or from a later one that wrote before it.

use crate::Failure;
#[cfg(target_arch = "wasm32")]
use crate::bindings::filter::hookswitch::module::state as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::host::state as host;

/// The value under `key`, or none where there is none or it has expired.
///
/// # Errors
/// The host's: `denied`; `limit` and `input-invalid` for a key that is too long, empty, or has U+0000.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
    host::get(key)
}

/// Keeps `value` under `key` for `ttl_s` seconds; 0 keeps it for good.
///
/// # Errors
/// The host's: `denied`, `input-invalid` (the key), `limit` (key, value, time, what the step, the run or the call may keep or write).
pub fn set(key: &str, value: &[u8], ttl_s: u32) -> Result<(), Failure> {
    host::set(key, value, ttl_s)
}

/// Removes `key`. It is no failure if it is not there.
///
/// # Errors
/// The host's: as [`set`].
pub fn remove(key: &str) -> Result<(), Failure> {
    host::remove(key)
}

/// Adds `by` to the number under `key` (0 where there is none) and answers the sum. `ttl_s` counts from the first increment; 0 keeps it for
/// good. A number is kept as decimal text, as [`get`] answers it and [`set`] may give it.
///
/// # Errors
/// The host's: as [`set`]; `input-invalid` also where what stands there is no number, or the sum is beyond 64 bits.
pub fn increment(key: &str, by: i64, ttl_s: u32) -> Result<i64, Failure> {
    host::increment(key, by, ttl_s)
}
