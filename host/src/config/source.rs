//! A way in, as people write it. What it becomes is in `resolve`.

use super::from_cloudevents::FromCloudEventsSpec;
use super::intake::{EventMethod, MediaRange};
use super::schedule::ScheduleSpec;
use super::spec::numbered;
use super::{Invalid, VerifySpec};
use crate::model::{AddressRange, PUBLISHED_SOURCE};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A way in: one of `verify`, `publish` and `schedule` says who makes its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Requests do, and how each proves where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifySpec>,
    /// The application does, by the admin interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<PublishSpec>,
    /// The clock does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSpec>,
    /// The methods that events are sent with: `POST`, `PUT`, `PATCH`. By itself `POST` alone.
    #[serde(default = "EventMethod::post", skip_serializing_if = "is_post")]
    pub methods: Vec<EventMethod>,
    /// The media types that are taken, as `application/json` or `text/*`: at most 32. By itself, and where there are none, any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_types: Vec<MediaRange>,
    /// The addresses that may send, and ranges of them: at most 256. By itself, and where there are none, any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_addresses: Vec<AddressRange>,
    /// That requests may be CloudEvents 1.0. By itself they are what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudevents: Option<FromCloudEventsSpec>,
    /// Where the event type is read from. By itself: the scheme's own place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<EventTypeRule>,
    /// What makes an event unique. By itself: the scheme's own header, for a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedup: Option<DedupSpec>,
    /// The largest body taken, in bytes: 1 to the host's own bound. By itself: the host's bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes_max: Option<u64>,
    /// How many requests each second may come: 1 to 100,000. By itself as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
    /// How many of them at once: 1 to 1,000,000. By itself `rate_per_s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Whether requests are refused for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

fn is_post(methods: &[EventMethod]) -> bool {
    methods == [EventMethod::Post]
}

impl SourceSpec {
    /// What verifies.
    pub(super) fn secrets_mut(&mut self) -> Vec<(String, &mut String)> {
        let Some(verify) = &mut self.verify else { return Vec::new() };
        let (secrets, token) = verify.secrets_mut();
        let mut all = numbered("/verify/secrets", secrets);
        all.extend(token.map(|token| ("/verify/verify_token".to_owned(), token)));
        all
    }
}

impl SourceSpec {
    /// What every tenant has as its source `api` where it does not make one of that name.
    #[must_use]
    pub fn published() -> Self {
        Self {
            verify: None,
            publish: Some(PublishSpec {}),
            schedule: None,
            methods: EventMethod::post(),
            content_types: Vec::new(),
            allow_addresses: Vec::new(),
            cloudevents: None,
            event_type: None,
            dedup: None,
            body_bytes_max: None,
            rate_per_s: None,
            burst: None,
            disabled: false,
        }
    }

    /// Whether a source may be put that is called so, on a host with this bound. Of one that is there nobody asks: a host has to start with what
    /// it has.
    ///
    /// # Errors
    /// Where the name is for something else, or a field would change nothing.
    pub fn check_put(&self, name: &str, body_bytes_max: u64) -> Result<(), Invalid> {
        if let Some(own) = self.body_bytes_max.filter(|own| *own > body_bytes_max) {
            let message = format!("{own} is more than the host takes at all: ingest.body_bytes_max = {body_bytes_max}");
            return Err(Invalid::new("/body_bytes_max", message));
        }
        self.verify.as_ref().map_or(Ok(()), VerifySpec::check_put)?;
        if name != PUBLISHED_SOURCE || self.publish.is_some() {
            return Ok(());
        }
        let message = format!(
            "`{PUBLISHED_SOURCE}` is the source that the application publishes to, in every tenant: it can have `publish` alone; name this one \
             otherwise"
        );
        Err(Invalid::new("", message))
    }
}

impl SourceSpec {
    /// What says something of requests alone, by its place, and whether it is there.
    pub(super) fn of_requests(&self) -> [(&'static str, bool); 6] {
        [
            ("/methods", !is_post(&self.methods)),
            ("/content_types", !self.content_types.is_empty()),
            ("/allow_addresses", !self.allow_addresses.is_empty()),
            ("/rate_per_s", self.rate_per_s.is_some()),
            ("/burst", self.burst.is_some()),
            ("/cloudevents", self.cloudevents.is_some()),
        ]
    }
}

/// That an application makes a source's events. There is nothing to say of it yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishSpec {}

/// Where an event type is read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventTypeRule {
    /// This request header.
    Header(String),
    /// The string or whole number at this JSON pointer (RFC 6901) of the body.
    Pointer(String),
    /// Always this.
    Constant(String),
}

impl fmt::Display for EventTypeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Pointer(pointer) => write!(f, "the text at `{pointer}` of the body"),
            Self::Constant(text) => write!(f, "always `{text}`"),
        }
    }
}

/// What makes an event unique at its source: at most one of `header`, `pointer` and `body`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DedupSpec {
    /// The request header that holds the key. A request without it is taken as new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The JSON pointer (RFC 6901) of the string or whole number in the body that is the key. A body without it is taken as new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Whether the whole body is the key: two requests with the same bytes are the same event.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub body: bool,
    /// How long a key is remembered, in seconds: 0 (not at all) to 604,800 (7 days). By itself 86,400 (a day).
    #[serde(default = "default_window_s")]
    pub window_s: u64,
}

impl DedupSpec {
    /// Whether it says what the key is, and not only for how long.
    pub(super) const fn says_what(&self) -> bool {
        self.header.is_some() || self.pointer.is_some() || self.body
    }
}

pub(super) const fn default_window_s() -> u64 {
    86_400
}
