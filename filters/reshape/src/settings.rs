//! A step's settings: as they are written, then checked.

use hookswitch_guest::json::{Json, Pointer};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::template::{Place, Reader, Template};
use crate::text::Text;

/// What to make of a message.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Settings {
    /// What becomes of the payload.
    pub payload: Payload,
    /// An array in the body: one output per element.
    pub each: Option<Pointer>,
    /// Headers to set, by name in lower case.
    pub headers: Vec<(String, Text)>,
    /// The new event type.
    pub event_type: Option<Text>,
    /// The new ordering key.
    pub ordering_key: Option<Text>,
    /// How long deliveries wait before they are first tried, in milliseconds.
    pub delay_ms: Option<u64>,
    /// What to do about a pointer that points at nothing.
    pub on_missing: OnMissing,
}

/// What becomes of the payload: of the body, or with `each` of the element.
#[derive(Debug)]
pub enum Payload {
    /// It is made anew.
    Template(Template),
    /// It is changed: first renames, then sets, then removals.
    Edits {
        /// From where to where.
        rename: Vec<(Pointer, Pointer)>,
        /// Where, and what.
        set: Vec<(Pointer, Template)>,
        /// What to take out, where it is there.
        remove: Vec<Pointer>,
    },
}

/// What to do where a pointer without a default points at nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// Fail, and name the pointer.
    #[default]
    Fail,
    /// Put `null` there; in a text, nothing.
    Null,
    /// Leave out the key, the item, the header, the edit or the whole text.
    Omit,
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    template: Option<Box<RawValue>>,
    set: Option<Box<RawValue>>,
    rename: Option<Box<RawValue>>,
    #[serde(default)]
    remove: Vec<String>,
    headers: Option<Box<RawValue>>,
    event_type: Option<String>,
    ordering_key: Option<String>,
    delay_ms: Option<u64>,
    each: Option<String>,
    #[serde(default)]
    on_missing: OnMissing,
}

impl TryFrom<Raw> for Settings {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let each = raw.each.as_deref().map(|text| pointer("each", text)).transpose()?;
        let mut reader = Reader::new(each.is_some());
        let has_edits = raw.set.is_some() || raw.rename.is_some() || !raw.remove.is_empty();
        let payload = match &raw.template {
            Some(_) if has_edits => {
                return Err("`template` makes the payload anew: drop it, or `set`, `rename` and `remove`".into());
            }
            Some(template) => Payload::Template(reader.template(&mut Json::raw(template), "template")?),
            None => Payload::Edits {
                rename: entries("rename", raw.rename.as_deref(), |key, value, path| {
                    Ok((pointer("rename", key)?, pointer(path, &string(value, path)?)?))
                })?,
                set: entries("set", raw.set.as_deref(), |key, value, path| {
                    Ok((pointer("set", key)?, reader.template(value, path)?))
                })?,
                remove: raw.remove.iter().map(|text| pointer("remove", text)).collect::<Result<_, _>>()?,
            },
        };
        let headers = entries("headers", raw.headers.as_deref(), |key, value, path| {
            Ok((header_name(key)?, reader.text(&string(value, path)?, path)?))
        })?;
        let mut text = |text: Option<String>, path| text.map(|text| reader.text(&text, path)).transpose();
        let event_type = text(raw.event_type, "event_type")?;
        let ordering_key = text(raw.ordering_key, "ordering_key")?;
        let Raw { delay_ms, on_missing, .. } = raw;
        Ok(Self { payload, each, headers, event_type, ordering_key, delay_ms, on_missing })
    }
}

impl Settings {
    /// Whether the payload stays as it is.
    #[must_use]
    pub fn keeps_payload(&self) -> bool {
        match &self.payload {
            Payload::Template(_) => false,
            Payload::Edits { rename, set, remove } => {
                self.each.is_none() && rename.is_empty() && set.is_empty() && remove.is_empty()
            }
        }
    }
}

/// Reads the entries of an object in the settings, in order.
fn entries<T>(
    name: &str,
    raw: Option<&RawValue>,
    mut read: impl FnMut(&str, &mut Json, &str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let mut json = Json::raw(raw);
    let kind = json.kind();
    match json.entries().map_err(|failure| format!("{name}: {}", failure.message))? {
        Some(entries) => {
            entries.iter_mut().map(|(key, value)| read(key, value, &format!("{name}[\"{key}\"]"))).collect()
        }
        None => Err(format!("{name}: it is an object, not {}", kind.name())),
    }
}

fn pointer(path: &str, text: &str) -> Result<Pointer, String> {
    Pointer::parse(text).map_err(|error| format!("{path}: {error}"))
}

fn string(value: &Json, path: &str) -> Result<String, String> {
    let text = value.as_string().map_err(|failure| format!("{path}: {}", failure.message))?;
    text.ok_or_else(|| format!("{path}: it takes a string, not {}", value.kind().name()))
}

fn header_name(name: &str) -> Result<String, String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match name.bytes().all(is_token) && !name.is_empty() {
        true => Ok(name.to_ascii_lowercase()),
        false => Err(format!("headers: `{name}` is no header name")),
    }
}

/// Where a pointer in an edit or template looks, for messages.
impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::Body(pointer) => write!(out, "{pointer} in the body"),
            Self::Item(pointer) => write!(out, "{pointer} in the element of `each`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pair: settings, and what the refusal has to say.
    #[test]
    fn wrong_settings_are_refused_with_the_path_to_them() {
        for (settings, words) in [
            (r#"{"templte": {}}"#, "unknown field `templte`"),
            (r#"{"template": {}, "remove": ["/a"]}"#, "`template` makes the payload anew"),
            (r#"{"template": {"a": [{"$pointer": "b"}]}}"#, "template.a[0]: `b` is not a JSON pointer"),
            (r#"{"template": {"a": {"$ponter": "/b"}}}"#, "template.a: unknown `$ponter`"),
            (
                r#"{"template": {"$pointer": "/b", "defalt": 1}}"#,
                "template: beside `$pointer` there may be `default`, not `defalt`",
            ),
            (r#"{"template": {"$event": "time"}}"#, "template: unknown `time`"),
            (r#"{"template": {"$item": "/id"}}"#, "template: there is no element without `each`"),
            (r#"{"template": "${/a"}"#, "template: `${` without `}`"),
            (r#"{"template": "${a}"}"#, "template: `a` is not a JSON pointer"),
            (r#"{"set": {"/a": "${item:/b}"}}"#, "set[\"/a\"]: there is no element without `each`"),
            (r#"{"set": {"a": 1}}"#, "set: `a` is not a JSON pointer"),
            (r#"{"set": ["/a"]}"#, "set: it is an object, not an array"),
            (r#"{"rename": {"/a": 1}}"#, "rename[\"/a\"]: it takes a string, not a number"),
            (r#"{"remove": ["a"]}"#, "remove: `a` is not a JSON pointer"),
            (r#"{"headers": {"x a": "b"}}"#, "headers: `x a` is no header name"),
            (r#"{"each": "commits"}"#, "each: `commits` is not a JSON pointer"),
            (r#"{"on_missing": "ignore"}"#, "unknown variant `ignore`, expected one of `fail`, `null`, `omit`"),
        ] {
            let problem = serde_json::from_str::<Settings>(settings).unwrap_err().to_string();
            assert!(problem.contains(words), "{settings}: {problem}");
        }
    }

    #[test]
    fn only_an_edit_changes_the_payload() {
        let keeps = |settings| serde_json::from_str::<Settings>(settings).unwrap().keeps_payload();
        assert!(keeps(r#"{"headers": {"X-A": "b"}, "event_type": "c"}"#));
        for settings in [r#"{"template": 1}"#, r#"{"remove": ["/a"]}"#, r#"{"each": ""}"#] {
            assert!(!keeps(settings), "{settings}");
        }
    }
}
