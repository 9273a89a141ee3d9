//! How a host treats its endpoints: at their pace, and what becomes of those that fail.

use super::support::{Host, Receiver, Reply, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A tenant `acme` whose events go straight to `out`, an endpoint at this receiver with these fields too.
async fn straight(host: &Host, receiver: &Receiver, fields: Value) {
    host.acme("http://127.0.0.1:1/").await;
    let mut endpoint = json!({ "url": receiver.url("/"), "secrets": [] });
    endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
    host.put("/v1/tenants/acme/routes/all", &json!({ "source": "in", "to": { "endpoints": ["out"] } })).await;
}

async fn delivery_of(host: &Host, event: &str) -> String {
    host.run_with(event, "routed").await["deliveries"][0].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_receiver_that_has_enough_is_left_alone_as_long_as_it_says() {
    let first = Mutex::new(true);
    let receiver = Receiver::answering(move |_| match std::mem::take(&mut *first.lock().unwrap()) {
        true => Reply::Status(429, vec![("retry-after", "1".to_owned())], "slow down"),
        false => Reply::status(200),
    })
    .await;
    let host = Host::start().await;
    straight(&host, &receiver, json!({ "concurrency_max": 1, "retry": { "schedule_s": [0, 0] } })).await;
    let first = delivery_of(&host, &host.event("x", "1").await).await;
    receiver.next().await;
    let throttle = until("the endpoint to be throttled", || async {
        let endpoint = host.admin.get("/v1/tenants/acme/endpoints/out").await.expect(200);
        Some(endpoint["status"]["throttle"].clone()).filter(|throttle| !throttle.is_null())
    })
    .await;
    let second = delivery_of(&host, &host.event("x", "2").await).await;
    let attempts = host.delivery_with(&first, "delivered").await["attempts"].clone();
    let others = host.delivery_with(&second, "delivered").await["attempts"].clone();
    let refused_ms = attempts[0]["started_at_ms"].as_u64().unwrap() + attempts[0]["duration_ms"].as_u64().unwrap();
    assert!(throttle["rate_per_s"].as_f64().unwrap() >= 1.0, "{throttle}");
    assert!(throttle["not_before_ms"].as_u64().unwrap() >= refused_ms + 1_000, "{throttle}");
    for again in [&attempts[1], &others[0]] {
        let began_ms = again["started_at_ms"].as_u64().unwrap();
        assert!(began_ms >= refused_ms + 1_000, "refused at {refused_ms}, then {again}");
    }
}

#[tokio::test]
async fn so_is_one_that_is_down_and_says_until_when() {
    // Two seconds from now, in whole ones: the date is what the receiver waits for.
    let up_s = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 2;
    let first = Mutex::new(true);
    let receiver = Receiver::answering(move |_| match std::mem::take(&mut *first.lock().unwrap()) {
        true => Reply::Status(503, vec![("retry-after", http_date(up_s))], "down"),
        false => Reply::status(200),
    })
    .await;
    let host = Host::start().await;
    straight(&host, &receiver, json!({ "concurrency_max": 1, "retry": { "schedule_s": [0, 0] } })).await;
    let first = delivery_of(&host, &host.event("x", "1").await).await;
    receiver.next().await;
    let second = delivery_of(&host, &host.event("x", "2").await).await;
    let (first, second) =
        (host.delivery_with(&first, "delivered").await, host.delivery_with(&second, "delivered").await);
    for again in [&first["attempts"][1], &second["attempts"][0]] {
        assert!(again["started_at_ms"].as_u64().unwrap() >= up_s * 1000, "{again}, before {up_s} s");
    }
}

/// As `Retry-After` has it (RFC 9110, section 5.6.7).
fn http_date(unix_s: u64) -> String {
    jiff::Timestamp::from_second(unix_s.try_into().unwrap()).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[tokio::test]
async fn the_bounds_of_an_endpoint_are_named() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let wrong = [
        ("rate_per_s", json!(0), "0 is not from 1 to 10000"),
        ("rate_per_s", json!(10_001), "10001 is not from 1 to 10000"),
        ("first_byte_timeout_ms", json!(99), "99 is not from 100 to 15000"),
        ("first_byte_timeout_ms", json!(15_001), "15001 is not from 100 to 15000"),
        ("hold_after", json!(101), "101 is not from 0 to 100"),
        ("disable_after_s", json!(59), "59 is not from 60 to 2592000"),
        ("disable_after_s", json!(2_592_001), "2592001 is not from 60 to 2592000"),
    ];
    for (field, value, why) in wrong {
        let spec = json!({ "url": "http://127.0.0.1:1/", "secrets": [], field: value });
        let problem = host.admin.put("/v1/tenants/acme/endpoints/out", &spec).await.problem(422);
        assert_eq!((&problem["pointer"], &problem["detail"]), (&json!(format!("/{field}")), &json!(why)));
    }
}

/// A receiver that answers this status until it is well.
async fn sick(status: u16) -> (Receiver, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(false));
    let is_well = well.clone();
    let decide = move |_: &_| Reply::status(if is_well.load(Ordering::Relaxed) { 200 } else { status });
    (Receiver::answering(decide).await, well)
}

/// Waits until the endpoint `out` is in this state, and gives its status.
async fn status_of(host: &Host, state: &str) -> Value {
    until(&format!("the endpoint to be {state}"), || async {
        let endpoint = host.admin.get("/v1/tenants/acme/endpoints/out").await.expect(200);
        (endpoint["status"]["state"] == state).then(|| endpoint["status"].clone())
    })
    .await
}

/// The types of the operational events there are, the first one first.
async fn told(host: &Host) -> Vec<String> {
    let events = host.admin.get("/v1/tenants/acme/events?source=hookswitch").await.expect(200);
    let mut types: Vec<_> = events["items"].as_array().unwrap().iter().collect();
    types.sort_by_key(|event| event["seq"].as_u64());
    types.iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_failing_endpoint_is_held_is_held_after_a_crash_and_resumes_by_itself() {
    let (receiver, well) = sick(500).await;
    let ops = Receiver::start().await;
    let mut host = Host::start_with("deliverer.probe_wait_ms_min = 5\ndeliverer.probe_wait_ms_max = 20\n").await;
    straight(&host, &receiver, json!({ "hold_after": 2, "retry": { "schedule_s": [0, 3600] } })).await;
    host.put("/v1/tenants/acme/endpoints/ops", &json!({ "url": ops.url("/"), "secrets": [] })).await;
    host.put("/v1/tenants/acme/routes/ops", &json!({ "source": "hookswitch", "to": { "endpoints": ["ops"] } })).await;
    assert_eq!(status_of(&host, "working").await["since_ms"], Value::Null);
    for body in ["1", "2"] {
        host.event("x", body).await;
    }
    let held = status_of(&host, "held").await;
    assert!(held["reason"].as_str().unwrap().contains("2 deliveries failed in a row (hold_after)"), "{held}");
    let listed = host.admin.get("/v1/tenants/acme/endpoints").await.expect(200);
    assert_eq!((&listed["items"][1]["name"], &listed["items"][1]["status"]), (&json!("out"), &held));

    // One is tried again and again, and uses up nothing of its schedule.
    let waiting = delivery_of(&host, &host.event("x", "3").await).await;
    let path = format!("/v1/tenants/acme/deliveries/{waiting}");
    until("four attempts", || async {
        let delivery = host.admin.get(&path).await.expect(200);
        (delivery["attempts_made"].as_u64() >= Some(4)).then_some(())
    })
    .await;
    host.kill().await;
    host.start_again().await;
    assert_eq!(status_of(&host, "held").await, held);
    well.store(true, Ordering::Relaxed);
    host.delivery_with(&waiting, "delivered").await;
    status_of(&host, "working").await;
    assert_eq!(host.admin.get(&path).await.expect(200)["schedule_position"], 1);

    for event_type in ["endpoint.held", "endpoint.resumed"] {
        let body = ops.next().await.json();
        let state = if event_type == "endpoint.held" { "held" } else { "working" };
        assert_eq!((&body["endpoint"], &body["state"]), (&json!("out"), &json!(state)), "{body}");
    }
    assert_eq!(told(&host).await, ["endpoint.held", "endpoint.resumed"]);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_waits_until_somebody_enables_or_changes_it() {
    let (receiver, well) = sick(410).await;
    let host = Host::start().await;
    let fields = json!({ "retry": { "schedule_s": [0] } });
    straight(&host, &receiver, fields.clone()).await;
    let first = delivery_of(&host, &host.event("x", "1").await).await;
    let status = status_of(&host, "disabled").await;
    assert!(status["reason"].as_str().unwrap().contains("410"), "{status}");
    let refused = host.delivery_with(&first, "pending").await;
    assert_eq!((refused["attempts_made"].as_u64(), refused["schedule_position"].as_u64()), (Some(1), Some(0)));
    // Putting it as it is changes nothing.
    let mut endpoint = json!({ "url": receiver.url("/"), "secrets": [] });
    endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    assert_eq!(host.put("/v1/tenants/acme/endpoints/out", &endpoint).await["changed"], false);
    status_of(&host, "disabled").await;

    host.admin.post("/v1/tenants/acme/endpoints/out/enable", "").await.expect(202);
    until("the second attempt", || async {
        let delivery = host.admin.get(&format!("/v1/tenants/acme/deliveries/{first}")).await.expect(200);
        (delivery["attempts_made"] == 2).then_some(())
    })
    .await;
    status_of(&host, "disabled").await;
    well.store(true, Ordering::Relaxed);
    endpoint["labels"] = json!({ "seen": "today" });
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
    host.delivery_with(&first, "delivered").await;
    status_of(&host, "working").await;
    until("four operational events", || async { (told(&host).await.len() == 4).then_some(()) }).await;
    let expected = ["endpoint.disabled", "endpoint.resumed", "endpoint.disabled", "endpoint.resumed"];
    assert_eq!(told(&host).await, expected);

    endpoint["disabled"] = json!(true);
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
    status_of(&host, "disabled").await;
    let conflict = host.admin.post("/v1/tenants/acme/endpoints/out/enable", "").await.problem(409);
    assert!(conflict["detail"].as_str().unwrap().contains("`disabled`"), "{conflict}");
    host.admin.post("/v1/tenants/acme/endpoints/nobody/enable", "").await.problem(404);
}

#[tokio::test]
async fn a_dead_delivery_is_told_and_one_that_tells_is_not() {
    let (receiver, _) = sick(500).await;
    let (ops, _) = sick(500).await;
    let host = Host::start().await;
    let once = json!({ "schedule_s": [0] });
    straight(&host, &receiver, json!({ "retry": once })).await;
    host.put("/v1/tenants/acme/endpoints/ops", &json!({ "url": ops.url("/"), "secrets": [], "retry": once })).await;
    host.put("/v1/tenants/acme/routes/ops", &json!({ "source": "hookswitch", "to": { "endpoints": ["ops"] } })).await;
    let delivery = delivery_of(&host, &host.event("x", "1").await).await;
    host.delivery_with(&delivery, "dead").await;
    let received = ops.next().await;
    let body = received.json();
    assert_eq!((&body["delivery"], &body["status"], &body["attempts"]), (&json!(delivery), &json!(500), &json!(1)));
    host.delivery_with(received.id(), "dead").await;
    // Whatever is told is told in the order of the commits: the next one shows that there was none in between.
    let other = delivery_of(&host, &host.event("x", "2").await).await;
    host.delivery_with(&other, "dead").await;
    assert_eq!(ops.next().await.json()["delivery"], other.as_str());
    assert_eq!(told(&host).await, ["delivery.dead", "delivery.dead"]);
}

#[tokio::test]
async fn deliveries_of_one_key_come_in_order_through_failures_and_a_crash() {
    const EVENTS: usize = 60;
    // Every second request fails, whichever it is.
    let count = AtomicUsize::new(0);
    let receiver = Receiver::answering(move |_| {
        Reply::status(if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { 200 } else { 500 })
    })
    .await;
    let mut host = Host::start().await;
    let retry = json!({ "schedule_s": vec![0; 32] });
    straight(&host, &receiver, json!({ "ordering": "key", "hold_after": 0, "retry": retry })).await;
    host.upload("reshape").await;
    let keyed = json!({ "ordering_key": "${/key}" });
    host.route("all", json!([{ "module": "operator/reshape", "settings": keyed }])).await;
    let mut deliveries = Vec::new();
    for number in 0..EVENTS {
        if number == EVENTS / 2 {
            host.kill().await;
            host.start_again().await;
        }
        let event = host.event("x", json!({ "key": format!("k{}", number % 3), "n": number }).to_string()).await;
        deliveries.push(delivery_of(&host, &event).await);
    }
    for delivery in &deliveries {
        host.delivery_with(delivery, "delivered").await;
    }
    let mut last = BTreeMap::new();
    for received in receiver.rest().await {
        let body = received.json();
        let number = body["n"].as_u64().unwrap();
        let before = last.insert(body["key"].as_str().unwrap().to_owned(), number);
        assert!(before <= Some(number), "{before:?} came before {body}");
    }
    assert_eq!(last.len(), 3);
}
