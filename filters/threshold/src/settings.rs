//! A step's settings: as they are written, then checked.

use hookswitch_guest::place::{OnMissing, Place, Places};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::amount::Amount;

/// How long a window may be: 30 days, in seconds.
pub const WINDOW_S_MAX: u32 = 30 * 24 * 60 * 60;

/// When to let a message through.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Settings {
    /// What the count or sum has to reach; above 0.
    pub reaches: Amount,
    /// What to sum; without, messages are counted.
    pub sum: Option<Place>,
    /// How far back to look, in seconds: 1 to [`WINDOW_S_MAX`].
    pub window_s: u32,
    /// What is counted for itself; without, all messages are counted together.
    pub by: Option<Places>,
    /// Which of the messages go through once it is reached.
    pub pass: Pass,
    /// What to do about a message that has nothing where `by` or `sum` says.
    pub on_missing: OnMissing,
}

/// Which of the messages go through once the threshold is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// One, and then none for a window's time.
    #[default]
    Once,
    /// Each, as long as the count or sum is there.
    Each,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    reaches: Box<RawValue>,
    sum: Option<Place>,
    window_s: u32,
    by: Option<Places>,
    #[serde(default)]
    pass: Pass,
    #[serde(default)]
    on_missing: OnMissing,
}

impl TryFrom<Raw> for Settings {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let Raw { reaches, sum, window_s, by, pass, on_missing } = raw;
        let reaches = reaches.get().trim();
        let amount = Amount::parse(reaches).filter(|amount| *amount > Amount::default()).ok_or_else(|| {
            format!("`reaches` is a number above 0 and below 10^18, with at most six decimals, not {reaches}")
        })?;
        if window_s == 0 || window_s > WINDOW_S_MAX {
            return Err(format!("`window_s` is from 1 to WINDOW_S_MAX, {WINDOW_S_MAX}, not {window_s}"));
        }
        Ok(Self { reaches: amount, sum, window_s, by, pass, on_missing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_refused() {
        for (settings, words) in [
            (r#"{"window_s": 60}"#, "missing field `reaches`"),
            (r#"{"reaches": 5}"#, "missing field `window_s`"),
            (r#"{"reaches": 0, "window_s": 60}"#, "`reaches` is a number above 0"),
            (r#"{"reaches": "5", "window_s": 60}"#, "`reaches` is a number above 0"),
            (r#"{"reaches": 0.0000001, "window_s": 60}"#, "with at most six decimals"),
            (r#"{"reaches": 5, "window_s": 0}"#, "`window_s` is from 1 to WINDOW_S_MAX, 2592000, not 0"),
            (r#"{"reaches": 5, "window_s": 2592001}"#, "WINDOW_S_MAX"),
            (r#"{"reaches": 5, "window_s": 60, "sum": "amount"}"#, "`amount` is no place"),
            (r#"{"reaches": 5, "window_s": 60, "by": []}"#, "there is no place"),
            (r#"{"reaches": 5, "window_s": 60, "pass": "all"}"#, "expected `once` or `each`"),
            (r#"{"count": 5, "window_s": 60}"#, "unknown field `count`"),
        ] {
            let problem = serde_json::from_str::<Settings>(settings).unwrap_err().to_string();
            assert!(problem.contains(words), "{settings}: {problem}");
        }
    }
}
