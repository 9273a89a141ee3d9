//! A [`Note`] as Slack's JSON: Block Kit blocks, and a text for notifications.
//!
//! What must hold: the limits of Block Kit. Slack refuses a message that is over any of them as a whole.

use serde_json::{Value, json};

use crate::apply::Settings;
use crate::line::{Line, cut};
use crate::note::Note;

/// How many blocks a message may have.
pub const BLOCKS_MAX: usize = 50;
/// How long a header may be, in UTF-16 units.
pub const HEADER_UNITS_MAX: usize = 150;
/// How many elements a context block may have.
pub const CONTEXT_ELEMENTS_MAX: usize = 10;

/// The message to post.
#[must_use]
pub(crate) fn message(note: &Note, settings: &Settings) -> Value {
    let mut blocks = Vec::new();
    if let Some(heading) = &note.heading {
        let text = cut(heading, HEADER_UNITS_MAX);
        blocks.push(json!({"type": "header", "text": {"type": "plain_text", "text": text, "emoji": false}}));
    }
    for line in [Some(&note.headline), note.body.as_ref()].into_iter().flatten() {
        blocks.push(json!({"type": "section", "text": mrkdwn(line)}));
    }
    if !note.details.is_empty() {
        let elements: Vec<_> = note.details.iter().take(CONTEXT_ELEMENTS_MAX).map(mrkdwn).collect();
        blocks.push(json!({"type": "context", "elements": elements}));
    }
    blocks.truncate(BLOCKS_MAX);
    let mut message =
        json!({"text": notification(note), "blocks": blocks, "unfurl_links": false, "unfurl_media": false});
    let names =
        [("channel", &settings.channel), ("username", &settings.username), ("icon_emoji", &settings.icon_emoji)];
    if let Some(fields) = message.as_object_mut() {
        for (name, value) in names {
            fields.extend(value.as_ref().map(|value| (name.to_owned(), Value::from(value.as_str()))));
        }
    }
    message
}

/// `verbatim` keeps Slack from finding mentions, channels and links in the text by itself.
fn mrkdwn(line: &Line) -> Value {
    json!({"type": "mrkdwn", "text": line.rich(), "verbatim": true})
}

/// What a phone shows: the headline, after the place.
fn notification(note: &Note) -> String {
    let line = match note.details.first() {
        Some(place) => Line::default().text("[").text(place.plain()).text("] "),
        None => Line::default(),
    };
    line.text(note.headline.plain()).rich().to_owned()
}
