//! From a source as people write it to the one that the road uses, and what checking any resource needs: every bound is checked, and each
//! error points at its place.

use super::pattern::EVENT_TYPE_BYTES_MAX;
use super::resource::within;
use super::snapshot::Invalid;
use super::{DedupSpec, EventTypeRule, MasterKey, ResourceId, SourceSpec, VerifySpec};
use crate::signing::{InvalidKey, VerifyingKey};
use http::HeaderName;
use std::collections::BTreeMap;
use std::str::FromStr;

/// The most secrets in one place.
pub const SECRETS_MAX: usize = 10;
const LABELS_MAX: usize = 32;
const LABEL_BYTES_MAX: usize = 128;
pub(super) const PATTERNS_MAX: usize = 100;
const DEDUP_WINDOW_S_MAX: u64 = 604_800;

/// A way in, ready for use.
#[derive(Debug)]
pub struct Source {
    /// How requests prove where they come from.
    pub verify: Verify,
    /// Where the event type is read from.
    pub event_type: EventTypeRule,
    /// The header that holds the dedup key.
    pub dedup_header: Option<HeaderName>,
    /// How long a dedup key is remembered; 0 for not at all.
    pub dedup_window_s: u64,
    /// The largest body, where the source sets a bound.
    pub body_bytes_max: Option<u64>,
    /// Whether requests are refused for now.
    pub disabled: bool,
}

/// How requests prove where they come from.
#[derive(Debug)]
pub enum Verify {
    /// Not at all.
    None,
    /// As GitHub signs: any of these secrets.
    Github(Vec<String>),
    /// As Standard Webhooks says.
    StandardWebhooks {
        /// Any of these.
        keys: Vec<VerifyingKey>,
        /// How far the time stamp may be from now.
        tolerance_s: u64,
    },
}

impl Source {
    pub(super) fn resolve(id: &ResourceId, spec: &SourceSpec, key: &MasterKey) -> Result<Self, Invalid> {
        let (verify, type_header, dedup_header) = match &spec.verify {
            VerifySpec::None {} => (Verify::None, "x-event-type", "idempotency-key"),
            VerifySpec::Github { secrets } => {
                let secrets = open_all(id, secrets, "/verify/secrets", key)?;
                (Verify::Github(secrets), "x-github-event", "x-github-delivery")
            }
            VerifySpec::StandardWebhooks { secrets, tolerance_s } => {
                let keys = standard_keys(id, secrets, "/verify/secrets", key)?;
                within("/verify/tolerance_s", *tolerance_s, 1, 86_400)?;
                (Verify::StandardWebhooks { keys, tolerance_s: *tolerance_s }, "", "webhook-id")
            }
        };
        if !matches!(verify, Verify::None) {
            let secrets = spec_secrets(&spec.verify);
            if secrets == 0 || secrets > SECRETS_MAX {
                return Err(Invalid::new(
                    "/verify/secrets",
                    format!("needs 1 to {SECRETS_MAX} secrets, not {secrets}"),
                ));
            }
        }
        let event_type = match &spec.event_type {
            Some(rule) => checked_rule(rule)?,
            None if type_header.is_empty() => EventTypeRule::Pointer("/type".to_owned()),
            None => EventTypeRule::Header(type_header.to_owned()),
        };
        let dedup = spec.dedup.clone().unwrap_or(DedupSpec { header: None, window_s: super::spec::default_window_s() });
        within("/dedup/window_s", dedup.window_s, 0, DEDUP_WINDOW_S_MAX)?;
        if let Some(bytes) = spec.body_bytes_max {
            within("/body_bytes_max", bytes, 1, u64::MAX)?;
        }
        let dedup_header = dedup.header.as_deref().unwrap_or(dedup_header);
        Ok(Self {
            verify,
            event_type,
            dedup_header: Some(header_name("/dedup/header", dedup_header)?),
            dedup_window_s: dedup.window_s,
            body_bytes_max: spec.body_bytes_max,
            disabled: spec.disabled,
        })
    }
}

fn spec_secrets(verify: &VerifySpec) -> usize {
    match verify {
        VerifySpec::None {} => 0,
        VerifySpec::Github { secrets } | VerifySpec::StandardWebhooks { secrets, .. } => secrets.len(),
    }
}

fn checked_rule(rule: &EventTypeRule) -> Result<EventTypeRule, Invalid> {
    match rule {
        EventTypeRule::Header(name) => {
            Ok(EventTypeRule::Header(header_name("/event_type/header", name)?.as_str().to_owned()))
        }
        EventTypeRule::Pointer(pointer) if !pointer.starts_with('/') => {
            Err(Invalid::new("/event_type/pointer", "is not a JSON pointer: begin it with `/`"))
        }
        EventTypeRule::Constant(text)
            if text.len() > EVENT_TYPE_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            let message =
                format!("is longer than {EVENT_TYPE_BYTES_MAX} bytes or has other characters than visible ASCII");
            Err(Invalid::new("/event_type/constant", message))
        }
        rule => Ok(rule.clone()),
    }
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

pub(super) fn check_labels(pointer: &str, labels: &BTreeMap<String, String>) -> Result<(), Invalid> {
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
