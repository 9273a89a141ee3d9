//! `push`: commits on a branch or a tag.

use serde_json::Value;

use crate::line::{Line, cut, first_line};
use crate::note::Note;
use crate::payload::{Payload, text};

/// How many commits a message lists.
const COMMITS_MAX: usize = 10;

pub(super) fn push(payload: &Payload) -> Note {
    let (kind, name) = kind_and_name(payload.text("/ref"));
    let commits = payload.items("/commits");
    let who = payload.who();
    let headline = if payload.is("/deleted") {
        who.text(" deleted the ").text(kind).text(" ").code(name)
    } else if payload.is("/created") && commits.is_empty() {
        who.text(" pushed the new ").text(kind).text(" ").code(name)
    } else {
        let how = if payload.is("/forced") { " force-pushed " } else { " pushed " };
        let new = if payload.is("/created") { " to the new " } else { " to the " };
        who.text(how).link(payload.text("/compare"), &count(commits.len())).text(new).text(kind).text(" ").code(name)
    };
    Note::new(payload, headline).body(list(commits))
}

/// `refs/heads/main` is the branch `main`.
fn kind_and_name(reference: &str) -> (&'static str, &str) {
    if let Some(name) = reference.strip_prefix("refs/heads/") {
        return ("branch", name);
    }
    match reference.strip_prefix("refs/tags/") {
        Some(name) => ("tag", name),
        None => ("ref", reference),
    }
}

fn count(commits: usize) -> String {
    if commits == 1 { "1 commit".to_owned() } else { format!("{commits} commits") }
}

fn list(commits: &[Value]) -> Line {
    let mut line = Line::default();
    for commit in commits.iter().take(COMMITS_MAX) {
        let id: String = text(commit, "/id").chars().take(7).collect();
        let message = cut(first_line(text(commit, "/message")), 120);
        line = line.line_break().link(text(commit, "/url"), &id).text(" ").text(&message);
        let author = text(commit, "/author/name");
        if !author.is_empty() {
            line = line.text(" – ").text(&cut(author, 60));
        }
    }
    match commits.len().saturating_sub(COMMITS_MAX) {
        0 => line,
        more => line.line_break().text(&format!("… and {more} more")),
    }
}
