//! A transform that does wrong what its settings say, so that the tests can see the host survive it and say what happened.
//!
//! One module for all sins: each is one word in the settings, and `configure` refuses a word it does not know.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use hookswitch_guest::{Event, Failure, Header, Message, Output, context, log, transform};
use serde_json::json;

/// `{"do": "trap"}`, or `{"do": "spin", "rounds": 1000000}`, and so on.
#[derive(Debug, serde::Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Settings {
    /// Executes `unreachable`, without a word.
    Trap,
    /// Panics with the words `misbehave was told to panic`.
    Panic,
    /// Never returns.
    Loop,
    /// Asks for memory, one MiB after the other, and touches it, until it gets no more.
    Memory,
    /// Answers the failure `told-to-fail`.
    Fail,
    /// One output with a body of this many bytes.
    BigOutput {
        /// 64 MiB unless told.
        #[serde(default = "big")]
        bytes: usize,
    },
    /// This many outputs, unchanged.
    ManyOutputs {
        /// 100,000 unless told.
        #[serde(default = "many")]
        count: usize,
    },
    /// This many log lines of 1,000 characters.
    LogFlood {
        /// 100,000 unless told.
        #[serde(default = "many")]
        lines: usize,
    },
    /// Sets a header that only the host may set.
    ForbiddenHeader {
        /// `webhook-id` unless told.
        #[serde(default = "forbidden")]
        name: String,
    },
    /// Sets a header that is none: a line break in its value.
    BadHeader,
    /// Calls itself until the stack ends.
    DeepRecursion,
    /// Nothing wrong: one output, unchanged.
    None,
    /// Works for a while, then answers one output, unchanged: the guest has no clock, so it counts.
    Spin {
        /// How often it multiplies; a round takes a nanosecond or so.
        rounds: u64,
    },
    /// Nothing wrong: `{"origin", "event_id", "event_body_bytes"}` as the payload.
    EchoContext,
    /// `{"mark": n}` for the digit at the end of [`MARK`], and `unreachable` for 0. The tests put another digit there: versions that
    /// differ in nothing else.
    ByMark,
    /// `{"calls": n}`, where `n` counts the calls of this instance: 1 where every call has a fresh one.
    LeakProbe,
}

fn big() -> usize {
    64 << 20
}

fn many() -> usize {
    100_000
}

fn forbidden() -> String {
    "webhook-id".to_owned()
}

transform!(misbehave);

/// Does what the settings say.
///
/// # Errors
/// `told-to-fail`.
///
/// # Panics
/// If told.
pub fn misbehave(settings: &Settings, event: &Event, _: &Message) -> Result<Vec<Output>, Failure> {
    let output = match settings {
        Settings::Trap => trap(),
        Settings::Panic => give_up(),
        Settings::Loop => spin(u64::MAX),
        Settings::Memory => hoard(),
        Settings::Fail => return Err(Failure::new("told-to-fail", "the settings say so")),
        Settings::BigOutput { bytes } => Output::body("text/plain", vec![b'x'; *bytes]),
        Settings::ManyOutputs { count } => return Ok(vec![Output::unchanged(); *count]),
        Settings::LogFlood { lines } => flood(*lines),
        Settings::ForbiddenHeader { name } => Output::unchanged().with_header(name, "guessed"),
        Settings::BadHeader => bad_header(),
        Settings::DeepRecursion => Output::text(recurse(1).to_string()),
        Settings::None => Output::unchanged(),
        Settings::Spin { rounds } => spin(*rounds),
        Settings::EchoContext => echo_context(event)?,
        Settings::ByMark => by_mark()?,
        Settings::LeakProbe => leak_probe()?,
    };
    Ok(vec![output])
}

#[cfg(target_arch = "wasm32")]
fn trap() -> Output {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() -> Output {
    std::process::abort()
}

#[expect(clippy::panic, reason = "it is told to")]
fn give_up() -> Output {
    panic!("misbehave was told to panic")
}

fn hoard() -> Output {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn flood(lines: usize) -> Output {
    let line = "flood ".repeat(1_000 / 6);
    for _ in 0..lines {
        log::info(&line);
    }
    Output::unchanged()
}

fn bad_header() -> Output {
    let header = Header { name: "x-split".to_owned(), value: "one\r\nx-injected: two".to_owned() };
    Output { headers: Some(vec![header]), ..Output::unchanged() }
}

/// The addition after the call keeps the compiler from making a loop of it; it has no end on purpose.
fn recurse(depth: u64) -> u64 {
    match black_box(depth) {
        0 => 0,
        depth => black_box(recurse(depth.wrapping_add(1))).wrapping_add(1),
    }
}

fn spin(rounds: u64) -> Output {
    let mut product = 1_u64;
    for round in 0..rounds {
        product = black_box(product.wrapping_mul(round | 1));
    }
    black_box(product);
    Output::unchanged()
}

fn echo_context(event: &Event) -> Result<Output, Failure> {
    Output::json(&json!({
        "origin": context::origin(),
        "event_id": event.id,
        "event_body_bytes": context::event_body().len(),
    }))
}

/// What the tests look for in the module's bytes.
static MARK: [u8; 24] = *b"the mark of the module 1";

fn by_mark() -> Result<Output, Failure> {
    match black_box(&MARK).last() {
        Some(b'0') | None => Ok(trap()),
        Some(digit) => Output::json(&json!({ "mark": digit.wrapping_sub(b'0') })),
    }
}

fn leak_probe() -> Result<Output, Failure> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let before = CALLS.fetch_add(1, Ordering::Relaxed);
    Output::json(&json!({ "calls": before.saturating_add(1) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_refused() {
        assert!(serde_json::from_str::<Settings>(r#"{"do": "big-output", "bytes": 5}"#).is_ok());
        assert!(serde_json::from_str::<Settings>(r#"{"do": "leak-probe"}"#).is_ok());
        for settings in [r#"{"do": "good"}"#, "{}", r#"{"do": "spin"}"#] {
            assert!(serde_json::from_str::<Settings>(settings).is_err(), "{settings}");
        }
    }

    #[test]
    fn a_leak_would_show() {
        let event = Event::default();
        let call = || misbehave(&Settings::LeakProbe, &event, &Message::default()).unwrap();
        assert_eq!(
            [call(), call()].map(|outputs| outputs[0].body.clone().unwrap()),
            [b"{\"calls\":1}", b"{\"calls\":2}"]
        );
    }
}
