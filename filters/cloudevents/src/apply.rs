//! From a message to what the settings ask for: read it as a CloudEvent if it is one, make it one if not, write it.

use std::borrow::Cow;

use hookswitch_guest::place::Facts;
use hookswitch_guest::{Event, Failure, Message, Output, log, time};

use crate::event::{CloudEvent, Data, SPECVERSION, invalid};
use crate::settings::{From, Settings, To, Value};
use crate::{binary, media_type, structured, syntax};

/// Makes a CloudEvent of a message, or the message that a CloudEvent is about.
///
/// # Errors
/// `input-invalid` if the message is meant to be a CloudEvent and is no valid one, if data is asked for and it is none, or if what
/// the settings say makes none; `limit` for a batch above [`crate::EVENTS_MAX`].
pub fn apply(settings: &Settings, event: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    match read(event, message)? {
        Read::Events(events) => {
            if events.is_empty() {
                log::info("no output: the batch is empty");
            }
            events.into_iter().map(|read| output(settings, event, message, read, true)).collect()
        }
        Read::Plain if settings.to == To::Data => Err(invalid(
            "its content type is not `application/cloudevents+json`, and there is no header `ce-specversion`",
        )),
        Read::Plain => Ok(vec![output(settings, event, message, wrapped(event, message), false)?]),
    }
}

enum Read<'a> {
    /// One event, or a batch.
    Events(Vec<CloudEvent<'a>>),
    /// No CloudEvent.
    Plain,
}

/// HTTP binding, section 3: the content type says whether it is structured or a batch; else it is binary, or nothing.
fn read<'a>(event: &Event, message: &'a Message) -> Result<Read<'a>, Failure> {
    let media_type = media_type::essence(&message.content_type);
    Ok(match media_type.as_str() {
        "application/cloudevents+json" => Read::Events(vec![structured::read(&message.body)?]),
        "application/cloudevents-batch+json" => Read::Events(structured::read_batch(&message.body)?),
        other if other.starts_with("application/cloudevents") => {
            return Err(invalid(format!("the event format of {other:?} is not read; JSON is")));
        }
        _ => match binary::headers(event, message) {
            Some(headers) => Read::Events(vec![binary::read(headers, message)?]),
            None => Read::Plain,
        },
    })
}

/// A CloudEvent about a message that is none.
fn wrapped<'a>(event: &Event, message: &'a Message) -> CloudEvent<'a> {
    let mut made = CloudEvent::new(binary::data(message));
    made.set("specversion", SPECVERSION);
    made.set("id", &event.id);
    made.set("source", &format!("/{}/{}", event.tenant, event.source));
    made.set("type", &message.event_type);
    made.set("time", &time::rfc3339(event.received_at_ms));
    if !message.content_type.is_empty() {
        made.set("datacontenttype", &message.content_type);
    }
    made
}

/// Sets what the settings say, and writes the event in the mode that they ask for.
fn output<'a>(
    settings: &Settings,
    event: &Event,
    message: &'a Message,
    mut made: CloudEvent<'a>,
    was_one: bool,
) -> Result<Output, Failure> {
    let mut facts = Facts::new(event, message);
    for (name, value) in &settings.attributes {
        match value {
            Value::Text(text) => made.set(name, text),
            Value::From(From { from }) => match facts.text(from)? {
                Some(text) => {
                    syntax::check(name, &text).map_err(Failure::input_invalid)?;
                    made.set(name, &text);
                }
                None if ["id", "source", "type"].contains(&name.as_str()) => {
                    return Err(Failure::input_invalid(format!("there is no {from}, which is to be the `{name}`")));
                }
                None => log::info(format!("no `{name}`: there is no {from}")),
            },
        }
    }
    made.check()?;
    let content_type = made.get("datacontenttype")?.unwrap_or_default();
    let mut headers = binary::other_headers(message);
    let event_type = made.get("type")?.filter(|_| was_one);
    let mut output = match settings.to {
        To::Structured => Output::body(structured::CONTENT_TYPE, structured::write(made)?),
        To::Binary => {
            headers.extend(binary::write(&made)?);
            with_data(content_type, made)
        }
        To::Data => with_data(content_type, made),
    };
    if headers != message.headers {
        output.headers = Some(headers);
    }
    output.event_type = event_type;
    Ok(output)
}

/// The data as the body. The message's own body is left where it is.
fn with_data(content_type: String, made: CloudEvent) -> Output {
    let body = match made.into_parts().1 {
        Data::Bytes(Cow::Borrowed(_)) => None,
        Data::Bytes(Cow::Owned(bytes)) => Some(bytes),
        Data::Json(json) => Some(json.to_text().into_bytes()),
        Data::Absent => Some(Vec::new()),
    };
    Output { content_type: Some(content_type), body, ..Output::unchanged() }
}

#[cfg(test)]
mod tests;
