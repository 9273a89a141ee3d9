//! A step's settings: parsed in `configure`, kept for the one call that follows. Every call has a fresh instance, so there is
//! never more than one of them.

use std::any::Any;
use std::cell::RefCell;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Failure;

thread_local! {
    static CONFIGURED: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// The settings of a module that has none. A setting that is given all the same is refused, so that nobody believes in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Parses settings. No text, and `null`, mean the same as `{}`.
pub(crate) fn parse<S: DeserializeOwned>(text: &str) -> Result<S, Failure> {
    let text = match text.trim() {
        "" | "null" => "{}",
        text => text,
    };
    serde_json::from_str(text).map_err(|error| Failure::settings_invalid(format!("the settings are wrong: {error}")))
}

pub(crate) fn keep<S: 'static>(settings: S) {
    CONFIGURED.with_borrow_mut(|slot| *slot = Some(Box::new(settings)));
}

/// Calls `work` with the settings that were kept.
pub(crate) fn with<S: 'static, T>(work: impl FnOnce(&S) -> Result<T, Failure>) -> Result<T, Failure> {
    CONFIGURED.with_borrow(|slot| match slot.as_ref().and_then(|kept| kept.downcast_ref()) {
        Some(settings) => work(settings),
        None => {
            Err(Failure::settings_invalid("the module was called before it was configured; the host has to do that"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limits {
        #[serde(default)]
        count_max: u32,
    }

    #[test]
    fn no_settings_are_an_empty_object() {
        for text in ["", "  ", "null", "{}"] {
            assert_eq!(parse::<Limits>(text), Ok(Limits { count_max: 0 }), "{text:?}");
            assert_eq!(parse::<NoSettings>(text), Ok(NoSettings {}), "{text:?}");
        }
    }

    #[test]
    fn wrong_settings_are_refused_in_serdes_words() {
        let unknown = parse::<Limits>("{\n  \"count_mx\": 1 }").unwrap_err();
        assert_eq!(unknown.code, "settings-invalid");
        assert!(
            unknown.message.contains("unknown field `count_mx`, expected `count_max` at line 2"),
            "{}",
            unknown.message
        );
        let wrong = parse::<Limits>(r#"{"count_max": "1"}"#).unwrap_err();
        assert!(wrong.message.contains("invalid type: string"), "{}", wrong.message);
        assert_eq!(parse::<NoSettings>(r#"{"a": 1}"#).unwrap_err().code, "settings-invalid");
    }
}
