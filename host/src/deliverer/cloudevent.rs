//! A delivery as a CloudEvent 1.0 over HTTP: the HTTP protocol binding in binary and structured mode, and the JSON event format. Pure.
//!
//! The `id` is the delivery's: source and id together are what receivers tell repetitions by, and one event can make several messages for one
//! endpoint. It is the same at each attempt. A message that a module has made a CloudEvent already goes as it is.

use super::request::InvalidRequest;
use crate::config::CloudEventsMode;
use crate::model::{Delivery, Header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::Write as _;

const STRUCTURED: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
/// The `type`, which must not be empty, of an event without one.
const UNTYPED: &str = "hookswitch.untyped";

/// The attributes of an event, in the order in which they are written.
#[derive(Debug, Serialize)]
pub(super) struct Attributes<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    time: String,
}

impl<'a> Attributes<'a> {
    /// Those of a delivery.
    pub(super) fn of(delivery: &'a Delivery, source: &'a str) -> Self {
        let received_at_ms = i64::try_from(delivery.id.event().received_at_ms()).unwrap_or(i64::MAX);
        Self {
            specversion: "1.0",
            id: delivery.id.to_string(),
            source,
            event_type: if delivery.event_type.is_empty() { UNTYPED } else { &delivery.event_type },
            time: Timestamp::from_millisecond(received_at_ms).unwrap_or(Timestamp::MAX).to_string(),
        }
    }
}

/// Whether a message is a CloudEvent already, in either mode.
pub(super) fn is_one(delivery: &Delivery) -> bool {
    let is_structured = essence(&delivery.content_type).starts_with("application/cloudevents");
    is_structured || delivery.headers.iter().any(|header| header.name.eq_ignore_ascii_case("ce-specversion"))
}

/// Whether a header says something of a CloudEvent.
pub(super) fn is_attribute(header: &Header) -> bool {
    header.name.get(..3).is_some_and(|prefix| prefix.eq_ignore_ascii_case("ce-"))
}

/// Makes a CloudEvent of a payload, whose media type stands in `headers`; gives the body to send.
pub(super) fn write(
    mode: CloudEventsMode,
    attributes: &Attributes<'_>,
    payload: Bytes,
    headers: &mut HeaderMap,
) -> Result<Bytes, InvalidRequest> {
    match mode {
        CloudEventsMode::Binary => {
            let Attributes { specversion, id, source, event_type, time } = attributes;
            let texts =
                [("specversion", *specversion), ("id", id), ("source", source), ("type", event_type), ("time", time)];
            for (name, text) in texts {
                let wrong = |why| InvalidRequest::Header { name: format!("ce-{name}"), why };
                let header =
                    HeaderName::try_from(format!("ce-{name}")).map_err(|_| wrong("this is not a header name"))?;
                let value = HeaderValue::try_from(encoded(text)).map_err(|_| wrong("its value is none"))?;
                headers.insert(header, value);
            }
            Ok(payload)
        }
        CloudEventsMode::Structured => {
            let media_type = headers.insert(CONTENT_TYPE, STRUCTURED);
            let media_type = media_type.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
            structured(attributes, media_type.as_deref().unwrap_or_default(), &payload)
        }
    }
}

/// Section 3.1.3.2 of the binding: a space, `"`, `%` and what is not printable ASCII are percent-encoded, as UTF-8.
fn encoded(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            value.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value
}

/// Section 3.1 of the JSON format: JSON stands in `data`, digit for digit; all else in `data_base64`, byte for byte.
fn structured(attributes: &Attributes<'_>, media_type: &str, payload: &[u8]) -> Result<Bytes, InvalidRequest> {
    #[derive(Serialize)]
    struct Event<'a> {
        #[serde(flatten)]
        attributes: &'a Attributes<'a>,
        datacontenttype: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data_base64: Option<String>,
    }
    let json = is_json(media_type).then(|| serde_json::from_slice::<&RawValue>(payload).ok()).flatten();
    let bytes = (json.is_none() && !payload.is_empty()).then(|| STANDARD.encode(payload));
    let event = Event { attributes, datacontenttype: media_type, data: json, data_base64: bytes };
    serde_json::to_vec(&event).map(Bytes::from).map_err(|error| InvalidRequest::CloudEvent { why: error.to_string() })
}

fn is_json(media_type: &str) -> bool {
    let essence = essence(media_type);
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// A media type without its parameters, in lower case.
fn essence(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::delivery;
    use super::*;
    use serde_json::{Value, json};

    fn written(
        mode: CloudEventsMode,
        delivery: &Delivery,
        media_type: &'static str,
        payload: &[u8],
    ) -> (HeaderMap, Bytes) {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media_type))]);
        let attributes = Attributes::of(delivery, "/acme/in");
        let body = write(mode, &attributes, Bytes::copy_from_slice(payload), &mut headers).unwrap();
        (headers, body)
    }

    #[test]
    fn in_binary_mode_the_attributes_are_headers() {
        let named = Delivery { event_type: "Euro € \"100%\"".to_owned(), ..delivery() };
        let (headers, body) = written(CloudEventsMode::Binary, &named, "text/plain", b"as it is");
        let header = |name: &str| headers[name].to_str().unwrap();
        assert_eq!((header("ce-specversion"), header("ce-id")), ("1.0", named.id.to_string().as_str()));
        assert_eq!((header("ce-source"), header("ce-time")), ("/acme/in", "2023-01-19T00:10:00Z"));
        assert_eq!(header("ce-type"), "Euro%20%E2%82%AC%20%22100%25%22");
        assert_eq!((header("content-type"), &body[..]), ("text/plain", &b"as it is"[..]));
    }

    #[test]
    fn in_structured_mode_all_is_in_the_body() {
        let delivery = delivery();
        let (headers, body) =
            written(CloudEventsMode::Structured, &delivery, "application/json", b" {\"n\": 1.0e400}\n");
        assert_eq!(headers[CONTENT_TYPE], "application/cloudevents+json; charset=utf-8");
        let text = std::str::from_utf8(&body).unwrap();
        let id = delivery.id;
        let expected = format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/acme/in\",\"type\":\"push\",\"time\":\"2023-01-19T00:10:00Z\",\
             \"datacontenttype\":\"application/json\",\"data\":{{\"n\": 1.0e400}}}}"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_no_json_is_base64_and_nothing_is_nothing() {
        let data = |media_type, payload: &[u8]| {
            let (_, body) = written(CloudEventsMode::Structured, &delivery(), media_type, payload);
            let event: Value = serde_json::from_slice(&body).unwrap();
            (event.get("data").cloned(), event.get("data_base64").cloned())
        };
        assert_eq!(data("application/vnd.acme+JSON; charset=utf-8", b"[1]"), (Some(json!([1])), None));
        assert_eq!(data("application/json", b"null"), (Some(Value::Null), None));
        assert_eq!(data("application/json", b"{"), (None, Some(json!("ew=="))));
        assert_eq!(data("application/json", b"\"\xff\""), (None, Some(json!("Iv8i"))));
        assert_eq!(data("text/plain", b"[1]"), (None, Some(json!("WzFd"))));
        assert_eq!(data("application/json", b""), (None, None));
    }

    #[test]
    fn an_event_without_a_type_gets_one() {
        let untyped = Delivery { event_type: String::new(), ..delivery() };
        assert_eq!(Attributes::of(&untyped, "/").event_type, UNTYPED);
    }

    #[test]
    fn one_that_a_module_made_is_known() {
        let of = |content_type: &str, header: &str| {
            let headers = vec![Header { name: header.to_owned(), value: "1.0".to_owned() }];
            is_one(&Delivery { content_type: content_type.to_owned(), headers, ..delivery() })
        };
        assert!(of("Application/CloudEvents+json; charset=utf-8", "x-a"));
        assert!(of("application/cloudevents-batch+json", "x-a") && of("text/plain", "CE-SpecVersion"));
        assert!(!of("application/json", "ce-id") && !of("", "x-ce-specversion"));
    }
}
