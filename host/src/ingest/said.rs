//! What a verified request brings: one event, or many, each with its type, its key and what else is kept of it. Pure.

use super::batch::EVENTS_PER_BATCH_MAX;
use super::cloudevents::{self, Attributes, Form};
use super::first_of::FirstOf;
use super::json::Json;
use super::request::{self, Refused};
use super::slack_form::SlackForm;
use super::take::Item;
use crate::config::{Asks, DedupRule, Source};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// What it brings.
#[derive(Debug)]
pub(super) enum Said {
    /// One event.
    One(Item),
    /// Many, in their order; of each that cannot be taken, why.
    Many(Vec<Result<Item, Refused>>),
}

/// Reads it by its source's rules.
pub(super) fn read(source: &Source, headers: &HeaderMap, body: Bytes) -> Result<Said, Refused> {
    let form = match source.cloudevents {
        Some(_) => cloudevents::form_of(headers)?,
        None => Form::Plain,
    };
    let rules = source.cloudevents.as_ref();
    let in_body = rules.map_or((false, false), |it| (it.type_is_event_type, it.id_is_key));
    let in_headers = rules.map_or((false, false), |it| (it.headers_say_type, it.headers_say_key));
    match form {
        Form::Plain => item(source, headers, body, None).map(Said::One),
        Form::Binary(attributes) => item(source, headers, body, Some((&attributes, in_headers))).map(Said::One),
        Form::Structured => {
            let attributes = cloudevents::structured(&body)?;
            item(source, headers, body, Some((&attributes, in_body))).map(Said::One)
        }
        Form::Batched => {
            let FirstOf { first: events, count } = cloudevents::batched(&body)?;
            if count > EVENTS_PER_BATCH_MAX {
                return Err(Refused::BatchLength(count));
            }
            // Each is an event in JSON by itself, and what the request says of the whole is not so of it.
            let mut headers = headers.clone();
            headers.remove(header::CONTENT_LENGTH);
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(cloudevents::JSON));
            request::check_batch_headers(source, &headers, events.len())?;
            let has_key_for_all = matches!(source.dedup, DedupRule::Header(_)) && !in_body.1;
            let each = events.iter().enumerate().map(|(place, event)| {
                let text = event.get().as_bytes();
                let attributes = cloudevents::structured(text)?;
                let mut item = item(source, &headers, body.slice_ref(text), Some((&attributes, in_body)))?;
                if has_key_for_all {
                    item.dedup_key = item.dedup_key.map(|key| request::key_of_place(&key, place));
                }
                Ok(item)
            });
            Ok(Said::Many(each.collect()))
        }
    }
}

/// One event. What a CloudEvent says of itself counts where it says the type, and the key.
fn item(
    source: &Source,
    headers: &HeaderMap,
    body: Bytes,
    attributes: Option<(&Attributes, (bool, bool))>,
) -> Result<Item, Refused> {
    let (attributes, says) = attributes.unzip();
    let (says_type, says_key) = says.unwrap_or_default();
    let json = Json::of(&body);
    let dedup_key = match attributes.filter(|_| says_key) {
        Some(attributes) => (source.dedup_window_s > 0).then(|| attributes.key()),
        None => request::dedup_key(source, headers, &json)?,
    };
    let event_type = match attributes.filter(|_| says_type) {
        Some(attributes) => {
            request::checked_type(attributes.event_type.clone(), || "the CloudEvent's `type`".to_owned())?
        }
        None => request::event_type(source, headers, &json)?,
    };
    // A form is no JSON: where nothing was found in it, it says so in its own way.
    let form = match source.asks {
        Asks::Slack => SlackForm::read(headers, &body),
        _ => SlackForm::default(),
    };
    let event_type = match form.event_type.filter(|_| event_type.is_empty()) {
        Some(found) => request::checked_type(found, || "what Slack's form says".to_owned())?,
        None => event_type,
    };
    let dedup_key = match dedup_key {
        None if source.dedup_window_s > 0 => form.trigger_id.map(request::checked_key).transpose()?,
        found => found,
    };
    let (content_type, headers) = (request::content_type(headers)?, request::kept_headers(source, headers));
    Ok(Item { event_type, content_type, headers, body, dedup_key })
}
