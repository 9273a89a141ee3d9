//! An endpoint, ready for use: every bound is checked, secrets are opened, and each header has one origin.

use super::resolve::PATTERNS_MAX;
use super::resolve::{SECRETS_MAX, at_most, check_labels, escaped, header_name, name_of, standard_keys};
use super::resource::within;
use super::spec::is_secret_header;
use super::{
    Asking, Auth, CloudEventsSpec, EndpointSpec, EventTypePattern, HeaderSignature, Invalid, MasterKey, OrderingSpec,
    ResourceId, SecretSpec, TargetUrl, Tls, UrlVariable, signatures,
};
use crate::model::{EndpointName, Header, is_header_of_the_host};
use crate::retry::Schedule;
use crate::signing::SigningKey;
use http::{HeaderName, HeaderValue, Method};
use std::collections::BTreeMap;
use std::sync::Arc;

const HEADERS_MAX: usize = 32;
const HEADER_BYTES_MAX: usize = 16 << 10;
const HEADERS_BYTES_MAX: usize = 64 << 10;
const CONTENT_TYPE_BYTES_MAX: usize = 256;
const RATE_PER_S_MAX: u32 = 10_000;
const HOLD_AFTER_MAX: u64 = 100;
const DISABLE_AFTER_S_MAX: u64 = 30 * 24 * 60 * 60;

/// A way out, ready for use.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: EndpointName,
    /// Where deliveries go.
    pub url: TargetUrl,
    /// `POST`, `PUT` or `PATCH`.
    pub method: Method,
    /// The media type that every delivery says, where it is not the message's own.
    pub content_type: Option<HeaderValue>,
    /// Whether deliveries are CloudEvents, and how.
    pub cloudevents: Option<CloudEventsSpec>,
    /// What its receiver is asked before it gets anything; none where it is asked nothing.
    pub asking: Option<Asking>,
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
    /// How long connecting may take, where that is less than the host's own bound.
    pub connect_timeout_ms: Option<u64>,
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
        if let Some(ms) = spec.connect_timeout_ms {
            within("/connect_timeout_ms", ms, 100, spec.timeout_ms)?;
        }
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
        check_headers(&headers, &signatures, auth.as_ref(), spec.cloudevents.is_some())?;
        spec.cloudevents.as_ref().map_or(Ok(()), CloudEventsSpec::check)?;
        if spec.tls.is_some() && !url.is_https() {
            return Err(Invalid::new("/tls", "is of no use: the endpoint's URL begins with `http://`"));
        }
        let tls = spec.tls.as_ref().map(|tls| Tls::resolve(id, tls, key).map(Arc::new)).transpose()?;
        let asking = Asking::resolve(spec, &url)?;
        Ok(Self {
            name: name_of(id)?,
            url,
            method,
            content_type: spec.content_type.as_deref().map(content_type).transpose()?,
            cloudevents: spec.cloudevents.clone(),
            asking,
            headers,
            signatures,
            auth,
            tls,
            keys: endpoint_keys(id, spec.secrets.as_deref().unwrap_or_default(), key)?,
            event_types: spec.event_types.clone(),
            labels: spec.labels.clone(),
            retry,
            timeout_ms: spec.timeout_ms,
            connect_timeout_ms: spec.connect_timeout_ms,
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

    /// Whether a request to it says which source its event came in by.
    #[must_use]
    pub fn says_source(&self) -> bool {
        let is_attribute = self.cloudevents.as_ref().is_some_and(|cloudevents| cloudevents.source.is_none());
        is_attribute || self.url.has(UrlVariable::Source)
    }

    /// Whether it has all these labels.
    pub fn has_labels<'a>(&self, wanted: impl IntoIterator<Item = (&'a String, &'a String)>) -> bool {
        wanted.into_iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }
}

/// Whether each header is set by one field only.
fn check_headers(
    headers: &[Header],
    signatures: &[HeaderSignature],
    auth: Option<&Auth>,
    are_cloudevents: bool,
) -> Result<(), Invalid> {
    let set = headers.iter().map(|header| header.name.as_str());
    let mut set = set
        .chain(signatures.iter().map(|signature| signature.header.as_str()))
        .chain(auth.map(|auth| auth.header().as_str()));
    if let Some(name) = set.find(|name| are_cloudevents && name.starts_with("ce-")) {
        let message = format!(
            "sets what begins with `ce-`, as `{name}` does, which stands elsewhere in the endpoint too: leave one of them out"
        );
        return Err(Invalid::new("/cloudevents", message));
    }
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
            .map_err(|_| Invalid::new(&pointer, "is not a header value: visible ASCII only"))?;
        if value.len() > HEADER_BYTES_MAX {
            let message = format!("has {} bytes; a header's value has at most {HEADER_BYTES_MAX}", value.len());
            return Err(Invalid::new(pointer, message));
        }
        Ok(Header { name, value })
    });
    let checked = checked.collect::<Result<Vec<Header>, Invalid>>()?;
    let bytes: usize = checked.iter().map(|header| header.name.len() + header.value.len()).sum();
    if bytes > HEADERS_BYTES_MAX {
        let message = format!("take {bytes} bytes, names and values; at most {HEADERS_BYTES_MAX} are allowed");
        return Err(Invalid::new("/headers", message));
    }
    Ok(checked)
}

fn content_type(text: &str) -> Result<HeaderValue, Invalid> {
    let is_media_type = text.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty());
    let value = HeaderValue::from_str(text).ok().filter(|_| is_media_type && text.len() <= CONTENT_TYPE_BYTES_MAX);
    let wrong = || {
        let message = format!(
            "is no media type, such as `application/json`, of at most {CONTENT_TYPE_BYTES_MAX} bytes of visible ASCII"
        );
        Invalid::new("/content_type", message)
    };
    value.ok_or_else(wrong)
}
