//! A CloudEvent, whatever mode it came in: context attributes and data.

use std::borrow::Cow;

use hookswitch_guest::Failure;
use hookswitch_guest::json::{Entries, Json, Kind};

/// The version of the specification, as its attribute says it.
pub(crate) const SPECVERSION: &str = "1.0";

/// A CloudEvent.
#[derive(Debug)]
pub(crate) struct CloudEvent<'a> {
    /// Strings, booleans and integers, by name; no name twice.
    attributes: Entries<'a>,
    pub(crate) data: Data<'a>,
}

/// What an event is about.
#[derive(Debug)]
pub(crate) enum Data<'a> {
    /// There is none.
    Absent,
    /// A JSON value, that `datacontenttype` declares.
    Json(Json<'a>),
    /// Bytes of what `datacontenttype` declares; of nothing known, where there is none.
    Bytes(Cow<'a, [u8]>),
}

impl<'a> CloudEvent<'a> {
    /// An event without attributes so far.
    pub(crate) fn new(data: Data<'a>) -> Self {
        Self { attributes: Vec::new(), data }
    }

    /// Adds an attribute as it was read. `null` is none (JSON format, section 2.2).
    pub(crate) fn read(&mut self, name: &str, value: Json<'a>) -> Result<(), Failure> {
        if !is_name(name) {
            return Err(invalid(format!("{name:?} is no attribute name: those have lower-case letters and digits")));
        }
        if self.attributes.iter().any(|(other, _)| other == name) {
            return Err(invalid(format!("the attribute `{name}` comes twice")));
        }
        match value.kind() {
            Kind::Null => return Ok(()),
            Kind::String | Kind::Bool => {}
            Kind::Number if is_integer(&value) => {}
            Kind::Number => return Err(invalid(format!("`{name}` is a number, and no integer of 32 bits"))),
            kind @ (Kind::Array | Kind::Object) => {
                return Err(invalid(format!(
                    "`{name}` is {}; attributes are strings, booleans and integers",
                    kind.name()
                )));
            }
        }
        self.attributes.push((Cow::Owned(name.to_owned()), value));
        Ok(())
    }

    /// Sets an attribute to this text.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let value = Json::string(value);
        match self.attributes.iter_mut().find(|(other, _)| other == name) {
            Some((_, before)) => *before = value,
            None => self.attributes.push((Cow::Owned(name.to_owned()), value)),
        }
    }

    /// The canonical text of an attribute.
    pub(crate) fn get(&self, name: &str) -> Result<Option<String>, Failure> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| text(value)).transpose()
    }

    /// Names and canonical texts, in order.
    pub(crate) fn texts(&self) -> Result<Vec<(&str, String)>, Failure> {
        self.attributes.iter().map(|(name, value)| Ok((&**name, text(value)?))).collect()
    }

    /// The attributes as JSON.
    pub(crate) fn into_parts(self) -> (Entries<'a>, Data<'a>) {
        (self.attributes, self.data)
    }

    /// Whether it is what the specification calls a CloudEvent ("Context Attributes").
    ///
    /// # Errors
    /// `input-invalid` with the attribute that is missing or wrong.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.get("specversion")?.as_deref() {
            Some(SPECVERSION) => {}
            Some(other) => {
                return Err(invalid(format!("its `specversion` is {other:?}; only {SPECVERSION:?} is read")));
            }
            None => return Err(invalid("there is no `specversion`".to_owned())),
        }
        for name in ["id", "source", "type"] {
            if self.get(name)?.is_none() {
                return Err(invalid(format!("there is no `{name}`")));
            }
        }
        for (name, text) in self.texts()? {
            if text.is_empty() && ["id", "source", "type", "subject", "dataschema"].contains(&name) {
                return Err(invalid(format!("`{name}` is empty")));
            }
            if let Some(char) = text.chars().find(|char| !is_allowed(*char)) {
                return Err(invalid(format!(
                    "`{name}` has the character U+{:04X}, which attributes may not",
                    u32::from(char)
                )));
            }
        }
        Ok(())
    }
}

/// The canonical string encoding ("Type System").
fn text(value: &Json) -> Result<String, Failure> {
    Ok(value.as_string()?.unwrap_or_else(|| value.to_text()))
}

fn is_integer(value: &Json) -> bool {
    value.as_number().is_some_and(|text| text.parse::<i32>().is_ok())
}

/// Whether it is an attribute's name ("Naming Conventions").
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "data" && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Whether a string may have it ("Type System"): neither a control character nor one of Unicode's noncharacters.
fn is_allowed(char: char) -> bool {
    let code = u32::from(char);
    !char.is_control() && !(0xfdd0..=0xfdef).contains(&code) && code & 0xfffe != 0xfffe
}

pub(crate) fn invalid(problem: impl std::fmt::Display) -> Failure {
    Failure::input_invalid(format!("the message is not a CloudEvent: {problem}"))
}
