//! A step's settings: as they are written, then checked.

use std::collections::BTreeMap;

use hookswitch_guest::place::Place;
use serde::Deserialize;

use crate::event::is_name;
use crate::syntax;

/// How many extension attributes the settings may set.
pub const EXTENSIONS_MAX: usize = 20;

/// How long an attribute's name may be, in characters ("Naming Conventions").
const NAME_CHARS_MAX: usize = 20;

/// What to make, and with which attributes.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Settings {
    /// What to make.
    pub to: To,
    /// Attributes to set, whatever they were.
    pub attributes: Vec<(String, Value)>,
}

/// What to make of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum To {
    /// A CloudEvent in structured mode.
    Structured,
    /// A CloudEvent in binary mode.
    Binary,
    /// The data alone.
    Data,
}

/// What an attribute is set to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a text, or `{\"from\": …}` with a place such as `/order/id`")]
pub enum Value {
    /// This text.
    Text(String),
    /// What is there.
    From(From),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct From {
    /// The place.
    pub from: Place,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    to: To,
    id: Option<Value>,
    source: Option<Value>,
    r#type: Option<Value>,
    subject: Option<Value>,
    time: Option<Value>,
    dataschema: Option<Value>,
    #[serde(default)]
    extensions: BTreeMap<String, Value>,
}

impl TryFrom<Raw> for Settings {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let Raw { to, id, source, r#type, subject, time, dataschema, extensions } = raw;
        let core = [
            ("id", id),
            ("source", source),
            ("type", r#type),
            ("subject", subject),
            ("time", time),
            ("dataschema", dataschema),
        ];
        if extensions.len() > EXTENSIONS_MAX {
            return Err(format!("there are {} extensions; EXTENSIONS_MAX is {EXTENSIONS_MAX}", extensions.len()));
        }
        for name in extensions.keys() {
            let is_core = core.iter().any(|(core, _)| core == name)
                || ["specversion", "datacontenttype"].contains(&name.as_str());
            if is_core || !is_name(name) || name.len() > NAME_CHARS_MAX {
                return Err(format!(
                    "extensions: {name:?} is no extension's name; those have up to {NAME_CHARS_MAX} lower-case letters and digits, and are \
                     none of the core attributes"
                ));
            }
        }
        let core = core.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value)));
        let attributes: Vec<_> = core.chain(extensions).collect();
        if let Some((name, _)) = attributes.iter().find(|(_, value)| *value == Value::Text(String::new())) {
            return Err(format!("`{name}` is empty; leave it out"));
        }
        for (name, value) in &attributes {
            if let Value::Text(text) = value {
                syntax::check(name, text)?;
            }
        }
        if to == To::Data && !attributes.is_empty() {
            return Err("`to` is `data`, which has no attributes: leave out the others".to_owned());
        }
        Ok(Self { to, attributes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_refused() {
        let many = (0..=EXTENSIONS_MAX).map(|n| format!(r#""x{n}": "1""#)).collect::<Vec<_>>().join(",");
        let many = format!(r#"{{"to": "binary", "extensions": {{{many}}}}}"#);
        for (settings, words) in [
            ("{}", "missing field `to`"),
            (r#"{"to": "json"}"#, "expected one of `structured`, `binary`, `data`"),
            (r#"{"to": "binary", "datacontenttype": "text/xml"}"#, "unknown field `datacontenttype`"),
            (r#"{"to": "binary", "subject": 1}"#, "expected a text, or `{\"from\": …}`"),
            (r#"{"to": "binary", "subject": {"from": "order"}}"#, "expected a text, or `{\"from\": …}` with a place"),
            (r#"{"to": "binary", "subject": ""}"#, "`subject` is empty; leave it out"),
            (r#"{"to": "binary", "source": "a b"}"#, "`source` is no URI"),
            (r#"{"to": "binary", "time": "now"}"#, "`time` is not a time"),
            (r#"{"to": "data", "type": "x"}"#, "`to` is `data`"),
            (r#"{"to": "binary", "extensions": {"trace_id": "1"}}"#, "\"trace_id\" is no extension's name"),
            (r#"{"to": "binary", "extensions": {"Trace": "1"}}"#, "is no extension's name"),
            (r#"{"to": "binary", "extensions": {"data": "1"}}"#, "is no extension's name"),
            (r#"{"to": "binary", "extensions": {"specversion": "1"}}"#, "is no extension's name"),
            (r#"{"to": "binary", "extensions": {"abcdefghijklmnopqrstu": "1"}}"#, "is no extension's name"),
            (&many, "EXTENSIONS_MAX is 20"),
        ] {
            let problem = serde_json::from_str::<Settings>(settings).unwrap_err().to_string();
            assert!(problem.contains(words), "{settings}: {problem}");
        }
    }
}
