//! What modules keep from one event to the next: counted once whatever crashes, kept across versions, written with the run or not at all.

use super::support::{Host, Receiver, guest, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

async fn host_with_state() -> (Host, Receiver) {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    host.upload("stateful").await;
    (host, receiver)
}

fn step(settings: Value) -> Value {
    json!({ "module": "operator/stateful", "settings": settings, "state": true })
}

fn count() -> Value {
    step(json!({ "do": "count" }))
}

/// A version of the tenant's own module `m`.
async fn upload(host: &Host, wasm: Vec<u8>) {
    let answer = host.admin.put_bytes("/v1/tenants/acme/modules/m", wasm).await;
    assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
}

/// Another version: the same code with a custom section more.
fn newer() -> Vec<u8> {
    let mut wasm = guest("stateful");
    wasm.extend_from_slice(b"\0\x04\x03new");
    wasm
}

/// What the route `r` keeps.
async fn state(host: &Host, query: &str) -> Value {
    let answer = host.admin.get(&format!("/v1/tenants/acme/routes/r/state{query}")).await;
    answer.expect(200)["items"].clone()
}

/// The next `count` deliveries, as JSON, sorted by `n`: deliveries have no order.
async fn deliveries(receiver: &Receiver, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    while all.len() < count {
        all.push(receiver.next().await.json());
    }
    all.sort_by_key(|payload| payload["n"].as_u64());
    all
}

/// Sends events with these numbers, all at once, and gives their ids. The payload of each `failing`th says that the module is to fail.
async fn send_at_once(host: &Host, numbers: Range<u64>, failing: Option<u64>) -> Vec<(u64, String)> {
    let mut sending = tokio::task::JoinSet::new();
    for n in numbers {
        let (ingest, fail) = (host.ingest.clone(), failing.is_some_and(|each| n % each == 0));
        sending.spawn(async move {
            let answer = ingest.post("/in/acme/in", json!({ "n": n, "fail": fail }).to_string()).await;
            (n, answer.expect(202)["id"].as_str().unwrap().to_owned())
        });
    }
    sending.join_all().await
}

#[tokio::test]
async fn a_hundred_events_count_a_hundred_in_their_order_though_the_host_is_killed_again_and_again() {
    let (mut host, receiver) = host_with_state().await;
    host.route("r", json!([count()])).await;
    let mut events = Vec::new();
    for round in 0..4 {
        events.extend(send_at_once(&host, round * 25..(round + 1) * 25, None).await);
        // All are acknowledged; the kill comes when some of them are counted, amid the others.
        until("some to be counted", || async { (counted_in(&host).await > round * 25).then_some(()) }).await;
        host.kill().await;
        host.start_again().await;
    }
    let mut counted = BTreeMap::new();
    while counted.len() < 100 {
        // What was in flight at a kill comes again: with the same count.
        let payload = receiver.next().await.json();
        let (n, count) = (payload["n"].as_u64().unwrap(), payload["count"].as_u64().unwrap());
        assert_eq!(*counted.entry(n).or_insert(count), count);
    }
    let mut in_order = Vec::new();
    for (n, event) in events {
        in_order.push((host.show(&event).await["seq"].as_u64().unwrap(), counted[&n]));
    }
    in_order.sort_unstable();
    let counts: Vec<u64> = in_order.into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, (1..=100).collect::<Vec<_>>(), "each is counted once, in the order in which they came in");
    assert_eq!(counted_in(&host).await, 100);
}

/// The number under `count`; 0 where there is none.
async fn counted_in(host: &Host) -> u64 {
    let entries = state(host, "?step=operator/stateful").await;
    entries[0]["value"].as_str().map_or(0, |number| number.parse().unwrap())
}

#[tokio::test]
async fn every_third_event_and_the_first_of_each_user_and_day() {
    let (host, receiver) = host_with_state().await;
    host.route("r", json!([step(json!({ "do": "every", "n": 3 }))])).await;
    for n in 1..=7 {
        host.event("x", format!("{{\"n\":{n}}}")).await;
    }
    assert_eq!(deliveries(&receiver, 2).await, [json!({ "n": 3 }), json!({ "n": 6 })]);

    host.route("r", json!([step(json!({ "do": "first-per-day" }))])).await;
    // There may be a midnight among them: what is the first is told by the day of each.
    let (mut seen, mut firsts) = (BTreeSet::new(), Vec::new());
    for (n, user) in [(1, "ann"), (2, "bob"), (3, "ann"), (4, "bob")] {
        let payload = json!({ "n": n, "user": user });
        let event = host.event("x", payload.to_string()).await;
        let is_first = seen.insert((user, host.day(&event).await));
        host.run_with(&event, if is_first { "routed" } else { "filtered" }).await;
        firsts.extend(is_first.then_some(payload));
    }
    assert_eq!(deliveries(&receiver, firsts.len()).await, firsts);
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn state_outlives_versions_and_steps_put_before_and_ends_with_the_route() {
    let (host, receiver) = host_with_state().await;
    host.upload("match").await;
    upload(&host, guest("stateful")).await;
    let own = json!({ "module": "m", "settings": { "do": "count" }, "state": true });
    host.route("r", json!([own])).await;
    host.event("x", r#"{"n":1}"#).await;
    assert_eq!(receiver.next().await.json()["count"], 1);

    upload(&host, newer()).await;
    host.event("x", r#"{"n":2}"#).await;
    assert_eq!(receiver.next().await.json()["count"], 2);

    let before = json!({ "module": "operator/match", "settings": { "pointer": "/n", "gt": 0 } });
    host.route("r", json!([before, own, { "module": "m", "settings": { "do": "count" }, "state": true }])).await;
    let event = host.event("x", r#"{"n":3}"#).await;
    assert_eq!(receiver.next().await.json()["count"], 1, "the second step with the module has a state of its own");
    host.run_with(&event, "routed").await;
    let steps = state(&host, "").await;
    let known: Vec<_> = steps.as_array().unwrap().iter().map(|step| (&step["step"], &step["writes"])).collect();
    assert_eq!(known, [(&json!("m"), &json!(3)), (&json!("m:2"), &json!(1))]);

    host.admin.delete("/v1/tenants/acme/routes/r").await.expect(204);
    host.route("r", json!([own])).await;
    assert_eq!(state(&host, "").await, json!([]));
    host.event("x", r#"{"n":4}"#).await;
    assert_eq!(receiver.next().await.json()["count"], 1);
}

#[tokio::test]
async fn a_failing_run_keeps_nothing_blocks_nobody_and_counts_when_it_is_rerun() {
    let (host, receiver) = host_with_state().await;
    host.route("r", json!([count()])).await;
    host.event("x", r#"{"n":1}"#).await;
    let bad = host.event("x", r#"{"n":2,"fail":true}"#).await;
    host.event("x", r#"{"n":3}"#).await;
    let held = host.run_with(&bad, "held").await;
    let counts = |n: u64, count: u64| json!({ "n": n, "count": count });
    assert_eq!(deliveries(&receiver, 2).await, [counts(1, 1), counts(3, 2)]);

    // The module fails again, and now the route's policy lets the message pass as it came in.
    let passing = json!({ "source": "in", "steps": [count()], "to": { "endpoints": ["out"] }, "on_failure": "pass" });
    host.put("/v1/tenants/acme/routes/r", &passing).await;
    host.admin.post(&format!("/v1/tenants/acme/runs/{}/rerun", held["id"].as_str().unwrap()), "").await.expect(202);
    assert_eq!(receiver.next().await.json(), json!({ "n": 2, "fail": true }));
    host.event("x", r#"{"n":4}"#).await;
    assert_eq!(
        receiver.next().await.json(),
        counts(4, 3),
        "what a failed call wrote is taken back also where the run passes"
    );
}

#[tokio::test]
async fn among_many_at_once_the_failing_ones_are_left_out_of_the_count() {
    let (host, receiver) = host_with_state().await;
    host.route("r", json!([count()])).await;
    let events = send_at_once(&host, 0..100, Some(5)).await;
    let mut counted = BTreeMap::new();
    while counted.len() < 80 {
        let payload = receiver.next().await.json();
        counted.insert(payload["n"].as_u64().unwrap(), payload["count"].as_u64().unwrap());
    }
    let mut in_order = Vec::new();
    for (n, event) in events {
        if n % 5 == 0 {
            host.run_with(&event, "held").await;
        } else {
            in_order.push((host.show(&event).await["seq"].as_u64().unwrap(), counted[&n]));
        }
    }
    in_order.sort_unstable();
    assert!(in_order.iter().map(|(_, count)| *count).eq(1..=80), "{in_order:?}");
    assert_eq!(counted_in(&host).await, 80);
}

#[tokio::test]
async fn a_shadow_finds_what_the_version_beside_it_found_and_changes_nothing() {
    let (host, receiver) = host_with_state().await;
    upload(&host, guest("stateful")).await;
    let module = "/v1/tenants/acme/modules/m";
    host.route("r", json!([{ "module": "m", "settings": { "do": "count" }, "state": true }])).await;
    host.admin.put_bytes(&format!("{module}?activate=false"), newer()).await.expect(200);
    host.admin.post(&format!("{module}/shadow"), r#"{"number":2}"#).await.expect(200);
    for n in 1..=5 {
        host.event("x", format!("{{\"n\":{n}}}")).await;
        assert_eq!(receiver.next().await.json()["count"], n);
    }
    let report = until("the shadow to have run", || async {
        let report = host.admin.get(&format!("{module}/shadow")).await.expect(200);
        (report["equal"] == 5).then_some(report)
    })
    .await;
    assert_eq!((&report["different"], &report["failed"]), (&json!(0), &json!(0)), "{report}");
    assert_eq!(state(&host, "?step=m").await[0]["value"], "5");
}

#[tokio::test]
async fn a_step_without_state_is_denied_and_a_full_one_says_which_bound() {
    let receiver = Receiver::start().await;
    let host = Host::start_with("pipeline.state.keys_max = 2\n").await;
    host.acme(&receiver.url("/out")).await;
    host.upload("stateful").await;
    host.route("r", json!([{ "module": "operator/stateful", "settings": { "do": "count" } }])).await;
    let event = host.event("x", "{}").await;
    let failure = host.run_with(&event, "held").await["failure"].clone();
    assert_eq!(failure["code"], "failed");
    let words = failure["message"].as_str().unwrap();
    assert!(words.contains("(denied)") && words.contains("`state = true`"), "{words}");

    host.route("r", json!([step(json!({ "do": "keep", "bytes": 10, "ttl_s": 0 }))])).await;
    for key in ["a", "b"] {
        let event = host.event("x", json!({ "key": key }).to_string()).await;
        host.run_with(&event, "routed").await;
    }
    let event = host.event("x", r#"{"key":"c"}"#).await;
    let failure = host.run_with(&event, "held").await["failure"].clone();
    let words = failure["message"].as_str().unwrap();
    assert!(words.contains("(limit)") && words.contains("`pipeline.state.keys_max` is 2"), "{words}");
}

#[tokio::test]
async fn state_can_be_looked_at_and_taken_away() {
    let (host, _receiver) = host_with_state().await;
    host.route("r", json!([step(json!({ "do": "keep", "bytes": 3, "ttl_s": 3600 }))])).await;
    let path = "/v1/tenants/acme/routes/r/state";
    assert_eq!(host.admin.delete(path).await.problem(404)["code"], "not_found");
    let mut last = String::new();
    for key in ["a/1", "a/2", "b/1"] {
        last = host.event("x", json!({ "key": key }).to_string()).await;
        host.run_with(&last, "routed").await;
    }
    let event = host.show(&last).await;
    let time_ms = event["received_at_ms"].as_u64().unwrap();
    let steps = state(&host, "").await;
    let known = json!([{ "step": "operator/stateful", "keys": 3, "bytes": 18, "writes": 3, "time_ms": time_ms }]);
    assert_eq!(steps, known);

    let page = host.admin.get(&format!("{path}?step=operator/stateful&prefix=a/&limit=1")).await.expect(200);
    assert_eq!((&page["items"][0]["key"], &page["items"][0]["value"]), (&json!("a/1"), &json!("vvv")));
    let cursor = page["next"].as_str().unwrap();
    let next = format!("{path}?step=operator/stateful&prefix=a/&limit=1&cursor={cursor}");
    let page = host.admin.get(&next).await.expect(200);
    let expected = json!({ "key": "a/2", "value": "vvv", "value_cut": false, "bytes": 3 });
    let mut shown = page["items"][0].clone();
    assert!(shown.as_object_mut().unwrap().remove("expires_ms").unwrap().as_u64().unwrap() > 3_600_000);
    assert_eq!((shown, &page["next"]), (expected, &Value::Null));
    assert_eq!(host.admin.get(&format!("{path}?prefix=a")).await.problem(400)["code"], "query_invalid");
    assert_eq!(host.admin.get(&format!("{path}?step=A")).await.problem(400)["code"], "query_invalid");
    assert_eq!(host.admin.get("/v1/tenants/acme/routes/none/state").await.problem(404)["code"], "not_found");

    let other = host.admin.delete(&format!("{path}?step=other")).await;
    assert_eq!(other.problem(404)["code"], "not_found");
    host.admin.delete(&format!("{path}?step=operator/stateful")).await.expect(204);
    assert_eq!(state(&host, "").await, json!([]));
}

#[tokio::test]
async fn what_expired_is_gone_for_later_events() {
    let (host, receiver) = host_with_state().await;
    host.route("r", json!([step(json!({ "do": "keep", "bytes": 1, "ttl_s": 1 }))])).await;
    let mut times = 0;
    // Keeps an entry of a second until an event comes that is later than the first one's second.
    until("the first entry to expire", || {
        times += 1;
        let body = json!({ "key": format!("k{times}") }).to_string();
        let host = &host;
        async move {
            let event = host.event("x", body).await;
            host.run_with(&event, "routed").await;
            let left = state(host, "?step=operator/stateful&prefix=k1").await;
            let first = left.as_array().unwrap().iter().any(|entry| entry["key"] == "k1");
            (!first).then_some(())
        }
    })
    .await;
    drop(receiver);
}
