//! Operational events: who is told what of tenants and of the host.

use super::support::{Host, Receiver, Reply, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A tenant whose route takes all operational events to this receiver.
async fn told_at(host: &Host, tenant: &str, receiver: &Receiver, spec: Value) {
    host.put(&format!("/v1/tenants/{tenant}"), &spec).await;
    let endpoint = json!({ "url": receiver.url("/"), "secrets": [], "retry": { "schedule_s": [0] } });
    host.put(&format!("/v1/tenants/{tenant}/endpoints/ops"), &endpoint).await;
    let route = json!({ "source": "hookswitch", "to": { "endpoints": ["ops"] } });
    host.put(&format!("/v1/tenants/{tenant}/routes/ops"), &route).await;
}

/// A tenant `acme` whose deliveries to `out` all die at once, and nobody is told there.
async fn dying(host: &Host, receiver: &Receiver, hold_after: u32) {
    host.acme("http://127.0.0.1:1/").await;
    let endpoint = json!({
        "url": receiver.url("/"), "secrets": [], "hold_after": hold_after, "retry": { "schedule_s": [0] },
    });
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
    host.route("all", json!([])).await;
}

/// The operational events of a tenant, the first one first: type and body's delivery.
async fn events_of(host: &Host, tenant: &str) -> Vec<String> {
    let page = host.admin.get(&format!("/v1/tenants/{tenant}/events?source=hookswitch&limit=500")).await.expect(200);
    let mut items = page["items"].as_array().unwrap().clone();
    items.sort_by_key(|event| event["seq"].as_u64());
    items.iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
}

async fn refusing() -> Receiver {
    Receiver::answering(|_| Reply::status(500)).await
}

#[tokio::test]
async fn an_overseer_is_told_of_every_tenant_and_what_fails_of_that_is_not_told() {
    let (dead_end, ops, deaf) = (refusing().await, Receiver::start().await, refusing().await);
    let host = Host::start().await;
    told_at(&host, "ops", &ops, json!({ "operational_events": "all" })).await;
    told_at(&host, "deaf", &deaf, json!({ "operational_events": "all" })).await;
    told_at(&host, "other", &ops, json!({})).await;
    dying(&host, &dead_end, 1).await;
    let event = host.event("x", "1").await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let body = ops.next().await.json();
        assert_eq!((&body["tenant"], &body["endpoint"]), (&json!("acme"), &json!("out")), "{body}");
        told.push(body["delivery"].as_str().map(ToOwned::to_owned));
    }
    told.sort();
    let delivery = host.run_with(&event, "routed").await["deliveries"][0].as_str().unwrap().to_owned();
    assert_eq!(told, [None, Some(delivery)], "held, and dead");
    // `deaf` hears of the same, and its deliveries die: of that nothing comes, neither there nor at the other overseer.
    for _ in 0..2 {
        let refused = deaf.next().await;
        until("the operational delivery to die", || async {
            let path = format!("/v1/tenants/deaf/deliveries/{}", refused.id());
            (host.admin.get(&path).await.expect(200)["status"] == "dead").then_some(())
        })
        .await;
    }
    host.admin.post("/v1/tenants/acme/endpoints/out/enable", "").await.expect(202);
    assert_eq!(ops.next().await.json()["state"], "working");
    for overseer in ["ops", "deaf"] {
        until("all to be told", || async { (events_of(&host, overseer).await.len() == 3).then_some(()) }).await;
        let mut types = events_of(&host, overseer).await;
        types.sort();
        assert_eq!(types, ["delivery.dead", "endpoint.held", "endpoint.resumed"], "{overseer}");
    }
    // Nobody at acme wants to hear of dead deliveries; what becomes of its endpoint is told all the same.
    assert_eq!(events_of(&host, "acme").await, ["endpoint.held", "endpoint.resumed"]);
    assert!(events_of(&host, "other").await.is_empty() && ops.rest().await.is_empty());

    let problem = host.admin.put("/v1/tenants/acme", &json!({ "operational_events": "some" })).await.problem(422);
    assert_eq!(problem["pointer"], "/operational_events");
}

#[tokio::test]
async fn of_many_dead_deliveries_each_is_told_once_through_a_crash() {
    const EVENTS: usize = 200;
    let (dead_end, ops) = (refusing().await, Receiver::start().await);
    let mut host = Host::start().await;
    told_at(&host, "ops", &ops, json!({ "operational_events": "all" })).await;
    dying(&host, &dead_end, 0).await;
    let mut wanted = BTreeSet::new();
    for number in 0..EVENTS {
        let event = host.event("x", number.to_string()).await;
        wanted.insert(host.run_with(&event, "routed").await["deliveries"][0].as_str().unwrap().to_owned());
    }
    // Some are told by then, and some are not.
    ops.next().await;
    host.kill().await;
    host.start_again().await;
    until("all to be told", || async { (events_of(&host, "ops").await.len() >= EVENTS).then_some(()) }).await;
    for delivery in &wanted {
        let path = format!("/v1/tenants/acme/deliveries/{delivery}");
        assert_eq!(host.admin.get(&path).await.expect(200)["status"], "dead");
    }
    let mut told = BTreeSet::new();
    let mut ids = BTreeSet::new();
    while told.len() < EVENTS - 1 {
        let received = ops.next().await;
        let is_new = ids.insert(received.id().to_owned());
        let delivery = received.json()["delivery"].as_str().unwrap().to_owned();
        assert!(told.insert(delivery) || !is_new, "told twice, and not as a repetition");
    }
    assert!(told.is_subset(&wanted));
    assert_eq!(events_of(&host, "ops").await.len(), EVENTS);
}

#[tokio::test]
async fn a_disk_with_little_room_is_told_once_and_so_is_its_end() {
    const LITTLE: &str = "store.free_bytes_low = 1125899906842624\n";
    let ops = Receiver::start().await;
    let mut host = Host::start().await;
    told_at(&host, "ops", &ops, json!({ "operational_events": "all" })).await;
    // Each of these is a restart of the same episode.
    for _ in 0..2 {
        host.terminate().await;
        host.start_again_with(LITTLE).await;
        until("the first look", || async { (events_of(&host, "ops").await == ["disk.low"]).then_some(()) }).await;
    }
    let body = ops.next().await.json();
    assert_eq!(body["free_bytes_low"], json!(1_u64 << 50), "{body}");
    host.terminate().await;
    host.start_again_with("store.free_bytes_min = 0\nstore.free_bytes_low = 1\n").await;
    let since_ms = ops.next().await.json()["low_since_ms"].as_u64().unwrap();
    assert!(since_ms > 0);
    assert_eq!(events_of(&host, "ops").await, ["disk.low", "disk.ok"]);
}
