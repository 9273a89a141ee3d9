//! The catalogue of event types: what does not fit a schema is refused, flagged or nobody's business, whichever way it comes in.

use super::support::{Answer, Host, Receiver, hookswitch};
use http::Method;
use serde_json::{Value, json};

const EVENTS: &str = "/v1/tenants/acme/events";
const TYPES: &str = "/v1/tenants/acme/event-types";

/// A host with an event type of each policy, and routes from `in` and from what is published.
async fn catalogue() -> (Host, Receiver) {
    let (host, receiver) = Host::with(&[]).await;
    for (name, source) in [("in", "in"), ("api", "api")] {
        let route = json!({ "source": source, "to": { "endpoints": ["out"] } });
        host.put(&format!("/v1/tenants/acme/routes/{name}"), &route).await;
    }
    for policy in ["accept", "flag", "refuse"] {
        let schema = json!({ "required": ["n"], "properties": { "n": { "type": "integer" } } });
        host.put(&format!("{TYPES}/order.{policy}"), &json!({ "schema": schema, "on_invalid": policy })).await;
    }
    (host, receiver)
}

async fn send(host: &Host, event_type: &str, body: &str) -> Answer {
    host.ingest.send(Method::POST, "/in/acme/in", &[("x-event-type", event_type)], body.to_owned()).await
}

async fn publish(host: &Host, event_type: &str, payload: &Value) -> Answer {
    host.admin.post(EVENTS, json!({ "event_type": event_type, "payload": payload }).to_string()).await
}

#[tokio::test]
async fn what_does_not_fit_is_refused_flagged_or_taken_as_its_type_says() {
    let (host, receiver) = catalogue().await;
    for answer in [
        send(&host, "order.refuse", r#"{"n": "hush"}"#).await,
        publish(&host, "order.refuse", &json!({ "n": "hush" })).await,
    ] {
        let refused = answer.problem(422);
        let error = json!({ "pointer": "/n", "message": "is not of the type integer" });
        assert_eq!((&refused["code"], &refused["errors"]), (&json!("payload_invalid"), &json!([error])), "{refused}");
        assert!(!refused.to_string().contains("hush"), "{refused}");
    }
    let no_json = send(&host, "order.refuse", "<order/>").await.problem(422);
    assert!(no_json["errors"][0]["message"].as_str().unwrap().contains("no JSON"), "{no_json}");
    assert_eq!(host.admin.get(EVENTS).await.expect(200)["items"], json!([]));

    for answer in [send(&host, "order.flag", "{}").await, publish(&host, "order.flag", &json!({})).await] {
        let event = host.show(answer.expect(202)["id"].as_str().unwrap()).await;
        let error = json!({ "pointer": "", "message": "needs `n`" });
        assert_eq!(event["schema"], json!({ "valid": false, "errors": [error] }), "{event}");
        assert_eq!(receiver.next().await.body, "{}");
    }
    for (event_type, body) in
        [("order.flag", r#"{"n": 1}"#), ("order.refuse", r#"{"n": 1.0}"#), ("order.accept", "{}"), ("another", "{}")]
    {
        let event = host.show(send(&host, event_type, body).await.expect(202)["id"].as_str().unwrap()).await;
        assert!(event.get("schema").is_none(), "{event}");
        receiver.next().await;
    }
    let counted = host.admin.get("/v1/tenants/acme/sources/in/statistics").await.expect(200)["last_minute"].clone();
    assert_eq!(
        (&counted["flagged"], &counted["outcomes"]["payload_invalid"], &counted["outcomes"]["accepted"]),
        (&json!(1), &json!(2), &json!(5)),
        "{counted}"
    );
}

#[tokio::test]
async fn of_a_batch_each_is_held_against_its_own_type() {
    let (host, _receiver) = catalogue().await;
    let events = json!({ "events": [
        { "event_type": "order.flag", "payload": { "n": "x" } },
        { "event_type": "order.refuse", "payload": { "n": "x" }, "idempotency_key": "k" },
        { "event_type": "order.refuse", "payload": { "n": 1 } },
    ]});
    let answer = host.admin.post(&format!("{EVENTS}/batch"), events.to_string()).await.expect(207);
    let statuses: Vec<&Value> = answer["results"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [202, 422, 202], "{answer}");
    assert_eq!(host.show(answer["results"][0]["id"].as_str().unwrap()).await["schema"]["valid"], false);
    // What is refused hinders none that has the same key.
    let events = json!({ "events": [
        { "event_type": "order.refuse", "payload": { "n": "x" }, "idempotency_key": "l" },
        { "event_type": "order.refuse", "payload": { "n": 1 }, "idempotency_key": "l" },
    ]});
    let answer = host.admin.post(&format!("{EVENTS}/batch"), events.to_string()).await.expect(207);
    let statuses: Vec<&Value> = answer["results"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [422, 202], "{answer}");
    // What was refused did not take its key.
    let again = json!({ "event_type": "order.refuse", "payload": { "n": 2 }, "idempotency_key": "k" });
    assert!(host.admin.post(EVENTS, again.to_string()).await.expect(202).get("duplicate").is_none());
}

#[tokio::test]
async fn a_tenant_may_take_only_what_is_in_its_catalogue() {
    let (mut host, receiver) = catalogue().await;
    host.put("/v1/tenants/acme", &json!({ "unknown_event_types": "refuse" })).await;
    let untyped = host.ingest.post("/in/acme/in", "{}").await.problem(422);
    let told = untyped["detail"].as_str().unwrap();
    assert!(
        told.starts_with("the request has no event type, which was looked for in the header `x-event-type`"),
        "{told}"
    );
    for answer in [send(&host, "unheard.of", "{}").await, publish(&host, "unheard.of", &json!({})).await] {
        assert_eq!(answer.problem(422)["code"], "event_type_unknown");
    }
    publish(&host, "order.accept", &json!(1)).await.expect(202);
    receiver.next().await;
    // It is so after a start, too, and schemas are compiled anew then.
    host.terminate().await;
    host.start_again().await;
    assert_eq!(publish(&host, "unheard.of", &json!({})).await.problem(422)["code"], "event_type_unknown");
    assert_eq!(publish(&host, "order.refuse", &json!({})).await.problem(422)["code"], "payload_invalid");
    // What the host itself says is not the tenant's to refuse.
    host.admin.post("/v1/tenants/acme/endpoints/out/test", "{}").await.expect(202);
    receiver.next().await;
}

#[tokio::test]
async fn a_payload_that_takes_many_steps_is_held_against_its_schema_and_one_that_takes_too_many_does_not_fit() {
    let (host, _receiver) = catalogue().await;
    host.put(
        &format!("{TYPES}/rows"),
        &json!({ "schema": { "items": { "type": "integer" } }, "on_invalid": "refuse" }),
    )
    .await;
    publish(&host, "rows", &json!(vec![1; 100_000])).await.expect(202);
    let mut rows = vec![json!(1); 100_000];
    rows.push(json!("x"));
    let refused = publish(&host, "rows", &json!(rows)).await.problem(422);
    assert_eq!(refused["errors"][0]["pointer"], "/100000", "{refused}");

    // A few hundred kilobytes that would be a hundred times as much when they are read.
    let heavy: Vec<Value> = vec![json!({ "": 0 }); 100_000];
    let refused = publish(&host, "rows", &json!(heavy)).await.problem(422);
    assert!(refused["detail"].as_str().unwrap().contains("more than 67108864 bytes of memory"), "{refused}");

    let twice = json!({ "allOf": [{ "$ref": "#/properties/c" }, { "$ref": "#/properties/c" }], "properties": { "c": { "$ref": "#" } } });
    host.put(&format!("{TYPES}/endless"), &json!({ "schema": twice, "on_invalid": "refuse" })).await;
    let refused = publish(&host, "endless", &json!({ "c": {} })).await.problem(422);
    assert!(refused["detail"].as_str().unwrap().contains("takes too many steps: more than 5000000"), "{refused}");
}

#[tokio::test]
async fn event_types_are_resources_like_any_other() {
    let host = Host::start().await;
    host.put("/v1/tenants/acme", &json!({})).await;
    let spec = json!({ "title": "An order was made", "schema": { "type": "object" }, "examples": [{ "id": 1 }], "deprecated": true });
    let slashed = format!("{TYPES}/orders%2Fcreate");
    assert_eq!(host.admin.put(&slashed, &spec).await.expect(201)["changed"], true);
    assert_eq!(host.admin.put(&slashed, &spec).await.expect(200)["changed"], false);
    let shown = host.admin.get(&slashed).await.expect(200);
    assert_eq!(
        (&shown["name"], &shown["on_invalid"], &shown["deprecated"]),
        (&json!("orders/create"), &json!("flag"), &json!(true))
    );
    assert_eq!(host.admin.get(TYPES).await.expect(200)["items"].as_array().unwrap().len(), 1);
    let cases = [
        ("a", json!({ "schema": { "type": "objekt" } }), "/schema/type"),
        ("a", json!({ "schema": { "$ref": "https://example.com/" } }), "/schema/$ref"),
        ("a", json!({ "schema": false, "examples": [1] }), "/examples/0"),
        ("a", json!({ "on_invalid": "drop" }), "/on_invalid"),
        ("a%20b", json!({}), ""),
    ];
    for (name, spec, pointer) in cases {
        let refused = host.admin.put(&format!("{TYPES}/{name}"), &spec).await.problem(422);
        assert_eq!(refused["pointer"], pointer, "{refused}");
    }
    // What all schemas of a tenant take is bounded.
    let large = json!({ "schema": { "description": "x".repeat(60_000) } });
    let mut last = host.admin.put(&format!("{TYPES}/large0"), &large).await;
    for n in 1..80 {
        if last.status == 422 {
            break;
        }
        last = host.admin.put(&format!("{TYPES}/large{n}"), &large).await;
    }
    assert!(last.problem(422)["detail"].as_str().unwrap().contains("4194304"));
    assert_eq!(host.admin.delete("/v1/tenants/acme").await.problem(409)["code"], "in_use");
    assert_eq!(host.admin.delete(&slashed).await.status, 204);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("resources.toml");
    let text = "[tenants.acme.event-types.\"orders/create\"]\ntitle = \"An order\"\nschema = { properties = { id = { type = \"integer\" } } }\n";
    std::fs::write(&file, text).unwrap();
    let mut command = hookswitch();
    command.args(["apply", "-f"]).arg(&file).args(["--admin", &host.admin_url]);
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(host.admin.get(&slashed).await.expect(200)["schema"]["properties"]["id"]["type"], "integer");
}
