//! Receivers that are asked first whether they allow deliveries.

use super::support::{Host, Receiver, Reply, until};
use http::Method;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const SETTINGS: &str =
    "deliverer.origin = \"hooks.example.com\"\ndeliverer.probe_wait_ms_min = 5\ndeliverer.probe_wait_ms_max = 20\n";

/// A receiver that takes everything, and answers OPTIONS with these headers.
async fn asked() -> (Receiver, Arc<Mutex<Vec<(&'static str, String)>>>) {
    let answer = Arc::new(Mutex::new(Vec::new()));
    let now = answer.clone();
    let receiver = Receiver::answering(move |received| match received.method {
        Method::OPTIONS => Reply::Status(405, now.lock().unwrap().clone(), ""),
        _ => Reply::status(204),
    });
    (receiver.await, answer)
}

fn allowing(rate: &str) -> Vec<(&'static str, String)> {
    vec![("webhook-allowed-origin", "hooks.example.com".to_owned()), ("webhook-allowed-rate", rate.to_owned())]
}

async fn put(host: &Host, receiver: &Receiver, fields: Value) {
    let mut endpoint = json!({ "url": receiver.url("/in?x=1"), "secrets": [], "handshake": true });
    endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
}

async fn delivery_of(host: &Host, event: &str) -> String {
    host.run_with(event, "routed").await["deliveries"][0].as_str().unwrap().to_owned()
}

async fn status_with(host: &Host, state: &str) -> Value {
    until(&format!("the endpoint to be {state}"), || async {
        let endpoint = host.admin.get("/v1/tenants/acme/endpoints/out").await.expect(200);
        (endpoint["status"]["state"] == state).then(|| endpoint["status"].clone())
    })
    .await
}

#[tokio::test]
async fn nothing_is_sent_before_the_receiver_allows_it_and_after_each_change_it_is_asked_anew() {
    let (receiver, answer) = asked().await;
    let mut host = Host::start_with(SETTINGS).await;
    host.acme("http://127.0.0.1:1/").await;
    let fields =
        json!({ "rate_per_s": 100, "auth": { "type": "bearer", "token": "t" }, "retry": { "schedule_s": [0] } });
    put(&host, &receiver, fields.clone()).await;
    host.route("all", json!([])).await;
    let first = delivery_of(&host, &host.event("x", "1").await).await;
    let reason = status_with(&host, "held").await["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("does not allow deliveries: its answer to OPTIONS (405 Method Not Allowed)"), "{reason}");
    // It is asked again and again, and the delivery loses nothing by it.
    for _ in 0..3 {
        let question = receiver.next().await;
        let header = |name: &str| question.headers[name].to_str().unwrap().to_owned();
        assert_eq!((question.method, question.path.as_str()), (Method::OPTIONS, "/in"));
        assert_eq!(header("webhook-request-origin"), "hooks.example.com");
        assert_eq!(
            (header("webhook-request-rate"), header("authorization")),
            ("6000".to_owned(), "Bearer t".to_owned())
        );
    }
    let waiting = host.delivery_with(&first, "pending").await;
    assert_eq!(
        (&waiting["schedule_position"], &waiting["attempts"][0]["error"]["code"]),
        (&json!(0), &json!("handshake"))
    );
    *answer.lock().unwrap() = allowing("*");
    host.delivery_with(&first, "delivered").await;
    status_with(&host, "working").await;
    let came = receiver.rest().await;
    assert!(came.iter().rev().skip(1).all(|received| received.method == Method::OPTIONS), "{came:?}");
    let delivered = came.last().unwrap();
    assert_eq!(
        (&delivered.method, &delivered.headers["webhook-request-origin"]),
        (&Method::POST, &"hooks.example.com".parse().unwrap())
    );

    // Once allowed it is not asked again, until the endpoint changes or the host starts anew.
    let methods = async |host: &Host| {
        let id = delivery_of(host, &host.event("x", "2").await).await;
        host.delivery_with(&id, "delivered").await;
        receiver.rest().await.into_iter().map(|received| received.method).collect::<Vec<_>>()
    };
    assert_eq!(methods(&host).await, [Method::POST]);
    let mut changed = fields;
    changed["labels"] = json!({ "a": "b" });
    put(&host, &receiver, changed).await;
    assert_eq!(methods(&host).await, [Method::OPTIONS, Method::POST]);
    assert_eq!(methods(&host).await, [Method::POST]);
    host.kill().await;
    host.start_again().await;
    assert_eq!(methods(&host).await, [Method::OPTIONS, Method::POST]);
}

#[tokio::test]
async fn the_rate_that_a_receiver_allows_is_kept() {
    let (receiver, answer) = asked().await;
    *answer.lock().unwrap() = allowing("60");
    let host = Host::start_with(SETTINGS).await;
    host.acme("http://127.0.0.1:1/").await;
    put(&host, &receiver, json!({})).await;
    host.route("all", json!([])).await;
    let mut deliveries = Vec::new();
    for number in 0..3 {
        deliveries.push(delivery_of(&host, &host.event("x", number.to_string()).await).await);
    }
    let mut began = Vec::new();
    for delivery in &deliveries {
        let delivered = host.delivery_with(delivery, "delivered").await;
        began.push(delivered["attempts"][0]["started_at_ms"].as_u64().unwrap());
    }
    began.sort_unstable();
    // Each from the first, whose question was answered after it had begun: between two others a read may have taken its time.
    assert!((0..).zip(&began).all(|(number, at_ms)| *at_ms >= began[0] + number * 1_000), "one a second: {began:?}");
    let asked = receiver.rest().await.into_iter().filter(|received| received.method == Method::OPTIONS).count();
    assert_eq!(asked, 1, "one of them finds out for all");
}

#[tokio::test]
async fn a_question_that_is_refused_for_its_token_is_asked_again_with_a_new_one() {
    const TOKENS: [&str; 2] = [r#"{"access_token": "first"}"#, r#"{"access_token": "second"}"#];
    let fetched = AtomicUsize::new(0);
    let tokens = Receiver::answering(move |_| {
        let body = TOKENS[fetched.fetch_add(1, Ordering::Relaxed)];
        Reply::Status(200, vec![("content-type", "application/json".to_owned())], body)
    })
    .await;
    let receiver = Receiver::answering(|received| match received.headers["authorization"].to_str().unwrap() {
        "Bearer first" => Reply::status(401),
        _ if received.method == Method::OPTIONS => Reply::Status(200, allowing("*"), ""),
        _ => Reply::status(204),
    })
    .await;
    let host = Host::start_with(SETTINGS).await;
    host.acme("http://127.0.0.1:1/").await;
    let auth = json!({ "type": "oauth2", "token_url": tokens.url("/"), "client_id": "id", "client_secret": "s" });
    put(&host, &receiver, json!({ "auth": auth })).await;
    host.route("all", json!([])).await;
    let delivery = delivery_of(&host, &host.event("x", "1").await).await;
    let delivered = host.delivery_with(&delivery, "delivered").await;
    assert_eq!(delivered["attempts"][0]["error"]["code"], "handshake");
    assert_eq!(tokens.rest().await.len(), 2);
    let methods: Vec<_> = receiver.rest().await.into_iter().map(|received| received.method).collect();
    assert_eq!(methods, [Method::OPTIONS, Method::OPTIONS, Method::POST]);
}

#[tokio::test]
async fn without_a_name_nobody_is_asked_and_what_cannot_be_asked_about_is_refused() {
    let receiver = Receiver::start().await;
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    put(&host, &receiver, json!({})).await;
    host.route("all", json!([])).await;
    host.event("x", "1").await;
    let reason = status_with(&host, "held").await["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("set `deliverer.origin`") && receiver.rest().await.is_empty(), "{reason}");

    let wrong = [json!({ "method": "PUT" }), json!({ "url": receiver.url("/{event_type}") })];
    for fields in wrong {
        let mut endpoint = json!({ "url": receiver.url("/"), "handshake": true });
        endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let problem = host.admin.put("/v1/tenants/acme/endpoints/out", &endpoint).await.problem(422);
        assert_eq!(problem["pointer"], "/handshake", "{problem}");
    }
}
