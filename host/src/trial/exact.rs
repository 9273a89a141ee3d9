//! JSON with numbers as they are written. Read as floating point, two large integers that differ may look the same; a comparison of
//! what a module made must not round.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;

/// How deep arrays and objects may lie in one another.
const DEPTH_MAX: usize = 128;

/// A JSON value. Two are equal if they have the same members, in any order, and numbers that are written the same: `1` is not `1.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exact {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// As it is written.
    Number(Box<RawNumber>),
    /// A text.
    Text(String),
    /// An array.
    List(Vec<Exact>),
    /// An object; of members with one name the last counts.
    Object(BTreeMap<String, Exact>),
}

/// The text of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawNumber(String);

/// A text that is no JSON, or too deep.
#[derive(Debug, thiserror::Error)]
pub enum NotExact {
    /// No JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Too deep.
    #[error("arrays and objects lie more than {DEPTH_MAX} deep in one another")]
    Depth,
}

impl Exact {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// Where it is none, or arrays and objects lie more than 128 deep in one another.
    pub fn parse(text: &str) -> Result<Self, NotExact> {
        Self::read(serde_json::from_str(text)?, DEPTH_MAX)
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A whole number.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self::Number(Box::new(RawNumber(number.to_string())))
    }

    /// An object with these members.
    pub fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn read(raw: &RawValue, levels: usize) -> Result<Self, NotExact> {
        let text = raw.get();
        let inner = levels.checked_sub(1).ok_or(NotExact::Depth);
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let levels = inner?;
                let members = members.into_iter().map(|(name, raw)| Ok((name, Self::read(raw, levels)?)));
                Self::Object(members.collect::<Result<_, NotExact>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                let levels = inner?;
                Self::List(items.into_iter().map(|raw| Self::read(raw, levels)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(text)?),
            Some(b'n') => Self::Null,
            _ => Self::Number(Box::new(RawNumber(text.to_owned()))),
        })
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => {
                let raw = RawValue::from_string(number.0.clone()).map_err(serde::ser::Error::custom)?;
                raw.serialize(serializer)
            }
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(members) => serializer.collect_map(members),
        }
    }
}

/// The JSON text, on one line.
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Exact {
        Exact::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn numbers_are_never_rounded_and_order_does_not_count() {
        assert_eq!(parse(r#"{"a":1,"b":[true,null,"x"]}"#), parse(r#" {"b" : [true, null, "\u0078"], "a":1} "#));
        for (one, other) in [
            ("9007199254740993", "9007199254740992"),
            ("123456789012345678901234567890", "123456789012345678901234567891"),
            ("1", "1.0"),
            ("[1]", "[1,1]"),
            (r#"{"a":null}"#, "{}"),
        ] {
            assert_ne!(parse(one), parse(other));
        }
    }

    #[test]
    fn what_is_read_is_written_back() {
        let text = r#"{"a":[123456789012345678901234567890,1.50,-0,1e3],"b":{"c":null,"d":"\n"}}"#;
        assert_eq!(parse(text).to_string(), text);
        assert_eq!(Exact::number(7), parse("7"));
    }

    #[test]
    fn the_depth_has_a_bound() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Exact::parse(&nested(DEPTH_MAX)).is_ok());
        for depth in [DEPTH_MAX + 1, 100_000] {
            assert!(Exact::parse(&nested(depth)).unwrap_err().to_string().contains("128"), "{depth}");
        }
        assert!(matches!(Exact::parse("{"), Err(NotExact::Json(_))));
    }
}
