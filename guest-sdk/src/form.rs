//! Forms: `application/x-www-form-urlencoded`, as the URL standard writes it. [`Message::form`] reads one, [`Output::form`] makes one.
//!
//! A field that comes more than once fills a `Vec`. All values are text; a number in the type that is asked for is parsed from it,
//! exactly. Stricter than the standard: a `%` without two hex digits after it, and bytes that are not UTF-8, are refused, not
//! passed on as something else.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Failure, Message, Output};

/// The media type of forms.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// How many fields a form may have.
pub const FIELDS_MAX: usize = 1_000;

impl Message {
    /// The body, parsed as a form.
    ///
    /// # Errors
    /// `input-invalid` with the place if the body is no form, or is not what `T` asks for; `limit` beyond [`FIELDS_MAX`].
    pub fn form<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        check(&self.body)?;
        let fields = serde_html_form::Deserializer::from_bytes(&self.body);
        serde_path_to_error::deserialize(fields).map_err(|error| {
            Failure::input_invalid(format!("the body is not the form this module works on: {}", pathed(&error)))
        })
    }
}

impl Output {
    /// A form as the body, from a flat struct or map; a list is a field that comes more than once.
    ///
    /// # Errors
    /// `output-invalid` if the value has no such form, for it is nested.
    pub fn form<T: Serialize + ?Sized>(value: &T) -> Result<Self, Failure> {
        let body = serde_html_form::to_string(value).map_err(|error| {
            Failure::new("output-invalid", format!("the output cannot be written as a form: {error}"))
        })?;
        Ok(Self::body(CONTENT_TYPE, body))
    }
}

/// What is wrong, after the field where it is wrong.
fn pathed<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>) -> String {
    match error.path().to_string().as_str() {
        "." => error.inner().to_string(),
        path => format!("`{path}`: {}", error.inner()),
    }
}

/// Counts the fields and checks that each is text.
fn check(body: &[u8]) -> Result<(), Failure> {
    let mut at = 0_usize;
    for (place, field) in body.split(|byte| *byte == b'&').enumerate() {
        if place >= FIELDS_MAX {
            return Err(Failure::limit(format!("the form has more than FIELDS_MAX, {FIELDS_MAX} fields")));
        }
        decode(field).map_err(|problem| {
            Failure::input_invalid(format!("the body is not a form: field {}, at byte {at}, {problem}", place + 1))
        })?;
        at = at.saturating_add(field.len()).saturating_add(1);
    }
    Ok(())
}

fn decode(field: &[u8]) -> Result<(), &'static str> {
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err("has a `%` without two hex digits after it");
                };
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            byte => byte,
        });
    }
    std::str::from_utf8(&plain).map(|_| ()).map_err(|_| "is not UTF-8 text")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize, Serialize)]
    struct Order {
        id: u64,
        balance: i64,
        #[serde(default)]
        tag: Vec<String>,
        note: Option<String>,
    }

    fn message(body: impl Into<Vec<u8>>) -> Message {
        Message { content_type: CONTENT_TYPE.to_owned(), body: body.into(), ..Message::default() }
    }

    #[test]
    fn a_form_is_read_and_written_and_integers_stay_exact() {
        let body = "id=18446744073709551615&balance=-9007199254740993&tag=a+b&tag=%C3%A9%26";
        let order: Order = message(body).form().unwrap();
        let tag = vec!["a b".to_owned(), "é&".to_owned()];
        assert_eq!(order, Order { id: u64::MAX, balance: -9_007_199_254_740_993, tag, note: None });
        let output = Output::form(&order).unwrap();
        assert_eq!(
            (output.content_type.as_deref(), output.body.as_deref()),
            (Some(CONTENT_TYPE), Some(body.as_bytes()))
        );
    }

    /// As Slack sends a command, and Twilio a message.
    #[test]
    fn a_form_of_unknown_fields_is_a_map_of_texts() {
        let body = "command=%2Fdeploy&text=main+%F0%9F%9A%80&response_url=https%3A%2F%2Fhooks.example.com%2F1";
        let fields: BTreeMap<String, String> = message(body).form().unwrap();
        assert_eq!(fields["command"], "/deploy");
        assert_eq!(fields["text"], "main 🚀");
        let empty: BTreeMap<String, String> = message("").form().unwrap();
        assert!(empty.is_empty());
    }

    /// Each pair: a body, and what the failure has to say.
    #[test]
    fn what_is_no_form_is_refused_with_its_place() {
        for (body, words) in [
            ("id=1&balance=%z0", "field 2, at byte 5, has a `%` without two hex digits"),
            ("id=%4", "field 1, at byte 0, has a `%`"),
            ("id=1&note=%ff", "field 2, at byte 5, is not UTF-8 text"),
            ("id=1.5&balance=1", "`id`: invalid digit"),
            ("id=18446744073709551616&balance=1", "`id`: number too large"),
            ("id=1", "missing field `balance`"),
        ] {
            let failure = message(body).form::<Order>().unwrap_err();
            assert_eq!(failure.code, "input-invalid", "{body}");
            assert!(failure.message.contains(words), "{body}: {}", failure.message);
        }
    }

    #[test]
    fn the_number_of_fields_is_bounded() {
        let body = |count: usize| vec!["a=1"; count].join("&");
        assert!(message(body(FIELDS_MAX)).form::<Vec<(String, String)>>().is_ok());
        let failure = message(body(FIELDS_MAX + 1)).form::<Vec<(String, String)>>().unwrap_err();
        assert_eq!((failure.code.as_str(), failure.message.contains("FIELDS_MAX, 1000")), ("limit", true));
    }

    #[test]
    fn what_is_nested_cannot_be_written() {
        let nested = BTreeMap::from([("a", BTreeMap::from([("b", 1)]))]);
        assert_eq!(Output::form(&nested).unwrap_err().code, "output-invalid");
    }
}
