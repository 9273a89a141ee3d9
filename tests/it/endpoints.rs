//! How a host treats its endpoints: at their pace, and what becomes of those that fail.

use super::support::{Host, Receiver, Reply};
use serde_json::{Value, json};
use std::sync::Mutex;

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
    let second = delivery_of(&host, &host.event("x", "2").await).await;
    let attempts = host.delivery_with(&first, "delivered").await["attempts"].clone();
    let others = host.delivery_with(&second, "delivered").await["attempts"].clone();
    let refused_ms = attempts[0]["started_at_ms"].as_u64().unwrap() + attempts[0]["duration_ms"].as_u64().unwrap();
    for again in [&attempts[1], &others[0]] {
        let began_ms = again["started_at_ms"].as_u64().unwrap();
        assert!(began_ms >= refused_ms + 1_000, "refused at {refused_ms}, then {again}");
    }
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
    ];
    for (field, value, why) in wrong {
        let spec = json!({ "url": "http://127.0.0.1:1/", "secrets": [], field: value });
        let problem = host.admin.put("/v1/tenants/acme/endpoints/out", &spec).await.problem(422);
        assert_eq!((&problem["pointer"], &problem["detail"]), (&json!(format!("/{field}")), &json!(why)));
    }
}
