//! A step's settings: as they are written, then checked.

use hookswitch_guest::place::{OnMissing, Places};
use serde::Deserialize;

/// How long `seed` may be, in bytes.
pub const SEED_BYTES_MAX: usize = 100;

/// Which messages to let through.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Settings {
    /// How they are chosen.
    pub how: How,
    /// What to do about a message that has nothing where `by` says.
    pub on_missing: OnMissing,
}

/// How messages are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// By counting. Needs state.
    Every {
        /// Each message whose number is a multiple of this; not 0.
        every: i64,
        /// One count for each value that is there; without, one for all.
        by: Option<Places>,
    },
    /// By a hash.
    Share {
        /// How many of a million.
        per_million: u64,
        /// Of what; without, of the event's id.
        by: Option<Places>,
        /// Steps with different seeds choose independently.
        seed: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    every: Option<i64>,
    percent: Option<f64>,
    by: Option<Places>,
    seed: Option<String>,
    #[serde(default)]
    on_missing: OnMissing,
}

impl TryFrom<Raw> for Settings {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let Raw { every, percent, by, seed, on_missing } = raw;
        let how = match (every, percent) {
            (Some(every), None) if every < 1 => return Err(format!("`every` is at least 1, not {every}")),
            (Some(_), None) if seed.is_some() => {
                return Err("`seed` goes with `percent`; counting has no use for it".to_owned());
            }
            (Some(every), None) => How::Every { every, by },
            (None, Some(percent)) => {
                let seed = seed.unwrap_or_default();
                if seed.len() > SEED_BYTES_MAX {
                    return Err(format!("`seed` has {} bytes; SEED_BYTES_MAX is {SEED_BYTES_MAX}", seed.len()));
                }
                How::Share { per_million: per_million(percent)?, by, seed }
            }
            (Some(_), Some(_)) => return Err("`every` counts and `percent` does not: keep one".to_owned()),
            (None, None) => return Err("say which: `\"every\": 100` or `\"percent\": 1`".to_owned()),
        };
        Ok(Self { how, on_missing })
    }
}

fn per_million(percent: f64) -> Result<u64, String> {
    let scaled = percent * 10_000.0;
    let rounded = scaled.round();
    if !(0.0..=1_000_000.0).contains(&scaled) || (scaled - rounded).abs() > 1e-6 {
        return Err(format!("`percent` is from 0 to 100, with at most four decimals, not {percent}"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 0 to a million")]
    Ok(rounded as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &str) -> Result<Settings, String> {
        serde_json::from_str(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn percents_are_exact_to_four_decimals() {
        for (percent, wanted) in
            [("0", 0), ("0.0001", 1), ("2.5", 25_000), ("33.3333", 333_333), ("99.9999", 999_999), ("100", 1_000_000)]
        {
            let settings = read(&format!(r#"{{"percent": {percent}}}"#)).unwrap();
            assert!(
                matches!(settings.how, How::Share { per_million, .. } if per_million == wanted),
                "{percent}: {settings:?}"
            );
        }
    }

    #[test]
    fn wrong_settings_are_refused() {
        let long = format!(r#"{{"percent": 1, "seed": "{}"}}"#, "x".repeat(SEED_BYTES_MAX + 1));
        for (settings, words) in [
            ("{}", "say which"),
            (r#"{"every": 0}"#, "`every` is at least 1, not 0"),
            (r#"{"every": 1.5}"#, "invalid type: floating point"),
            (r#"{"every": 2, "percent": 1}"#, "keep one"),
            (r#"{"every": 2, "seed": "a"}"#, "`seed` goes with `percent`"),
            (r#"{"percent": 100.1}"#, "`percent` is from 0 to 100"),
            (r#"{"percent": -1}"#, "`percent` is from 0 to 100"),
            (r#"{"percent": 0.00001}"#, "at most four decimals"),
            (r#"{"percent": 1, "by": "user"}"#, "`user` is no place"),
            (r#"{"percent": 1, "on_missing": "pass"}"#, "expected one of `fail`, `accept`, `reject`"),
            (r#"{"share": 1}"#, "unknown field `share`"),
            (&long, "SEED_BYTES_MAX is 100"),
        ] {
            let problem = read(settings).unwrap_err();
            assert!(problem.contains(words), "{settings}: {problem}");
        }
    }
}
