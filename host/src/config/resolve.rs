//! From a source as people write it to the one that the road uses, and what checking any resource needs: every bound is checked, and each
//! error points at its place.

use super::pattern::EVENT_TYPE_BYTES_MAX;
use super::resource::within;
use super::snapshot::Invalid;
use super::source::default_window_s;
use super::{
    DedupRule, DedupSpec, EventTypeRule, FromCloudEvents, Intake, MasterKey, Rate, ResourceId, Schedule, ScheduleSpec,
    SourceSpec, Verify, VerifySpec,
};
use crate::signing::{InvalidKey, SharedSecret};
use http::HeaderName;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// The most secrets in one place.
pub const SECRETS_MAX: usize = 10;
const LABELS_MAX: usize = 32;
const LABEL_BYTES_MAX: usize = 128;
pub(super) const PATTERNS_MAX: usize = 100;
const DEDUP_WINDOW_S_MAX: u64 = 604_800;

/// Who makes the events of a source.
#[derive(Clone, Debug)]
pub enum Maker {
    /// Requests to `/in/{tenant}/{source}`.
    Requests,
    /// The application, by the admin interface.
    Application,
    /// The clock.
    Clock(Arc<Schedule>),
}

/// What a source's requests may ask in place of being events.
#[derive(Debug)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// Slack's `url_verification`.
    Slack,
    /// Meta's `hub.challenge`, for whoever holds this.
    Meta(SharedSecret),
    /// Discord's PINGs.
    Discord,
    /// Zoom's `endpoint.url_validation`.
    Zoom,
}

impl Asks {
    fn resolve(id: &ResourceId, from: &VerifySpec, key: &MasterKey) -> Result<Self, Invalid> {
        Ok(match from {
            VerifySpec::Slack { .. } => Self::Slack,
            VerifySpec::Discord { .. } => Self::Discord,
            VerifySpec::Zoom { .. } => Self::Zoom,
            VerifySpec::Meta { verify_token, .. } => {
                let wrong = |message: String| Invalid::new("/verify/verify_token", message);
                let token = key.open(&id.to_string(), verify_token).map_err(|error| wrong(error.to_string()))?;
                if token.is_empty() {
                    return Err(wrong("is empty".to_owned()));
                }
                Self::Meta(SharedSecret::in_query("hub.verify_token".to_owned(), vec![token]))
            }
            _ => Self::Nothing,
        })
    }
}

/// A way in, ready for use.
#[derive(Debug)]
pub struct Source {
    /// Who makes its events. What is said below of requests holds where these do.
    pub maker: Maker,
    /// Which requests are looked at.
    pub intake: Intake,
    /// How requests prove where they come from.
    pub verify: Verify,
    /// What its requests may ask.
    pub asks: Asks,
    /// How CloudEvents are read, where the source has them.
    pub cloudevents: Option<FromCloudEvents>,
    /// Where the event type is read from.
    pub event_type: EventTypeRule,
    /// Where the dedup key is read from.
    pub dedup: DedupRule,
    /// How long a dedup key is remembered; 0 for not at all.
    pub dedup_window_s: u64,
    /// The largest body, where the source sets a bound.
    pub body_bytes_max: Option<u64>,
    /// How fast requests may come, where the source bounds it.
    pub rate: Option<Rate>,
    /// Whether requests are refused for now.
    pub disabled: bool,
}

impl Source {
    pub(super) fn resolve(id: &ResourceId, spec: &SourceSpec, key: &MasterKey) -> Result<Self, Invalid> {
        let mut source = match (&spec.verify, &spec.publish, &spec.schedule) {
            (Some(verify), None, None) => Self::of_requests(id, spec, verify, key)?,
            (None, Some(_), None) => Self::published(spec)?,
            (None, None, Some(schedule)) => Self::scheduled(spec, schedule)?,
            _ => {
                let message = "says who makes its events by one of three: `verify`, how requests prove where they come from, \
                               `publish`, which is `{}`: your application does, or `schedule`: the clock does";
                return Err(Invalid::new("", message));
            }
        };
        within("/dedup/window_s", source.dedup_window_s, 0, DEDUP_WINDOW_S_MAX)?;
        if let Some(bytes) = spec.body_bytes_max {
            within("/body_bytes_max", bytes, 1, u64::MAX)?;
        }
        source.intake = Intake::resolve(spec)?;
        source.rate = match (spec.rate_per_s, spec.burst) {
            (None, Some(_)) => return Err(Invalid::new("/burst", "is of no use without `rate_per_s`")),
            (per_s, burst) => per_s.map(|per_s| Rate::new(("/rate_per_s", per_s), ("/burst", burst))).transpose()?,
        };
        (source.body_bytes_max, source.disabled) = (spec.body_bytes_max, spec.disabled);
        Ok(source)
    }

    fn of_requests(id: &ResourceId, spec: &SourceSpec, from: &VerifySpec, key: &MasterKey) -> Result<Self, Invalid> {
        let (dedup, dedup_window_s) = match &spec.dedup {
            Some(dedup) => (dedup_rule(dedup, from)?, dedup.window_s),
            None => (from.dedup(), default_window_s()),
        };
        let has_key = spec.dedup.as_ref().is_some_and(DedupSpec::says_what);
        let cloudevents = spec.cloudevents.as_ref();
        let cloudevents = cloudevents.map(|it| FromCloudEvents::resolve(it, from, spec.event_type.is_none(), !has_key));
        Ok(Self {
            maker: Maker::Requests,
            intake: Intake::default(),
            verify: Verify::resolve(id, from, key)?,
            asks: Asks::resolve(id, from, key)?,
            cloudevents: cloudevents.transpose()?,
            event_type: spec.event_type.as_ref().map_or_else(|| Ok(from.event_type()), checked_rule)?,
            dedup,
            dedup_window_s,
            body_bytes_max: None,
            rate: None,
            disabled: false,
        })
    }

    /// One whose events say themselves what type they are and what makes them unique.
    fn published(spec: &SourceSpec) -> Result<Self, Invalid> {
        let of_no_use = "is of no use to a source that is published to: each event says this itself";
        if spec.event_type.is_some() {
            return Err(Invalid::new("/event_type", of_no_use));
        }
        for (pointer, is_there) in spec.of_requests() {
            if is_there {
                return Err(Invalid::new(
                    pointer,
                    "is of no use to a source that is published to: no request comes to it",
                ));
            }
        }
        let dedup = spec.dedup.as_ref();
        if dedup.is_some_and(DedupSpec::says_what) {
            return Err(Invalid::new("/dedup", format!("{of_no_use}; `window_s` alone can be said")));
        }
        let dedup_window_s = dedup.map_or_else(default_window_s, |dedup| dedup.window_s);
        Ok(Self { dedup_window_s, ..Self::of_the_application() })
    }

    /// One whose events the clock makes.
    fn scheduled(spec: &SourceSpec, schedule: &ScheduleSpec) -> Result<Self, Invalid> {
        let said = [
            ("/event_type", spec.event_type.is_some()),
            ("/dedup", spec.dedup.is_some()),
            ("/body_bytes_max", spec.body_bytes_max.is_some()),
        ];
        for (pointer, is_there) in said.into_iter().chain(spec.of_requests()) {
            if is_there {
                return Err(Invalid::new(pointer, "is of no use to a source with a schedule: nothing comes to it"));
            }
        }
        let schedule = Schedule::resolve(schedule, spec.disabled)?;
        Ok(Self { maker: Maker::Clock(Arc::new(schedule)), ..Self::of_the_application() })
    }

    /// What every tenant has as its source [`crate::model::PUBLISHED_SOURCE`], where it does not make one of that name.
    #[must_use]
    pub fn of_the_application() -> Self {
        Self {
            maker: Maker::Application,
            intake: Intake::default(),
            verify: Verify::None,
            asks: Asks::Nothing,
            cloudevents: None,
            event_type: EventTypeRule::Constant(String::new()),
            dedup: DedupRule::Body,
            dedup_window_s: default_window_s(),
            body_bytes_max: None,
            rate: None,
            disabled: false,
        }
    }
}

impl Source {
    /// The methods of its requests, also of those that only ask, as the header `Allow` has them.
    #[must_use]
    pub fn allow(&self) -> String {
        let get = matches!(self.asks, Asks::Meta(_)).then_some(", GET");
        let options = self.cloudevents.as_ref().is_some_and(FromCloudEvents::answers).then_some(", OPTIONS");
        [self.intake.allow().as_str(), get.unwrap_or_default(), options.unwrap_or_default()].concat()
    }
}

fn dedup_rule(spec: &DedupSpec, verify: &VerifySpec) -> Result<DedupRule, Invalid> {
    match (&spec.header, &spec.pointer, spec.body) {
        (None, None, false) => Ok(verify.dedup()),
        (Some(header), None, false) => header_name("/dedup/header", header).map(DedupRule::Header),
        (None, Some(pointer), false) => json_pointer("/dedup/pointer", pointer).map(DedupRule::Pointer),
        (None, None, true) => Ok(DedupRule::Body),
        _ => {
            Err(Invalid::new("/dedup", "has more than one of `header`, `pointer` and `body`: one says what the key is"))
        }
    }
}

fn json_pointer(place: &str, pointer: &str) -> Result<String, Invalid> {
    if pointer.starts_with('/') {
        return Ok(pointer.to_owned());
    }
    Err(Invalid::new(place, "is not a JSON pointer: begin it with `/`"))
}

fn checked_rule(rule: &EventTypeRule) -> Result<EventTypeRule, Invalid> {
    match rule {
        EventTypeRule::Header(name) => {
            Ok(EventTypeRule::Header(header_name("/event_type/header", name)?.as_str().to_owned()))
        }
        EventTypeRule::Pointer(pointer) => json_pointer("/event_type/pointer", pointer).map(EventTypeRule::Pointer),
        EventTypeRule::Constant(text) => {
            check_event_type("/event_type/constant", text)?;
            Ok(rule.clone())
        }
    }
}

pub(super) fn check_event_type(pointer: &str, text: &str) -> Result<(), Invalid> {
    if text.len() <= EVENT_TYPE_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let message = format!("is longer than {EVENT_TYPE_BYTES_MAX} bytes or has other characters than visible ASCII");
    Err(Invalid::new(pointer, message))
}

/// A name as a JSON pointer has it.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

pub(super) fn open_all<'a>(
    id: &ResourceId,
    sealed: impl IntoIterator<Item = &'a String>,
    pointer: &str,
    key: &MasterKey,
) -> Result<Vec<String>, Invalid> {
    let place = id.to_string();
    let opened = sealed.into_iter().enumerate().map(|(index, text)| {
        let secret =
            key.open(&place, text).map_err(|error| Invalid::new(format!("{pointer}/{index}"), error.to_string()))?;
        if secret.is_empty() {
            return Err(Invalid::new(format!("{pointer}/{index}"), "is empty"));
        }
        Ok(secret)
    });
    opened.collect()
}

pub(super) fn standard_keys<'a, T: FromStr<Err = InvalidKey>>(
    id: &ResourceId,
    sealed: impl IntoIterator<Item = &'a String>,
    pointer: &str,
    key: &MasterKey,
) -> Result<Vec<T>, Invalid> {
    let texts = open_all(id, sealed, pointer, key)?;
    let parsed = texts.iter().enumerate().map(|(index, text)| {
        text.parse::<T>().map_err(|error| Invalid::new(format!("{pointer}/{index}"), error.to_string()))
    });
    parsed.collect()
}

pub(super) fn header_name(pointer: &str, name: &str) -> Result<HeaderName, Invalid> {
    name.parse().map_err(|_| Invalid::new(pointer, format!("`{name}` is not a header name")))
}

pub(super) fn at_most(pointer: &str, count: usize, most: usize) -> Result<(), Invalid> {
    if count <= most {
        return Ok(());
    }
    Err(Invalid::new(pointer, format!("has {count} entries; at most {most} are allowed")))
}

pub(crate) fn check_labels(pointer: &str, labels: &BTreeMap<String, String>) -> Result<(), Invalid> {
    at_most(pointer, labels.len(), LABELS_MAX)?;
    for (name, value) in labels {
        if name.is_empty() || name.len() > LABEL_BYTES_MAX || value.len() > LABEL_BYTES_MAX {
            let message =
                format!("a label's name has 1 to {LABEL_BYTES_MAX} bytes, its value at most {LABEL_BYTES_MAX}");
            return Err(Invalid::new(format!("{pointer}/{}", escaped(name)), message));
        }
    }
    Ok(())
}

pub(super) fn name_of<T: FromStr<Err = crate::model::InvalidName>>(id: &ResourceId) -> Result<T, Invalid> {
    id.name.parse().map_err(|error: crate::model::InvalidName| Invalid::new("", error.to_string()))
}
