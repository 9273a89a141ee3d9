//! What a module is given: helpers for [`Event`] and [`Message`]. Parsing answers a [`Failure`] that says what was wrong with the
//! payload, so that a module can pass it on with `?`.

use serde::Deserialize;

use crate::{Event, Failure, Header, Message};

impl Event {
    /// The value of the first header of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl Message {
    /// A message with this JSON text as its body, for tests.
    pub fn from_json(body: impl Into<Vec<u8>>) -> Self {
        Self { content_type: "application/json".to_owned(), body: body.into(), ..Self::default() }
    }

    /// The body, parsed as JSON.
    ///
    /// # Errors
    /// `input-invalid` with the line and column if the body is not JSON, or is not what `T` asks for.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::input_invalid(format!("the body is not the JSON this module works on: {error}")))
    }

    /// The body as text.
    ///
    /// # Errors
    /// `input-invalid` if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.body)
            .map_err(|error| Failure::input_invalid(format!("the body is not UTF-8 text: {error}")))
    }

    /// The value of the first header of this name, in any case. These are the headers to send; those that were received are
    /// the event's.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(headers: &'a [Header], name: &str) -> Option<&'a str> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> Header {
        Header { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn headers_are_found_in_any_case_and_the_first_wins() {
        let headers = vec![header("x-a", "1"), header("x-b", "2"), header("x-b", "3")];
        let event = Event { headers: headers.clone(), ..Event::default() };
        let message = Message { headers, ..Message::default() };
        assert_eq!(event.header("X-B"), Some("2"));
        assert_eq!(message.header("x-b"), Some("2"));
        assert_eq!(event.header("x-c"), None);
    }

    #[test]
    fn a_body_that_is_not_json_is_a_failure_that_says_where() {
        let failure = Message::from_json("{\n\"a\": nope}").json::<serde_json::Value>().unwrap_err();
        assert_eq!(failure.code, "input-invalid");
        assert!(failure.message.contains("line 2 column 7"), "{}", failure.message);
    }

    #[test]
    fn a_body_that_is_not_text_is_a_failure() {
        assert_eq!(Message::from_json("für").text(), Ok("für"));
        assert_eq!(Message::from_json([0xff]).text().unwrap_err().code, "input-invalid");
    }
}
