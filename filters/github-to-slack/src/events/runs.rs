//! `workflow_run`, `check_run`, `deployment_status`: what machines did.

use crate::line::Line;
use crate::note::Note;
use crate::payload::Payload;

pub(super) fn workflow_run(payload: &Payload) -> Note {
    let name = payload.first_text(&["/workflow_run/name", "/workflow/name"]);
    let number = payload.number("/workflow_run/run_number").map(|number| format!(" #{number}")).unwrap_or_default();
    let state = payload.first_text(&["/workflow_run/conclusion", "/workflow_run/status"]);
    let headline = marked(state).text("Workflow ");
    let headline = headline.link(payload.text("/workflow_run/html_url"), &format!("{name}{number}"));
    let head = commit(payload.text("/workflow_run/head_branch"), payload.text("/workflow_run/head_sha"));
    Note::new(payload, stated(headline, state)).detail(head).detail(by(payload))
}

pub(super) fn check_run(payload: &Payload) -> Note {
    let state = match payload.text("/action") {
        "requested_action" | "rerequested" => "requested",
        _ => payload.first_text(&["/check_run/conclusion", "/check_run/status"]),
    };
    let headline = marked(state).text("Check ");
    let headline = headline.link(payload.text("/check_run/html_url"), payload.text("/check_run/name"));
    let head = commit(payload.text("/check_run/check_suite/head_branch"), payload.text("/check_run/head_sha"));
    let summary = payload.first_text(&["/check_run/output/title", "/check_run/output/summary"]);
    Note::new(payload, stated(headline, state)).body(Line::default().quote(summary)).detail(head).detail(by(payload))
}

pub(super) fn deployment_status(payload: &Payload) -> Note {
    let state = payload.text("/deployment_status/state");
    let target = ["environment_url", "log_url", "target_url"].map(|name| format!("/deployment_status/{name}"));
    let url = payload.first_text(&target.each_ref().map(String::as_str));
    let environment = payload.first_text(&["/deployment_status/environment", "/deployment/environment"]);
    let headline = marked(state).text("Deployment to ").link(url, environment);
    let note = Note::new(payload, stated(headline, state));
    let note = note.body(Line::default().quote(payload.text("/deployment_status/description")));
    note.detail(commit(payload.text("/deployment/ref"), payload.text("/deployment/sha"))).detail(by(payload))
}

/// The emoji of a state.
fn marked(state: &str) -> Line {
    match state {
        "success" => Line::default().emoji("white_check_mark"),
        "failure" | "error" | "timed_out" | "startup_failure" => Line::default().emoji("x"),
        "action_required" => Line::default().emoji("warning"),
        "cancelled" | "skipped" | "neutral" | "stale" | "inactive" => Line::default().emoji("white_circle"),
        _ => Line::default().emoji("hourglass_flowing_sand"),
    }
}

fn stated(line: Line, state: &str) -> Line {
    match state {
        "" => line,
        "success" => line.text(" succeeded"),
        "failure" | "error" | "startup_failure" => line.text(" failed"),
        state => line.text(": ").text(&state.replace('_', " ")),
    }
}

/// A branch and the beginning of a commit's id.
fn commit(branch: &str, sha: &str) -> Line {
    let sha: String = sha.chars().take(7).collect();
    match (branch, sha.as_str()) {
        ("", "") => Line::default(),
        ("", sha) => Line::default().code(sha),
        (branch, "") => Line::default().code(branch),
        (branch, sha) => Line::default().code(branch).text(" @ ").code(sha),
    }
}

fn by(payload: &Payload) -> Line {
    match payload.text("/sender/login") {
        "" => Line::default(),
        login => Line::default().text("by ").link(payload.text("/sender/html_url"), login),
    }
}
