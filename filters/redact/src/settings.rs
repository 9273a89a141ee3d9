//! A step's settings: as they are written, then checked.

use serde::Deserialize;

use crate::path::Path;

/// How many paths a step may have, of all kinds together.
pub const PATHS_MAX: usize = 200;
/// How long a salt has to be, in bytes.
pub const SALT_BYTES_MIN: usize = 16;
/// How long the text may be that stands for what is masked, in bytes.
pub const MASK_BYTES_MAX: usize = 64;

/// What to redact, in this order.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Settings {
    /// What to take out.
    pub remove: Vec<Path>,
    /// What to replace by the mask.
    pub mask: Vec<Path>,
    /// What to replace by its hash.
    pub hash: Vec<Path>,
    /// What stands for what is masked.
    pub mask_with: String,
    /// How many of the last characters stay behind the mask.
    pub mask_keep: usize,
    /// The key of the hash; empty where nothing is hashed.
    pub salt: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    remove: Vec<Path>,
    #[serde(default)]
    mask: Vec<Path>,
    #[serde(default)]
    hash: Vec<Path>,
    mask_with: Option<String>,
    #[serde(default)]
    mask_keep: usize,
    #[serde(default)]
    salt: String,
}

impl TryFrom<Raw> for Settings {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let Raw { remove, mask, hash, mask_with, mask_keep, salt } = raw;
        let count = remove.len().saturating_add(mask.len()).saturating_add(hash.len());
        match count {
            0 => return Err("there is nothing to redact; give paths in `remove`, `mask` or `hash`".to_owned()),
            1..=PATHS_MAX => {}
            _ => return Err(format!("there are {count} paths; PATHS_MAX is {PATHS_MAX}")),
        }
        if !hash.is_empty() && salt.len() < SALT_BYTES_MIN {
            return Err(format!(
                "`hash` needs a `salt` of at least SALT_BYTES_MIN, {SALT_BYTES_MIN} bytes: without one, everybody can try values"
            ));
        }
        let mask_with = mask_with.unwrap_or_else(|| "***".to_owned());
        if mask_with.len() > MASK_BYTES_MAX {
            return Err(format!("`mask_with` has {} bytes; MASK_BYTES_MAX is {MASK_BYTES_MAX}", mask_with.len()));
        }
        Ok(Self { remove, mask, hash, mask_with, mask_keep, salt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_refused() {
        let long = format!(r#"{{"mask": ["/a"], "mask_with": "{}"}}"#, "x".repeat(MASK_BYTES_MAX + 1));
        let paths = |count: usize| format!(r#"{{"remove": [{}]}}"#, vec!["\"/a\""; count].join(","));
        assert!(serde_json::from_str::<Settings>(&paths(PATHS_MAX)).is_ok());
        for (settings, words) in [
            ("{}", "there is nothing to redact"),
            (r#"{"removes": ["/a"]}"#, "unknown field `removes`"),
            (r#"{"remove": ["a"]}"#, "`a` is no path: it begins with `/`"),
            (r#"{"remove": [""]}"#, "`` is no path"),
            (r#"{"hash": ["/a"]}"#, "`hash` needs a `salt` of at least SALT_BYTES_MIN, 16 bytes"),
            (r#"{"hash": ["/a"], "salt": "123456789012345"}"#, "`hash` needs a `salt`"),
            (r#"{"mask": ["/a"], "mask_keep": -1}"#, "invalid value: integer `-1`"),
            (&paths(PATHS_MAX + 1), "there are 201 paths; PATHS_MAX is 200"),
            (&long, "MASK_BYTES_MAX is 64"),
        ] {
            let problem = serde_json::from_str::<Settings>(settings).unwrap_err().to_string();
            assert!(problem.contains(words), "{settings}: {problem}");
        }
    }
}
