//! What a request says, by its source's rules: whether it may come in, what type of event it is, what makes it unique, which of its
//! headers are kept. Pure.

use super::batch::EVENTS_PER_BATCH_MAX;
use super::cloudevents::NoCloudEvent;
use super::json::Json;
use crate::config::{DedupRule, EventTypeRule, Source};
use crate::model::{Digest, Header, is_credential};
use crate::signing::VerifyError;
use http::{HeaderMap, HeaderValue, StatusCode, header};

const EVENT_TYPE_BYTES_MAX: usize = 128;
const DEDUP_KEY_BYTES_MAX: usize = 256;
const CONTENT_TYPE_BYTES_MAX: usize = 1024;
/// How many bytes the headers of a batch may take, kept with each of its events: a short request is not to become a long one on disk.
const BATCH_HEADERS_BYTES_MAX: usize = 8 << 20;

/// Why a request does not come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// It does not prove where it comes from.
    #[error(transparent)]
    Signature(#[from] VerifyError),
    /// Its event type is unusable.
    #[error(
        "the event type, {0}, is longer than {EVENT_TYPE_BYTES_MAX} bytes or has other characters than visible ASCII"
    )]
    EventType(String),
    /// Its content type is unusable.
    #[error("the content type is longer than {CONTENT_TYPE_BYTES_MAX} bytes")]
    ContentType,
    /// Its dedup key is unusable.
    #[error("the dedup key, {0}, is longer than {DEDUP_KEY_BYTES_MAX} bytes or not text")]
    DedupKey(DedupRule),
    /// The key of Slack's form is unusable.
    #[error("the `trigger_id` is longer than {DEDUP_KEY_BYTES_MAX} bytes")]
    TriggerId,
    /// It is no CloudEvent, and says that it is one.
    #[error(transparent)]
    CloudEvent(#[from] NoCloudEvent),
    /// A batch has too many.
    #[error("a batch has at most {EVENTS_PER_BATCH_MAX} events, and not {0}")]
    BatchLength(usize),
    /// The headers of a batch are too long for so many events.
    #[error(
        "the request's headers are kept with each of its {events} events, which takes {bytes} bytes; {BATCH_HEADERS_BYTES_MAX} are allowed"
    )]
    BatchHeaders {
        /// How many events.
        events: usize,
        /// The bytes of all.
        bytes: usize,
    },
}

impl Refused {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::CloudEvent(NoCloudEvent::Format(_)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::EventType(_)
            | Self::TriggerId
            | Self::ContentType
            | Self::DedupKey(_)
            | Self::CloudEvent(_)
            | Self::BatchLength(_)
            | Self::BatchHeaders { .. } => StatusCode::BAD_REQUEST,
        }
    }

    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Signature(error) => error.code(),
            Self::EventType(_) => "event_type_invalid",
            Self::ContentType => "content_type_invalid",
            Self::DedupKey(_) | Self::TriggerId => "dedup_key_invalid",
            Self::CloudEvent(NoCloudEvent::Format(_)) => "content_type_refused",
            Self::CloudEvent(_) => "cloudevent_invalid",
            Self::BatchLength(_) | Self::BatchHeaders { .. } => "batch_invalid",
        }
    }
}

/// The event type, by the source's rule; empty where the request does not say.
pub(super) fn event_type(source: &Source, headers: &HeaderMap, body: &Json<'_>) -> Result<String, Refused> {
    let found = match &source.event_type {
        EventTypeRule::Constant(text) => text.clone(),
        EventTypeRule::Header(name) => headers.get(name).map(text_of).unwrap_or_default(),
        EventTypeRule::Pointer(pointer) => body.text_at(pointer).unwrap_or_default(),
    };
    checked_type(found, || source.event_type.to_string())
}

/// An event type within its bounds. `place` says where it was read.
pub(super) fn checked_type(found: String, place: impl FnOnce() -> String) -> Result<String, Refused> {
    if found.len() > EVENT_TYPE_BYTES_MAX || !found.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refused::EventType(place()));
    }
    Ok(found)
}

/// The key of Slack's form within its bounds.
pub(super) fn checked_key(key: String) -> Result<String, Refused> {
    if key.len() <= DEDUP_KEY_BYTES_MAX { Ok(key) } else { Err(Refused::TriggerId) }
}

/// Whether a request's headers may be kept with so many events.
pub(super) fn check_batch_headers(source: &Source, headers: &HeaderMap, events: usize) -> Result<(), Refused> {
    let one: usize = kept_headers(source, headers).iter().map(|it| it.name.len() + it.value.len()).sum();
    let bytes = one.saturating_mul(events);
    if bytes <= BATCH_HEADERS_BYTES_MAX { Ok(()) } else { Err(Refused::BatchHeaders { events, bytes }) }
}

/// The key of one event of a batch, where the request has one for all of them.
pub(super) fn key_of_place(key: &str, place: usize) -> String {
    let key = format!("{key} {place}");
    if key.len() <= DEDUP_KEY_BYTES_MAX { key } else { format!("sha256:{}", Digest::of(key.as_bytes())) }
}

/// What makes the event unique at its source, where the request says and the source remembers.
pub(super) fn dedup_key(source: &Source, headers: &HeaderMap, body: &Json<'_>) -> Result<Option<String>, Refused> {
    if source.dedup_window_s == 0 {
        return Ok(None);
    }
    let refused = || Refused::DedupKey(source.dedup.clone());
    let found = match &source.dedup {
        DedupRule::Body => return Ok(Some(Digest::of(body.bytes()).to_string())),
        DedupRule::Header(name) => {
            let text = headers.get(name).map(|value| value.to_str().map_err(|_| refused()));
            text.transpose()?.map(str::to_owned)
        }
        DedupRule::Pointer(pointer) => body.text_at(pointer),
    };
    match found.filter(|key| !key.is_empty()) {
        None => Ok(None),
        Some(key) if key.len() <= DEDUP_KEY_BYTES_MAX => Ok(Some(key)),
        Some(_) => Err(refused()),
    }
}

/// The media type, as it came. It goes along with every delivery, so it is bounded.
pub(super) fn content_type(headers: &HeaderMap) -> Result<String, Refused> {
    let found = headers.get(header::CONTENT_TYPE).map(text_of).unwrap_or_default();
    if found.len() > CONTENT_TYPE_BYTES_MAX { Err(Refused::ContentType) } else { Ok(found) }
}

/// The headers without what proves anything to anybody: credentials and signatures are neither stored nor shown to modules.
pub(super) fn kept_headers(source: &Source, headers: &HeaderMap) -> Vec<Header> {
    let proof = source.verify.header();
    let kept = headers.iter().filter(|(name, _)| !is_credential(name.as_str()) && Some(*name) != proof);
    kept.map(|(name, value)| Header { name: name.as_str().to_owned(), value: text_of(value) }).collect()
}

/// UTF-8 where it is valid, Latin-1 otherwise.
fn text_of(value: &HeaderValue) -> String {
    match str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    }
}
