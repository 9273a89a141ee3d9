//! What modules decide, and what they cannot do: every way to misbehave costs its own run and nothing else.

use super::support::{Host, Receiver, guest};
use serde_json::{Value, json};

fn misbehave(settings: Value) -> Value {
    json!([{ "module": "operator/misbehave", "settings": settings }])
}

#[tokio::test]
async fn a_filter_and_a_transform_decide_and_the_trace_tells() {
    let (host, receiver) = Host::with(&["match", "reshape"]).await;
    let steps = json!([
        { "module": "operator/match", "settings": { "pointer": "/amount", "gte": 100 } },
        { "module": "operator/reshape", "settings": { "template": { "total": { "$pointer": "/amount" }, "by": "${/who}" } } },
    ]);
    host.route("big", steps).await;
    let small = host.event("order", r#"{"amount":99,"who":"ann"}"#).await;
    let big = host.event("order", r#"{"amount":100,"who":"bob"}"#).await;

    assert_eq!(receiver.next().await.json(), json!({ "total": 100, "by": "bob" }));
    let run = host.run_with(&big, "routed").await;
    let verdicts: Vec<_> = run["trace"].as_array().unwrap().iter().map(|step| step["verdict"].clone()).collect();
    assert_eq!(verdicts, [json!({ "verdict": "accepted" }), json!({ "verdict": "produced", "messages": 1 })]);
    assert_eq!(run["deliveries"].as_array().unwrap().len(), 1);

    let run = host.run_with(&small, "filtered").await;
    assert_eq!(run["deliveries"], json!([]));
    let verdict = &run["trace"][0]["verdict"];
    assert_eq!(verdict["verdict"], "rejected");
    assert!(verdict["reason"].as_str().unwrap().contains("/amount"), "{verdict}");
    assert_eq!(run["trace"][0]["module"], "operator/match");
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn one_event_becomes_many_deliveries() {
    let (host, receiver) = Host::with(&["reshape", "match"]).await;
    let steps = json!([
        { "module": "operator/reshape", "settings": { "each": "/items", "template": { "$item": "" }, "event_type": "item" } },
        { "module": "operator/match", "settings": { "pointer": "/keep", "equals": true } },
    ]);
    host.route("each", steps).await;
    let body = json!({ "items": [{ "n": 1, "keep": true }, { "n": 2, "keep": false }, { "n": 3, "keep": true }] });
    let event = host.event("order", body.to_string()).await;
    let mut numbers = [receiver.next().await.json()["n"].clone(), receiver.next().await.json()["n"].clone()];
    numbers.sort_by_key(Value::as_u64);
    assert_eq!(numbers, [json!(1), json!(3)]);
    let run = host.run_with(&event, "routed").await;
    assert_eq!(run["trace"].as_array().unwrap().len(), 4, "one call, then one for each message: {run}");
    let ids: std::collections::BTreeSet<_> =
        run["deliveries"].as_array().unwrap().iter().map(Value::to_string).collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn a_router_names_endpoints_by_their_labels() {
    let (host, receiver) = Host::with(&["route-by-label"]).await;
    for (name, team) in [("a", "core"), ("b", "core"), ("c", "other")] {
        let spec = json!({ "url": receiver.url(&format!("/{name}")), "labels": { "team": team }, "secrets": [] });
        host.put(&format!("/v1/tenants/acme/endpoints/{name}"), &spec).await;
    }
    let steps = json!([{ "module": "operator/route-by-label", "settings": { "name": "team", "value": "core" } }]);
    host.put("/v1/tenants/acme/routes/r", &json!({ "source": "in", "steps": steps })).await;
    let event = host.event("x", "{}").await;
    let mut paths = [receiver.next().await.path, receiver.next().await.path];
    paths.sort();
    assert_eq!(paths, ["/a", "/b"]);
    let run = host.run_with(&event, "routed").await;
    assert_eq!(run["trace"][0]["verdict"], json!({ "verdict": "dispatched", "messages": 2 }));
    let with_target = json!({ "source": "in", "steps": steps, "to": { "endpoints": ["out"] } });
    let refused = host.admin.put("/v1/tenants/acme/routes/r", &with_target).await;
    assert_eq!(refused.problem(422)["pointer"], "/to");
}

#[tokio::test]
async fn endpoints_are_selected_by_labels_and_subscription() {
    let (host, receiver) = Host::with(&[]).await;
    let endpoints = [
        ("all", json!({ "team": "core" }), json!(["*"])),
        ("pushes", json!({ "team": "core" }), json!(["push"])),
        ("family", json!({ "team": "core" }), json!(["pull.*"])),
        ("foreign", json!({ "team": "other" }), json!(["*"])),
    ];
    for (name, labels, event_types) in endpoints {
        let url = receiver.url(&format!("/{name}"));
        let spec = json!({ "url": url, "labels": labels, "event_types": event_types, "secrets": [] });
        host.put(&format!("/v1/tenants/acme/endpoints/{name}"), &spec).await;
    }
    host.put("/v1/tenants/acme/routes/r", &json!({ "source": "in", "to": { "labels": { "team": "core" } } })).await;
    for (event_type, expected) in [("push", ["/all", "/pushes"]), ("pull.opened", ["/all", "/family"])] {
        host.event(event_type, "{}").await;
        let mut paths = [receiver.next().await.path, receiver.next().await.path];
        paths.sort();
        assert_eq!(paths, expected, "{event_type}");
    }
    let alone = host.event("issue", "{}").await;
    assert_eq!(receiver.next().await.path, "/all");
    assert_eq!(host.run_with(&alone, "routed").await["deliveries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_misbehaviour_holds_its_run_with_its_own_error() {
    let receiver = Receiver::start().await;
    // Time enough on a busy machine for each to do its own kind of wrong first.
    let host = Host::start_with("runtime.max_time_ms = 1000\n").await;
    host.acme(&receiver.url("/out")).await;
    // So many failures in a row would have it quarantined.
    let upload = "/v1/operator/modules/misbehave?quarantine_after=0";
    host.admin.put_bytes(upload, guest("misbehave")).await.expect(201);
    let cases = [
        (json!({ "do": "trap" }), "trap"),
        (json!({ "do": "panic" }), "trap"),
        (json!({ "do": "loop" }), "time_limit"),
        (json!({ "do": "memory" }), "memory_limit"),
        (json!({ "do": "deep-recursion" }), "stack_overflow"),
        (json!({ "do": "fail" }), "failed"),
        (json!({ "do": "big-output", "bytes": 3_000_000 }), "output_limit"),
        (json!({ "do": "many-outputs", "count": 1_000 }), "output_limit"),
        (json!({ "do": "forbidden-header", "name": "webhook-id" }), "header_forbidden"),
        (json!({ "do": "forbidden-header", "name": "authorization" }), "header_forbidden"),
        (json!({ "do": "bad-header" }), "output_invalid"),
    ];
    for (settings, code) in cases {
        host.route("bad", misbehave(settings.clone())).await;
        let event = host.event("x", "{}").await;
        let run = host.run_with(&event, "held").await;
        assert_eq!(run["failure"]["code"], code, "{settings}: {run}");
        assert_eq!(run["trace"][0]["verdict"]["verdict"], "failed");
        if settings["do"] == "panic" {
            let logs = run["trace"][0]["logs"].to_string();
            assert!(logs.contains("misbehave was told to panic"), "{logs}");
        }
    }
    // The host is none the worse for it.
    host.route("bad", misbehave(json!({ "do": "none" }))).await;
    host.event("x", "\"fine\"").await;
    assert_eq!(receiver.next().await.body, "\"fine\"");
    assert!(receiver.rest().await.is_empty());
    let ready = host.admin.get("/readyz").await.expect(200);
    assert_eq!(ready["ready"], true);
}

#[tokio::test]
async fn logs_are_kept_up_to_their_bound() {
    let (host, _receiver) = Host::with(&["misbehave"]).await;
    host.route("loud", misbehave(json!({ "do": "log-flood", "lines": 300 }))).await;
    let event = host.event("x", "{}").await;
    let run = host.run_with(&event, "routed").await;
    let step = &run["trace"][0];
    let kept: usize = step["logs"].as_array().unwrap().iter().map(|line| line["line"].as_str().unwrap().len()).sum();
    assert_eq!(step["logs_cut"], true);
    assert!(kept > 0 && kept <= 16 * 1024, "{kept}");
}

#[tokio::test]
async fn no_instance_lives_on() {
    let (host, receiver) = Host::with(&["misbehave"]).await;
    host.route("probe", misbehave(json!({ "do": "leak-probe" }))).await;
    for _ in 0..5 {
        host.event("x", "{}").await;
        assert_eq!(receiver.next().await.json(), json!({ "calls": 1 }));
    }
}

#[tokio::test]
async fn a_failing_module_passes_or_drops_where_the_route_says_so() {
    let (host, receiver) = Host::with(&["misbehave"]).await;
    let route = |policy: &str| json!({ "source": "in", "steps": misbehave(json!({ "do": "fail" })), "to": { "endpoints": ["out"] }, "on_failure": policy });
    host.put("/v1/tenants/acme/routes/r", &route("pass")).await;
    let passed = host.event("x", "\"as it was\"").await;
    assert_eq!(receiver.next().await.body, "\"as it was\"");
    assert_eq!(host.run_with(&passed, "routed").await["trace"][0]["verdict"]["code"], "failed");

    host.put("/v1/tenants/acme/routes/r", &route("drop")).await;
    let dropped = host.event("x", "{}").await;
    let run = host.run_with(&dropped, "dropped").await;
    assert_eq!((&run["failure"]["code"], &run["deliveries"]), (&json!("failed"), &json!([])));
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn a_held_run_is_rerun_with_the_mended_module_or_the_old_one() {
    let (host, receiver) = Host::with(&["misbehave"]).await;
    host.route("r", misbehave(json!({ "do": "fail" }))).await;
    let event = host.event("x", "\"kept\"").await;
    let run = host.run_with(&event, "held").await;
    let id = run["id"].as_str().unwrap();
    let held = host.admin.get("/v1/tenants/acme/runs?status=held").await.expect(200);
    assert_eq!(held["items"][0]["id"], id);

    host.route("r", misbehave(json!({ "do": "none" }))).await;
    let rerun = format!("/v1/tenants/acme/runs/{id}/rerun");
    host.admin.post(&rerun, r#"{"plan":"pinned"}"#).await.expect(202);
    let again = host.run_with(&event, "held").await;
    assert_eq!((&again["origin"], &again["plan"]), (&json!("rerun"), &run["plan"]), "pinned is the old plan");

    host.admin.post(&rerun, r#"{"plan":"today"}"#).await.expect(202);
    assert_eq!(receiver.next().await.body, "\"kept\"");
    let mended = host.run_with(&event, "routed").await;
    assert_ne!(mended["plan"], run["plan"]);
    let late = host.admin.post(&rerun, "").await;
    assert_eq!(late.problem(409)["code"], "state_conflict");
    let held = host.admin.get("/v1/tenants/acme/runs?status=held").await.expect(200);
    assert_eq!(held["items"], json!([]));
}

#[tokio::test]
async fn what_does_not_fit_the_inline_budget_is_routed_after_the_acknowledgement() {
    let receiver = Receiver::start().await;
    // No budget at all: every run with a module goes the pending way.
    let host = Host::start_with("pipeline.inline_budget_ms = 0\n").await;
    host.acme(&receiver.url("/out")).await;
    host.upload("misbehave").await;
    host.route("r", misbehave(json!({ "do": "echo-context" }))).await;
    let event = host.event("x", "12345").await;
    let received = receiver.next().await.json();
    assert_eq!(received, json!({ "origin": "live", "event_id": event, "event_body_bytes": 5 }));
    host.run_with(&event, "routed").await;
}

#[tokio::test]
async fn an_ordered_route_keeps_order_and_a_held_run_blocks_it() {
    let (host, receiver) = Host::with(&["match"]).await;
    let steps = json!([{ "module": "operator/match", "settings": { "pointer": "/n", "gt": 0 } }]);
    let route = json!({ "source": "in", "steps": steps, "to": { "endpoints": ["out"] }, "ordered": true });
    host.put("/v1/tenants/acme/routes/r", &route).await;
    let mut events = Vec::new();
    for body in ["{\"n\":1}", "not json", "{\"n\":2}", "{\"n\":3}"] {
        events.push(host.event("x", body).await);
    }
    assert_eq!(receiver.next().await.json()["n"], 1);
    let held = host.run_with(&events[1], "held").await;
    assert_eq!(host.show(&events[2]).await["runs"][0]["status"], "pending");

    // A filter that looks at nothing lets the odd one through, and with it those behind.
    let steps = json!([{ "module": "operator/match", "settings": { "event": "type", "equals": "x" } }]);
    let route = json!({ "source": "in", "steps": steps, "to": { "endpoints": ["out"] }, "ordered": true });
    host.put("/v1/tenants/acme/routes/r", &route).await;
    host.admin.post(&format!("/v1/tenants/acme/runs/{}/rerun", held["id"].as_str().unwrap()), "").await.expect(202);
    let bodies = [receiver.next().await.body, receiver.next().await.body, receiver.next().await.body];
    assert!(bodies.iter().any(|body| body == "not json"), "{bodies:?}");
    for event in &events {
        host.run_with(event, "routed").await;
    }
}

#[tokio::test]
async fn what_a_held_run_blocks_goes_on_when_the_route_is_ordered_no_more() {
    let (host, receiver) = Host::with(&["match"]).await;
    let steps = json!([{ "module": "operator/match", "settings": { "pointer": "/n", "gt": 0 } }]);
    let route = |ordered: bool| json!({ "source": "in", "event_types": ["x"], "steps": steps, "to": { "endpoints": ["out"] }, "ordered": ordered });
    host.put("/v1/tenants/acme/routes/r", &route(true)).await;
    let odd = host.event("x", "not json").await;
    host.run_with(&odd, "held").await;
    let blocked = host.event("x", "{\"n\":1}").await;
    // Its worker has looked at the route and found it blocked once an event of another route that came later is through.
    let other = json!({ "source": "in", "event_types": ["y"], "to": { "endpoints": ["out"] }, "ordered": true });
    host.put("/v1/tenants/acme/routes/other", &other).await;
    host.run_with(&host.event("y", "{}").await, "routed").await;
    assert_eq!(host.show(&blocked).await["runs"][0]["status"], "pending");
    host.put("/v1/tenants/acme/routes/r", &route(false)).await;
    host.run_with(&blocked, "routed").await;
    assert!(!receiver.next().await.body.is_empty());
}

#[tokio::test]
async fn an_outcome_too_long_to_store_is_held_with_its_reason() {
    let (host, receiver) = Host::with(&["reshape", "misbehave"]).await;
    // A hundred messages through two loud modules: more logs than one write of the store holds.
    let loud = json!({ "module": "operator/misbehave", "settings": { "do": "log-flood", "lines": 20 } });
    let each = json!({ "each": "/items", "template": { "$item": "" }, "event_type": "item" });
    host.route("r", json!([{ "module": "operator/reshape", "settings": each }, loud, loud])).await;
    let items: Vec<u32> = (0..100).collect();
    let event = host.event("x", json!({ "items": items }).to_string()).await;
    let run = host.run_with(&event, "held").await;
    assert_eq!(run["failure"]["code"], "outcome_too_long", "{}", run["failure"]);
    assert!(run["failure"]["message"].as_str().unwrap().contains("transition_bytes_max"), "{}", run["failure"]);
    assert_eq!((run["trace"].as_array().unwrap().len(), &run["trace"][1]["logs_cut"]), (201, &json!(true)));
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn an_event_whose_runs_are_too_long_for_one_write_is_taken_all_the_same() {
    let (host, _receiver) = Host::with(&[]).await;
    for number in 0..60 {
        let spec = json!({ "url": "http://127.0.0.1:1/", "secrets": [], "disabled": true });
        host.put(&format!("/v1/tenants/acme/endpoints/e{number}"), &spec).await;
    }
    for number in 0..40 {
        let spec = json!({ "source": "in", "to": { "labels": {} } });
        host.put(&format!("/v1/tenants/acme/routes/r{number}"), &spec).await;
    }
    let content_type = format!("text/plain; x={}", "x".repeat(1000));
    let headers = [("content-type", content_type.as_str())];
    let answer = host.ingest.send(http::Method::POST, "/in/acme/in", &headers, "{}").await;
    let event = answer.expect(202)["id"].as_str().unwrap().to_owned();
    super::support::until("every run to be routed", || async {
        let shown = host.show(&event).await;
        let runs = shown["runs"].as_array().unwrap().clone();
        let routed = |run: &Value| run["status"] == "routed" && run["deliveries"].as_array().unwrap().len() == 61;
        (runs.len() == 40 && runs.iter().all(routed)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_run_that_takes_too_long_in_all_is_held_and_sigterm_does_not_wait_for_it() {
    let receiver = Receiver::start().await;
    let mut host = Host::start_with("pipeline.run_time_max_ms = 200\nruntime.max_time_ms = 10000\n").await;
    host.acme(&receiver.url("/out")).await;
    host.upload("reshape").await;
    host.upload("misbehave").await;
    let each = json!({ "each": "/items", "template": { "$item": "" } });
    let slow = json!({ "do": "spin", "rounds": 100_000_000 });
    let steps = json!([{ "module": "operator/reshape", "settings": each }, { "module": "operator/misbehave", "settings": slow }]);
    host.route("r", steps).await;
    let items: Vec<u32> = (0..100).collect();
    let event = host.event("x", json!({ "items": items }).to_string()).await;
    let run = host.run_with(&event, "held").await;
    assert_eq!(run["failure"]["code"], "run_time_limit");
    assert!(receiver.rest().await.is_empty());
    host.event("x", json!({ "items": items }).to_string()).await;
    host.terminate().await;
}
