//! `pull_request` and its reviews.

use crate::line::Line;
use crate::note::Note;
use crate::payload::Payload;

pub(super) fn pull_request(payload: &Payload) -> Note {
    let action = payload.text("/action");
    let headline = match action {
        "closed" if payload.is("/pull_request/merged") => {
            title(Line::default().emoji("twisted_rightwards_arrows").append(payload.who()).text(" merged "), payload)
        }
        "closed" => title(payload.who().text(" closed without merging "), payload),
        "opened" if payload.is("/pull_request/draft") => title(payload.who().text(" opened the draft "), payload),
        action => subject(title(payload.who().text(" ").text(&super::verb(action)).text(" "), payload), payload),
    };
    let note = Note::new(payload, headline).detail(branches(payload)).detail(size(payload));
    match action {
        "opened" => note.body(Line::default().quote(payload.text("/pull_request/body"))),
        _ => note,
    }
}

pub(super) fn review(payload: &Payload) -> Note {
    let who = payload.who();
    let headline = match (payload.text("/action"), payload.text("/review/state")) {
        ("dismissed", _) => who.text(" dismissed a review of "),
        ("edited", _) => who.text(" edited a review of "),
        (_, "approved") => Line::default().emoji("white_check_mark").append(who).text(" approved "),
        (_, "changes_requested") => Line::default().emoji("warning").append(who).text(" asked for changes to "),
        _ => who.text(" reviewed "),
    };
    let more = Line::default().link(payload.text("/review/html_url"), "the review");
    Note::new(payload, title(headline, payload)).body(Line::default().quote(payload.text("/review/body"))).detail(more)
}

pub(super) fn review_comment(payload: &Payload) -> Note {
    let who = payload.who();
    let headline = match payload.text("/action") {
        "edited" => who.text(" edited "),
        "deleted" => who.text(" deleted "),
        _ => who.text(" wrote "),
    };
    let headline = headline.link(payload.text("/comment/html_url"), "a comment").text(" on ");
    let headline = title(headline.code(payload.text("/comment/path")).text(" in "), payload);
    Note::new(payload, headline).body(Line::default().quote(payload.text("/comment/body")))
}

/// `#2 Title`, linked.
fn title(line: Line, payload: &Payload) -> Line {
    let number = payload.number("/pull_request/number").or(payload.number("/number"));
    let number = number.map(|number| format!("#{number} ")).unwrap_or_default();
    line.link(payload.text("/pull_request/html_url"), &format!("{number}{}", payload.text("/pull_request/title")))
}

/// Who or what the action was about: a reviewer, an assignee, a label.
fn subject(line: Line, payload: &Payload) -> Line {
    let names = ["/requested_reviewer/login", "/requested_team/name", "/assignee/login", "/label/name"];
    match payload.first_text(&names) {
        "" => line,
        name => line.text(" · ").text(name),
    }
}

fn branches(payload: &Payload) -> Line {
    match (payload.text("/pull_request/head/ref"), payload.text("/pull_request/base/ref")) {
        ("", _) | (_, "") => Line::default(),
        (head, base) => Line::default().code(head).text(" → ").code(base),
    }
}

fn size(payload: &Payload) -> Line {
    let numbers =
        ["additions", "deletions", "changed_files"].map(|name| payload.number(&format!("/pull_request/{name}")));
    match numbers {
        [Some(added), Some(deleted), Some(files)] => {
            let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
            Line::default().text(&format!("+{added} −{deleted} in {files}"))
        }
        _ => Line::default(),
    }
}
