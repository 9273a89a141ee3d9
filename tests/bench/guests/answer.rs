//! What a module answered, as JSON that can be compared as text: in the form of a fixture's `expected.json`, members sorted,
//! numbers as they are written.

use hookswitch::model::Message;
use hookswitch::runtime::{CallError, Verdict};
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The answer to a call that was made with `given`.
pub(crate) fn text(result: Result<Verdict, CallError>, given: &Message) -> String {
    match result {
        Ok(Verdict::Accept) => r#"{"decision":"accept"}"#.to_owned(),
        Ok(Verdict::Reject(reason)) => json!({ "decision": { "reject": reason } }).to_string(),
        Ok(Verdict::Messages(messages)) => {
            let messages: Vec<String> = messages.iter().map(|message| message_text(message, given)).collect();
            format!(r#"{{"messages":[{}]}}"#, messages.join(","))
        }
        Ok(Verdict::Dispatches(_)) => panic!("there is no template for routers"),
        Err(CallError::Failed { code, message }) => {
            json!({ "failure": { "code": code, "message": message } }).to_string()
        }
        // In the language's own words.
        Err(CallError::SettingsInvalid { code, .. }) => json!({ "failure": { "code": code } }).to_string(),
        Err(error) => json!({ "error": error.to_string() }).to_string(),
    }
}

/// What a message has that the one before had not.
fn message_text(message: &Message, given: &Message) -> String {
    let mut members = BTreeMap::new();
    if message.body != given.body {
        members.insert("body", canonical(std::str::from_utf8(&message.body).unwrap()));
    }
    if message.content_type != given.content_type {
        members.insert("content_type", json!(message.content_type).to_string());
    }
    let rest = (&message.event_type, &message.headers, &message.ordering_key, message.delay_ms);
    assert_eq!(rest, (&given.event_type, &given.headers, &given.ordering_key, given.delay_ms));
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// A JSON text with the members of every object sorted, without spaces, and every number as it is.
pub(crate) fn canonical(text: &str) -> String {
    let text = text.trim();
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, Box<RawValue>> = parse(text);
            let members = members.iter().map(|(name, value)| format!("{}:{}", json!(name), canonical(value.get())));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Some(b'[') => {
            let items: Vec<Box<RawValue>> = parse(text);
            format!("[{}]", items.iter().map(|item| canonical(item.get())).collect::<Vec<_>>().join(","))
        }
        Some(b'"') => json!(parse::<String>(text)).to_string(),
        _ => text.to_owned(),
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not JSON: {error}: {text}"))
}
