//! From one resource as people write it to the one that the road uses: every bound and every reference is checked here, and each
//! error points at its place.

use super::pattern::EVENT_TYPE_BYTES_MAX;
use super::resource::within;
use super::snapshot::Invalid;
use super::spec::is_secret_header;
use super::{
    Auth, DedupSpec, EndpointSpec, EventTypePattern, EventTypeRule, HeaderSignature, MasterKey, OrderingSpec,
    ResourceId, SecretSpec, SourceSpec, TargetUrl, Tls, VerifySpec, signatures,
};
use crate::model::{EndpointName, Header, is_header_of_the_host};
use crate::retry::Schedule;
use crate::signing::{InvalidKey, SigningKey, VerifyingKey};
use http::{HeaderName, HeaderValue, Method};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// The most secrets in one place.
pub const SECRETS_MAX: usize = 10;
const HEADERS_MAX: usize = 32;
const LABELS_MAX: usize = 32;
const LABEL_BYTES_MAX: usize = 128;
pub(super) const PATTERNS_MAX: usize = 100;
const DEDUP_WINDOW_S_MAX: u64 = 604_800;
const RATE_PER_S_MAX: u32 = 10_000;
const HOLD_AFTER_MAX: u64 = 100;
const DISABLE_AFTER_S_MAX: u64 = 30 * 24 * 60 * 60;

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

/// A way out, ready for use.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: EndpointName,
    /// Where deliveries go.
    pub url: TargetUrl,
    /// `POST`, `PUT` or `PATCH`.
    pub method: Method,
    /// Sent with every delivery.
    pub headers: Vec<Header>,
    /// Each signs while it is its time; none means unsigned. In the order of its secrets.
    pub keys: Vec<EndpointKey>,
    /// Signatures in other headers.
    pub signatures: Vec<HeaderSignature>,
    /// What proves the host to the receiver.
    pub auth: Option<Auth>,
    /// TLS of its own.
    pub tls: Option<Arc<Tls>>,
    /// What it subscribes to.
    pub event_types: Vec<EventTypePattern>,
    /// What routes select by.
    pub labels: BTreeMap<String, String>,
    /// When to try again.
    pub retry: Schedule,
    /// How long one attempt may take.
    pub timeout_ms: u64,
    /// How long an answer may take to begin, where that is less.
    pub first_byte_timeout_ms: Option<u64>,
    /// How many attempts may begin each second; none for no limit.
    pub rate_per_s: Option<u32>,
    /// How many attempts may be under way at once.
    pub concurrency_max: u32,
    /// Whether deliveries with the same ordering key go one after the other.
    pub in_order: bool,
    /// After how many failing deliveries in a row it is held; 0 for never.
    pub hold_after: usize,
    /// After how long of nothing but failure it is disabled, in milliseconds; 0 for never.
    pub disable_after_ms: u64,
    /// Whether deliveries wait for now.
    pub disabled: bool,
}

/// A key that signs for an endpoint.
#[derive(Debug)]
pub struct EndpointKey {
    /// The key.
    pub key: SigningKey,
    /// When it stops to sign, in milliseconds since 1970-01-01T00:00:00Z.
    pub until_ms: Option<u64>,
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

impl Endpoint {
    pub(super) fn resolve(id: &ResourceId, spec: &EndpointSpec, key: &MasterKey) -> Result<Self, Invalid> {
        let url = TargetUrl::parse(&spec.url)?;
        let method = match spec.method.as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            other => return Err(Invalid::new("/method", format!("`{other}` is not one of POST, PUT, PATCH"))),
        };
        at_most("/event_types", spec.event_types.len(), PATTERNS_MAX)?;
        check_labels("/labels", &spec.labels)?;
        within("/timeout_ms", spec.timeout_ms, 100, 120_000)?;
        if let Some(ms) = spec.first_byte_timeout_ms {
            within("/first_byte_timeout_ms", ms, 100, spec.timeout_ms)?;
        }
        if let Some(rate) = spec.rate_per_s {
            within("/rate_per_s", u64::from(rate), 1, u64::from(RATE_PER_S_MAX))?;
        }
        within("/hold_after", u64::from(spec.hold_after), 0, HOLD_AFTER_MAX)?;
        if spec.disable_after_s != 0 {
            within("/disable_after_s", spec.disable_after_s, 60, DISABLE_AFTER_S_MAX)?;
        }
        within("/concurrency_max", u64::from(spec.concurrency_max), 1, 1_000)?;
        let retry = match &spec.retry {
            None => Schedule::default(),
            Some(retry) => Schedule::new(retry.schedule_s.clone())
                .map_err(|error| Invalid::new("/retry/schedule_s", error.to_string()))?,
        };
        let headers = endpoint_headers(id, &spec.headers, key)?;
        let signatures = signatures::resolve(id, &spec.signatures, key)?;
        let auth = spec.auth.as_ref().map(|auth| Auth::resolve(id, auth, key)).transpose()?;
        check_headers(&headers, &signatures, auth.as_ref())?;
        if spec.tls.is_some() && !url.is_https() {
            return Err(Invalid::new("/tls", "is of no use: the endpoint's URL begins with `http://`"));
        }
        let tls = spec.tls.as_ref().map(|tls| Tls::resolve(id, tls, key).map(Arc::new)).transpose()?;
        Ok(Self {
            name: name_of(id)?,
            url,
            method,
            headers,
            signatures,
            auth,
            tls,
            keys: endpoint_keys(id, spec.secrets.as_deref().unwrap_or_default(), key)?,
            event_types: spec.event_types.clone(),
            labels: spec.labels.clone(),
            retry,
            timeout_ms: spec.timeout_ms,
            first_byte_timeout_ms: spec.first_byte_timeout_ms,
            rate_per_s: spec.rate_per_s,
            concurrency_max: spec.concurrency_max,
            in_order: spec.ordering == OrderingSpec::Key,
            hold_after: usize::try_from(spec.hold_after).unwrap_or(usize::MAX),
            disable_after_ms: spec.disable_after_s * 1000,
            disabled: spec.disabled,
        })
    }

    /// The keys that sign at this time.
    pub fn keys_at(&self, now_ms: u64) -> impl Iterator<Item = &SigningKey> {
        let valid = self.keys.iter().filter(move |one| one.until_ms.is_none_or(|until_ms| now_ms < until_ms));
        valid.map(|one| &one.key)
    }

    /// Whether it has all these labels.
    pub fn has_labels<'a>(&self, wanted: impl IntoIterator<Item = (&'a String, &'a String)>) -> bool {
        wanted.into_iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }
}

/// Whether each header is set by one field only.
fn check_headers(headers: &[Header], signatures: &[HeaderSignature], auth: Option<&Auth>) -> Result<(), Invalid> {
    let taken = |name: &HeaderName| headers.iter().any(|header| header.name == name.as_str());
    for (index, signature) in signatures.iter().enumerate() {
        if taken(&signature.header) {
            let message = format!("`{}` stands under `headers` too: leave one of them out", signature.header);
            return Err(Invalid::new(format!("/signatures/{index}"), message));
        }
    }
    match auth.map(Auth::header) {
        Some(name) if taken(name) || signatures.iter().any(|signature| signature.header == *name) => {
            let message =
                format!("sets `{name}`, which stands under `headers` or `signatures` too: leave one of them out");
            Err(Invalid::new("/auth", message))
        }
        _ => Ok(()),
    }
}

fn endpoint_keys(id: &ResourceId, secrets: &[SecretSpec], key: &MasterKey) -> Result<Vec<EndpointKey>, Invalid> {
    at_most("/secrets", secrets.len(), SECRETS_MAX)?;
    if !secrets.is_empty() && secrets.iter().all(|secret| secret.until_ms.is_some()) {
        let message =
            "each of them ends, and then deliveries would go out unsigned: leave `until_ms` out at one of them";
        return Err(Invalid::new("/secrets", message));
    }
    let keys: Vec<SigningKey> = standard_keys(id, secrets.iter().map(|spec| &spec.secret), "/secrets", key)?;
    Ok(keys.into_iter().zip(secrets).map(|(key, spec)| EndpointKey { key, until_ms: spec.until_ms }).collect())
}

fn endpoint_headers(
    id: &ResourceId,
    headers: &BTreeMap<String, String>,
    key: &MasterKey,
) -> Result<Vec<Header>, Invalid> {
    let place = id.to_string();
    at_most("/headers", headers.len(), HEADERS_MAX)?;
    let checked = headers.iter().map(|(name, value)| {
        let pointer = format!("/headers/{}", escaped(name));
        let name = header_name(&pointer, name)?.as_str().to_owned();
        if is_header_of_the_host(&name) {
            return Err(Invalid::new(pointer, "is a header that the host sets itself"));
        }
        let value = match is_secret_header(&name) {
            true => key.open(&place, value).map_err(|error| Invalid::new(&pointer, error.to_string()))?,
            false => value.clone(),
        };
        HeaderValue::from_str(&value)
            .map_err(|_| Invalid::new(pointer, "is not a header value: visible ASCII only"))?;
        Ok(Header { name, value })
    });
    checked.collect()
}

/// A name as a JSON pointer has it.
fn escaped(name: &str) -> String {
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

fn standard_keys<'a, T: FromStr<Err = InvalidKey>>(
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
