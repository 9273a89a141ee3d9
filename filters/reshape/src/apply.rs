//! From a message to its outputs.

use hookswitch_guest::json::Json;
use hookswitch_guest::{Event, Failure, Message, Output, log};

use crate::render::Input;
use crate::settings::{Payload, Settings};
use crate::template::Place;

/// How many outputs `each` may make. The host, too, has a bound for a run; this one says where it was reached.
pub const OUTPUTS_MAX: usize = 100;

/// Makes the outputs that the settings describe.
///
/// # Errors
/// `input-invalid` if the body has to be looked into and is not JSON, or has not what is pointed at; `limit` beyond
/// [`OUTPUTS_MAX`] and [`crate::OUTPUT_BYTES_MAX`].
pub fn apply(settings: &Settings, event: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    let mut input = Input::new(event, message, settings.on_missing);
    let Some(each) = &settings.each else {
        return Ok(vec![output(settings, &mut input, message)?]);
    };
    let place = Place::Body(each.clone());
    let Some(found) = input.body()?.get(each)? else {
        input.missing(&place)?;
        log::info(format!("no output: there is no {place}"));
        return Ok(Vec::new());
    };
    let kind = found.kind();
    let Some(items) = found.items()? else {
        return Err(Failure::input_invalid(format!("`each` takes an array, and {place} is {}", kind.name())));
    };
    if items.len() > OUTPUTS_MAX {
        let problem = format!("{place} has {} elements; `each` takes OUTPUTS_MAX, {OUTPUTS_MAX}", items.len());
        return Err(Failure::limit(problem));
    }
    let items = items.clone();
    if items.is_empty() {
        log::info(format!("no output: {place} is empty"));
    }
    let one = |item| {
        input.item = Some(item);
        output(settings, &mut input, message)
    };
    items.into_iter().map(one).collect()
}

/// One output: of the message, or of the element at hand.
fn output<'a>(settings: &'a Settings, input: &mut Input<'a>, message: &Message) -> Result<Output, Failure> {
    let mut output = match &settings.payload {
        _ if settings.keeps_payload() => Output::unchanged(),
        Payload::Template(template) => {
            let json = input.value(template)?.unwrap_or_else(Json::null);
            Output::body("application/json", json.to_text())
        }
        edits @ Payload::Edits { .. } => Output::body("application/json", edit(edits, input)?.to_text()),
    };
    if matches!(settings.payload, Payload::Edits { .. }) && !message.content_type.is_empty() {
        output.content_type = None;
    }
    if let Some(text) = &settings.event_type {
        output.event_type = input.text(text)?;
    }
    if let Some(text) = &settings.ordering_key {
        output.ordering_key = input.text(text)?;
    }
    output.delay_ms = settings.delay_ms;
    if settings.headers.is_empty() {
        return Ok(output);
    }
    let is_kept = |name: &str| settings.headers.iter().all(|(set, _)| !set.eq_ignore_ascii_case(name));
    let kept = message.headers.iter().filter(|header| is_kept(&header.name)).cloned().collect();
    output.headers = Some(kept);
    for (name, text) in &settings.headers {
        if let Some(value) = input.text(text)? {
            // A line break in a payload must not become one in a header.
            output = output.with_header(name, value.replace(char::is_control, " ").trim());
        }
    }
    Ok(output)
}

/// The payload with the edits made: renames, then sets, then removals.
fn edit<'a>(edits: &'a Payload, input: &mut Input<'a>) -> Result<Json<'a>, Failure> {
    let mut json = match &input.item {
        Some(item) => item.clone(),
        None => input.body()?.clone(),
    };
    input.spend(json.text_bytes())?;
    let Payload::Edits { rename, set, remove } = edits else { return Ok(json) };
    for (from, to) in rename {
        match json.take(from)? {
            Some(value) => json.set(to, value)?,
            None => {
                input.missing(&Place::Body(from.clone()))?;
            }
        }
    }
    for (to, template) in set {
        if let Some(value) = input.value(template)? {
            json.set(to, value)?;
        }
    }
    for pointer in remove {
        json.take(pointer)?;
    }
    Ok(json)
}

#[cfg(test)]
mod tests;
