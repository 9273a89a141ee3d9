//! A step's settings: as they are written, then checked.

use hookswitch_guest::place::{OnMissing, Places};
use serde::Deserialize;

/// How long a window may be: 366 days, in seconds.
pub const WINDOW_S_MAX: u32 = 366 * 24 * 60 * 60;

/// Which messages are equal, and for how long.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Settings {
    /// Messages are equal if the same is there.
    pub by: Places,
    /// How long the first one counts.
    pub period: Period,
    /// What to do about a message that has nothing at a place.
    pub on_missing: OnMissing,
}

/// How long the first of equal messages counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// This many seconds from when it was received: 1 to [`WINDOW_S_MAX`].
    Window {
        /// Seconds.
        window_s: u32,
    },
    /// Until midnight in UTC.
    Day,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    by: Places,
    window_s: Option<u32>,
    per: Option<Per>,
    #[serde(default)]
    on_missing: OnMissing,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Per {
    Day,
}

impl TryFrom<Raw> for Settings {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let period = match (raw.window_s, raw.per) {
            (Some(window_s @ 1..=WINDOW_S_MAX), None) => Period::Window { window_s },
            (Some(window_s), None) => {
                return Err(format!("`window_s` is from 1 to WINDOW_S_MAX, {WINDOW_S_MAX}, not {window_s}"));
            }
            (None, Some(Per::Day)) => Period::Day,
            (Some(_), Some(_)) => return Err("`window_s` and `per` both say how long: keep one".to_owned()),
            (None, None) => return Err("say how long: `\"window_s\": 3600` or `\"per\": \"day\"`".to_owned()),
        };
        Ok(Self { by: raw.by, period, on_missing: raw.on_missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_refused() {
        for (settings, words) in [
            (r#"{"window_s": 60}"#, "missing field `by`"),
            (r#"{"by": "body"}"#, "say how long"),
            (r#"{"by": "body", "window_s": 0}"#, "`window_s` is from 1 to WINDOW_S_MAX, 31622400, not 0"),
            (r#"{"by": "body", "window_s": 31622401}"#, "WINDOW_S_MAX"),
            (r#"{"by": "body", "window_s": 60, "per": "day"}"#, "keep one"),
            (r#"{"by": "body", "per": "week"}"#, "unknown variant `week`, expected `day`"),
            (r#"{"by": "content", "per": "day"}"#, "`content` is no place"),
            (r#"{"key": "body"}"#, "unknown field `key`"),
        ] {
            let problem = serde_json::from_str::<Settings>(settings).unwrap_err().to_string();
            assert!(problem.contains(words), "{settings}: {problem}");
        }
    }
}
