//! The guests: our own modules, built by `make wasm` before the tests run.

use std::path::PathBuf;

/// The bytes of a guest, a core module with WIT metadata.
///
/// # Panics
/// Where it is not built.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let path = target.join("guests").join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make wasm` first", path.display()))
}
