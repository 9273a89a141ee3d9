//! A transform for the tests that keeps state: what it counts, it says in the payload.

use hookswitch_guest::{Event, Failure, Message, Output, state, transform};
use serde_json::{Map, Value, json};

/// `{"do": "count"}`, or `{"do": "every", "n": 100}`, and so on.
#[derive(Debug, serde::Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Settings {
    /// Counts, and passes on `{"n", "count"}`, `n` being the payload's. Fails after it has counted where the payload says `"fail": true`.
    Count,
    /// Passes on every `n`th message.
    Every {
        /// From 1.
        n: i64,
    },
    /// Passes on the first message of each user and day: the payload's `user`, the event's day.
    FirstPerDay,
    /// Keeps `bytes` bytes under the payload's `key`, for `ttl_s` seconds.
    Keep {
        /// How many.
        bytes: usize,
        /// How long; 0 for good.
        ttl_s: u32,
    },
}

/// A day.
const DAY_S: u32 = 86_400;
const DAY_MS: u64 = 86_400_000;

transform!(stateful);

/// Does what the settings say.
///
/// # Errors
/// The state's, and `told-to-fail`.
pub fn stateful(settings: &Settings, event: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    let payload: Map<String, Value> = message.json()?;
    let field = |name: &str| payload.get(name).cloned().unwrap_or_default();
    let passed = match settings {
        Settings::Count => {
            let count = state::increment("count", 1, 0)?;
            if field("fail") == true {
                return Err(Failure::new("told-to-fail", "the payload says so"));
            }
            return Ok(vec![Output::json(&json!({ "n": field("n"), "count": count }))?]);
        }
        Settings::Every { n } => {
            let count = state::increment("count", 1, 0)?;
            if count == *n {
                state::remove("count")?;
            }
            count == *n
        }
        Settings::FirstPerDay => {
            let day = event.received_at_ms / DAY_MS;
            state::increment(&format!("{day}/{}", field("user")), 1, DAY_S)? == 1
        }
        Settings::Keep { bytes, ttl_s } => {
            let key = field("key");
            state::set(key.as_str().unwrap_or_default(), &vec![b'v'; *bytes], *ttl_s)?;
            true
        }
    };
    Ok(if passed { vec![Output::unchanged()] } else { Vec::new() })
}
