//! A trap in words for the module's author: what it said last, and in which of its own functions it was.
//!
//! WebAssembly itself tells next to nothing: a panic is the instruction `unreachable`. The words of a panic come by the log
//! (the guest SDK writes them there), the functions from the module's name section.

use super::logs::cut;
use crate::model::{LogLevel, LogLine};
use std::fmt::Write as _;
use wasmtime::{FrameInfo, Trap, WasmBacktrace};

/// The longest text about a trap, or about a start that failed, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 2048;
/// The longest that the module's own last words may be in it, in bytes.
const WORDS_BYTES_MAX: usize = 1024;
/// The longest name of a function in it, in bytes: generic code has names without end.
const NAME_BYTES_MAX: usize = 120;
/// How many functions are told.
const FUNCTIONS_MAX: usize = 5;

/// How functions begin that stand between an author's code and the trap, or between the host and the author's code.
const NOT_THE_AUTHORS: [&str; 9] =
    ["std::", "core::", "alloc::", "panic_abort::", "rust_", "__rust", "hookswitch_guest::", "wit-component:", "cabi_"];

/// What is in the names of the functions that a Rust module exports its own ones by.
const GLUE: &str = " as hookswitch_guest::bindings::";

/// What happened, and where. The last line of level `error` counts as the reason of a panic or an abort.
pub(super) fn in_words(trap: Trap, error: &wasmtime::Error, logs: &[LogLine]) -> String {
    let last = logs.iter().rev().find(|line| line.level == LogLevel::Error);
    let words = last.map(|line| line.line.split_whitespace().collect::<Vec<_>>().join(" "));
    let words = words.map(|words| cut(&words, WORDS_BYTES_MAX));
    let what = match (trap, words) {
        (Trap::UnreachableCodeReached, Some(words)) => words,
        (Trap::UnreachableCodeReached, None) => {
            "it executed `unreachable`: a panic or an abort without words".to_owned()
        }
        (trap, Some(words)) => format!("{}; its last error was: {words}", plain(trap)),
        (trap, None) => plain(trap),
    };
    with_functions(&what, error)
}

/// `what`, and the functions the module was in, the innermost first.
pub(super) fn with_functions(what: &str, error: &wasmtime::Error) -> String {
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    let functions = functions(frames);
    let mut text = what.to_owned();
    if functions.is_empty() && !frames.is_empty() {
        text.push_str("; in functions without names (the module lacks its section `name`)");
    }
    for (position, function) in functions.iter().enumerate() {
        let between = match position {
            0 => "; in",
            1 => ", called by",
            _ => ",",
        };
        // Writing to a string does not fail.
        let _ = write!(text, "{between} `{function}`");
    }
    cut(&text, TEXT_BYTES_MAX)
}

fn plain(trap: Trap) -> String {
    let text = trap.to_string();
    text.strip_prefix("wasm trap: ").unwrap_or(&text).to_owned()
}

/// The author's functions, or all that have names where that leaves none.
fn functions(frames: &[FrameInfo]) -> Vec<String> {
    let mut named: Vec<String> = frames.iter().filter_map(|frame| frame.func_name().map(readable)).collect();
    // A recursion is told once.
    named.dedup();
    let own = |name: &&String| {
        let glue = name.contains(GLUE);
        !glue && !NOT_THE_AUTHORS.iter().any(|begin| name.trim_start_matches('<').starts_with(begin))
    };
    let own: Vec<String> = named.iter().filter(own).cloned().collect();
    let mut told = if own.is_empty() { named } else { own };
    told.truncate(FUNCTIONS_MAX);
    told
}

/// A function's name without the compiler's additions.
fn readable(name: &str) -> String {
    let demangled = format!("{:#}", rustc_demangle::demangle(name));
    if demangled.len() <= NAME_BYTES_MAX { demangled } else { cut(&demangled, NAME_BYTES_MAX - 3) + "..." }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_the_compiler_added_and_have_a_bound() {
        assert_eq!(readable("_ZN4core3fmt5write17h0123456789abcdefE"), "core::fmt::write");
        assert_eq!(readable("_RNvCs1234_5mymod3foo"), "mymod::foo");
        assert_eq!(readable("main.apply"), "main.apply");
        let long = readable(&"x".repeat(500));
        assert!(long.len() == NAME_BYTES_MAX && long.ends_with("..."), "{long}");
    }
}
