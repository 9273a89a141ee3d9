//! Structured mode: attributes and data in one JSON object (JSON format, sections 2 and 3), and batches of them (section 4).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookswitch_guest::Failure;
use hookswitch_guest::json::{Json, Kind};

use crate::event::{CloudEvent, Data, invalid};
use crate::media_type;

/// The content type that is written (HTTP binding, section 3.2.1).
pub(crate) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// How many events a batch may have.
pub const EVENTS_MAX: usize = 100;

/// Reads an event.
pub(crate) fn read(body: &[u8]) -> Result<CloudEvent<'_>, Failure> {
    event(Json::parse(body)?)
}

/// Reads a batch of events.
pub(crate) fn read_batch(body: &[u8]) -> Result<Vec<CloudEvent<'_>>, Failure> {
    let mut batch = Json::parse(body)?;
    let kind = batch.kind();
    let events = batch.items()?.ok_or_else(|| invalid(format!("a batch is an array, not {}", kind.name())))?;
    if events.len() > EVENTS_MAX {
        return Err(Failure::limit(format!("the batch has {} events; EVENTS_MAX is {EVENTS_MAX}", events.len())));
    }
    let at = |place: usize| {
        move |failure: Failure| Failure { message: format!("event {place}: {}", failure.message), ..failure }
    };
    std::mem::take(events).into_iter().enumerate().map(|(place, json)| event(json).map_err(at(place))).collect()
}

fn event(mut json: Json<'_>) -> Result<CloudEvent<'_>, Failure> {
    let kind = json.kind();
    let members = json.entries()?.ok_or_else(|| invalid(format!("an event is an object, not {}", kind.name())))?;
    let mut event = CloudEvent::new(Data::Absent);
    let (mut data, mut data_base64) = (None, None);
    for (name, value) in std::mem::take(members) {
        let slot = match &*name {
            "data" => &mut data,
            "data_base64" => &mut data_base64,
            name => {
                event.read(name, value)?;
                continue;
            }
        };
        if slot.replace(value).is_some() {
            return Err(invalid(format!("`{name}` comes twice")));
        }
    }
    // Section 3.1.2.
    let content_type = event.get("datacontenttype")?;
    event.data = match (data, data_base64) {
        (None, None) => Data::Absent,
        (Some(_), Some(_)) => return Err(invalid("there are both `data` and `data_base64`")),
        (None, Some(base64)) => Data::Bytes(Cow::Owned(decode(&base64)?)),
        (Some(json), None) => match content_type {
            None => {
                event.set("datacontenttype", "application/json");
                Data::Json(json)
            }
            Some(content_type) if media_type::is_json(&content_type) => Data::Json(json),
            Some(content_type) => {
                let not_text = || invalid(format!("`data` is no string, and `datacontenttype` is {content_type:?}"));
                Data::Bytes(Cow::Owned(json.as_string()?.ok_or_else(not_text)?.into_bytes()))
            }
        },
    };
    event.check()?;
    Ok(event)
}

fn decode(base64: &Json) -> Result<Vec<u8>, Failure> {
    let text = match base64.kind() {
        Kind::String => base64.as_string()?.unwrap_or_default(),
        kind => return Err(invalid(format!("`data_base64` is {}, not a string", kind.name()))),
    };
    STANDARD.decode(text).map_err(|error| invalid(format!("`data_base64` is not base64: {error}")))
}

/// Writes an event. The payload is serialized as section 3.1.1 says: declared JSON as JSON, declared text as a string, all else in
/// base64.
pub(crate) fn write(event: CloudEvent) -> Result<String, Failure> {
    let content_type = event.get("datacontenttype")?.unwrap_or_default();
    let (mut members, data) = event.into_parts();
    match data {
        Data::Absent => {}
        Data::Json(json) => members.push(("data".into(), json)),
        Data::Bytes(bytes) if media_type::is_json(&content_type) => {
            let json = Json::parse(&bytes)
                .map_err(|failure| invalid(format!("its content type is {content_type:?}, and {}", failure.message)))?;
            members.push(("data".into(), json.into_owned()));
        }
        Data::Bytes(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) if media_type::is_utf8_text(&content_type) => members.push(("data".into(), Json::string(text))),
            _ => members.push(("data_base64".into(), Json::string(STANDARD.encode(&bytes)))),
        },
    }
    Ok(Json::object(members).to_text())
}
