//! `issues` and `issue_comment`. GitHub sends comments on pull requests as `issue_comment`, too.

use crate::line::Line;
use crate::note::Note;
use crate::payload::Payload;

pub(super) fn issue(payload: &Payload) -> Note {
    let action = payload.text("/action");
    let verb = match (action, payload.text("/issue/state_reason")) {
        ("closed", "not_planned") => "closed as not planned".to_owned(),
        ("closed", "completed") => "closed as completed".to_owned(),
        _ => super::verb(action),
    };
    let headline = title(payload.who().text(" ").text(&verb).text(" the issue "), payload);
    let headline = match payload.first_text(&["/assignee/login", "/label/name", "/milestone/title"]) {
        "" => headline,
        name => headline.text(" · ").text(name),
    };
    match action {
        "opened" => Note::new(payload, headline).body(Line::default().quote(payload.text("/issue/body"))),
        _ => Note::new(payload, headline),
    }
}

pub(super) fn comment(payload: &Payload) -> Note {
    let what = if payload.has("/issue/pull_request") { " on the pull request " } else { " on the issue " };
    let verb = match payload.text("/action") {
        "edited" => " edited ",
        "deleted" => " deleted ",
        _ => " wrote ",
    };
    let headline = payload.who().text(verb).link(payload.text("/comment/html_url"), "a comment").text(what);
    Note::new(payload, title(headline, payload)).body(Line::default().quote(payload.text("/comment/body")))
}

/// `#1 Title`, linked.
fn title(line: Line, payload: &Payload) -> Line {
    let number = payload.number("/issue/number").map(|number| format!("#{number} ")).unwrap_or_default();
    line.link(payload.text("/issue/html_url"), &format!("{number}{}", payload.text("/issue/title")))
}
