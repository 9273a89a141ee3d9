//! CloudEvents 1.0 as they come over HTTP: one in headers (binary), one in a JSON body (structured), or many (batched). Pure.
//!
//! What must hold: the attributes that the specification requires are there and usable, or the event is refused with the name of the one that
//! is not. Nothing is changed: a body is kept as it came, and so is each event of a batch.

use super::first_of::FirstOf;
use crate::config::media_type_of;
use crate::model::Digest;
use http::{HeaderMap, header};

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The media type of one event in JSON.
pub(super) const JSON: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";
const FAMILY: &str = "application/cloudevents";

const VERSION: &str = "1.0";
/// As long as any dedup key may be; a longer one is its digest.
const KEY_BYTES_MAX: usize = 256;

/// How a request says what event it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It is no CloudEvent.
    Plain,
    /// In headers.
    Binary(Attributes),
    /// In the body.
    Structured,
    /// Many in the body.
    Batched,
}

/// What an event says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) event_type: String,
}

/// Why something is no CloudEvent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCloudEvent {
    /// An attribute is missing or unusable.
    #[error("the CloudEvent's `{attribute}` {why}")]
    Attribute {
        /// Which.
        attribute: &'static str,
        /// What is wrong with it.
        why: String,
        /// Whether it stands in a body.
        in_body: bool,
    },
    /// The body is no such JSON.
    #[error("the body is no CloudEvent in JSON: {0}")]
    Json(String),
    /// A format that is not taken.
    #[error("CloudEvents come in the formats {JSON} and {BATCH}, or in headers, and not as `{0}`")]
    Format(String),
}

/// What form the request has.
pub(super) fn form_of(headers: &HeaderMap) -> Result<Form, NoCloudEvent> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type_of(content_type).to_ascii_lowercase();
    match media_type.as_str() {
        JSON => return Ok(Form::Structured),
        BATCH => return Ok(Form::Batched),
        other if other.starts_with(FAMILY) => return Err(NoCloudEvent::Format(other.chars().take(80).collect())),
        _ => {}
    }
    if !["ce-specversion", "ce-id", "ce-source", "ce-type"].iter().any(|name| headers.contains_key(*name)) {
        return Ok(Form::Plain);
    }
    let attribute = |attribute: &'static str, header: &str| match headers.get(header) {
        None => Err(missing(attribute, false)),
        Some(value) => unescaped(value.as_bytes()).ok_or_else(|| NoCloudEvent::Attribute {
            attribute,
            why: format!("in the header `{header}` is not percent-encoded UTF-8"),
            in_body: false,
        }),
    };
    check_version(&attribute("specversion", "ce-specversion")?, false)?;
    let found = Attributes {
        id: attribute("id", "ce-id")?,
        source: attribute("source", "ce-source")?,
        event_type: attribute("type", "ce-type")?,
    };
    found.checked(false).map(Form::Binary)
}

/// The attributes of an event in JSON.
pub(super) fn structured(body: &[u8]) -> Result<Attributes, NoCloudEvent> {
    /// What else it has is no matter here.
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        specversion: Option<&'a RawValue>,
        #[serde(borrow)]
        id: Option<&'a RawValue>,
        #[serde(borrow)]
        source: Option<&'a RawValue>,
        #[serde(borrow)]
        r#type: Option<&'a RawValue>,
    }
    // A list would be taken for one, item by item.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(NoCloudEvent::Json("it is no object".to_owned()));
    }
    let Envelope { specversion, id, source, r#type } =
        serde_json::from_slice(body).map_err(|error| NoCloudEvent::Json(error.to_string()))?;
    let text = |attribute: &'static str, value: Option<&RawValue>| {
        let written = value.ok_or_else(|| missing(attribute, true))?.get();
        serde_json::from_str::<String>(written).map_err(|_| NoCloudEvent::Attribute {
            attribute,
            why: "is not a string".to_owned(),
            in_body: true,
        })
    };
    check_version(&text("specversion", specversion)?, true)?;
    let found = Attributes { id: text("id", id)?, source: text("source", source)?, event_type: text("type", r#type)? };
    found.checked(true)
}

/// Reads a batch: each event as it is written.
pub(super) fn batched(body: &[u8]) -> Result<FirstOf<&RawValue>, NoCloudEvent> {
    serde_json::from_slice(body).map_err(|error| NoCloudEvent::Json(format!("a batch is a list: {error}")))
}

impl Attributes {
    fn checked(self, in_body: bool) -> Result<Self, NoCloudEvent> {
        let all = [("id", &self.id), ("source", &self.source), ("type", &self.event_type)];
        let wrong = |attribute, why: &str| Err(NoCloudEvent::Attribute { attribute, why: why.to_owned(), in_body });
        for (attribute, text) in all {
            if text.is_empty() {
                return wrong(attribute, "is empty");
            }
        }
        // A URI reference; with neither of these the key of two events is never the same where they are not.
        if self.source.chars().any(|it| it.is_whitespace() || it.is_control()) {
            return wrong("source", "has a space or a control character, which no URI reference has");
        }
        Ok(self)
    }

    /// What makes the event unique: `source` and `id` together (section 3.1 of the specification).
    pub(super) fn key(&self) -> String {
        let key = format!("{} {}", self.source, self.id);
        if key.len() <= KEY_BYTES_MAX { key } else { format!("sha256:{}", Digest::of(key.as_bytes())) }
    }
}

fn missing(attribute: &'static str, in_body: bool) -> NoCloudEvent {
    let why =
        if in_body { "is missing".to_owned() } else { format!("is missing: it stands in the header `ce-{attribute}`") };
    NoCloudEvent::Attribute { attribute, why, in_body }
}

fn check_version(given: &str, in_body: bool) -> Result<(), NoCloudEvent> {
    if given == VERSION {
        return Ok(());
    }
    let given: String = given.chars().take(20).collect();
    let why = format!("is `{given}`, and {VERSION} is what is read here");
    Err(NoCloudEvent::Attribute { attribute: "specversion", why, in_body })
}

/// A header's value as the HTTP binding has it (section 3.1.3.2): quotes and what they escape taken off, then percent-decoded, once.
fn unescaped(value: &[u8]) -> Option<String> {
    let text = unquoted(value)?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn unquoted(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(inner) = value.strip_prefix(b"\"") else { return Some(Cow::Borrowed(value)) };
    let inner = inner.strip_suffix(b"\"")?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' => bytes.push(*rest.next()?),
            b'"' => return None,
            other => bytes.push(*other),
        }
    }
    Some(Cow::Owned(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::EVENTS_PER_BATCH_MAX;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    const COMPLETE: [(&str, &str); 4] =
        [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/shop"), ("ce-type", "order.made")];

    fn with(name: &'static str, value: Option<&str>) -> Result<Form, NoCloudEvent> {
        let mut all = headers(&COMPLETE);
        match value {
            Some(value) => drop(all.insert(name, value.parse().unwrap())),
            None => drop(all.remove(name)),
        }
        form_of(&all)
    }

    #[test]
    fn the_form_is_told_by_media_type_and_headers() {
        let of = |content_type: &str| form_of(&headers(&[("content-type", content_type)]));
        assert_eq!(of("Application/CloudEvents+JSON; charset=utf-8"), Ok(Form::Structured));
        assert_eq!(of("application/cloudevents-batch+json"), Ok(Form::Batched));
        assert_eq!([of("application/json"), form_of(&HeaderMap::new())], [Ok(Form::Plain), Ok(Form::Plain)]);
        for other in ["application/cloudevents+avro", "application/cloudevents", "application/cloudevents-batch+xml"] {
            assert_eq!(of(other), Err(NoCloudEvent::Format(other.to_owned())));
        }
        let made = |id: &str, source: &str, event_type: &str| {
            let own = |text: &str| text.to_owned();
            Ok(Form::Binary(Attributes { id: own(id), source: own(source), event_type: own(event_type) }))
        };
        assert_eq!(form_of(&headers(&COMPLETE)), made("1", "/shop", "order.made"));
        assert_eq!(with("ce-id", Some("gr%C3%BCn%20%25")), made("grün %", "/shop", "order.made"));
        assert_eq!(with("ce-id", Some(r#""a \"b\" %41""#)), made("a \"b\" A", "/shop", "order.made"));
    }

    #[test]
    fn what_is_missing_or_wrong_in_headers_is_named() {
        for (name, attribute) in
            [("ce-specversion", "specversion"), ("ce-id", "id"), ("ce-source", "source"), ("ce-type", "type")]
        {
            let error = with(name, None).unwrap_err().to_string();
            assert!(error.contains(&format!("`{attribute}` is missing")) && error.contains(name), "{error}");
            assert!(with(name, Some("")).is_err(), "{name} is empty");
        }
        for (name, value, says) in [
            ("ce-specversion", "0.3", "is `0.3`, and 1.0"),
            ("ce-id", "%4", "percent-encoded"),
            ("ce-id", "%FF", "percent-encoded"),
            ("ce-id", "\"open", "percent-encoded"),
            ("ce-source", "a%20b", "has a space"),
        ] {
            let error = with(name, Some(value)).unwrap_err().to_string();
            assert!(error.contains(says), "{value}: {error}");
        }
    }

    #[test]
    fn an_event_in_json_has_its_attributes_as_strings() {
        let found = structured(br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"id":2},"x":[1]}"#);
        assert_eq!(found.unwrap(), Attributes { id: "1".into(), source: "/s".into(), event_type: "t".into() });
        for (json, says) in [
            (r#"["1.0","1","/s","t"]"#, "no CloudEvent in JSON: it is no object"),
            ("{", "no CloudEvent in JSON"),
            (r#"{"id":"1","source":"/s","type":"t"}"#, "`specversion` is missing"),
            (r#"{"specversion":"1.0","id":1,"source":"/s","type":"t"}"#, "`id` is not a string"),
            (r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#, "`id` is empty"),
            (r#"{"specversion":"1.0","id":"1","source":null,"type":"t"}"#, "`source` is missing"),
            (r#"{"specversion":"1.0","id":"1","id":"2","source":"/s","type":"t"}"#, "duplicate field"),
        ] {
            let error = structured(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{json}: {error}");
        }
    }

    #[test]
    fn a_batch_is_cut_into_what_was_written() {
        let batch = batched(br#" [ {"a" : 1.0} ,{}] "#).unwrap();
        let texts: Vec<&str> = batch.first.iter().map(|it| it.get()).collect();
        assert_eq!((batch.count, &texts[..]), (2, &[r#"{"a" : 1.0}"#, "{}"][..]));
        for wrong in ["{}", "[{]", "[{}", "[{}] x", ""] {
            assert!(batched(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn of_a_batch_without_end_no_more_is_kept_than_may_be_taken() {
        let long = format!("[{}0]", "0,".repeat(1_000_000));
        let batch = batched(long.as_bytes()).unwrap();
        assert_eq!((batch.first.len(), batch.count), (EVENTS_PER_BATCH_MAX, 1_000_001));
        let whole = format!("[{}0]", "0,".repeat(EVENTS_PER_BATCH_MAX - 1));
        assert_eq!(batched(whole.as_bytes()).unwrap().count, EVENTS_PER_BATCH_MAX);
        assert!(batched(long.replace("0]", "{]").as_bytes()).is_err(), "what is counted has to be JSON, too");
    }

    #[test]
    fn a_key_is_source_and_id_or_the_digest_of_both() {
        let of = |id: &str| Attributes { id: id.into(), source: "/s".into(), event_type: "t".into() }.key();
        assert_eq!(of("1"), "/s 1");
        let (long, other) = (of(&"1".repeat(300)), of(&"2".repeat(300)));
        assert!(long.len() <= KEY_BYTES_MAX && long.starts_with("sha256:") && long != other, "{long}");
    }
}
