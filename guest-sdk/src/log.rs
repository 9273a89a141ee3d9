//! Lines for the event's trace. The host bounds their number and length. In a native test they go to standard error, where
//! `cargo test` keeps them with the test that wrote them.

use crate::bindings::filter::hookswitch::module::log::Level;

/// For the module's author.
pub fn debug(line: impl AsRef<str>) {
    write(Level::Debug, line.as_ref());
}

/// For whoever asks where an event went.
pub fn info(line: impl AsRef<str>) {
    write(Level::Info, line.as_ref());
}

/// Something is not as it should be, and the module goes on.
pub fn warn(line: impl AsRef<str>) {
    write(Level::Warn, line.as_ref());
}

/// Something is wrong.
pub fn error(line: impl AsRef<str>) {
    write(Level::Error, line.as_ref());
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, line: &str) {
    crate::bindings::filter::hookswitch::module::log::write(level, line);
}

#[cfg(not(target_arch = "wasm32"))]
#[expect(clippy::print_stderr, reason = "cargo test captures what this macro prints, and only that")]
fn write(level: Level, line: &str) {
    eprintln!("{level:?} {line}");
}
