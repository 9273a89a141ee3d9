//! A GitHub payload, read without trust: what is missing or of another kind reads as empty, so no payload makes a message fail.

use serde_json::{Map, Value};

use crate::line::Line;

/// A GitHub payload.
#[derive(Debug)]
pub struct Payload(Value);

impl Payload {
    /// Takes a payload.
    #[must_use]
    pub fn new(payload: Map<String, Value>) -> Self {
        Self(Value::Object(payload))
    }

    /// The text at this JSON Pointer, or an empty one.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        text(&self.0, pointer)
    }

    /// The first of these texts that is not empty, or an empty one.
    #[must_use]
    pub fn first_text(&self, pointers: &[&str]) -> &str {
        pointers.iter().map(|pointer| self.text(pointer)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The whole number at this JSON Pointer.
    #[must_use]
    pub fn number(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer).and_then(Value::as_u64)
    }

    /// Whether there is `true` at this JSON Pointer.
    #[must_use]
    pub fn is(&self, pointer: &str) -> bool {
        self.0.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Whether there is an object at this JSON Pointer.
    #[must_use]
    pub fn has(&self, pointer: &str) -> bool {
        self.0.pointer(pointer).is_some_and(Value::is_object)
    }

    /// The items of the array at this JSON Pointer, or none.
    #[must_use]
    pub fn items(&self, pointer: &str) -> &[Value] {
        self.0.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// A line that begins with who did it, linked.
    #[must_use]
    pub fn who(&self) -> Line {
        match self.first_text(&["/sender/login", "/pusher/name"]) {
            "" => Line::default().text("Somebody"),
            login => Line::default().link(self.text("/sender/html_url"), login),
        }
    }

    /// Where it happened, linked: the repository, or the organization, enterprise or account.
    #[must_use]
    pub fn place(&self) -> Option<Line> {
        let repository = self.text("/repository/full_name");
        if !repository.is_empty() {
            return Some(Line::default().link(self.text("/repository/html_url"), repository));
        }
        let names = ["/organization/login", "/enterprise/name", "/installation/account/login"];
        let name = self.first_text(&names);
        (!name.is_empty()).then(|| Line::default().text(name))
    }
}

/// The text at this JSON Pointer in a part of a payload, or an empty one.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
