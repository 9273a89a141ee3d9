//! From a GitHub event to a Slack message, or to none.

use hookswitch_guest::{Event, Failure, Message, Output, log};
use serde::Deserialize;

use crate::payload::Payload;
use crate::{block, events};

/// A step's settings.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to post: `#builds` or an id. Slack's incoming webhooks have a channel of their own and take none.
    pub channel: Option<String>,
    /// The name to post under, where Slack allows one.
    pub username: Option<String>,
    /// An emoji instead of a picture, such as `:octocat:`, where Slack allows one.
    pub icon_emoji: Option<String>,
    /// Only these: events (`push`) or events with an action (`pull_request.opened`). Without it, all.
    pub events: Option<Vec<String>>,
}

/// One Slack message, or none for an event that the settings leave out.
///
/// # Errors
/// `input-invalid` if the body is not a JSON object.
pub fn apply(settings: &Settings, event: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    let media_type = message.content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let advice = "GitHub sent a form; set the content type of the webhook on GitHub to `application/json`";
        return Err(Failure::input_invalid(advice));
    }
    let payload = Payload::new(message.json()?);
    let name = event.header("x-github-event").unwrap_or(&message.event_type);
    if !is_wanted(settings, name, payload.text("/action")) {
        log::info(format!("no message: `events` leaves out {}", full_name(name, payload.text("/action"))));
        return Ok(Vec::new());
    }
    let note = events::note(name, &payload);
    Ok(vec![Output::json(&block::message(&note, settings))?])
}

fn is_wanted(settings: &Settings, name: &str, action: &str) -> bool {
    let full_name = full_name(name, action);
    settings.events.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| *wanted == name || *wanted == full_name))
}

/// `pull_request.opened`, or `push`, which has no action.
fn full_name(name: &str, action: &str) -> String {
    if action.is_empty() { name.to_owned() } else { format!("{name}.{action}") }
}

#[cfg(test)]
mod tests;
