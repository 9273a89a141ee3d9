//! From a message to its pages.

use hookswitch_guest::json::Json;
use hookswitch_guest::place::Facts;
use hookswitch_guest::{Event, Failure, Header, Message, Output};

use crate::pages::{PAGES_MAX, pages};
use crate::settings::{Keep, Settings, Target};

/// How many bytes all pages of a call may have together: 8 MiB.
pub const OUTPUT_BYTES_MAX: usize = 8 << 20;

/// Makes one output per page.
///
/// # Errors
/// `input-invalid` if the body is not JSON, has no array where the pointer points, or nothing where the ordering key is; `limit`
/// if an item is above `bytes_max`, beyond [`PAGES_MAX`] pages, and beyond [`OUTPUT_BYTES_MAX`].
pub fn apply(settings: &Settings, event: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    let ordering_key = ordering_key(settings, event, message)?;
    let mut payload = Json::parse(&message.body)?;
    let items = take_items(settings, &mut payload)?;
    // Numbers may be as long as the largest: the frame of a page is known before the number of pages is.
    let frame_bytes = frame(settings, &payload, PAGES_MAX, PAGES_MAX)?.text_bytes();
    let pages = pages(settings, items, frame_bytes)?;
    let total = pages.len();
    let items_bytes: usize = pages.iter().flatten().map(|item| item.text_bytes().saturating_add(1)).sum();
    if items_bytes.saturating_add(total.saturating_mul(frame_bytes)) > OUTPUT_BYTES_MAX {
        return Err(Failure::limit(format!(
            "{total} pages would have more than OUTPUT_BYTES_MAX, {OUTPUT_BYTES_MAX} bytes; set `keep` to `items`"
        )));
    }
    let mut outputs = Vec::with_capacity(total);
    for (place, page) in pages.into_iter().enumerate() {
        let number = place.saturating_add(1);
        let mut body = frame(settings, &payload, number, total)?;
        match settings.keep {
            Keep::Payload => body.set(&settings.pointer, Json::array(page))?,
            Keep::Items => body = Json::array(page),
        }
        let mut output = Output::body("application/json", body.to_text());
        if !message.content_type.is_empty() {
            output.content_type = None;
        }
        output.headers = headers(settings, message, number, total);
        output.ordering_key.clone_from(&ordering_key);
        outputs.push(output);
    }
    Ok(outputs)
}

fn ordering_key(settings: &Settings, event: &Event, message: &Message) -> Result<Option<String>, Failure> {
    let Some(place) = &settings.ordering_key else { return Ok(None) };
    let found = Facts::new(event, message).text(place)?;
    let missing = || Failure::input_invalid(format!("there is no {place}, which `ordering_key` names"));
    found.map(Some).ok_or_else(missing)
}

/// Takes the items out; an empty array stays.
fn take_items<'a>(settings: &Settings, payload: &mut Json<'a>) -> Result<Vec<Json<'a>>, Failure> {
    let pointer = &settings.pointer;
    let missing = || Failure::input_invalid(format!("there is no {pointer} in the body, which is to be split"));
    let found = payload.get(pointer)?.ok_or_else(missing)?;
    let kind = found.kind();
    match found.items()? {
        Some(items) => Ok(std::mem::take(items)),
        None => Err(Failure::input_invalid(format!("an array is to be split, and {pointer} is {}", kind.name()))),
    }
}

/// A page without its items.
fn frame<'a>(settings: &Settings, payload: &Json<'a>, number: usize, total: usize) -> Result<Json<'a>, Failure> {
    if settings.keep == Keep::Items {
        return Ok(Json::array(Vec::new()));
    }
    let mut frame = payload.clone();
    for (target, value) in [(&settings.number, number), (&settings.total, total)] {
        if let Some(Target::Pointer(pointer)) = target {
            frame.set(pointer, Json::value(&value.into()))?;
        }
    }
    Ok(frame)
}

/// The message's headers with the numbers, where they go into headers.
fn headers(settings: &Settings, message: &Message, number: usize, total: usize) -> Option<Vec<Header>> {
    let targets = [(&settings.number, number), (&settings.total, total)];
    let set: Vec<Header> = targets
        .into_iter()
        .filter_map(|(target, value)| match target {
            Some(Target::Header(name)) => Some(Header { name: name.clone(), value: value.to_string() }),
            _ => None,
        })
        .collect();
    if set.is_empty() {
        return None;
    }
    let is_kept = |header: &&Header| set.iter().all(|other| !other.name.eq_ignore_ascii_case(&header.name));
    Some(message.headers.iter().filter(is_kept).cloned().chain(set.iter().cloned()).collect())
}

#[cfg(test)]
mod tests;
