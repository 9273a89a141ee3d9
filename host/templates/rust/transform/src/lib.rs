//! {{name}}: a transform. It makes a Slack message of a pull request's event, and none of any other:
//!
//! ```json
//! {"channel": "#pulls"}
//! ```

use hookswitch_guest::{Event, Failure, Message, Output, transform};
use serde::Deserialize;
use serde_json::{Number, Value, json};

transform!(apply);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where to post; none for a webhook with a channel of its own.
    channel: Option<String>,
}

fn apply(settings: &Settings, _: &Event, message: &Message) -> Result<Vec<Output>, Failure> {
    if message.event_type != "pull_request" {
        return Ok(Vec::new());
    }
    let body: Value =
        serde_json::from_slice(&message.body).map_err(|_| Failure::input_invalid("the body is not JSON"))?;
    Ok(vec![Output::json(&slack_message(settings, &body)?)?])
}

fn slack_message(settings: &Settings, body: &Value) -> Result<Value, Failure> {
    let action = string(body, "/action")?;
    let login = escape(string(body, "/sender/login")?);
    let id = integer(body, "/pull_request/id")?;
    let number = integer(body, "/pull_request/number")?;
    let title = escape(string(body, "/pull_request/title")?);
    let url = escape(string(body, "/pull_request/html_url")?);
    let repository = escape(string(body, "/repository/full_name")?);
    let repository_id = integer(body, "/repository/id")?;
    let merged = action == "closed" && body.pointer("/pull_request/merged") == Some(&Value::Bool(true));
    let verb = if merged { "merged".to_owned() } else { escape(&action.replace('_', " ")) };
    let mut slack = json!({
        "text": format!("{login} {verb} #{number} {title}"),
        "blocks": [
            {"type": "section", "text": mrkdwn(&format!("{login} {verb} <{url}|#{number} {title}>"))},
            {"type": "context", "elements": [mrkdwn(&repository)]},
        ],
        "metadata": {
            "event_type": "github_pull_request",
            "event_payload": {"id": id, "number": number, "repository_id": repository_id},
        },
    });
    if let Some(channel) = &settings.channel {
        slack["channel"] = channel.as_str().into();
    }
    Ok(slack)
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "verbatim": true, "text": text})
}

/// Nothing in a payload can mention anybody in Slack, or look like another link.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn string<'a>(body: &'a Value, pointer: &str) -> Result<&'a str, Failure> {
    let value = body.pointer(pointer).and_then(Value::as_str);
    value.ok_or_else(|| Failure::input_invalid(format!("{pointer} is not a string")))
}

/// It is kept as it is written: an id may be larger than any integer of the language.
fn integer<'a>(body: &'a Value, pointer: &str) -> Result<&'a Number, Failure> {
    let number = body.pointer(pointer).and_then(Value::as_number);
    let integer = number.filter(|number| !number.as_str().contains(['.', 'e', 'E']));
    integer.ok_or_else(|| Failure::input_invalid(format!("{pointer} is not an integer")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_event_makes_no_message() {
        let message = Message { event_type: "star".to_owned(), ..Message::from_json("{}") };
        let settings = Settings { channel: None };
        assert_eq!(apply(&settings, &Event::default(), &message), Ok(Vec::new()));
    }
}
