//! An application publishes its own events: one, or many in one request. What each says is read here; `crate::ingest` takes it.

use super::Api;
use super::body::{Path, parse_json};
use super::resources::{name, not_found, tenant_id};
use crate::ingest::{EVENTS_PER_BATCH_MAX, FirstOf, Item, Way, acknowledgement, result};
use crate::model::{Header, SourceName, TenantName, is_credential};
use crate::problem::Problem;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// The longest event type, in bytes.
const EVENT_TYPE_BYTES_MAX: usize = 128;
/// The longest content type, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 1024;
/// The longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// How many headers an event may have, and how many bytes in all, names and values.
const HEADERS_MAX: usize = 64;
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// What a payload in JSON is, and one in base64, where the event does not say.
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// An event as an application publishes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    event_type: String,
    /// Any JSON, kept as it is written.
    #[serde(default, deserialize_with = "written")]
    payload: Option<Box<RawValue>>,
    payload_base64: Option<String>,
    content_type: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    idempotency_key: Option<String>,
    source: Option<SourceName>,
}

/// Many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// Read one by one: what is wrong with one hinders no other.
    events: FirstOf<Box<RawValue>>,
}

/// A payload that is `null` is one.
fn written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// `POST …/events`: 202 with the event's id, when it is durable.
pub(super) async fn publish(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let began = Instant::now();
    let tenant = known(&api, &tenant)?;
    let (parts, body) = request.into_parts();
    check_coding(&parts.headers)?;
    let (entry, body) = api.parts().ingest.let_in(body).await?;
    let envelope: Envelope = parse_json(&body)?;
    let of_header = header_key(&parts.headers)?;
    if of_header.is_some() && envelope.idempotency_key.is_some() {
        return Err(invalid("/idempotency_key", "stands in the header `Idempotency-Key`, too: say it once"));
    }
    let key_in_body = of_header.is_none();
    let item = envelope.resolve(&api, &tenant, of_header)?;
    let mut taken = api.parts().ingest.publish(entry, began, vec![Ok(item)]).await?;
    let taken = taken.pop().unwrap_or_else(|| Err(Problem::internal()));
    // What points at the key points into the body.
    let taken = taken.map_err(|problem| match problem.code {
        "idempotency_key_reused" if !key_in_body => Problem { pointer: None, ..problem },
        _ => problem,
    })?;
    Ok((StatusCode::ACCEPTED, Json(acknowledgement(taken))).into_response())
}

/// `POST …/events/batch`: 202 where all were taken, 207 otherwise; either way it says what became of each, as they stand in the list.
pub(super) async fn publish_many(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let began = Instant::now();
    let tenant = known(&api, &tenant)?;
    let (parts, body) = request.into_parts();
    check_coding(&parts.headers)?;
    if parts.headers.contains_key(IDEMPOTENCY_KEY) {
        let detail = "a batch has no `Idempotency-Key`: give each event its own `idempotency_key`";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "header_invalid", detail));
    }
    let (entry, body) = api.parts().ingest.let_in(body).await?;
    let Batch { events: FirstOf { first: events, count } } = parse_json(&body)?;
    if !(1..=EVENTS_PER_BATCH_MAX).contains(&count) {
        let detail = format!("has {count} events; it is 1 to {EVENTS_PER_BATCH_MAX}");
        return Err(invalid("/events", &detail));
    }
    let given = events.iter().map(|event| {
        let envelope: Envelope = parse_json(event.get().as_bytes())?;
        envelope.resolve(&api, &tenant, None)
    });
    let given = given.collect();
    let taken = api.parts().ingest.publish(entry, began, given).await?;
    let all = taken.iter().all(Result::is_ok);
    let results: Vec<Value> =
        taken.into_iter().enumerate().map(|(place, taken)| result("/events", place, taken)).collect();
    let status = if all { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    Ok((status, Json(json!({ "results": results }))).into_response())
}

/// What is published comes as it is.
fn check_coding(headers: &HeaderMap) -> Result<(), Problem> {
    let coded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .find(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let Some(coding) = coded else { return Ok(()) };
    let coding: String = String::from_utf8_lossy(coding.as_bytes()).chars().take(40).collect();
    let detail =
        format!("the body has the `Content-Encoding` `{coding}`: what is published is sent without one, uncompressed");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_encoding_refused", detail)
        .header(header::ACCEPT_ENCODING, "identity"))
}

/// A tenant that is there.
fn known(api: &Api, tenant: &str) -> Result<TenantName, Problem> {
    let tenant: TenantName = name(tenant)?;
    match api.parts().configuration.snapshot().tenant(&tenant) {
        Some(_) => Ok(tenant),
        None => Err(not_found(&tenant_id(&tenant))),
    }
}

impl Envelope {
    /// What is to become an event, and where it comes in.
    fn resolve(self, api: &Api, tenant: &TenantName, of_header: Option<String>) -> Result<(Way, Item), Problem> {
        let Self { event_type, payload, payload_base64, content_type, headers, idempotency_key, source } = self;
        let way = api.parts().ingest.to_publish(tenant, source)?;
        let (body, by_itself) = body_of(payload, payload_base64)?;
        let content_type = content_type.unwrap_or_else(|| by_itself.to_owned());
        check_type("/event_type", &event_type, EVENT_TYPE_BYTES_MAX, "")?;
        check_type("/content_type", &content_type, CONTENT_TYPE_BYTES_MAX, " ")?;
        let headers = headers_of(headers)?;
        let key = idempotency_key.map(|key| checked_key(key).map_err(|detail| invalid("/idempotency_key", &detail)));
        let dedup_key = of_header.or(key.transpose()?).filter(|_| way.source.dedup_window_s > 0);
        Ok((way, Item { event_type, content_type, headers, body, dedup_key }))
    }
}

/// The payload's bytes, and their media type where the event does not say.
fn body_of(json: Option<Box<RawValue>>, base64: Option<String>) -> Result<(Bytes, &'static str), Problem> {
    match (json, base64) {
        (Some(json), None) => Ok((Bytes::from(String::from(Box::<str>::from(json))), JSON)),
        (None, Some(text)) => match STANDARD.decode(&text) {
            Ok(bytes) => Ok((bytes.into(), BYTES)),
            Err(error) => Err(invalid("/payload_base64", &format!("is no base64: {error}"))),
        },
        (Some(_), Some(_)) => Err(invalid("/payload_base64", "stands beside `payload`: one of them is the payload")),
        (None, None) => Err(invalid("", "needs a `payload`, which is any JSON, or `payload_base64`")),
    }
}

fn check_type(pointer: &str, text: &str, bytes_max: usize, also: &str) -> Result<(), Problem> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() || also.as_bytes().contains(&byte));
    if !text.is_empty() && text.len() <= bytes_max && visible {
        return Ok(());
    }
    let name = pointer.trim_start_matches('/');
    Err(invalid(pointer, &format!("`{name}` has to be 1 to {bytes_max} bytes of visible ASCII")))
}

fn headers_of(given: BTreeMap<String, String>) -> Result<Vec<Header>, Problem> {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > HEADERS_MAX || bytes > HEADERS_BYTES_MAX {
        let detail = format!(
            "has {} headers with {bytes} bytes; at most {HEADERS_MAX} with {HEADERS_BYTES_MAX} are allowed",
            given.len()
        );
        return Err(invalid("/headers", &detail));
    }
    let headers = given.into_iter().map(|(given, value)| {
        let pointer = || format!("/headers/{}", given.replace('~', "~0").replace('/', "~1"));
        let name = given.parse::<HeaderName>().map_err(|_| invalid(&pointer(), "is not a header name"))?;
        if is_credential(name.as_str()) {
            return Err(invalid(&pointer(), "is a credential by its name: no event keeps one"));
        }
        if value.chars().any(char::is_control) {
            return Err(invalid(&pointer(), "has a control character"));
        }
        Ok(Header { name: name.as_str().to_owned(), value })
    });
    headers.collect()
}

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The key of `Idempotency-Key`: a string in quotes, as its draft has it, or what most send, the same without them.
fn header_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let wrong =
        |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "header_invalid", format!("`Idempotency-Key` {detail}"));
    let text = value.to_str().map_err(|_| wrong("has other characters than visible ASCII"))?;
    let quoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.map_or_else(|| text.to_owned(), |quoted| quoted.replace("\\\"", "\"").replace("\\\\", "\\"));
    checked_key(key).map(Some).map_err(|detail| wrong(&detail))
}

fn checked_key(key: String) -> Result<String, String> {
    if (1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(key);
    }
    Err(format!("has {} bytes; it is 1 to {KEY_BYTES_MAX}", key.len()))
}

fn invalid(pointer: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "body_invalid", format!("the body: {detail}")).at(pointer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_quotes_is_the_same_without_them() {
        let key = |text: &'static str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(IDEMPOTENCY_KEY), text.parse().unwrap())]);
            header_key(&headers).map_err(|problem| problem.code)
        };
        for (given, expected) in [("a", "a"), ("\"a\"", "a"), (r#""a\"\\b""#, r#"a"\b"#), ("\"", "\"")] {
            assert_eq!(key(given), Ok(Some(expected.to_owned())), "{given}");
        }
        assert_eq!((key(""), key("\"\"")), (Err("header_invalid"), Err("header_invalid")));
        assert_eq!(header_key(&HeaderMap::new()), Ok(None));
    }
}
