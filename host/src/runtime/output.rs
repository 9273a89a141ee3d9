//! What a module made, laid over the message it was given: checked, and within bounds.

use super::Config;
use super::bindings::{router, types};
use super::call_error::CallError;
use super::logs::cut;
use crate::model::{EndpointName, Header, Message, is_header_for_modules};
use http::{HeaderName, HeaderValue};

/// The longest text about a wrong value, in bytes: it may quote the module.
const PROBLEM_BYTES_MAX: usize = 512;

/// How many bytes a guest may hand the host at once: what it may produce, and the records around it. The exact bound is
/// kept afterwards; this one keeps the host's memory out of the guest's hands before.
pub(super) fn lift_bytes_max(config: &Config) -> usize {
    let records = size_of::<router::Dispatch>() + config.headers_max * size_of::<types::Header>();
    config.output_bytes_max.saturating_add(config.output_messages_max.saturating_mul(records)).saturating_add(64 * 1024)
}

/// Lays the outputs of one call over its message.
pub(super) struct Outputs<'a> {
    config: &'a Config,
    message: &'a Message,
    bytes_left: usize,
}

impl<'a> Outputs<'a> {
    pub(super) const fn new(config: &'a Config, message: &'a Message) -> Self {
        Self { config, message, bytes_left: config.output_bytes_max }
    }

    pub(super) fn messages(&mut self, made: Vec<types::Output>) -> Result<Vec<Message>, CallError> {
        self.count(made.len())?;
        made.into_iter().map(|output| self.message(output)).collect()
    }

    pub(super) fn dispatches(
        &mut self,
        made: Vec<router::Dispatch>,
    ) -> Result<Vec<(EndpointName, Message)>, CallError> {
        self.count(made.len())?;
        made.into_iter()
            .map(|dispatch| {
                let endpoint = dispatch.endpoint.parse().map_err(|error| invalid(format!("an endpoint: {error}")))?;
                Ok((endpoint, self.message(dispatch.output)?))
            })
            .collect()
    }

    fn count(&self, messages: usize) -> Result<(), CallError> {
        let max = self.config.output_messages_max;
        if messages <= max { Ok(()) } else { Err(CallError::output_limit("output_messages_max", max)) }
    }

    fn message(&mut self, output: types::Output) -> Result<Message, CallError> {
        let given = self.message;
        let (body, body_is_event) = match output.body {
            Some(body) => (body.into(), false),
            None => (given.body.clone(), given.body_is_event),
        };
        let message = Message {
            event_type: self.text("event-type", output.event_type)?.unwrap_or_else(|| given.event_type.clone()),
            content_type: self.content_type(output.content_type)?.unwrap_or_else(|| given.content_type.clone()),
            headers: match output.headers {
                Some(headers) => self.headers(headers)?,
                None => given.headers.clone(),
            },
            body,
            body_is_event,
            ordering_key: match self.text("ordering-key", output.ordering_key)? {
                Some(key) => Some(key).filter(|key| !key.is_empty()),
                None => given.ordering_key.clone(),
            },
            delay_ms: output.delay_ms.unwrap_or(given.delay_ms),
        };
        if message.delay_ms > self.config.delay_ms_max {
            return Err(CallError::OutputLimit { bound: "delay_ms_max", max: self.config.delay_ms_max });
        }
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes(&message))
            .ok_or_else(|| CallError::output_limit("output_bytes_max", self.config.output_bytes_max))?;
        Ok(message)
    }

    fn text(&self, name: &str, text: Option<String>) -> Result<Option<String>, CallError> {
        let Some(text) = text else { return Ok(None) };
        if text.len() > self.config.text_bytes_max {
            return Err(CallError::output_limit("text_bytes_max", self.config.text_bytes_max));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid(format!("`{name}` has a control character: {text:?}")));
        }
        Ok(Some(text))
    }

    fn content_type(&self, text: Option<String>) -> Result<Option<String>, CallError> {
        let text = self.text("content-type", text)?;
        match &text {
            Some(text) if !text.is_ascii() => Err(invalid(format!("`content-type` is not ASCII: {text:?}"))),
            _ => Ok(text),
        }
    }

    fn headers(&self, headers: Vec<types::Header>) -> Result<Vec<Header>, CallError> {
        if headers.len() > self.config.headers_max {
            return Err(CallError::output_limit("headers_max", self.config.headers_max));
        }
        if headers.iter().map(|header| header.name.len() + header.value.len()).sum::<usize>()
            > self.config.header_bytes_max
        {
            return Err(CallError::output_limit("header_bytes_max", self.config.header_bytes_max));
        }
        headers.into_iter().map(header).collect()
    }
}

fn header(header: types::Header) -> Result<Header, CallError> {
    let name = HeaderName::from_bytes(header.name.as_bytes())
        .map_err(|_| invalid(format!("{:?} is not a header name", header.name)))?;
    let name = name.as_str();
    if !is_header_for_modules(name) {
        return Err(CallError::HeaderForbidden(name.to_owned()));
    }
    let value = header.value.trim_matches([' ', '\t']);
    if HeaderValue::from_bytes(value.as_bytes()).is_err() {
        return Err(invalid(format!("the header `{name}` has a control character in its value")));
    }
    Ok(Header { name: name.to_owned(), value: value.to_owned() })
}

/// What a message costs to keep. A body that is the event's is kept once, with the event.
fn bytes(message: &Message) -> usize {
    let headers = message.headers.iter().map(|header| header.name.len() + header.value.len()).sum::<usize>();
    let body = if message.body_is_event { 0 } else { message.body.len() };
    let key = message.ordering_key.as_ref().map_or(0, String::len);
    message.event_type.len() + message.content_type.len() + headers + key + body
}

fn invalid(problem: String) -> CallError {
    CallError::OutputInvalid(cut(&problem, PROBLEM_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            event_type: "push".into(),
            content_type: "application/json".into(),
            headers: Vec::new(),
            body: "0123456789".into(),
            body_is_event: true,
            ordering_key: None,
            delay_ms: 0,
        }
    }

    const KEEP: types::Output = types::Output {
        event_type: None,
        content_type: None,
        headers: None,
        body: None,
        ordering_key: None,
        delay_ms: None,
    };

    fn made(config: &Config, outputs: Vec<types::Output>) -> Result<Vec<Message>, CallError> {
        Outputs::new(config, &message()).messages(outputs)
    }

    fn with_header(name: &str, value: &str) -> Result<Vec<Header>, CallError> {
        let headers = Some(vec![types::Header { name: name.into(), value: value.into() }]);
        made(&Config::default(), vec![types::Output { headers, ..KEEP }]).map(|mut made| made.remove(0).headers)
    }

    #[test]
    fn headers_are_legal_lower_case_and_the_modules_to_set() {
        let header = |name: &str, value: &str| vec![Header { name: name.into(), value: value.into() }];
        assert_eq!(with_header("X-Team", " core\t"), Ok(header("x-team", "core")));
        assert_eq!(with_header("x-name", "Zoë"), Ok(header("x-name", "Zoë")));
        for name in [
            "Host",
            "content-length",
            "Content-Type",
            "transfer-encoding",
            "connection",
            "Keep-Alive",
            "te",
            "trailer",
            "upgrade",
            "Authorization",
            "cookie",
            "proxy-authorization",
            "Proxy-Connection",
            "webhook-id",
            "Webhook-Anything",
        ] {
            assert_eq!(with_header(name, "x"), Err(CallError::HeaderForbidden(name.to_lowercase())));
        }
        for (name, value) in [("", "x"), ("a b", "x"), ("a:", "x"), ("ä", "x"), ("x", "a\r\nb"), ("x", "a\0b")] {
            assert_eq!(with_header(name, value).expect_err("refused").code(), "output_invalid", "{name:?} {value:?}");
        }
    }

    #[test]
    fn every_bound_on_an_output_names_itself() {
        let config = Config {
            output_messages_max: 2,
            output_bytes_max: 60,
            text_bytes_max: 20,
            headers_max: 1,
            header_bytes_max: 10,
            delay_ms_max: 5,
            ..Config::default()
        };
        let bound = |outputs| match made(&config, outputs) {
            Err(CallError::OutputLimit { bound, .. }) => bound,
            other => panic!("{other:?}"),
        };
        let header = types::Header { name: "x".into(), value: "y".repeat(5) };
        let headers = |count| types::Output { headers: Some(vec![header.clone(); count]), ..KEEP };
        let body = |length| types::Output { body: Some(vec![0; length]), ..KEEP };
        assert_eq!(bound(vec![KEEP; 3]), "output_messages_max");
        assert_eq!(bound(vec![body(41)]), "output_bytes_max");
        assert_eq!(bound(vec![body(20), body(1)]), "output_bytes_max", "in all");
        assert_eq!(bound(vec![types::Output { event_type: Some("x".repeat(21)), ..KEEP }]), "text_bytes_max");
        assert_eq!(bound(vec![types::Output { ordering_key: Some("x".repeat(21)), ..KEEP }]), "text_bytes_max");
        assert_eq!(bound(vec![headers(2)]), "headers_max");
        let long = types::Header { name: "x".into(), value: "y".repeat(10) };
        assert_eq!(bound(vec![types::Output { headers: Some(vec![long]), ..KEEP }]), "header_bytes_max");
        assert_eq!(bound(vec![types::Output { delay_ms: Some(6), ..KEEP }]), "delay_ms_max");
        let good = types::Output { delay_ms: Some(5), ordering_key: Some("k".into()), ..body(30) };
        assert!(made(&config, vec![good]).is_ok());
        assert!(made(&config, vec![KEEP, KEEP]).is_ok(), "the event's body counts nothing");
    }

    #[test]
    fn texts_have_no_control_characters_and_endpoints_have_names() {
        for text in ["a\nb", "\0"] {
            let event_type = types::Output { event_type: Some(text.into()), ..KEEP };
            let content_type = types::Output { content_type: Some(text.into()), ..KEEP };
            for output in [event_type, content_type] {
                assert_eq!(made(&Config::default(), vec![output]).expect_err("refused").code(), "output_invalid");
            }
        }
        let dispatch = router::Dispatch { endpoint: "Not a name".into(), output: KEEP };
        let error = Outputs::new(&Config::default(), &message()).dispatches(vec![dispatch]).expect_err("refused");
        assert!(error.code() == "output_invalid" && error.to_string().contains("Not a name"), "{error}");
    }
}
