//! JSON that is opened only where it is touched. What nobody looks into stays the text that it was: it costs one scan and no
//! tree, numbers of any size and precision come out as they went in, and the keys of an object keep their order.
//!
//! `Message::json::<T>()` is the simpler way to typed data; this is for modules that pass payloads on.
//!
//! What must hold: the text in a [`Json`] is one valid JSON value. Nothing here recurses deeper than the pointers it is given,
//! however deep a payload is nested.

mod decimal;
mod edit;
mod pointer;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Failure;

pub use decimal::Decimal;
pub use pointer::{POINTER_TOKENS_MAX, Pointer, PointerError};

/// One JSON value.
#[derive(Debug, Clone)]
pub struct Json<'a>(Node<'a>);

#[derive(Debug, Clone)]
enum Node<'a> {
    /// One valid JSON value, without space around it.
    Shut(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Entries<'a>),
}

/// What is in an object, in order: keys and values.
pub type Entries<'a> = Vec<(Cow<'a, str>, Json<'a>)>;

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number
    Number,
    /// A string
    String,
    /// An array
    Array,
    /// An object
    Object,
}

impl Kind {
    /// The name with its article, for messages: `a string`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

impl<'a> Json<'a> {
    /// Takes a JSON text. The whole of it is checked.
    ///
    /// # Errors
    /// `input-invalid` with line and column.
    pub fn parse(text: &'a [u8]) -> Result<Self, Failure> {
        let invalid = |error: &dyn std::fmt::Display| Failure::input_invalid(format!("the body is not JSON: {error}"));
        let text = std::str::from_utf8(text).map_err(|error| invalid(&error))?;
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| invalid(&error))?;
        Ok(Self::shut(raw))
    }

    /// A string.
    pub fn string(text: impl AsRef<str>) -> Self {
        Self(Node::Shut(Cow::Owned(quoted(text.as_ref()))))
    }

    /// A value that serde_json holds.
    #[must_use]
    pub fn value(value: &serde_json::Value) -> Self {
        Self(Node::Shut(Cow::Owned(value.to_string())))
    }

    /// A value that serde_json passed on unread.
    #[must_use]
    pub fn raw(raw: &'a RawValue) -> Self {
        Self::shut(raw)
    }

    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(Node::Shut(Cow::Borrowed("null")))
    }

    /// An array of these.
    #[must_use]
    pub fn array(items: Vec<Json<'a>>) -> Self {
        Self(Node::Array(items))
    }

    /// An object of these, in this order.
    #[must_use]
    pub fn object(entries: Entries<'a>) -> Self {
        Self(Node::Object(entries))
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Node::Array(_) => Kind::Array,
            Node::Object(_) => Kind::Object,
            Node::Shut(text) => match text.as_bytes().first() {
                Some(b'{') => Kind::Object,
                Some(b'[') => Kind::Array,
                Some(b'"') => Kind::String,
                Some(b't' | b'f') => Kind::Bool,
                Some(b'n') => Kind::Null,
                _ => Kind::Number,
            },
        }
    }

    /// The JSON text; of a value that was not opened, byte for byte what it was.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// How many bytes [`Json::to_text`] has.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        // Brackets or braces, a comma after each but the last, and a colon after each key.
        let around = |count: usize| count.max(1).saturating_add(1);
        match &self.0 {
            Node::Shut(text) => text.len(),
            Node::Array(items) => items.iter().map(Json::text_bytes).sum::<usize>().saturating_add(around(items.len())),
            Node::Object(entries) => {
                let entry = |(key, value): &(Cow<str>, Json)| {
                    quoted(key).len().saturating_add(value.text_bytes()).saturating_add(1)
                };
                entries.iter().map(entry).sum::<usize>().saturating_add(around(entries.len()))
            }
        }
    }

    /// The characters of a string, or none if it is something else.
    ///
    /// # Errors
    /// `input-invalid` if it has an escape that stands for no character, such as half of a surrogate pair.
    pub fn as_string(&self) -> Result<Option<String>, Failure> {
        match &self.0 {
            Node::Shut(text) if text.starts_with('"') => Ok(Some(serde_json::from_str(text)?)),
            _ => Ok(None),
        }
    }

    /// The text of a number, or none if it is something else.
    #[must_use]
    pub fn as_number(&self) -> Option<&str> {
        match &self.0 {
            Node::Shut(text) if self.kind() == Kind::Number => Some(text),
            _ => None,
        }
    }

    /// The items of an array, or none if it is something else.
    ///
    /// # Errors
    /// See [`Json::get`].
    pub fn items(&mut self) -> Result<Option<&mut Vec<Json<'a>>>, Failure> {
        self.open()?;
        Ok(if let Node::Array(items) = &mut self.0 { Some(items) } else { None })
    }

    /// The entries of an object in order, or none if it is something else. Of entries with the same key the last counts.
    ///
    /// # Errors
    /// See [`Json::get`].
    pub fn entries(&mut self) -> Result<Option<&mut Entries<'a>>, Failure> {
        self.open()?;
        Ok(if let Node::Object(entries) = &mut self.0 { Some(entries) } else { None })
    }

    /// The value that the pointer points at, or none. What is on the way there is opened.
    ///
    /// # Errors
    /// `input-invalid` if an object on the way has a key with an escape that stands for no character.
    pub fn get(&mut self, pointer: &Pointer) -> Result<Option<&mut Json<'a>>, Failure> {
        let mut here = self;
        for token in pointer.tokens() {
            match here.child(token)? {
                Some(child) => here = child,
                None => return Ok(None),
            }
        }
        Ok(Some(here))
    }

    /// The value under a key or index.
    fn child(&mut self, token: &str) -> Result<Option<&mut Json<'a>>, Failure> {
        self.open()?;
        Ok(match &mut self.0 {
            Node::Array(items) => pointer::index(token).and_then(|index| items.get_mut(index)),
            Node::Object(entries) => entries.iter_mut().rfind(|(key, _)| key == token).map(|(_, value)| value),
            Node::Shut(_) => None,
        })
    }

    fn shut(raw: &'a RawValue) -> Self {
        Self(Node::Shut(Cow::Borrowed(raw.get().trim_matches([' ', '\t', '\r', '\n']))))
    }

    /// Splits an array or object into its parts, one level deep.
    fn open(&mut self) -> Result<(), Failure> {
        let Node::Shut(text) = &self.0 else { return Ok(()) };
        let opened = match (text, text.as_bytes().first()) {
            (Cow::Borrowed(text), Some(b'[')) => {
                Node::Array(serde_json::from_str::<Vec<&RawValue>>(text)?.into_iter().map(Self::shut).collect())
            }
            (Cow::Borrowed(text), Some(b'{')) => Node::Object(serde_json::from_str::<OneLevel<'a>>(text)?.0),
            (Cow::Owned(text), Some(b'[')) => {
                let items = serde_json::from_str::<Vec<&RawValue>>(text)?;
                Node::Array(items.into_iter().map(|raw| Json::shut(raw).into_owned()).collect())
            }
            (Cow::Owned(text), Some(b'{')) => {
                let OneLevel(entries) = serde_json::from_str(text)?;
                let owned = |(key, value): (Cow<str>, Json)| (Cow::Owned(key.into_owned()), value.into_owned());
                Node::Object(entries.into_iter().map(owned).collect())
            }
            _ => return Ok(()),
        };
        self.0 = opened;
        Ok(())
    }

    /// The same, borrowed from nothing.
    #[must_use]
    pub fn into_owned(self) -> Json<'static> {
        Json(match self.0 {
            Node::Shut(text) => Node::Shut(Cow::Owned(text.into_owned())),
            Node::Array(items) => Node::Array(items.into_iter().map(Json::into_owned).collect()),
            Node::Object(entries) => {
                let owned = |(key, value): (Cow<'a, str>, Json<'a>)| (Cow::Owned(key.into_owned()), value.into_owned());
                Node::Object(entries.into_iter().map(owned).collect())
            }
        })
    }

    fn write(&self, out: &mut String) {
        match &self.0 {
            Node::Shut(text) => out.push_str(text),
            Node::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    out.push(if place == 0 { '[' } else { ',' });
                    item.write(out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Node::Object(entries) => {
                for (place, (key, value)) in entries.iter().enumerate() {
                    out.push(if place == 0 { '{' } else { ',' });
                    out.push_str(&quoted(key));
                    out.push(':');
                    value.write(out);
                }
                out.push_str(if entries.is_empty() { "{}" } else { "}" });
            }
        }
    }
}

/// A string as JSON writes it.
fn quoted(text: &str) -> String {
    // Writing a string to memory does not fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// One level of an object.
struct OneLevel<'a>(Entries<'a>);

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for OneLevel<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = OneLevel<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), raw)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    entries.push((key, Json::shut(raw)));
                }
                Ok(OneLevel(entries))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests;
