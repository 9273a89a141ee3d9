//! What Slack says in a form: a slash command has fields of its own, an interaction one field with JSON. Pure.

use super::json::Json;
use http::{HeaderMap, header};
use std::borrow::Cow;

/// How many fields are looked at. Slack sends some dozen.
const FIELDS_MAX: usize = 64;

/// What such a form says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SlackForm {
    /// The command, as `/weather`, or the interaction's type, as `block_actions`.
    pub(super) event_type: Option<String>,
    /// What is there once for each command or interaction.
    pub(super) trigger_id: Option<String>,
}

impl SlackForm {
    /// Reads it; nothing is found in another body.
    pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !crate::config::media_type_of(content_type).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Self::default();
        }
        let field = |wanted: &str| {
            let mut fields = url::form_urlencoded::parse(body).take(FIELDS_MAX);
            fields.find_map(|(name, value)| (name == wanted).then_some(value))
        };
        if let Some(payload) = field("payload") {
            let payload = Json::of(payload.as_bytes());
            let text = |pointer: &str| payload.text_at(pointer);
            return Self { event_type: text("/type"), trigger_id: text("/trigger_id") };
        }
        Self { event_type: field("command").map(Cow::into_owned), trigger_id: field("trigger_id").map(Cow::into_owned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &str) -> (Option<String>, Option<String>) {
        let headers = [(header::CONTENT_TYPE, content_type.parse().unwrap())].into_iter().collect();
        let SlackForm { event_type, trigger_id } = SlackForm::read(&headers, body.as_bytes());
        (event_type, trigger_id)
    }

    #[test]
    fn a_command_and_an_interaction_say_what_they_are() {
        let (form, own) = ("application/x-www-form-urlencoded; charset=utf-8", |text: &str| Some(text.to_owned()));
        let command = "token=x&command=%2Fweather&text=94070&trigger_id=13345224609.738474920.8088930838d88f008e0";
        assert_eq!(read(form, command), (own("/weather"), own("13345224609.738474920.8088930838d88f008e0")));
        let payload = r#"payload={"type":"block_actions","trigger_id":"1.2.3","user":{"id":"U1"}}"#;
        assert_eq!(read(form, payload), (own("block_actions"), own("1.2.3")));
        assert_eq!(read(form, "payload={"), (None, None));
        assert_eq!(read(form, ""), (None, None));
        assert_eq!(read("application/json", command), (None, None));
    }
}
