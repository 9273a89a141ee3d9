//! Tests of [`super`], on a small push as GitHub sends it.

use super::*;
use hookswitch_guest::Header;

const PUSH: &str = r#"{
    "ref": "refs/heads/main", "created": false, "base_ref": null, "id": 9007199254740993, "score": 1.50,
    "head_commit": {"timestamp": "2019-05-15T15:20:18-04:00", "added": [], "modified": ["README.md", "src/lib.rs"]},
    "labels": [{"name": "bug"}, 7]
}"#;

fn decide(settings: &str, body: &str) -> Result<Decision, Failure> {
    let condition = serde_json::from_str(settings).unwrap_or_else(|error| panic!("{settings}: {error}"));
    let event = Event {
        source: "github".to_owned(),
        headers: vec![Header { name: "x-github-hook-id".to_owned(), value: "292430182".to_owned() }],
        ..Event::default()
    };
    matches(&condition, &event, &Message { event_type: "push".to_owned(), ..Message::from_json(body) })
}

fn reason(settings: &str) -> String {
    match decide(settings, PUSH) {
        Ok(Decision::Reject(reason)) => reason,
        other => panic!("{settings}: {other:?}"),
    }
}

#[test]
fn each_test_holds_where_it_should() {
    for settings in [
        r#"{"pointer": "/ref", "equals": "refs/heads/main"}"#,
        r#"{"pointer": "/id", "equals": 9007199254740993}"#,
        r#"{"pointer": "/base_ref", "equals": null}"#,
        r#"{"pointer": "/head_commit/added", "equals": []}"#,
        r#"{"pointer": "/ref", "in": [1, "refs/heads/main"]}"#,
        r#"{"pointer": "/base_ref", "exists": true}"#,
        r#"{"pointer": "/nope", "exists": false}"#,
        r#"{"pointer": "", "exists": true}"#,
        r#"{"pointer": "/ref", "prefix": "refs/heads/"}"#,
        r#"{"pointer": "/ref", "suffix": "/main"}"#,
        r#"{"pointer": "/ref", "contains": "heads"}"#,
        r#"{"pointer": "/labels", "contains": {"name": "bug"}}"#,
        r#"{"pointer": "/head_commit/modified", "contains": "README.md"}"#,
        r#"{"pointer": "/head_commit/modified/1", "regex": "\\.rs$"}"#,
        r#"{"pointer": "/id", "gt": 9007199254740992}"#,
        r#"{"pointer": "/score", "gte": 1.5}"#,
        r#"{"pointer": "/score", "lte": 1.5}"#,
        r#"{"pointer": "/score", "lt": 1.500000000000000000001}"#,
        r#"{"pointer": "/head_commit/timestamp", "after": "2019-05-15T19:20:17Z"}"#,
        r#"{"pointer": "/head_commit/timestamp", "before": "2019-05-15T19:20:19Z"}"#,
        r#"{"header": "X-GitHub-Hook-ID", "equals": "292430182"}"#,
        r#"{"header": "x-github-hook-id", "equals": 292430182}"#,
        r#"{"header": "x-github-hook-id", "gt": 1000}"#,
        r#"{"event": "type", "equals": "push"}"#,
        r#"{"event": "source", "regex": "^git"}"#,
        r#"{"not": {"pointer": "/nope", "equals": 1}}"#,
        r#"{"any": [{"event": "type", "equals": "x"}, {"event": "type", "equals": "push"}]}"#,
    ] {
        assert_eq!(decide(settings, PUSH), Ok(accept()), "{settings}");
    }
}

/// Each pair: settings, and the reason in full.
#[test]
fn a_reason_says_what_is_and_what_was_wanted() {
    for (settings, words) in [
        (
            r#"{"pointer": "/ref", "equals": "refs/heads/next"}"#,
            r#"/ref is "refs/heads/main"; wanted: /ref equals "refs/heads/next""#,
        ),
        (r#"{"pointer": "/nope", "prefix": "a"}"#, r#"/nope is missing; wanted: /nope begins with "a""#),
        (r#"{"header": "x-a", "exists": true}"#, "header x-a is missing; wanted: header x-a exists"),
        (r#"{"pointer": "/score", "gt": 1.5}"#, "/score is 1.50; wanted: /score is above 1.5"),
        (r#"{"pointer": "/score", "lt": 15e-1}"#, "/score is 1.50; wanted: /score is below 15e-1"),
        (
            r#"{"pointer": "/id", "lte": 9007199254740992}"#,
            "/id is 9007199254740993; wanted: /id is at most 9007199254740992",
        ),
        (r#"{"pointer": "/created", "gte": 0}"#, "/created is false; wanted: /created is at least 0"),
        (r#"{"pointer": "/base_ref", "exists": false}"#, "/base_ref is null; wanted: /base_ref does not exist"),
        (
            r#"{"event": "type", "after": "2019-01-01T00:00:00Z"}"#,
            r#"the event type is "push"; wanted: the event type is after 2019-01-01T00:00:00Z"#,
        ),
        (
            r#"{"not": {"event": "type", "in": ["push", "ping"]}}"#,
            r#"this must not hold, and does: the event type is one of "push", "ping""#,
        ),
        (
            r#"{"any": [{"event": "type", "prefix": "x"}, {"all": [{"event": "source", "exists": true}, {"pointer": "/n", "equals": 1}]}]}"#,
            r#"none of these holds: (the event type is "push"; wanted: the event type begins with "x") (/n is missing; wanted: /n equals 1)"#,
        ),
    ] {
        assert_eq!(reason(settings), words);
    }
}

#[test]
fn a_reason_is_bounded() {
    let leaf = format!(r#"{{"pointer": "", "contains": "{}"}}"#, "é".repeat(300));
    let reason = reason(&format!(r#"{{"any": [{leaf}, {leaf}, {leaf}]}}"#));
    assert!((REASON_BYTES_MAX - 1..=REASON_BYTES_MAX).contains(&reason.len()), "{} bytes", reason.len());
    assert!(reason.ends_with('…'), "{reason}");
}

#[test]
fn a_body_that_is_not_json_matters_only_where_it_is_asked_for() {
    assert_eq!(decide(r#"{"event": "type", "equals": "push"}"#, "a=b"), Ok(accept()));
    assert!(
        decide(r#"{"any": [{"event": "type", "equals": "push"}, {"pointer": "/a", "exists": true}]}"#, "a=b").is_ok()
    );
    let failure = decide(r#"{"pointer": "/a", "exists": false}"#, "a=b").unwrap_err();
    assert_eq!(failure.code, "input-invalid");
    assert!(
        failure.message.starts_with("cannot look up /a: the body is not JSON: expected value"),
        "{}",
        failure.message
    );
}
