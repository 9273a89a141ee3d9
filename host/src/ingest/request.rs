//! What a request says, by its source's rules: whether it may come in, what type of event it is, what makes it unique, which of its
//! headers are kept. Pure.

use crate::config::{EventTypeRule, Source, Verify};
use crate::model::{Header, is_credential};
use crate::signing::{self, VerifyError};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

const EVENT_TYPE_BYTES_MAX: usize = 128;
const DEDUP_KEY_BYTES_MAX: usize = 256;
const CONTENT_TYPE_BYTES_MAX: usize = 1024;

/// Why a request does not come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It does not prove where it comes from.
    #[error(transparent)]
    Signature(#[from] VerifyError),
    /// Its event type is unusable.
    #[error("the event type is longer than {EVENT_TYPE_BYTES_MAX} bytes or has other characters than visible ASCII")]
    EventType,
    /// Its content type is unusable.
    #[error("the content type is longer than {CONTENT_TYPE_BYTES_MAX} bytes")]
    ContentType,
    /// Its dedup key is unusable.
    #[error("the header `{0}` is longer than {DEDUP_KEY_BYTES_MAX} bytes or not text")]
    DedupKey(HeaderName),
}

impl Refused {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::EventType | Self::ContentType | Self::DedupKey(_) => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Signature(error) => error.code(),
            Self::EventType => "event_type_invalid",
            Self::ContentType => "content_type_invalid",
            Self::DedupKey(_) => "dedup_key_invalid",
        }
    }
}

/// Whether the request proves where it comes from.
pub(super) fn verify(source: &Source, headers: &HeaderMap, body: &[u8], now_s: u64) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match &source.verify {
        Verify::None => {}
        Verify::Github(secrets) => signing::verify_github(secrets, text("x-hub-signature-256"), body)?,
        Verify::StandardWebhooks { keys, tolerance_s } => {
            let signed = signing::StandardHeaders {
                id: text("webhook-id"),
                timestamp: text("webhook-timestamp"),
                signature: text("webhook-signature"),
            };
            signing::verify_standard_webhooks(keys, &signed, body, now_s, *tolerance_s)?;
        }
    }
    Ok(())
}

/// The event type, by the source's rule; empty where the request does not say.
pub(super) fn event_type(source: &Source, headers: &HeaderMap, body: &[u8]) -> Result<String, Refused> {
    let found = match &source.event_type {
        EventTypeRule::Constant(text) => text.clone(),
        EventTypeRule::Header(name) => headers.get(name).map(text_of).unwrap_or_default(),
        EventTypeRule::Pointer(pointer) => {
            let json: Option<Value> = serde_json::from_slice(body).ok();
            json.as_ref().and_then(|json| json.pointer(pointer)).and_then(Value::as_str).unwrap_or_default().to_owned()
        }
    };
    if found.len() > EVENT_TYPE_BYTES_MAX || !found.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refused::EventType);
    }
    Ok(found)
}

/// What makes the event unique at its source, where the request says and the source remembers.
pub(super) fn dedup_key(source: &Source, headers: &HeaderMap) -> Result<Option<String>, Refused> {
    if source.dedup_window_s == 0 {
        return Ok(None);
    }
    let Some((name, value)) = source.dedup_header.as_ref().and_then(|name| Some((name, headers.get(name)?))) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok("") => Ok(None),
        Ok(key) if key.len() <= DEDUP_KEY_BYTES_MAX => Ok(Some(key.to_owned())),
        _ => Err(Refused::DedupKey(name.clone())),
    }
}

/// The media type, as it came. It goes along with every delivery, so it is bounded.
pub(super) fn content_type(headers: &HeaderMap) -> Result<String, Refused> {
    let found = headers.get(header::CONTENT_TYPE).map(text_of).unwrap_or_default();
    if found.len() > CONTENT_TYPE_BYTES_MAX { Err(Refused::ContentType) } else { Ok(found) }
}

/// The headers without what proves anything to anybody: credentials and signatures are neither stored nor shown to modules.
pub(super) fn kept_headers(headers: &HeaderMap) -> Vec<Header> {
    let kept = headers.iter().filter(|(name, _)| !is_credential(name.as_str()));
    kept.map(|(name, value)| Header { name: name.as_str().to_owned(), value: text_of(value) }).collect()
}

/// UTF-8 where it is valid, Latin-1 otherwise.
fn text_of(value: &HeaderValue) -> String {
    match str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    }
}
