//! `create`, `delete`, `fork`, `star`, `release`: what happens to a repository as a whole.

use crate::line::Line;
use crate::note::Note;
use crate::payload::Payload;

pub(super) fn create(payload: &Payload) -> Note {
    Note::new(payload, reference(payload, " created the "))
}

pub(super) fn delete(payload: &Payload) -> Note {
    Note::new(payload, reference(payload, " deleted the "))
}

fn reference(payload: &Payload, verb: &str) -> Line {
    payload.who().text(verb).text(payload.text("/ref_type")).text(" ").code(payload.text("/ref"))
}

pub(super) fn fork(payload: &Payload) -> Note {
    let headline = payload.who().text(" forked the repository to ");
    Note::new(payload, headline.link(payload.text("/forkee/html_url"), payload.text("/forkee/full_name")))
}

pub(super) fn star(payload: &Payload) -> Note {
    let headline = match payload.text("/action") {
        "deleted" => payload.who().text(" took a star away"),
        _ => Line::default().emoji("star").append(payload.who()).text(" gave a star"),
    };
    let stars = match payload.number("/repository/stargazers_count") {
        Some(1) => Line::default().text("1 star now"),
        Some(stars) => Line::default().text(&format!("{stars} stars now")),
        None => Line::default(),
    };
    Note::new(payload, headline).detail(stars)
}

pub(super) fn release(payload: &Payload) -> Note {
    let tag = payload.text("/release/tag_name");
    let name = payload.first_text(&["/release/name", "/release/tag_name"]);
    let action = payload.text("/action");
    let kind = if payload.is("/release/prerelease") { " the pre-release " } else { " the release " };
    let headline = payload.who().text(" ").text(&super::verb(action)).text(kind);
    let note = Note::new(payload, headline.link(payload.text("/release/html_url"), name));
    let note = if name == tag { note } else { note.detail(Line::default().text("tag ").code(tag)) };
    match action {
        "published" => {
            let heading = format!("{} {name}", payload.text("/repository/name"));
            note.heading(heading.trim()).body(Line::default().quote(payload.text("/release/body")))
        }
        _ => note,
    }
}
