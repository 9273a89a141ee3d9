//! What came of a call, as a document. Nothing is rounded and nothing is lost: a body is JSON with its numbers as they are written,
//! or text, or base64, each under its own name.

use super::Exact;
use crate::model::{Header, Message};
use crate::runtime::{CallError, Verdict};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::cell::Cell;
use std::collections::BTreeMap;

/// The members of an object.
type Members = BTreeMap<String, Exact>;

/// How a body is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// `body`: JSON.
    Json,
    /// `body_text`.
    Text,
    /// `body_base64`.
    Base64,
}

impl BodyForm {
    /// All of them, the plainest first.
    pub const ALL: [Self; 3] = [Self::Json, Self::Text, Self::Base64];

    /// The name of the member.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Json => "body",
            Self::Text => "body_text",
            Self::Base64 => "body_base64",
        }
    }
}

/// `{"decision": …}`, `{"messages": […]}`, `{"dispatches": […]}`, `{"failure": …}` where the module says that it failed, and
/// `{"error": …}` where it broke. Each message is shown by `message`.
#[must_use]
pub fn outcome(result: &Result<Verdict, CallError>, message: impl Fn(&Message) -> Members) -> Exact {
    let says =
        |code: &str, message: &str| Exact::object([("code", Exact::text(code)), ("message", Exact::text(message))]);
    match result {
        Ok(Verdict::Accept) => Exact::object([("decision", Exact::text("accept"))]),
        Ok(Verdict::Reject(reason)) => Exact::object([("decision", Exact::object([("reject", Exact::text(reason))]))]),
        Ok(Verdict::Messages(made)) => {
            let made = made.iter().map(|made| Exact::Object(message(made)));
            Exact::object([("messages", Exact::List(made.collect()))])
        }
        Ok(Verdict::Dispatches(made)) => {
            let made = made.iter().map(|(endpoint, made)| {
                let mut members = message(made);
                members.insert("endpoint".to_owned(), Exact::text(endpoint.as_str()));
                Exact::Object(members)
            });
            Exact::object([("dispatches", Exact::List(made.collect()))])
        }
        Err(CallError::Failed { code, message } | CallError::SettingsInvalid { code, message }) => {
            Exact::object([("failure", says(code, message))])
        }
        Err(error) => Exact::object([("error", says(error.code(), &error.to_string()))]),
    }
}

/// The outcome with whole messages, as long as these have no more than `bytes_max` bytes together: of each one that is too much, only its
/// size is shown, `{"bytes": …}`. Says whether there is such a one.
#[must_use]
pub fn outcome_within(result: &Result<Verdict, CallError>, bytes_max: usize) -> (Exact, bool) {
    let (left, cut) = (Cell::new(bytes_max), Cell::new(false));
    let shown = outcome(result, |made| {
        let bytes = size(made);
        match left.get().checked_sub(bytes) {
            Some(rest) => {
                left.set(rest);
                message(made)
            }
            None => {
                cut.set(true);
                Members::from([("bytes".to_owned(), Exact::number(bytes as u64))])
            }
        }
    });
    (shown, cut.get())
}

/// How many bytes a message has, with all its texts.
fn size(message: &Message) -> usize {
    let headers = message.headers.iter().flat_map(|header| [header.name.len(), header.value.len()]);
    let key = message.ordering_key.as_ref().map_or(0, String::len);
    headers.chain([message.body.len(), message.event_type.len(), message.content_type.len(), key]).sum()
}

/// A whole message, its body in the form that suits it.
#[must_use]
pub fn message(message: &Message) -> Members {
    let mut members = head(message);
    let (form, shown) = body(message);
    members.insert(form.member().to_owned(), shown);
    members
}

/// A message without its body.
#[must_use]
pub fn head(message: &Message) -> Members {
    let header =
        |header: &Header| Exact::object([("name", Exact::text(&header.name)), ("value", Exact::text(&header.value))]);
    let members = [
        ("event_type", Exact::text(&message.event_type)),
        ("content_type", Exact::text(&message.content_type)),
        ("headers", Exact::List(message.headers.iter().map(header).collect())),
        ("ordering_key", message.ordering_key.as_ref().map_or(Exact::Null, Exact::text)),
        ("delay_ms", Exact::number(message.delay_ms)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A body in the form that suits it: JSON where it is JSON and its content type says so, text where it is UTF-8, otherwise base64.
#[must_use]
pub fn body(message: &Message) -> (BodyForm, Exact) {
    let says_json = is_json(&message.content_type);
    let fits = |form: &BodyForm| *form != BodyForm::Json || says_json;
    let suits = BodyForm::ALL.into_iter().filter(fits).find_map(|form| Some((form, body_as(message, form)?)));
    suits.unwrap_or((BodyForm::Base64, Exact::text("")))
}

/// A body in this form; none where it cannot be had in it.
#[must_use]
pub fn body_as(message: &Message, form: BodyForm) -> Option<Exact> {
    let text = || str::from_utf8(&message.body).ok();
    match form {
        BodyForm::Json => Exact::parse(text()?).ok(),
        BodyForm::Text => text().map(Exact::text),
        BodyForm::Base64 => Some(Exact::text(BASE64_STANDARD.encode(&message.body))),
    }
}

/// `application/json`, or another type whose name ends in `+json`.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let (_, subtype) = essence.split_once('/').unwrap_or_default();
    subtype.eq_ignore_ascii_case("json") || subtype.to_ascii_lowercase().ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn with_body(content_type: &str, body: &[u8]) -> Message {
        Message {
            event_type: "push".into(),
            content_type: content_type.into(),
            headers: vec![Header { name: "x-a".into(), value: "1".into() }],
            body: Bytes::copy_from_slice(body),
            body_is_event: false,
            ordering_key: None,
            delay_ms: 7,
        }
    }

    #[test]
    fn a_body_has_the_form_that_loses_nothing() {
        let form = |content_type: &str, bytes: &[u8]| {
            let (form, shown) = body(&with_body(content_type, bytes));
            (form.member(), shown.to_string())
        };
        let big = br#"{"n": 12345678901234567890123}"#;
        assert_eq!(form("application/json; charset=utf-8", big), ("body", r#"{"n":12345678901234567890123}"#.into()));
        assert_eq!(form("application/problem+JSON", b"[]"), ("body", "[]".into()));
        assert_eq!(form("application/json", b"{"), ("body_text", r#""{""#.into()));
        assert_eq!(form("text/plain", b"{}"), ("body_text", r#""{}""#.into()));
        assert_eq!(form("application/json", b"\xff"), ("body_base64", r#""/w==""#.into()));
    }

    #[test]
    fn what_is_too_much_is_shown_by_its_size() {
        // With its event type, media type and header.
        let made = |body: &[u8]| with_body("text/plain", body);
        let (small, large) = (made(b"hi"), made(&[b'x'; 100]));
        assert_eq!((size(&small), size(&large)), (20, 118));
        let result = Ok(Verdict::Messages(vec![small.clone(), large, small.clone()]));
        assert_eq!(outcome_within(&result, 158), (outcome(&result, message), false));
        assert!(outcome_within(&result, 157).1);
        let small = Exact::Object(message(&small));
        let messages = Exact::List(vec![small.clone(), Exact::object([("bytes", Exact::number(118))]), small]);
        assert_eq!(outcome_within(&result, 117), (Exact::object([("messages", messages)]), true));
    }

    #[test]
    fn every_outcome_is_one_member() {
        let shown = |result: Result<Verdict, CallError>| outcome(&result, message).to_string();
        assert_eq!(shown(Ok(Verdict::Accept)), r#"{"decision":"accept"}"#);
        assert_eq!(shown(Ok(Verdict::Reject("no".into()))), r#"{"decision":{"reject":"no"}}"#);
        let made = with_body("text/plain", b"hi");
        let head = r#""content_type":"text/plain","delay_ms":7,"#;
        let rest = r#""event_type":"push","headers":[{"name":"x-a","value":"1"}],"ordering_key":null"#;
        let message = format!(r#"{{"body_text":"hi",{head}{rest}}}"#);
        assert_eq!(shown(Ok(Verdict::Messages(vec![made.clone()]))), format!(r#"{{"messages":[{message}]}}"#));
        let dispatch = format!(r#"{{"body_text":"hi",{head}"endpoint":"out",{rest}}}"#);
        let made = Verdict::Dispatches(vec![("out".parse().unwrap(), made)]);
        assert_eq!(shown(Ok(made)), format!(r#"{{"dispatches":[{dispatch}]}}"#));
        let failed = CallError::Failed { code: "limit".into(), message: "too many".into() };
        assert_eq!(shown(Err(failed)), r#"{"failure":{"code":"limit","message":"too many"}}"#);
        assert!(shown(Err(CallError::Busy)).starts_with(r#"{"error":{"code":"busy","#));
    }
}
