//! The filters that remember, with a real host's state: one event after the other, as they came in.

use super::support::{Host, Receiver, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn host_with(module: &str, settings: Value) -> (Host, Receiver) {
    let (host, receiver) = Host::with(&[module]).await;
    host.route("r", json!([{ "module": format!("operator/{module}"), "settings": settings, "state": true }])).await;
    (host, receiver)
}

async fn send(host: &Host, bodies: impl IntoIterator<Item = Value>) -> Vec<String> {
    let mut events = Vec::new();
    for body in bodies {
        events.push(host.event("x", body.to_string()).await);
    }
    events
}

/// Of each event whether it went through.
async fn went_through(host: &Host, events: &[String]) -> Vec<bool> {
    let mut all = Vec::new();
    for event in events {
        let what = format!("a verdict on {event}");
        let decided = until(&what, || async {
            let status = host.show(event).await["runs"][0]["status"].clone();
            (status == "routed" || status == "filtered").then(|| status == "routed")
        });
        all.push(decided.await);
    }
    all
}

#[tokio::test]
async fn every_third_goes_through() {
    let (host, _receiver) = host_with("sample", json!({ "every": 3 })).await;
    let all = went_through(&host, &send(&host, (0..7).map(|n| json!(n))).await).await;
    assert_eq!(all, [false, false, true, false, false, true, false]);
}

#[tokio::test]
async fn the_second_of_each_user_reaches_the_threshold_and_goes_through_once() {
    let (host, _receiver) = host_with("threshold", json!({ "reaches": 2, "window_s": 3600, "by": "/user" })).await;
    let events = send(&host, ["ann", "bob", "ann", "ann", "bob"].map(|user| json!({ "user": user }))).await;
    let all = went_through(&host, &events).await;
    assert_eq!(all, [false, false, true, false, true]);
}

#[tokio::test]
async fn the_first_of_each_user_and_day_goes_through() {
    let (host, _receiver) = host_with("dedupe", json!({ "by": ["/user"], "per": "day" })).await;
    let users = ["ann", "bob", "ann", "bob", "ann", "bob"];
    let events = send(&host, users.map(|user| json!({ "user": user }))).await;
    // There may be a midnight among them.
    let (mut seen, mut firsts) = (BTreeSet::new(), Vec::new());
    for (user, event) in users.into_iter().zip(&events) {
        firsts.push(seen.insert((user, host.day(event).await)));
    }
    assert_eq!(went_through(&host, &events).await, firsts);
}
