//! A JSON value in the settings, ready to be compared with one in a body.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use hookswitch_guest::Failure;
use hookswitch_guest::json::{Decimal, Json, Kind};

use crate::parse::DEPTH_MAX;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, exact.
    Number(Decimal),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object; the order of its keys does not matter.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// Reads a value from the settings, nested up to [`DEPTH_MAX`] levels.
    pub(crate) fn read(json: &mut Json, depth: usize) -> Result<Self, String> {
        let depth = depth.checked_sub(1).ok_or_else(|| format!("a value is nested deeper than {DEPTH_MAX} levels"))?;
        let words = |failure: Failure| failure.message;
        Ok(match json.kind() {
            Kind::Null => Self::Null,
            Kind::Bool => Self::Bool(json.to_text() == "true"),
            Kind::Number => Self::Number(Decimal::parse(&json.to_text()).ok_or("a number is malformed")?),
            Kind::String => Self::String(json.as_string().map_err(words)?.unwrap_or_default()),
            Kind::Array => {
                let items = json.items().map_err(words)?.into_iter().flatten();
                Self::Array(items.map(|item| Self::read(item, depth)).collect::<Result<_, _>>()?)
            }
            Kind::Object => {
                let entries = json.entries().map_err(words)?.into_iter().flatten();
                let read = |entry: &mut (Cow<str>, Json)| Ok((entry.0.to_string(), Self::read(&mut entry.1, depth)?));
                Self::Object(entries.map(read).collect::<Result<_, String>>()?)
            }
        })
    }

    /// Whether a value of a body is the same. It is opened no deeper than this value is nested.
    pub(crate) fn is(&self, json: &mut Json) -> Result<bool, Failure> {
        Ok(match (self, json.kind()) {
            (Self::Null, Kind::Null) => true,
            (Self::Bool(bool), Kind::Bool) => (json.to_text() == "true") == *bool,
            (Self::Number(number), Kind::Number) => {
                json.as_number().and_then(Decimal::parse).is_some_and(|other| other == *number)
            }
            (Self::String(string), Kind::String) => json.as_string()?.as_deref() == Some(string),
            (Self::Array(values), Kind::Array) => {
                let items = json.items()?.map(Vec::as_mut_slice).unwrap_or_default();
                items.len() == values.len() && all(values.iter().zip(items).map(|(value, item)| value.is(item)))?
            }
            (Self::Object(values), Kind::Object) => {
                // As everywhere, the last of several entries with the same key counts.
                let entries = json.entries()?.map(Vec::as_mut_slice).unwrap_or_default();
                let entries: BTreeMap<&str, &mut Json> =
                    entries.iter_mut().map(|(key, value)| (&**key, value)).collect();
                entries.len() == values.len()
                    && all(entries
                        .into_iter()
                        .zip(values)
                        .map(|((key, json), (wanted, value))| Ok(key == wanted && value.is(json)?)))?
            }
            _ => false,
        })
    }
}

fn all(mut answers: impl Iterator<Item = Result<bool, Failure>>) -> Result<bool, Failure> {
    answers.try_fold(true, |so_far, answer| Ok(so_far && answer?))
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(bool) => bool.fmt(out),
            Self::Number(number) => number.fmt(out),
            Self::String(string) => write!(out, "{string:?}"),
            Self::Array(values) => write!(out, "an array of {}", values.len()),
            Self::Object(values) => write!(out, "an object with {} keys", values.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(wanted: &str, found: &str) -> bool {
        let value = Value::read(&mut Json::parse(wanted.as_bytes()).unwrap(), DEPTH_MAX).unwrap();
        value.is(&mut Json::parse(found.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_same_value_may_be_written_in_many_ways() {
        for (wanted, found) in [
            ("null", " null "),
            (r#""é""#, r#""\u00e9""#),
            ("[1, 2.50]", "[1.0,25e-1]"),
            (r#"{"a": 1, "b": {"c": []}}"#, r#"{"b":{"c":[]},"a":0,"a":1}"#),
        ] {
            assert!(is(wanted, found), "{wanted} and {found}");
        }
    }

    #[test]
    fn another_value_is_another() {
        for (wanted, found) in [
            ("1", "\"1\""),
            ("true", "false"),
            ("null", "0"),
            ("[1]", "[1,2]"),
            ("[1,2]", "[2,1]"),
            ("{}", "[]"),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            ("9007199254740993", "9007199254740992"),
        ] {
            assert!(!is(wanted, found), "{wanted} and {found}");
        }
    }

    #[test]
    fn deep_values_are_refused_in_settings_and_harmless_in_bodies() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let read = |text: &str| Value::read(&mut Json::parse(text.as_bytes()).unwrap(), DEPTH_MAX);
        assert!(read(&nested(DEPTH_MAX)).is_ok());
        assert!(read(&nested(DEPTH_MAX + 1)).unwrap_err().contains("16 levels"));
        assert!(!is("[[]]", &nested(100_000)));
    }
}
