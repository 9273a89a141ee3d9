//! CloudEvents that come in: in headers, in JSON, and in batches. What they say of themselves is what the event is called, and nothing of them is
//! changed. `make demo`'s verifiers have the published SDKs send some.

use super::support::{Answer, Host, Receiver, sign};
use http::Method;
use serde_json::{Value, json};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");
const BATCHED: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

/// A host with the tenant `acme`, whose source `in` takes CloudEvents and has these fields besides.
async fn host_with(fields: Value) -> Host {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    put(&host, fields).await;
    host
}

async fn put(host: &Host, fields: Value) {
    let mut source = json!({ "verify": { "scheme": "none" }, "cloudevents": {} });
    source.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    host.put("/v1/tenants/acme/sources/in", &source).await;
}

async fn send(host: &Host, headers: &[(&str, &str)], body: &str) -> Answer {
    host.ingest.send(Method::POST, "/in/acme/in", headers, body.to_owned()).await
}

/// The event that was taken, and its body.
async fn taken(host: &Host, id: &Value) -> (Value, String) {
    let id = id.as_str().unwrap();
    let body = host.admin.get(&format!("/v1/tenants/acme/events/{id}/body")).await.body;
    (host.show(id).await, String::from_utf8(body.to_vec()).unwrap())
}

const BINARY: [(&str, &str); 5] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "gr%C3%BCn"),
    ("ce-source", "/shop"),
    ("ce-type", "order.made"),
    ("content-type", "text/plain"),
];

#[tokio::test]
async fn an_event_in_headers_is_called_what_they_say() {
    let host = host_with(json!({})).await;
    let answer = send(&host, &BINARY, "{\"n\" : 1.0}\n").await.expect(202);
    let (event, body) = taken(&host, &answer["id"]).await;
    assert_eq!((&event["event_type"], &event["dedup_key"]), (&json!("order.made"), &json!("/shop grün")));
    assert_eq!((&event["content_type"], body.as_str()), (&json!("text/plain"), "{\"n\" : 1.0}\n"));
    let kept = event["headers"].to_string();
    assert!(BINARY.iter().all(|(name, value)| kept.contains(name) && kept.contains(value)), "{kept}");
    assert_eq!(send(&host, &BINARY, "other").await.expect(202), json!({ "id": answer["id"], "duplicate": true }));
    for (left_out, (name, _)) in BINARY.iter().enumerate().take(4) {
        let headers: Vec<_> = BINARY.iter().enumerate().filter(|(n, _)| *n != left_out).map(|(_, it)| *it).collect();
        let problem = send(&host, &headers, "{}").await.problem(400);
        assert_eq!(problem["code"], "cloudevent_invalid");
        assert!(problem["detail"].as_str().unwrap().contains(name), "{problem}");
    }
    // What is no CloudEvent is taken as ever, by the rules of its scheme.
    let headers = [("x-event-type", "plain"), ("idempotency-key", "1")];
    let answer = send(&host, &headers, "{}").await.expect(202);
    let (event, _) = taken(&host, &answer["id"]).await;
    assert_eq!((&event["event_type"], &event["dedup_key"]), (&json!("plain"), &json!("1")));
    // And where CloudEvents are not spoken of, headers are headers.
    host.put("/v1/tenants/acme/sources/in", &json!({ "verify": { "scheme": "none" } })).await;
    let answer = send(&host, &BINARY, "{}").await.expect(202);
    assert_eq!(taken(&host, &answer["id"]).await.0["event_type"], "");
}

#[tokio::test]
async fn an_event_in_json_is_kept_byte_for_byte() {
    let (host, receiver) = (host_with(json!({})).await, Receiver::start().await);
    host.put("/v1/tenants/acme/endpoints/out", &json!({ "url": receiver.url("/"), "secrets": [] })).await;
    host.route("all", json!([])).await;
    let sent =
        "{\"specversion\" : \"1.0\", \"id\":\"1\",\"source\":\"/shop\",\"type\":\"order.made\", \"data\": 1.0}\n";
    let answer = send(&host, &[STRUCTURED], sent).await.expect(202);
    let (event, body) = taken(&host, &answer["id"]).await;
    assert_eq!((&event["event_type"], &event["dedup_key"]), (&json!("order.made"), &json!("/shop 1")));
    assert_eq!((event["content_type"].as_str().unwrap(), body.as_str()), (STRUCTURED.1, sent));
    let received = receiver.next().await;
    assert_eq!(
        (received.headers["content-type"].to_str().unwrap(), &received.body[..]),
        (STRUCTURED.1, sent.as_bytes())
    );
    for (wrong, pointer, says) in [
        (r#"{"id":"1","source":"/s","type":"t"}"#, json!("/specversion"), "`specversion` is missing"),
        (r#"{"specversion":"0.3","id":"1","source":"/s","type":"t"}"#, json!("/specversion"), "is `0.3`"),
        (r#"{"specversion":"1.0","id":"1","source":"","type":"t"}"#, json!("/source"), "`source` is empty"),
        (r#"{"specversion":"1.0","id":"1","source":"/s","type":7}"#, json!("/type"), "`type` is not a string"),
        ("{", Value::Null, "no CloudEvent in JSON"),
    ] {
        let problem = send(&host, &[STRUCTURED], wrong).await.problem(400);
        assert_eq!(problem["code"], "cloudevent_invalid", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
        assert_eq!(problem.get("pointer").cloned().unwrap_or_default(), pointer, "{problem}");
    }
    let odd = r#"{"specversion":"1.0","id":"1","source":"/s","type":"two words"}"#;
    let problem = send(&host, &[STRUCTURED], odd).await.problem(400);
    assert!(
        problem["code"] == "event_type_invalid"
            && problem["detail"].as_str().unwrap().contains("the CloudEvent's `type`")
    );
    let problem = send(&host, &[("content-type", "application/cloudevents+avro")], "x").await.problem(415);
    assert_eq!(problem["code"], "content_type_refused");
}

#[tokio::test]
async fn the_sources_own_rules_come_first() {
    let host = host_with(json!({ "event_type": { "pointer": "/data/kind" }, "dedup": { "pointer": "/data/n" } })).await;
    let sent = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"kind":"own","n":7}}"#;
    let answer = send(&host, &[STRUCTURED], sent).await.expect(202);
    let (event, _) = taken(&host, &answer["id"]).await;
    assert_eq!((&event["event_type"], &event["dedup_key"]), (&json!("own"), &json!("7")));
    put(&host, json!({ "dedup": { "window_s": 0 } })).await;
    let answer = send(&host, &[STRUCTURED], sent).await.expect(202);
    assert_eq!(taken(&host, &answer["id"]).await.0.get("dedup_key").cloned().unwrap_or_default(), Value::Null);
}

#[tokio::test]
async fn of_a_batch_each_becomes_an_event_or_is_refused_by_itself() {
    let host = host_with(json!({})).await;
    let event = |id: &str| format!(r#"{{"specversion":"1.0", "id":"{id}","source":"/s","type":"t.{id}"}}"#);
    let batch = format!("[ {},\n{} ]", event("a"), event("b"));
    let answer = send(&host, &[BATCHED], &batch).await.expect(202);
    let results = answer["results"].as_array().unwrap();
    for (result, id) in results.iter().zip(["a", "b"]) {
        assert_eq!(result["status"], 202);
        let (stored, body) = taken(&host, &result["id"]).await;
        assert_eq!((&stored["event_type"], body), (&json!(format!("t.{id}")), event(id)));
        assert_eq!(stored["content_type"], "application/cloudevents+json");
        let kept = stored["headers"].to_string();
        assert!(!kept.contains("content-length") && !kept.contains("batch"), "{kept}");
    }
    // One that was there, one that is none, one that is new, and the same once more.
    let batch = format!(r#"[{},{{"specversion":"1.0"}},{},{}]"#, event("b"), event("c"), event("c"));
    let answer = send(&host, &[BATCHED], &batch).await.expect(207);
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 400, 202, 202]);
    assert_eq!((&results[0]["duplicate"], &results[3]["duplicate"]), (&json!(true), &json!(true)));
    assert_eq!((&results[1]["code"], &results[1]["pointer"]), (&json!("cloudevent_invalid"), &json!("/1/id")));
    assert_eq!(results[3]["id"], results[2]["id"]);
    let events = host.admin.get("/v1/tenants/acme/events").await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 3);

    let many =
        |count: usize| format!("[{}]", (0..count).map(|n| event(&format!("n{n}"))).collect::<Vec<_>>().join(","));
    let answer = send(&host, &[BATCHED], &many(1_000)).await.expect(202);
    assert_eq!(answer["results"].as_array().unwrap().len(), 1_000);
    assert_eq!(send(&host, &[BATCHED], "[]").await.expect(202), json!({ "results": [] }));
    for (wrong, code) in [(many(1_001), "batch_invalid"), ("{}".to_owned(), "cloudevent_invalid")] {
        assert_eq!(send(&host, &[BATCHED], &wrong).await.problem(400)["code"], code);
    }
    // What comes once is kept a thousand times.
    let long = "x".repeat(9_000);
    let refused = send(&host, &[BATCHED, ("x-long", &long)], &many(1_000)).await.problem(400);
    assert_eq!(refused["code"], "batch_invalid");
    assert!(refused["detail"].as_str().unwrap().contains("1000 events"), "{refused}");
    let counted = host.admin.get("/v1/tenants/acme/sources/in/statistics").await.expect(200);
    let outcomes = &counted["last_hour"]["outcomes"];
    assert_eq!((&outcomes["accepted"], &outcomes["duplicate"]), (&json!(1_003), &json!(2)), "{counted}");
}

#[tokio::test]
async fn a_header_that_is_the_key_of_a_batch_tells_its_events_apart_by_their_places() {
    let host = host_with(json!({ "dedup": { "header": "x-delivery-id" } })).await;
    let event = |id: &str| format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"t"}}"#);
    let batch = format!("[{},{}]", event("a"), event("b"));
    let delivery = [BATCHED, ("x-delivery-id", "7")];
    let first = send(&host, &delivery, &batch).await.expect(202);
    assert_ne!(first["results"][0]["id"], first["results"][1]["id"]);
    assert!(first["results"][1].get("duplicate").is_none(), "{first}");
    // The same delivery once more, and another one.
    let again = send(&host, &delivery, &batch).await.expect(202);
    assert_eq!(
        [&again["results"][0]["id"], &again["results"][1]["id"]],
        [&first["results"][0]["id"], &first["results"][1]["id"]]
    );
    assert_eq!((&again["results"][0]["duplicate"], &again["results"][1]["duplicate"]), (&json!(true), &json!(true)));
    let other = send(&host, &[BATCHED, ("x-delivery-id", &"8".repeat(256))], &batch).await.expect(202);
    assert!(other["results"][0].get("duplicate").is_none(), "{other}");
}

#[tokio::test]
async fn what_a_scheme_signs_is_the_key_in_every_form() {
    let verify = json!({ "scheme": "standard-webhooks", "secrets": [SECRET] });
    let host = host_with(json!({ "verify": verify })).await;
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let headers = sign::standard_webhooks(SECRET, "msg_1", sign::now_s(), event);
    let with = |content_type: &'static str| {
        let mut all: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.push(("content-type", content_type));
        all
    };
    let first = send(&host, &with(STRUCTURED.1), event).await.expect(202);
    assert_eq!(taken(&host, &first["id"]).await.0["dedup_key"], "msg_1");
    // No signature covers the content type: with another one it is the same request.
    for content_type in ["application/json", STRUCTURED.1] {
        assert_eq!(send(&host, &with(content_type), event).await.expect(202)["duplicate"], true, "{content_type}");
    }
    // Nor the attributes in headers.
    let mut in_headers = with("text/plain");
    in_headers.extend(&BINARY[..4]);
    assert_eq!(send(&host, &in_headers, event).await.expect(202)["duplicate"], true);
    let batch = format!("[{event},{event}]");
    let headers = sign::standard_webhooks(SECRET, "msg_2", sign::now_s(), &batch);
    let mut all: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.push(BATCHED);
    let answer = send(&host, &all, &batch).await.expect(202);
    assert_ne!(answer["results"][0]["id"], answer["results"][1]["id"], "{answer}");
}

#[tokio::test]
async fn a_batch_is_let_through_whole_and_owes_its_rate_the_rest() {
    let host = host_with(json!({ "rate_per_s": 1, "burst": 2 })).await;
    let events: Vec<String> =
        (0..500).map(|n| format!(r#"{{"specversion":"1.0","id":"{n}","source":"/s","type":"t"}}"#)).collect();
    send(&host, &[BATCHED], &format!("[{}]", events.join(","))).await.expect(202);
    let refused = send(&host, &[], "{}").await;
    assert_eq!(refused.problem(429)["code"], "rate_limited");
    let wait_s: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((400..=499).contains(&wait_s), "{wait_s}");
}
