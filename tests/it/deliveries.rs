//! The way out: signed, retried on a schedule, given up in the end, and never to an address it must not reach.

use super::support::{Host, Receiver, Reply};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A tenant `acme` whose events go straight to `out`, with this endpoint.
async fn straight(host: &Host, endpoint: Value) {
    host.acme("http://127.0.0.1:1/").await;
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
    host.put("/v1/tenants/acme/routes/all", &json!({ "source": "in", "to": { "endpoints": ["out"] } })).await;
}

async fn delivery_of(host: &Host, event: &str) -> String {
    host.run_with(event, "routed").await["deliveries"][0].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_delivery_is_signed_with_every_secret_and_carries_its_headers() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let endpoint = json!({
        "url": receiver.url("/hook?token=1"), "secrets": [SECRET, other], "headers": { "X-Team": "core" }, "method": "PUT",
    });
    straight(&host, endpoint).await;
    let event = host.event("x", "{\"a\":1}").await;
    let received = receiver.next().await;
    assert_eq!((received.method.as_str(), received.path.as_str()), ("PUT", "/hook"));
    assert_eq!(received.headers["x-team"], "core");
    assert!(received.headers["user-agent"].to_str().unwrap().starts_with("hookswitch/"));
    assert_eq!(received.id(), delivery_of(&host, &event).await);
    let timestamp = received.headers["webhook-timestamp"].to_str().unwrap();
    let expected = [SECRET, other].map(|secret| {
        let engine = &base64::engine::general_purpose::STANDARD;
        let mut mac = Hmac::<Sha256>::new_from_slice(&base64::Engine::decode(engine, &secret[6..]).unwrap()).unwrap();
        mac.update(format!("{}.{timestamp}.{{\"a\":1}}", received.id()).as_bytes());
        format!("v1,{}", base64::Engine::encode(engine, mac.finalize().into_bytes()))
    });
    assert_eq!(received.headers["webhook-signature"], expected.join(" "));
}

#[tokio::test]
async fn the_first_attempt_waits_as_long_as_the_schedule_says() {
    let host = Host::start().await;
    straight(&host, json!({ "url": "http://127.0.0.1:1/", "retry": { "schedule_s": [3600, 1] } })).await;
    let id = delivery_of(&host, &host.event("x", "{}").await).await;
    let delivery = host.admin.get(&format!("/v1/tenants/acme/deliveries/{id}")).await.expect(200);
    let wait_ms = delivery["due_ms"].as_u64().unwrap() - delivery["created_at_ms"].as_u64().unwrap();
    assert_eq!((wait_ms, &delivery["attempts"]), (3_600_000, &json!([])), "{delivery}");
}

#[tokio::test]
async fn a_failing_receiver_gets_it_again_with_the_same_id() {
    let count = AtomicU32::new(0);
    let receiver = Receiver::answering(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::Status(503, Vec::new(), "not <b>yet</b>"),
        1 => Reply::Status(302, vec![("location", "http://127.0.0.1:1/elsewhere".to_owned())], ""),
        _ => Reply::status(204),
    })
    .await;
    let host = Host::start().await;
    straight(&host, json!({ "url": receiver.url("/"), "secrets": [SECRET], "retry": { "schedule_s": [0, 0, 0] } }))
        .await;
    let event = host.event("x", "{}").await;
    let ids =
        [receiver.next().await, receiver.next().await, receiver.next().await].map(|received| received.id().to_owned());
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let delivery = host.delivery_with(&delivery_of(&host, &event).await, "delivered").await;
    let attempts = delivery["attempts"].as_array().unwrap();
    let seen: Vec<_> = attempts.iter().map(|attempt| (attempt["number"].clone(), attempt["status"].clone())).collect();
    assert_eq!(seen, [(json!(1), json!(503)), (json!(2), json!(302)), (json!(3), json!(204))]);
    assert_eq!(attempts[0]["response"], "not <b>yet</b>");
    assert_eq!((&attempts[0]["error"]["code"], attempts[2].get("error")), (&json!("status"), None));
}

#[tokio::test]
async fn retries_end_and_a_dead_delivery_can_be_tried_again_by_hand() {
    let well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let answer_well = well.clone();
    let receiver =
        Receiver::answering(move |_| Reply::status(if answer_well.load(Ordering::Relaxed) { 200 } else { 500 })).await;
    let host = Host::start().await;
    straight(&host, json!({ "url": receiver.url("/"), "secrets": [SECRET], "retry": { "schedule_s": [0, 0] } })).await;
    let event = host.event("x", "{}").await;
    let id = delivery_of(&host, &event).await;
    let dead = host.delivery_with(&id, "dead").await;
    assert_eq!(dead["attempts"].as_array().unwrap().len(), 2);
    let listed = host.admin.get("/v1/tenants/acme/deliveries?endpoint=out&status=dead").await.expect(200);
    assert_eq!(listed["items"][0]["id"], id);

    well.store(true, Ordering::Relaxed);
    host.admin.post(&format!("/v1/tenants/acme/deliveries/{id}/retry"), "").await.expect(202);
    let delivered = host.delivery_with(&id, "delivered").await;
    assert_eq!(delivered["attempts"].as_array().unwrap().len(), 3);
    let unknown =
        host.admin.post(&format!("/v1/tenants/acme/deliveries/{}/retry", id.replace(&id[4..8], "0000")), "").await;
    assert_eq!(unknown.problem(404)["code"], "not_found");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_in_time() {
    let first = Mutex::new(true);
    let receiver =
        Receiver::answering(
            move |_| {
                if std::mem::take(&mut *first.lock().unwrap()) { Reply::Hang } else { Reply::status(200) }
            },
        )
        .await;
    let host = Host::start().await;
    straight(
        &host,
        json!({ "url": receiver.url("/"), "secrets": [], "timeout_ms": 100, "retry": { "schedule_s": [0, 0] } }),
    )
    .await;
    let event = host.event("x", "{}").await;
    let delivery = host.delivery_with(&delivery_of(&host, &event).await, "delivered").await;
    assert_eq!(delivery["attempts"][0]["error"]["code"], "timeout");
}

#[tokio::test]
async fn one_endpoint_that_hangs_does_not_delay_another() {
    let stuck = Receiver::answering(|_| Reply::Hang).await;
    let good = Receiver::start().await;
    let host = Host::start().await;
    host.acme(&good.url("/")).await;
    let endpoint = json!({ "url": stuck.url("/"), "secrets": [], "timeout_ms": 120_000 });
    host.put("/v1/tenants/acme/endpoints/stuck", &endpoint).await;
    host.put("/v1/tenants/acme/routes/r", &json!({ "source": "in", "to": { "endpoints": ["stuck", "out"] } })).await;
    for number in 0..100 {
        host.event("x", number.to_string()).await;
    }
    let mut numbers = Vec::new();
    for _ in 0..100 {
        numbers.push(good.next().await.json().as_u64().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    // No more at once than the endpoint's concurrency.
    assert!(stuck.rest().await.len() <= 16);
}

#[tokio::test]
async fn addresses_that_are_not_allowed_are_not_reached() {
    let receiver = Receiver::start().await;
    // Loopback is not in the allow list of this host.
    let host = Host::start_with("transport.connect_timeout_ms = 2000\n").await;
    let port = receiver.address.port();
    host.acme("http://127.0.0.1:1/").await;
    for (index, address) in ["169.254.169.254", "[::1]", "10.0.0.1", "0.0.0.0"].iter().enumerate() {
        let name = format!("e{index}");
        let spec = json!({ "url": format!("http://{address}:{port}/"), "secrets": [], "retry": { "schedule_s": [0] } });
        host.put(&format!("/v1/tenants/acme/endpoints/{name}"), &spec).await;
        host.put(
            &format!("/v1/tenants/acme/routes/{name}"),
            &json!({ "source": "in", "event_types": [name], "to": { "endpoints": [name] } }),
        )
        .await;
        let event = host.event(&name, "{}").await;
        let dead = host.delivery_with(&delivery_of(&host, &event).await, "dead").await;
        assert_eq!(dead["attempts"][0]["error"]["code"], "address_refused", "{address}: {dead}");
    }
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn a_disabled_endpoint_keeps_its_deliveries_until_it_is_enabled() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    straight(&host, json!({ "url": receiver.url("/"), "secrets": [], "disabled": true })).await;
    let event = host.event("x", "{}").await;
    let id = delivery_of(&host, &event).await;
    host.put("/v1/tenants/acme/endpoints/out", &json!({ "url": receiver.url("/"), "secrets": [] })).await;
    assert_eq!(receiver.next().await.path, "/");
    let delivery = host.delivery_with(&id, "delivered").await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_large_body_goes_through_whole() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    straight(&host, json!({ "url": receiver.url("/"), "secrets": [] })).await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    host.event("x", body.clone()).await;
    assert!(receiver.next().await.body == body);
}
