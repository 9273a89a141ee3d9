//! Patterns over event types: `*` for all, `pull_request` for one, `invoice.*` for a family.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The longest event type and the longest pattern, in bytes.
pub(crate) const EVENT_TYPE_BYTES_MAX: usize = 128;

/// Says which event types are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EventTypePattern {
    /// `*`: every event, also one without a type.
    Any,
    /// This type alone.
    Exactly(String),
    /// `prefix.*`: every type that begins with the prefix and a dot.
    Family(String),
}

/// A text that is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not an event type pattern: use `*`, a type, or `prefix.*`, at most {EVENT_TYPE_BYTES_MAX} bytes of visible ASCII"
)]
pub struct InvalidPattern {
    given: String,
}

impl EventTypePattern {
    /// Whether `event_type` is meant.
    #[must_use]
    pub fn matches(&self, event_type: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(exact) => exact == event_type,
            Self::Family(prefix) => event_type.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('.')),
        }
    }

    /// `["*"]`, the default of every list of patterns.
    #[must_use]
    pub fn any() -> Vec<Self> {
        vec![Self::Any]
    }
}

impl FromStr for EventTypePattern {
    type Err = InvalidPattern;
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b'*');
        match text.strip_suffix(".*") {
            _ if text.len() > EVENT_TYPE_BYTES_MAX => Err(InvalidPattern { given: text.chars().take(60).collect() }),
            _ if text == "*" => Ok(Self::Any),
            Some(prefix) if plain(prefix) => Ok(Self::Family(prefix.to_owned())),
            None if plain(text) => Ok(Self::Exactly(text.to_owned())),
            _ => Err(InvalidPattern { given: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for EventTypePattern {
    type Error = InvalidPattern;
    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<EventTypePattern> for String {
    fn from(pattern: EventTypePattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for EventTypePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exactly(exact) => f.write_str(exact),
            Self::Family(prefix) => write!(f, "{prefix}.*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_all_one_or_a_family() {
        let cases = [
            ("*", "", true),
            ("*", "push", true),
            ("push", "push", true),
            ("push", "pushed", false),
            ("invoice.*", "invoice.paid", true),
            ("invoice.*", "invoice.line.added", true),
            ("invoice.*", "invoice", false),
            ("invoice.*", "invoices.paid", false),
        ];
        for (pattern, event_type, expected) in cases {
            let parsed: EventTypePattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(event_type), expected, "{pattern} on {event_type}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        for bad in ["", "**", "*.x", "a*", ".*", "a.*.*", "a b", "ä", &"x".repeat(129)] {
            assert!(bad.parse::<EventTypePattern>().is_err(), "{bad}");
        }
    }
}
