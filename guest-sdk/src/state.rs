//! A small store that outlives the call. It belongs to one step of one route of one tenant, and survives new versions of the
//! module. Every call may fail with `denied`, for one in a native test, so a module must know what to do without.

use crate::Failure;
#[cfg(target_arch = "wasm32")]
use crate::bindings::filter::hookswitch::module::state as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::host::state as host;

/// The value under `key`, or none where there is none or it has expired.
///
/// # Errors
/// The host's: `denied`, `limit`.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
    host::get(key)
}

/// Keeps `value` under `key` for `ttl_s` seconds; 0 keeps it for good.
///
/// # Errors
/// The host's: `denied`, `limit`.
pub fn set(key: &str, value: &[u8], ttl_s: u32) -> Result<(), Failure> {
    host::set(key, value, ttl_s)
}

/// Removes `key`. It is no failure if it is not there.
///
/// # Errors
/// The host's: `denied`.
pub fn remove(key: &str) -> Result<(), Failure> {
    host::remove(key)
}

/// Adds `by` to the number under `key` (0 where there is none) and answers the sum. `ttl_s` counts from the first increment.
///
/// # Errors
/// The host's: `denied`, `limit`.
pub fn increment(key: &str, by: i64, ttl_s: u32) -> Result<i64, Failure> {
    host::increment(key, by, ttl_s)
}
