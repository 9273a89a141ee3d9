//! What to say of which event. Each function makes the note of one event; what has none of its own gets the general one.

mod branches;
mod issues;
mod pulls;
mod pushes;
mod runs;

use crate::line::Line;
use crate::note::Note;
use crate::payload::Payload;

/// The note of the event with this name, GitHub's `X-GitHub-Event`.
#[must_use]
pub(crate) fn note(name: &str, payload: &Payload) -> Note {
    match name {
        "push" => pushes::push(payload),
        "create" => branches::create(payload),
        "delete" => branches::delete(payload),
        "fork" => branches::fork(payload),
        "star" => branches::star(payload),
        "release" => branches::release(payload),
        "pull_request" => pulls::pull_request(payload),
        "pull_request_review" => pulls::review(payload),
        "pull_request_review_comment" => pulls::review_comment(payload),
        "issues" => issues::issue(payload),
        "issue_comment" => issues::comment(payload),
        "workflow_run" => runs::workflow_run(payload),
        "check_run" => runs::check_run(payload),
        "deployment_status" => runs::deployment_status(payload),
        "ping" => ping(payload),
        name => general(name, payload),
    }
}

fn ping(payload: &Payload) -> Note {
    let headline = Line::default().emoji("wave").text("GitHub will send events here");
    Note::new(payload, headline).body(Line::default().quote(payload.text("/zen")))
}

/// Who, what and where. Most payloads have an object that is named like the event, such as `milestone`, or one of a few more,
/// with a name and an address.
fn general(name: &str, payload: &Payload) -> Note {
    let first = |fields: &[&str]| {
        let pointers = [name, "alert", "comment", "thread"].into_iter();
        let pointers: Vec<_> =
            pointers.flat_map(|of| fields.iter().map(move |field| format!("/{of}/{field}"))).collect();
        payload.first_text(&pointers.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let words = name.replace('_', " ");
    let headline = match payload.text("/action") {
        "" => payload.who().text(": ").bold(&words),
        action => payload.who().text(": ").bold(&words).text(" ").text(&action.replace('_', " ")),
    };
    let title = first(&[
        "title",
        "name",
        "tag_name",
        "login",
        "slug",
        "summary",
        "rule/description",
        "security_advisory/summary",
    ]);
    let headline = match (title, first(&["html_url"])) {
        ("", "") => headline,
        ("", url) => headline.text(" · ").link(url, "open"),
        (title, url) => headline.text(" · ").link(url, title),
    };
    Note::new(payload, headline).body(Line::default().quote(payload.text("/comment/body")))
}

/// What was done, in the past tense, for actions whose name is not that already.
fn verb(action: &str) -> String {
    match action {
        "" => "changed".to_owned(),
        "synchronize" => "pushed to".to_owned(),
        "ready_for_review" => "marked as ready for review".to_owned(),
        "converted_to_draft" => "converted to a draft".to_owned(),
        "review_requested" => "requested a review of".to_owned(),
        "review_request_removed" => "took back a request to review".to_owned(),
        "demilestoned" => "took out of its milestone".to_owned(),
        "milestoned" => "put into a milestone".to_owned(),
        action => action.replace('_', " "),
    }
}
