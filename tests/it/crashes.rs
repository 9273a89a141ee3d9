//! Nothing acknowledged is lost: not by kill -9, not by SIGTERM, not by a receiver that is away meanwhile.

use super::support::{Host, OPERATOR_KEY, PATIENCE, Receiver, Reply, hookswitch, until};
use http::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::{Notify, Semaphore};

const EVENTS: usize = 1000;

/// Sends [`EVENTS`] events over `connections` connections and gives the acknowledged ids.
async fn send_all(host: &Host, connections: usize) -> BTreeSet<String> {
    let send = |connection: usize| {
        let ingest = host.ingest.clone();
        tokio::spawn(async move {
            let mut ids = Vec::new();
            for number in (connection..EVENTS).step_by(connections) {
                let answer = ingest.post("/in/acme/in", format!("{{\"n\":{number}}}")).await;
                ids.push(answer.expect(202)["id"].as_str().unwrap().to_owned());
            }
            ids
        })
    };
    let senders: Vec<_> = (0..connections).map(send).collect();
    let mut ids = BTreeSet::new();
    for sender in senders {
        ids.extend(sender.await.unwrap());
    }
    assert_eq!(ids.len(), EVENTS);
    ids
}

/// Takes deliveries until every number from 0 has come; gives how often each delivery's id came.
async fn receive_all(receiver: &Receiver) -> BTreeMap<String, u32> {
    let (mut numbers, mut ids) = (BTreeSet::new(), BTreeMap::new());
    while numbers.len() < EVENTS {
        let received = receiver.next().await;
        numbers.insert(received.json()["n"].as_u64().unwrap());
        *ids.entry(received.id().to_owned()).or_default() += 1;
    }
    ids
}

/// An address that nobody listens at now.
async fn free_address() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn route_to(host: &Host, url: &str) {
    host.acme(url).await;
    host.upload("match").await;
    let spec = json!({ "url": url, "secrets": [], "retry": { "schedule_s": [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1] }, "concurrency_max": 64 });
    host.put("/v1/tenants/acme/endpoints/out", &spec).await;
    host.route("r", json!([{ "module": "operator/match", "settings": { "pointer": "/n", "gte": 0 } }])).await;
}

#[tokio::test]
async fn a_kill_after_a_thousand_acknowledgements_loses_none() {
    let mut host = Host::start().await;
    // What comes before the kill is refused, so that all of it is still to be done after it.
    let open = Arc::new(AtomicBool::new(false));
    let is_open = open.clone();
    let receiver =
        Receiver::answering(move |_| Reply::status(if is_open.load(Ordering::Relaxed) { 200 } else { 503 })).await;
    route_to(&host, &receiver.url("/")).await;
    let acknowledged = send_all(&host, 8).await;
    host.kill().await;
    receiver.rest().await;

    open.store(true, Ordering::Relaxed);
    host.start_again().await;
    let ready = Instant::now();
    let ids = receive_all(&receiver).await;
    let took = ready.elapsed();
    let events: BTreeSet<String> = ids.keys().map(|id| format!("evt_{}", &id[4..30])).collect();
    assert_eq!(events, acknowledged);
    println!("kill -9: acknowledged={} delivered={} after {took:?} of being ready", acknowledged.len(), events.len());
}

#[tokio::test]
async fn a_kill_amid_deliveries_repeats_only_what_was_in_flight() {
    let mut host = Host::start().await;
    // The first are taken; the next keep waiting for their answer, so that they are in flight when the kill comes.
    let (count, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, is_open) = (count.clone(), open.clone());
    let receiver = Receiver::answering(move |_| {
        let taken = counted.fetch_add(1, Ordering::Relaxed) < EVENTS / 3;
        if taken || is_open.load(Ordering::Relaxed) { Reply::status(200) } else { Reply::Hang }
    })
    .await;
    route_to(&host, &receiver.url("/")).await;
    send_all(&host, 8).await;
    until("some to be in flight", || async { (count.load(Ordering::Relaxed) > EVENTS / 3).then_some(()) }).await;
    host.kill().await;
    open.store(true, Ordering::Relaxed);
    host.start_again().await;
    let ids = receive_all(&receiver).await;
    let all_settled = until("everything to be settled", || async {
        let pending = host.admin.get("/v1/tenants/acme/deliveries?endpoint=out&status=pending").await.expect(200);
        pending["items"].as_array().unwrap().is_empty().then_some(())
    });
    all_settled.await;
    let mut ids = ids;
    for received in receiver.rest().await {
        *ids.entry(received.id().to_owned()).or_default() += 1;
    }
    assert_eq!(ids.len(), EVENTS);
    let twice = ids.values().filter(|times| **times > 1).count();
    assert!((1..=64).contains(&twice), "{twice} came twice; at most the endpoint's concurrency of 64 was in flight");
    assert!(ids.values().all(|times| *times <= 2));
}

#[tokio::test]
async fn deliveries_wait_through_a_restart_for_a_receiver_that_is_away() {
    let mut host = Host::start().await;
    let address = free_address().await;
    route_to(&host, &format!("http://{address}/")).await;
    let event = host.event("x", "{\"n\":1}").await;
    let id = host.run_with(&event, "routed").await["deliveries"][0].as_str().unwrap().to_owned();
    host.terminate().await;
    host.start_again().await;
    let receiver = Receiver::at(address, |_| Reply::status(200)).await;
    assert_eq!(receiver.next().await.id(), id);
    host.delivery_with(&id, "delivered").await;
}

#[tokio::test]
async fn runs_left_pending_are_routed_after_a_kill_with_the_plan_they_were_pinned_to() {
    let mut host = Host::start_with("pipeline.inline_budget_ms = 0\nruntime.max_time_ms = 10000\n").await;
    let receiver = Receiver::start().await;
    host.acme(&receiver.url("/")).await;
    host.upload("misbehave").await;
    host.route("r", json!([{ "module": "operator/misbehave", "settings": { "do": "spin", "rounds": 500_000_000 } }]))
        .await;
    let event = host.event("x", "\"first\"").await;
    assert_eq!(host.show(&event).await["runs"][0]["status"], "pending");
    // Today's plan would fail: the pinned one must be used.
    host.route("r", json!([{ "module": "operator/misbehave", "settings": { "do": "fail" } }])).await;
    host.kill().await;
    host.start_again().await;
    assert_eq!(receiver.next().await.body, "\"first\"");
    host.run_with(&event, "routed").await;
}

#[tokio::test]
async fn sigterm_lets_attempts_in_flight_end_and_repeats_nothing() {
    let mut host = Host::start().await;
    // A receiver that has the request and answers only when the host was told to stop.
    let (told, open) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (tell, gate) = (told.clone(), open.clone());
    let receiver = Receiver::answering(move |_| {
        tell.notify_one();
        Reply::StatusAfter(200, gate.clone())
    })
    .await;
    host.acme(&receiver.url("/")).await;
    host.route("r", json!([])).await;
    let event = host.event("x", "{}").await;
    told.notified().await;
    host.tell_to_stop().await;
    // It takes no more events, and waits for the attempt.
    until("the listener to be closed", || async { host.ingest.try_send(Method::GET, "/", &[], "").await.err() }).await;
    open.add_permits(1);
    host.stopped().await;
    host.start_again().await;
    let delivery = host.run_with(&event, "routed").await["deliveries"][0].as_str().unwrap().to_owned();
    let delivery = host.delivery_with(&delivery, "delivered").await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1, "{delivery}");
    receiver.next().await;
    assert!(receiver.rest().await.is_empty(), "a graceful stop repeats nothing");
}

#[tokio::test]
async fn sigterm_does_not_wait_for_ever_for_a_receiver_that_hangs() {
    let mut host = Host::start_with("deliverer.drain_ms = 100\n").await;
    let receiver = Receiver::answering(|_| Reply::Hang).await;
    host.acme(&receiver.url("/")).await;
    host.route("r", json!([])).await;
    let event = host.event("x", "{}").await;
    let first = receiver.next().await.id().to_owned();
    host.terminate().await;
    host.start_again().await;
    assert_eq!(receiver.next().await.id(), first, "it goes again, with its id");
    assert_eq!(host.run_with(&event, "routed").await["deliveries"][0], first.as_str());
}

#[tokio::test]
async fn a_second_host_on_the_same_data_is_refused() {
    let host = Host::start().await;
    let mut command = hookswitch();
    command.arg("serve").arg("--data").arg(host.data()).env("HOOKSWITCH_OPERATOR_KEY", OPERATOR_KEY);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends in time").unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(words.contains("another hookswitch"), "{words}");
}
