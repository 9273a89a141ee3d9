//! What a module made, laid over the message it was given: checked, and within bounds.

use super::Config;
use super::bindings::{router, types};
use super::call_error::CallError;
use super::logs::cut;
use crate::model::{EndpointName, Header, Message};
use http::{HeaderName, HeaderValue};

/// The headers that are not a module's to set: what the host writes itself, what would break the connection, and credentials.
const FORBIDDEN_HEADERS: [&str; 13] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// The longest text about a wrong value, in bytes: it may quote the module.
const PROBLEM_BYTES_MAX: usize = 512;

/// And those that begin so.
const FORBIDDEN_PREFIXES: [&str; 2] = ["proxy-", "webhook-"];

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
    if FORBIDDEN_HEADERS.contains(&name) || FORBIDDEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
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
