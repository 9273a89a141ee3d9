//! What a module gives back: [`Output`], built by naming only what changes, and [`Dispatch`].

use serde::Serialize;

use crate::{Dispatch, Failure, Header, Message, Output};

impl Output {
    /// The message as it was given to the module.
    #[must_use]
    pub fn unchanged() -> Self {
        Self::default()
    }

    /// A JSON body, with the content type `application/json`.
    ///
    /// # Errors
    /// `output-invalid` if the value has no JSON form, such as a map whose keys are not strings.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Failure> {
        let body = serde_json::to_vec(value)
            .map_err(|error| Failure::new("output-invalid", format!("the output has no JSON form: {error}")))?;
        Ok(Self::body("application/json", body))
    }

    /// A plain text body.
    pub fn text(text: impl Into<String>) -> Self {
        Self::body("text/plain; charset=utf-8", text.into())
    }

    /// A body of any media type.
    pub fn body(content_type: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { content_type: Some(content_type.into()), body: Some(body.into()), ..Self::default() }
    }

    /// Adds a header. The first call drops the headers of the message; to keep them, call [`Output::keeping_headers`] before.
    /// Some names are refused by the host: see `headers` of this type.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = Header { name: name.into(), value: value.into() };
        self.headers.get_or_insert_default().push(header);
        self
    }

    /// Starts the headers from those of the message.
    #[must_use]
    pub fn keeping_headers(mut self, message: &Message) -> Self {
        self.headers.get_or_insert_default().extend(message.headers.iter().cloned());
        self
    }

    /// Changes the event type that endpoints subscribe to.
    #[must_use]
    pub fn with_event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Changes the media type of the body.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Deliveries with the same key go to an endpoint in order, where it asks for that. An empty key takes the message's away.
    #[must_use]
    pub fn with_ordering_key(mut self, key: impl Into<String>) -> Self {
        self.ordering_key = Some(key.into());
        self
    }

    /// Waits this many milliseconds before the first attempt.
    #[must_use]
    pub fn with_delay_ms(mut self, delay_ms: u64) -> Self {
        self.delay_ms = Some(delay_ms);
        self
    }

    /// This output for the endpoint of this name, for routers.
    pub fn to(self, endpoint: impl Into<String>) -> Dispatch {
        Dispatch { endpoint: endpoint.into(), output: self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn unchanged_names_nothing() {
        let Output { event_type, content_type, headers, body, ordering_key, delay_ms } = Output::unchanged();
        assert_eq!(
            (event_type, content_type, headers, body, ordering_key, delay_ms),
            (None, None, None, None, None, None)
        );
    }

    #[test]
    fn the_builder_names_what_changes() {
        let output = Output::json(&["a"]).unwrap().with_header("x-a", "1").with_event_type("t").with_delay_ms(5);
        assert_eq!(output.body.as_deref(), Some(br#"["a"]"#.as_slice()));
        assert_eq!(output.content_type.as_deref(), Some("application/json"));
        assert_eq!(output.headers, Some(vec![Header { name: "x-a".to_owned(), value: "1".to_owned() }]));
        assert_eq!((output.event_type.as_deref(), output.delay_ms, output.ordering_key), (Some("t"), Some(5), None));
    }

    #[test]
    fn headers_of_the_message_stay_where_they_are_kept() {
        let headers = vec![Header { name: "x-old".to_owned(), value: "1".to_owned() }];
        let message = Message { headers, ..Message::default() };
        let names = |output: Output| output.headers.unwrap().into_iter().map(|header| header.name).collect::<Vec<_>>();
        assert_eq!(names(Output::unchanged().keeping_headers(&message).with_header("x-new", "2")), ["x-old", "x-new"]);
        assert_eq!(names(Output::unchanged().with_header("x-new", "2")), ["x-new"]);
    }

    #[test]
    fn what_has_no_json_form_is_a_failure() {
        let odd = BTreeMap::from([(vec![1], 1)]);
        assert_eq!(Output::json(&odd).unwrap_err().code, "output-invalid");
    }
}
