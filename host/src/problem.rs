//! What a caller sees of an error: an RFC 9457 problem document, `application/problem+json`, with a stable `code`.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value, json};

/// The media type of RFC 9457, section 3.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A refusal. `detail` says what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable; for programs.
    pub code: &'static str,
    /// For people.
    pub detail: String,
    /// The JSON pointer (RFC 6901) of the place in the request's body, where there is one.
    pub pointer: Option<String>,
    /// How many seconds to wait before trying again, sent as `Retry-After` too.
    pub retry_after_s: Option<u32>,
    /// A header of this problem alone: `Allow`, `Accept`.
    pub header: Option<Box<(HeaderName, HeaderValue)>>,
    /// Members of this problem alone.
    pub more: Map<String, Value>,
}

impl Problem {
    /// A refusal with this status, code and words.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), pointer: None, retry_after_s: None, header: None, more: Map::new() }
    }

    /// Points at a place in the request's body.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Says when to come again.
    #[must_use]
    pub const fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds a header, in place of one that was added before; a text that cannot be one is left out.
    #[must_use]
    pub fn header(mut self, name: HeaderName, text: &str) -> Self {
        self.header = HeaderValue::from_str(text).ok().map(|value| Box::new((name, value)));
        self
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// 500: something that should not happen. What happened is for the log, not for the caller.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the host made a mistake; its log says more")
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:hookswitch:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let Some(members) = document.as_object_mut() {
            members.extend(self.pointer.iter().map(|pointer| ("pointer".to_owned(), Value::from(pointer.as_str()))));
            members.extend(self.more.clone());
        }
        document
    }

    /// The response. It has the problem among its extensions, too, for whoever knows more to say: the listener adds the request's name.
    #[must_use]
    pub fn to_response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(self.to_json().to_string())));
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self.clone());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.extend(self.header.iter().map(|header| (**header).clone()));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
