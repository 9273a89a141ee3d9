//! What a module made beside what is expected of it: equal or not, and where they differ. Pure.
//!
//! A member of a message that is left out has to be as it was in the message the module was given. So an expectation holds what
//! the module changes, and nothing else.

use super::words::shortened;
use crate::model::Message;
use crate::runtime::{CallError, Verdict};
use crate::trial::{BodyForm, Exact, body, body_as, head, outcome};
use std::collections::BTreeSet;

/// The most differences told of one fixture.
const DIFFERENCES_MAX: usize = 10;

/// What came of a call, as it is written into `expected.json`: of each message what the module changed.
pub(super) fn to_write(result: &Result<Verdict, CallError>, given: &Message) -> Exact {
    let before = head(given);
    outcome(result, |made| {
        let mut changed = head(made);
        changed.retain(|name, value| before.get(name) != Some(value));
        if made.body != given.body {
            let (form, shown) = body(made);
            changed.insert(form.member().to_owned(), shown);
        }
        changed
    })
}

/// Where what came of a call is not what is expected, one line each; none where it is equal.
pub(super) fn differences(expected: &Exact, result: &Result<Verdict, CallError>, given: &Message) -> Vec<String> {
    let (expected, actual) = comparable(expected, result, given);
    let mut lines = Vec::new();
    compare("", &expected, &actual, &mut lines);
    let more = lines.len().saturating_sub(DIFFERENCES_MAX);
    if more > 0 {
        lines.truncate(DIFFERENCES_MAX);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// Both with all their members, and with bodies in the form that is expected.
fn comparable(expected: &Exact, result: &Result<Verdict, CallError>, given: &Message) -> (Exact, Exact) {
    let Exact::Object(members) = expected else { return (expected.clone(), to_write(result, given)) };
    let before = head(given);
    let (mut forms, mut whole) = (Vec::new(), members.clone());
    for list in ["messages", "dispatches"] {
        let Some(Exact::List(messages)) = whole.get_mut(list) else { continue };
        for message in messages {
            let Exact::Object(message) = message else { continue };
            forms.push(BodyForm::ALL.into_iter().find(|form| message.contains_key(form.member())));
            for (name, value) in &before {
                message.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    let position = std::cell::Cell::new(0);
    let actual = outcome(result, |made| {
        let form = forms.get(position.replace(position.get() + 1)).copied().flatten();
        let mut shown = head(made);
        let body = match form {
            Some(form) => Some(body_as(made, form).map_or_else(|| body(made), |shown| (form, shown))),
            // Nothing is said of it: it has to be the one that was given.
            None => (made.body != given.body).then(|| body(made)),
        };
        shown.extend(body.map(|(form, shown)| (form.member().to_owned(), shown)));
        shown
    });
    (Exact::Object(whole), actual)
}

fn compare(at: &str, expected: &Exact, actual: &Exact, lines: &mut Vec<String>) {
    match (expected, actual) {
        _ if expected == actual => {}
        (Exact::Object(expected), Exact::Object(actual)) => {
            let names: BTreeSet<&String> = expected.keys().chain(actual.keys()).collect();
            for name in names {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                compare_one(&at, expected.get(name), actual.get(name), lines);
            }
        }
        (Exact::List(expected), Exact::List(actual)) => {
            for position in 0..expected.len().max(actual.len()) {
                compare_one(&format!("{at}/{position}"), expected.get(position), actual.get(position), lines);
            }
        }
        _ => lines.push(told(at, Some(expected), Some(actual))),
    }
}

fn compare_one(at: &str, expected: Option<&Exact>, actual: Option<&Exact>, lines: &mut Vec<String>) {
    match (expected, actual) {
        (Some(expected), Some(actual)) => compare(at, expected, actual, lines),
        (expected, actual) => lines.push(told(at, expected, actual)),
    }
}

fn told(at: &str, expected: Option<&Exact>, actual: Option<&Exact>) -> String {
    let value =
        |value: Option<&Exact>| value.map_or_else(|| "nothing".to_owned(), |value| shortened(&value.to_string()));
    let at = if at.is_empty() { "the result" } else { at };
    format!("{at}: expected {}, got {}", value(expected), value(actual))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn given() -> Message {
        Message {
            event_type: "push".into(),
            content_type: "application/json".into(),
            headers: Vec::new(),
            body: Bytes::from_static(br#"{"n": 1}"#),
            body_is_event: true,
            ordering_key: None,
            delay_ms: 0,
        }
    }

    fn made(messages: &[Message]) -> Result<Verdict, CallError> {
        Ok(Verdict::Messages(messages.to_vec()))
    }

    fn differ(expected: &str, result: &Result<Verdict, CallError>) -> Vec<String> {
        differences(&Exact::parse(expected).unwrap(), result, &given())
    }

    #[test]
    fn what_is_left_out_has_to_be_unchanged() {
        let unchanged = made(&[given()]);
        assert_eq!(to_write(&unchanged, &given()).to_string(), r#"{"messages":[{}]}"#);
        assert_eq!(differ(r#"{"messages": [{}]}"#, &unchanged), [""; 0]);
        let whole = r#"{"messages": [{"event_type": "push", "body": {"n": 1}, "ordering_key": null}]}"#;
        assert_eq!(differ(whole, &unchanged), [""; 0], "it may be said nevertheless");
        let other = made(&[Message { event_type: "item".into(), body: Bytes::from_static(b"[]"), ..given() }]);
        let expected =
            [r#"/messages/0/body: expected nothing, got []"#, r#"/messages/0/event_type: expected "push", got "item""#];
        assert_eq!(differ(r#"{"messages": [{}]}"#, &other), expected);
        assert_eq!(to_write(&other, &given()).to_string(), r#"{"messages":[{"body":[],"event_type":"item"}]}"#);
    }

    #[test]
    fn what_is_written_is_equal_to_what_it_was_written_from() {
        let results = [
            Ok(Verdict::Accept),
            Ok(Verdict::Reject("no".into())),
            made(&[]),
            made(&[given(), Message { body: Bytes::from_static(b"\xff"), delay_ms: 5, ..given() }]),
            Ok(Verdict::Dispatches(vec![("out".parse().unwrap(), given())])),
            Err(CallError::Failed { code: "limit".into(), message: "too many".into() }),
        ];
        for (at, result) in results.iter().enumerate() {
            let written = to_write(result, &given()).to_string();
            assert_eq!(differ(&written, result), [""; 0], "{written}");
            let others = results.iter().enumerate().filter(|(other, _)| *other != at);
            assert!(others.into_iter().all(|(_, other)| !differ(&written, other).is_empty()), "{written}");
        }
    }

    #[test]
    fn a_body_is_compared_in_the_form_that_is_expected() {
        let body = |body: &'static [u8]| made(&[Message { body: Bytes::from_static(body), ..given() }]);
        assert_eq!(differ(r#"{"messages": [{"body": {"b": 2, "a": 1}}]}"#, &body(br#"{"a":1, "b":2}"#)), [""; 0]);
        assert_eq!(differ(r#"{"messages": [{"body_text": "{}"}]}"#, &body(b"{}")), [""; 0]);
        assert_eq!(differ(r#"{"messages": [{"body_text": "{ }"}]}"#, &body(b"{}")).len(), 1);
        assert_eq!(differ(r#"{"messages": [{"body_base64": "e30="}]}"#, &body(b"{}")), [""; 0]);
        let large = differ(r#"{"messages": [{"body": 9007199254740993}]}"#, &body(b"9007199254740992"));
        assert_eq!(large, ["/messages/0/body: expected 9007199254740993, got 9007199254740992"]);
        let text = differ(r#"{"messages": [{"body": {}}]}"#, &body(b"no JSON"));
        assert_eq!(text.len(), 2, "{text:?}");
    }

    #[test]
    fn differences_are_few_and_short() {
        let messages = |count: usize| made(&vec![given(); count]);
        let lines = differ(r#"{"messages": []}"#, &messages(20));
        assert_eq!((lines.len(), lines[10].as_str()), (DIFFERENCES_MAX + 1, "and 10 more"));
        let long = Ok(Verdict::Reject("x".repeat(1000)));
        assert!(differ(r#"{"decision": "accept"}"#, &long)[0].len() < 400);
        let lines = differ("7", &messages(0));
        assert_eq!(lines, [r#"the result: expected 7, got {"messages":[]}"#]);
    }
}
