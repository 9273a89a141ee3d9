//! What an endpoint's fields make of a request: how it is sent, when, and for how long it is waited.

use super::support::{Host, Receiver, Reply};
use serde_json::{Value, json};

/// A host whose `acme/in` goes straight to `out`, an endpoint at this URL with these fields too.
async fn straight(url: &str, fields: Value) -> Host {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let mut endpoint = json!({ "url": url, "secrets": [] });
    endpoint.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
    host.route("all", json!([])).await;
    host
}

async fn delivery_of(host: &Host, event: &str) -> Value {
    let id = host.run_with(event, "routed").await["deliveries"][0].as_str().unwrap().to_owned();
    host.admin.get(&format!("/v1/tenants/acme/deliveries/{id}")).await.expect(200)
}

#[tokio::test]
async fn an_endpoint_says_its_method_content_type_and_headers() {
    let receiver = Receiver::start().await;
    let fields =
        json!({ "content_type": "application/vnd.acme+json", "headers": { "X-Team": "core", "accept": "text/plain" } });
    let host = straight(&receiver.url("/"), fields.clone()).await;
    for method in ["POST", "PUT", "PATCH"] {
        let mut endpoint = fields.clone();
        endpoint["url"] = json!(receiver.url("/"));
        endpoint["method"] = json!(method);
        host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
        host.event("x", "{}").await;
        let received = receiver.next().await;
        let header = |name: &str| received.headers[name].to_str().unwrap().to_owned();
        assert_eq!(received.method.as_str(), method);
        assert_eq!(header("content-type"), "application/vnd.acme+json");
        assert_eq!((header("x-team"), header("accept")), ("core".to_owned(), "text/plain".to_owned()));
    }
    let wrong = [
        (json!({ "method": "GET" }), "/method"),
        (json!({ "content_type": "json" }), "/content_type"),
        (json!({ "content_type": "a/b\n" }), "/content_type"),
        (json!({ "content_type": format!("a/{}", "b".repeat(255)) }), "/content_type"),
        (json!({ "headers": { "content-type": "a/b" } }), "/headers/content-type"),
        (json!({ "connect_timeout_ms": 99 }), "/connect_timeout_ms"),
        (json!({ "connect_timeout_ms": 15_001 }), "/connect_timeout_ms"),
    ];
    for (field, pointer) in wrong {
        let mut endpoint = json!({ "url": receiver.url("/") });
        endpoint.as_object_mut().unwrap().extend(field.as_object().unwrap().clone());
        let problem = host.admin.put("/v1/tenants/acme/endpoints/out", &endpoint).await.problem(422);
        assert_eq!(problem["pointer"], pointer, "{problem}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_slow_to_connect_to_costs_connect_timeout_ms() {
    // The kernel takes the connection; nobody speaks TLS on it.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let fields = json!({ "connect_timeout_ms": 100, "timeout_ms": 60_000, "retry": { "schedule_s": [0] } });
    let host = straight(&url, fields).await;
    let delivery = delivery_of(&host, &host.event("x", "{}").await).await;
    let dead = host.delivery_with(delivery["id"].as_str().unwrap(), "dead").await;
    let attempt = &dead["attempts"][0];
    assert_eq!(attempt["error"]["code"], "connect", "{attempt}");
    assert_eq!(attempt["error"]["message"], "could not connect within connect_timeout_ms (100)");
    assert!((100..60_000).contains(&attempt["duration_ms"].as_u64().unwrap()), "{attempt}");
}

#[tokio::test]
async fn a_module_says_how_long_a_delivery_waits() {
    let receiver = Receiver::start().await;
    let host = straight(&receiver.url("/"), json!({})).await;
    host.upload("reshape").await;
    let delayed = |delay_ms: u64| json!([{ "module": "operator/reshape", "settings": { "delay_ms": delay_ms } }]);
    host.route("all", delayed(3_600_000)).await;
    let delivery = delivery_of(&host, &host.event("x", "{}").await).await;
    let due_ms = delivery["due_ms"].as_u64().unwrap();
    assert_eq!(due_ms - delivery["created_at_ms"].as_u64().unwrap(), 3_600_000, "{delivery}");
    assert_eq!(delivery["attempts"], json!([]));

    host.route("all", delayed(300)).await;
    let delivery = delivery_of(&host, &host.event("x", "{}").await).await;
    let delivered = host.delivery_with(delivery["id"].as_str().unwrap(), "delivered").await;
    let began_ms = delivered["attempts"][0]["started_at_ms"].as_u64().unwrap();
    assert!(began_ms >= delivered["created_at_ms"].as_u64().unwrap() + 300, "{delivered}");
}

#[tokio::test]
async fn deliveries_are_cloudevents_where_an_endpoint_asks_for_it() {
    let receiver = Receiver::answering({
        let first = std::sync::atomic::AtomicBool::new(true);
        move |_| Reply::status(if first.swap(false, std::sync::atomic::Ordering::Relaxed) { 500 } else { 200 })
    })
    .await;
    let fields = json!({ "cloudevents": { "mode": "binary" }, "retry": { "schedule_s": [0, 0] } });
    let host = straight(&receiver.url("/"), fields).await;
    let event = host.event("a\"b\"%", "{\"n\": 1.0}").await;
    let (first, again) = (receiver.next().await, receiver.next().await);
    let attribute = |name: &str| first.headers[name].to_str().unwrap().to_owned();
    assert_eq!((attribute("ce-specversion"), attribute("ce-source")), ("1.0".to_owned(), "/acme/in".to_owned()));
    assert_eq!((attribute("ce-type"), attribute("ce-id")), ("a%22b%22%25".to_owned(), first.id().to_owned()));
    assert_eq!(again.headers["ce-id"], attribute("ce-id"), "the same at each attempt");
    let received_at_ms = host.show(&event).await["received_at_ms"].as_i64().unwrap();
    let time = jiff::Timestamp::from_millisecond(received_at_ms).unwrap();
    assert_eq!(attribute("ce-time").parse::<jiff::Timestamp>().unwrap(), time);
    assert_eq!((attribute("content-type"), &first.body[..]), ("application/json".to_owned(), &b"{\"n\": 1.0}"[..]));

    let structured = json!({ "url": receiver.url("/"), "cloudevents": { "mode": "structured", "source": "urn:acme" } });
    host.put("/v1/tenants/acme/endpoints/out", &structured).await;
    host.event("x", "not JSON").await;
    let received = receiver.next().await;
    assert_eq!(received.headers["content-type"], "application/cloudevents+json; charset=utf-8");
    let body = received.json();
    assert_eq!(
        (&body["source"], &body["id"], &body["data_base64"]),
        (&json!("urn:acme"), &json!(received.id()), &json!("bm90IEpTT04="))
    );

    let mut wrong = structured;
    wrong["headers"] = json!({ "ce-subject": "x" });
    let problem = host.admin.put("/v1/tenants/acme/endpoints/out", &wrong).await.problem(422);
    assert_eq!(problem["pointer"], "/cloudevents", "{problem}");
    wrong["headers"] = json!({});
    wrong["cloudevents"] = json!({ "mode": "batch" });
    let problem = host.admin.put("/v1/tenants/acme/endpoints/out", &wrong).await.problem(422);
    assert_eq!(problem["pointer"], "/cloudevents/mode", "{problem}");
}
