//! Tests of [`super`], on payloads as GitHub sends them, cut down to what is read.

use hookswitch_guest::Header;
use serde_json::{Value, json};

use super::*;

/// What all payloads have.
fn payload(more: Value) -> Value {
    let mut payload = json!({
        "repository": {"name": "Hello-World", "full_name": "Codertocat/Hello-World", "html_url": "https://github.com/Codertocat/Hello-World"},
        "sender": {"login": "Codertocat", "html_url": "https://github.com/Codertocat"},
    });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    payload
}

fn pull_request(more: Value) -> Value {
    let mut pull_request = json!({
        "number": 2, "title": "Update <README> & more", "html_url": "https://github.com/Codertocat/Hello-World/pull/2",
        "body": "<!-- why? -->\nA simple change.\n@channel please", "head": {"ref": "changes"}, "base": {"ref": "master"},
        "additions": 1, "deletions": 0, "changed_files": 1,
    });
    pull_request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    pull_request
}

fn run(settings: Value, event_type: &str, payload: &Value) -> Result<Vec<Output>, Failure> {
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let event = Event::default();
    apply(&settings, &event, &Message { event_type: event_type.to_owned(), ..Message::from_json(payload.to_string()) })
}

fn slack(event_type: &str, payload: &Value) -> Value {
    let outputs = run(json!({}), event_type, payload).unwrap();
    assert_eq!((outputs.len(), outputs[0].content_type.as_deref()), (1, Some("application/json")));
    serde_json::from_slice(outputs[0].body.as_deref().unwrap()).unwrap()
}

/// The notification of the message.
fn said(event_type: &str, more: Value) -> String {
    slack(event_type, &payload(more))["text"].as_str().unwrap().to_owned()
}

#[test]
fn a_pull_request_in_full() {
    let message = slack("pull_request", &payload(json!({"action": "opened", "pull_request": pull_request(json!({}))})));
    let mrkdwn = |text| json!({"type": "mrkdwn", "text": text, "verbatim": true});
    let expected = json!({
        "text": "[Codertocat/Hello-World] Codertocat opened #2 Update &lt;README&gt; &amp; more",
        "blocks": [
            {"type": "section", "text": mrkdwn(
                "<https://github.com/Codertocat|Codertocat> opened <https://github.com/Codertocat/Hello-World/pull/2|#2 Update \
                 &lt;README&gt; &amp; more>"
            )},
            {"type": "section", "text": mrkdwn("> A simple change.\n> @channel please")},
            {"type": "context", "elements": [
                mrkdwn("<https://github.com/Codertocat/Hello-World|Codertocat/Hello-World>"),
                mrkdwn("`changes` → `master`"), mrkdwn("+1 −0 in 1 file"),
            ]},
        ],
        "unfurl_links": false, "unfurl_media": false,
    });
    assert_eq!(message, expected);
}

/// Each triple: an event, its payload, and what its notification ends with.
#[test]
fn each_event_says_what_happened() {
    let pull = |action: &str, more| json!({"action": action, "pull_request": pull_request(more)});
    let issue = json!({"number": 1, "title": "Typo", "html_url": "https://github.com/x/y/issues/1", "state_reason": "not_planned"});
    let review = |state: &str| json!({"action": "submitted", "review": {"state": state}, "pull_request": pull_request(json!({}))});
    let run = |conclusion: Value| json!({"action": "completed", "workflow_run": {"name": "CI", "run_number": 36, "status": "queued", "conclusion": conclusion}});
    for (event_type, more, words) in [
        ("pull_request", pull("closed", json!({"merged": true})), "merged #2 Update"),
        ("pull_request", pull("closed", json!({"merged": false})), "closed without merging #2"),
        ("pull_request", pull("reopened", json!({})), "reopened #2"),
        ("pull_request", pull("ready_for_review", json!({})), "marked as ready for review #2"),
        ("pull_request", pull("opened", json!({"draft": true})), "opened the draft #2"),
        ("pull_request_review", review("approved"), "approved #2"),
        ("pull_request_review", review("changes_requested"), "asked for changes to #2"),
        (
            "pull_request_review_comment",
            json!({"action": "created", "comment": {"path": "a.rs"}}),
            "wrote a comment on a.rs in ",
        ),
        ("issues", json!({"action": "closed", "issue": issue}), "closed as not planned the issue #1 Typo"),
        (
            "issues",
            json!({"action": "labeled", "issue": issue, "label": {"name": "bug"}}),
            "labeled the issue #1 Typo · bug",
        ),
        ("issue_comment", json!({"action": "created", "issue": issue}), "wrote a comment on the issue #1 Typo"),
        (
            "issue_comment",
            json!({"action": "edited", "issue": {"pull_request": {}}}),
            "edited a comment on the pull request ",
        ),
        (
            "release",
            json!({"action": "published", "release": {"tag_name": "0.0.1", "prerelease": true}}),
            "published the pre-release 0.0.1",
        ),
        ("create", json!({"ref": "simple-tag", "ref_type": "tag"}), "created the tag simple-tag"),
        ("delete", json!({"ref": "old", "ref_type": "branch"}), "deleted the branch old"),
        (
            "fork",
            json!({"forkee": {"full_name": "Octocoders/Hello-World"}}),
            "forked the repository to Octocoders/Hello-World",
        ),
        ("star", json!({"action": "created"}), "gave a star"),
        ("star", json!({"action": "deleted"}), "took a star away"),
        ("workflow_run", run(json!("failure")), "Workflow CI #36 failed"),
        ("workflow_run", run(Value::Null), "Workflow CI #36: queued"),
        ("check_run", json!({"check_run": {"name": "lint", "conclusion": "timed_out"}}), "Check lint: timed out"),
        (
            "deployment_status",
            json!({"deployment_status": {"state": "success", "environment": "production"}}),
            "Deployment to production succeeded",
        ),
        ("ping", json!({"zen": "Keep it logically awesome."}), "GitHub will send events here"),
        (
            "milestone",
            json!({"action": "created", "milestone": {"title": "v1.0"}}),
            "Codertocat: milestone created · v1.0",
        ),
        (
            "dependabot_alert",
            json!({"action": "fixed", "alert": {"security_advisory": {"summary": "Bad"}}}),
            "alert fixed · Bad",
        ),
        (
            "commit_comment",
            json!({"action": "created", "comment": {"html_url": "https://a.example"}}),
            "created · open",
        ),
        ("some_new_event", json!({}), "Codertocat: some new event"),
    ] {
        let text = said(event_type, more);
        assert!(text.contains(words), "{event_type}: {text}");
    }
}

#[test]
fn a_push_lists_its_commits() {
    let commit = |n: usize| json!({"id": format!("{n:040}"), "message": format!("Commit {n}\n\nmore"), "url": "https://github.com/c", "author": {"name": "Octo"}});
    let commits: Vec<_> = (1..=12).map(commit).collect();
    let push = json!({"ref": "refs/heads/main", "forced": true, "compare": "https://github.com/c", "commits": commits});
    let message = slack("push", &payload(push));
    assert_eq!(message["text"], "[Codertocat/Hello-World] Codertocat force-pushed 12 commits to the branch main");
    let list = message["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(list.starts_with("<https://github.com/c|0000000> Commit 1 – Octo\n<"), "{list}");
    assert!(list.ends_with("Commit 10 – Octo\n… and 2 more"), "{list}");

    assert_eq!(
        said("push", json!({"ref": "refs/tags/v1", "created": true})),
        "[Codertocat/Hello-World] Codertocat pushed the new tag v1"
    );
    assert!(said("push", json!({"ref": "refs/heads/a", "deleted": true})).ends_with("deleted the branch a"));
}

#[test]
fn a_release_has_a_heading_within_its_limit() {
    let release =
        json!({"action": "published", "release": {"name": "🦀".repeat(200), "tag_name": "v1", "body": "Notes"}});
    let message = slack("release", &payload(release));
    let heading = message["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(heading.starts_with("Hello-World 🦀") && heading.ends_with("🦀…"), "{heading}");
    assert!(heading.encode_utf16().count() <= 150, "{heading}");
}

#[test]
fn settings_name_the_channel_and_the_events() {
    let settings = json!({"channel": "#builds", "username": "hooks", "icon_emoji": ":octocat:", "events": ["push", "issues.opened"]});
    let outputs = run(settings.clone(), "push", &payload(json!({}))).unwrap();
    let message: Value = serde_json::from_slice(outputs[0].body.as_deref().unwrap()).unwrap();
    assert_eq!([&message["channel"], &message["username"], &message["icon_emoji"]], ["#builds", "hooks", ":octocat:"]);

    let count =
        |event_type, action| run(settings.clone(), event_type, &payload(json!({"action": action}))).unwrap().len();
    assert_eq!([count("issues", "opened"), count("issues", "closed"), count("star", "created")], [1, 0, 0]);
}

#[test]
fn the_header_says_which_event_it_is() {
    let event = Event {
        headers: vec![Header { name: "x-github-event".to_owned(), value: "star".to_owned() }],
        ..Event::default()
    };
    let message = Message { event_type: "renamed".to_owned(), ..Message::from_json(r#"{"action": "created"}"#) };
    let outputs = apply(&Settings::default(), &event, &message).unwrap();
    let body: Value = serde_json::from_slice(outputs[0].body.as_deref().unwrap()).unwrap();
    assert_eq!(body["text"], "Somebody gave a star");
}

/// Whatever a payload has where text is expected, there is a message.
#[test]
fn odd_payloads_still_make_a_message() {
    let odd = json!({"action": 7, "sender": [], "repository": "x", "commits": {}, "pull_request": null, "release": 1, "issue": [1]});
    let events =
        ["push", "pull_request", "pull_request_review", "issues", "issue_comment", "release", "create", "fork", "star"];
    for event_type in events.into_iter().chain(["workflow_run", "check_run", "deployment_status", "ping", "", "a/~b"]) {
        for payload in [&odd, &json!({})] {
            assert!(!slack(event_type, payload)["text"].as_str().unwrap().is_empty(), "{event_type}");
        }
    }
}

#[test]
fn what_is_no_json_object_is_a_failure_with_advice() {
    assert_eq!(run(json!({}), "push", &json!([])).unwrap_err().code, "input-invalid");
    let form = Message {
        content_type: "application/x-www-form-urlencoded".to_owned(),
        ..Message::from_json("payload=%7B%7D")
    };
    let failure = apply(&Settings::default(), &Event::default(), &form).unwrap_err();
    assert!(failure.message.contains("set the content type of the webhook on GitHub"), "{}", failure.message);
}
