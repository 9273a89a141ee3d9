//! Which step of a route a module's state belongs to.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest key of a step, in bytes: `operator/`, a name, and the place among equals.
const STEP_KEY_BYTES_MAX: usize = 80;

/// A step of a route, by the module it names and its place among the route's steps that name the same one: `dedupe`,
/// `operator/dedupe`, `operator/dedupe:2` for the second. So another step, put before it, or a new version of the module, leaves
/// the key as it is. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StepKey(Arc<str>);

/// A text that is not the key of a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` is not the key of a step: it is the module as the route names it, and `:2` behind it for the second such step"
)]
pub struct InvalidStepKey {
    given: String,
}

impl StepKey {
    /// The key of the step that names `module`, the `nth` that does so, from 1.
    #[must_use]
    pub fn new(module: &impl fmt::Display, nth: usize) -> Self {
        Self(if nth > 1 { format!("{module}:{nth}") } else { module.to_string() }.into())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StepKey {
    type Err = InvalidStepKey;
    fn from_str(text: &str) -> Result<Self, InvalidStepKey> {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'/' | b':');
        if text.is_empty() || text.len() > STEP_KEY_BYTES_MAX || !text.bytes().all(known) {
            return Err(InvalidStepKey { given: text.chars().take(STEP_KEY_BYTES_MAX).collect() });
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for StepKey {
    type Error = InvalidStepKey;
    fn try_from(text: String) -> Result<Self, InvalidStepKey> {
        text.parse()
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_the_first_step_has_no_number() {
        assert_eq!(StepKey::new(&"dedupe", 1).as_str(), "dedupe");
        assert_eq!("operator/dedupe:2".parse(), Ok(StepKey::new(&"operator/dedupe", 2)));
        let longest = StepKey::new(&format!("operator/{}", "x".repeat(63)), 16);
        assert_eq!(longest.as_str().parse(), Ok(longest));
        for wrong in ["", "a b", "a\0", "A", &"x".repeat(81)] {
            assert!(wrong.parse::<StepKey>().is_err(), "{wrong}");
        }
    }
}
