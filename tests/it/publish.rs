//! What an application publishes: it goes the road of any other event, once for each key, one or a thousand at a time.

use super::support::{Answer, Client, Host, OPERATOR_KEY, Receiver};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const EVENTS: &str = "/v1/tenants/acme/events";
const BATCH: &str = "/v1/tenants/acme/events/batch";

/// A host whose tenant `acme` has a route from what is published to its receiver.
async fn publishing(more: &str) -> (Host, Receiver) {
    let (host, receiver) = (Host::start_with(more).await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    host.put("/v1/tenants/acme/routes/published", &json!({ "source": "api", "to": { "endpoints": ["out"] } })).await;
    (host, receiver)
}

async fn post(client: &Client, path: &str, body: &Value) -> Answer {
    client.post(path, body.to_string()).await
}

#[tokio::test]
async fn what_is_published_goes_out_as_it_was_written() {
    let (host, receiver) = publishing("").await;
    let body = r#"{"event_type": "invoice.paid", "payload": {"n": 9007199254740993.10,  "a": [ ]}, "headers": {"X-Trace": "7"}}"#;
    let id = host.admin.post(EVENTS, body).await.expect(202)["id"].as_str().unwrap().to_owned();
    let received = receiver.next().await;
    assert_eq!(received.body, r#"{"n": 9007199254740993.10,  "a": [ ]}"#);
    assert_eq!(received.headers["content-type"], "application/json");
    let event = host.show(&id).await;
    assert_eq!((&event["source"], &event["event_type"]), (&json!("api"), &json!("invoice.paid")));
    assert_eq!(event["headers"], json!([{ "name": "x-trace", "value": "7" }]));

    let bytes = json!({ "event_type": "photo.taken", "payload_base64": "AP8Q", "content_type": "image/png" });
    post(&host.admin, EVENTS, &bytes).await.expect(202);
    let received = receiver.next().await;
    assert_eq!(
        (&received.body[..], &received.headers["content-type"]),
        (&[0, 255, 16][..], &"image/png".parse().unwrap())
    );
    post(&host.admin, EVENTS, &json!({ "event_type": "nothing", "payload": null })).await.expect(202);
    assert_eq!(receiver.next().await.body, "null");

    let counted = host.admin.get("/v1/tenants/acme/sources/api/statistics").await.expect(200);
    assert_eq!(counted["last_minute"]["outcomes"], json!({ "accepted": 3 }), "{counted}");
}

#[tokio::test]
async fn the_source_of_every_tenant_is_shown_and_is_nobody_elses() {
    let (host, _receiver) = publishing("").await;
    const API: &str = "/v1/tenants/acme/sources/api";
    let shown = host.admin.get(API).await.expect(200);
    assert_eq!((&shown["name"], &shown["publish"]), (&json!("api"), &json!({})), "{shown}");
    assert_eq!(host.admin.get(&format!("{API}/refused")).await.expect(200)["items"], json!([]));
    let verify = json!({ "verify": { "scheme": "none" } });
    let refused = host.admin.put(API, &verify).await.problem(422);
    assert!(refused["detail"].as_str().unwrap().contains("it can have `publish` alone"), "{refused}");
    let schedule = json!({ "schedule": { "cron": "* * * * *", "event_type": "x" } });
    host.admin.put(API, &schedule).await.problem(422);
    host.admin.put(API, &json!({ "publish": {}, "body_bytes_max": 9 })).await.expect(201);
    assert_eq!(host.admin.get(API).await.expect(200)["body_bytes_max"], 9);
    assert_eq!(host.admin.get("/v1/tenants/nobody/sources/api").await.status, 404);
}

#[tokio::test]
async fn an_event_that_no_route_takes_says_so_and_is_found_counted_and_replayed() {
    let (host, receiver) = publishing("").await;
    let lost = host.event("push", "{}").await;
    let taken = host.admin.post(EVENTS, r#"{"event_type": "x", "payload": 1}"#).await.expect(202)["id"].clone();
    receiver.next().await;
    let event = host.show(&lost).await;
    assert_eq!(event["runs"], json!([]));
    assert!(event["unrouted"].as_str().unwrap().starts_with("no route took it"), "{event}");
    assert!(host.show(taken.as_str().unwrap()).await.get("unrouted").is_none());
    let list = host.admin.get(&format!("{EVENTS}?run_status=none")).await.expect(200);
    let ids: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|event| &event["id"]).collect();
    assert_eq!(ids, [&json!(lost)]);
    for (source, unrouted) in [("in", 1), ("api", 0)] {
        let counted = host.admin.get(&format!("/v1/tenants/acme/sources/{source}/statistics")).await.expect(200);
        assert_eq!(counted["last_minute"]["unrouted"], unrouted, "{source}");
    }
    // What was missing is made, and a job does the rest.
    host.route("r", json!([])).await;
    host.job(json!({ "do": "replay", "filter": { "since_ms": 0, "run_status": "none" } })).await;
    receiver.next().await;
    assert!(host.show(&lost).await.get("unrouted").is_none());
}

#[tokio::test]
async fn an_idempotency_key_makes_one_event_and_is_not_for_another() {
    let (host, receiver) = publishing("").await;
    let event = |n: u32| json!({ "event_type": "order", "payload": n });
    let with = async |key: &str, n: u32| {
        host.admin.send(Method::POST, EVENTS, &[("idempotency-key", key)], event(n).to_string()).await
    };
    let first = with("k-1", 1).await.expect(202);
    for key in ["k-1", "\"k-1\""] {
        assert_eq!(with(key, 1).await.expect(202), json!({ "id": first["id"], "duplicate": true }), "{key}");
    }
    let mut in_body = event(1);
    in_body["idempotency_key"] = "k-1".into();
    assert_eq!(post(&host.admin, EVENTS, &in_body).await.expect(202)["id"], first["id"]);
    assert_eq!(with("k-1", 2).await.problem(422)["code"], "idempotency_key_reused");
    with("k-2", 1).await.expect(202);
    let both = host.admin.send(Method::POST, EVENTS, &[("idempotency-key", "k")], in_body.to_string()).await;
    assert_eq!(both.problem(400)["pointer"], "/idempotency_key");
    let too_long = with(&"x".repeat(256), 1).await.problem(400);
    assert_eq!(too_long["code"], "header_invalid");
    for _ in 0..2 {
        receiver.next().await;
    }
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_an_event_is_refused_with_its_place() {
    let (host, receiver) = publishing("ingest.body_bytes_max = 20000\n").await;
    host.put("/v1/tenants/acme/sources/small", &json!({ "publish": {}, "body_bytes_max": 10 })).await;
    host.put("/v1/tenants/acme/sources/shut", &json!({ "publish": {}, "disabled": true })).await;
    let with = |more: Value| {
        let mut event = json!({ "event_type": "t", "payload": "0123456789" });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let cases = [
        (json!({ "payload": 1 }), 400, "body_invalid", ""),
        (with(json!({ "event_type": "" })), 400, "body_invalid", "/event_type"),
        (with(json!({ "event_type": "a b" })), 400, "body_invalid", "/event_type"),
        (with(json!({ "event_type": "x".repeat(129) })), 400, "body_invalid", "/event_type"),
        (with(json!({ "content_type": "a\nb" })), 400, "body_invalid", "/content_type"),
        (with(json!({ "payload_base64": "" })), 400, "body_invalid", "/payload_base64"),
        (json!({ "event_type": "t", "payload_base64": "!" }), 400, "body_invalid", "/payload_base64"),
        (json!({ "event_type": "t" }), 400, "body_invalid", ""),
        (with(json!({ "headers": { "a b": "" } })), 400, "body_invalid", "/headers/a b"),
        (with(json!({ "headers": { "x": "a\r\nb" } })), 400, "body_invalid", "/headers/x"),
        (with(json!({ "headers": { "authorization": "Bearer x" } })), 400, "body_invalid", "/headers/authorization"),
        (with(json!({ "headers": { "x": "x".repeat(16_385) } })), 400, "body_invalid", "/headers"),
        (with(json!({ "idempotency_key": "" })), 400, "body_invalid", "/idempotency_key"),
        (with(json!({ "idempotencykey": "x" })), 400, "body_invalid", "/idempotencykey"),
        (with(json!({ "source": "nowhere" })), 422, "source_unknown", "/source"),
        (with(json!({ "source": "hookswitch" })), 422, "source_unknown", "/source"),
        (with(json!({ "source": "in" })), 422, "source_not_published", "/source"),
        (with(json!({ "source": "small" })), 413, "body_too_large", ""),
        (with(json!({ "source": "shut" })), 503, "source_disabled", ""),
        (with(json!({ "payload": "x".repeat(20_000) })), 413, "body_too_large", ""),
    ];
    for (event, status, code, pointer) in cases {
        let refused = post(&host.admin, EVENTS, &event).await.problem(status);
        let at = refused.get("pointer").and_then(Value::as_str).unwrap_or_default();
        assert_eq!((refused["code"].as_str().unwrap(), at), (code, pointer), "{event}: {refused}");
    }
    let nobody = post(&host.admin, "/v1/tenants/nobody/events", &with(json!({}))).await;
    assert_eq!(nobody.problem(404)["code"], "not_found");
    let outside = host.ingest.post("/in/acme/api", "{}").await;
    assert_eq!(outside.problem(404)["code"], "source_unknown");
    let without_key = Client::new(&host.admin_url, None);
    assert_eq!(post(&without_key, EVENTS, &with(json!({}))).await.status, 401);
    assert_eq!(host.admin.get(EVENTS).await.expect(200)["items"], json!([]));
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn a_source_says_one_way_in() {
    let (host, receiver) = publishing("").await;
    let wrong = [
        (json!({}), ""),
        (json!({ "verify": { "scheme": "none" }, "publish": {} }), ""),
        (json!({ "publish": {}, "event_type": { "constant": "x" } }), "/event_type"),
        (json!({ "publish": {}, "dedup": { "body": true } }), "/dedup"),
    ];
    for (spec, pointer) in wrong {
        let refused = host.admin.put("/v1/tenants/acme/sources/own", &spec).await.problem(422);
        assert_eq!(refused["pointer"], pointer, "{refused}");
    }
    let own = json!({ "publish": {}, "dedup": { "window_s": 0 } });
    host.put("/v1/tenants/acme/sources/own", &own).await;
    host.put("/v1/tenants/acme/routes/own", &json!({ "source": "own", "to": { "endpoints": ["out"] } })).await;
    let event = json!({ "event_type": "t", "payload": 1, "source": "own", "idempotency_key": "not remembered" });
    let ids =
        [post(&host.admin, EVENTS, &event).await.expect(202), post(&host.admin, EVENTS, &event).await.expect(202)];
    assert_ne!(ids[0]["id"], ids[1]["id"]);
    assert_eq!(host.show(ids[0]["id"].as_str().unwrap()).await["source"], "own");
    receiver.next().await;
    receiver.next().await;

    let to_requests = json!({ "event_type": "t", "payload": 1, "source": "in" });
    assert_eq!(post(&host.admin, EVENTS, &to_requests).await.problem(422)["code"], "source_not_published");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_of_its_own_words() {
    let (host, receiver) = publishing("").await;
    let detail = async |body: &str, headers: &[(&str, &str)], path: &str, status: u16| {
        let problem = host.admin.send(Method::POST, path, headers, body.to_owned()).await.problem(status);
        (problem["detail"].as_str().unwrap().to_owned(), problem["pointer"].clone())
    };
    let (told, pointer) = detail(r#"{"event_type": "", "payload": 1}"#, &[], EVENTS, 400).await;
    assert_eq!(pointer, "/event_type");
    assert_eq!(told, "the body: `event_type` has to be 1 to 128 bytes of visible ASCII");
    let (told, pointer) = detail(r#"{"event_type": 3, "payload": 1}"#, &[], EVENTS, 400).await;
    assert_eq!(
        (told.as_str(), pointer),
        ("the body: invalid type: integer `3`, expected a string", json!("/event_type"))
    );
    let (told, _) = detail("no json", &[], EVENTS, 400).await;
    assert!(told.starts_with("the body: is no JSON that can be read: "), "{told}");
    let (told, _) = detail("{}", &[("content-encoding", "gzip")], EVENTS, 415).await;
    assert!(told.contains("`gzip`") && told.contains("uncompressed"), "{told}");
    let (told, _) = detail("{}", &[("content-encoding", "br")], BATCH, 415).await;
    assert!(told.contains("`br`"), "{told}");
    let batch = json!({ "events": [
        5, { "event_type": "t", "payload": { "a": 1 }, "idempotency_key": "k" }, { "event_type": "t", "payload": { "a": 2 }, "idempotency_key": "k" }
    ] });
    let results = post(&host.admin, BATCH, &batch).await.expect(207)["results"].clone();
    assert!(results[0]["detail"].as_str().unwrap().contains("has to be an object"), "{results}");
    assert_eq!(
        (&results[2]["code"], &results[2]["pointer"]),
        (&json!("idempotency_key_reused"), &json!("/events/2/idempotency_key"))
    );
    assert!(results[2]["detail"].as_str().unwrap().contains("byte by byte"), "{results}");
    receiver.next().await;
    let bad = host.admin.get("/v1/tenants/acme/events?since_ms=yesterday").await.problem(400);
    let told = bad["detail"].as_str().unwrap();
    assert!(told.starts_with("the query: ") && told.contains("since_ms"), "{told}");
    let unknown = host.admin.get("/v1/tenants/nope").await.problem(404);
    assert_eq!(unknown["detail"], "there is no tenant `nope`");
    let unknown = host.admin.get("/v1/tenants/acme/routes/nope").await.problem(404);
    assert_eq!(unknown["detail"], "there is no route `nope` of the tenant `acme`");
    for (path, says) in
        [("/v1/tenants/acme/nope", "keys, tokens"), ("/v1/tenants/", "leave the slash"), ("/v1", "/v1/tenants")]
    {
        let problem = host.admin.get(path).await.problem(404);
        assert!(problem["detail"].as_str().unwrap().contains(says), "{path}: {problem}");
    }
}

#[tokio::test]
async fn one_bad_event_of_a_batch_hinders_no_other() {
    let (host, receiver) = publishing("").await;
    let events = json!({ "events": [
        { "event_type": "a", "payload": 0, "idempotency_key": "k" },
        { "event_type": "a b", "payload": 1 },
        { "event_type": "a", "payload": 0, "idempotency_key": "k" },
        { "event_type": "a", "payload": 3, "idempotency_key": "k" },
        "none",
        { "event_type": "a", "payload": 5, "source": "in" },
        { "event_type": "a", "payload": 6 },
    ]});
    let answer = post(&host.admin, BATCH, &events).await.expect(207);
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<u64> = results.iter().map(|result| result["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [202, 400, 202, 422, 400, 422, 202], "{answer}");
    assert_eq!(results[1]["pointer"], "/events/1/event_type");
    assert_eq!((&results[2]["id"], &results[2]["duplicate"]), (&results[0]["id"], &json!(true)));
    assert_eq!(results[3]["code"], "idempotency_key_reused");
    assert!(results[1]["detail"].as_str().unwrap().contains("visible ASCII"), "{answer}");
    let mut bodies = [receiver.next().await.body, receiver.next().await.body];
    bodies.sort();
    assert_eq!(bodies, ["0", "6"]);

    let again = json!({ "events": [{ "event_type": "a", "payload": 0, "idempotency_key": "k" }] });
    let duplicate = json!({ "id": results[0]["id"], "duplicate": true, "status": 202 });
    assert_eq!(post(&host.admin, BATCH, &again).await.expect(202)["results"], json!([duplicate]));
    let refused = host.admin.send(Method::POST, BATCH, &[("idempotency-key", "k")], again.to_string()).await;
    assert_eq!(refused.problem(400)["code"], "header_invalid");
    for length in [0, 1_001] {
        let events = json!({ "events": vec![json!({ "event_type": "a", "payload": 1 }); length] });
        assert_eq!(post(&host.admin, BATCH, &events).await.problem(400)["pointer"], "/events", "{length}");
    }
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn a_batch_keeps_its_order() {
    let (host, _receiver) = publishing("").await;
    host.upload("no-op").await;
    // One route whose runs go inline, on several threads, and one that needs the order.
    for (route, ordered) in [("inline", false), ("ordered", true)] {
        let steps = json!([{ "module": "operator/no-op" }]);
        let spec = json!({ "source": "api", "event_types": [route, "both"], "steps": steps, "ordered": ordered, "to": { "endpoints": ["out"] } });
        host.put(&format!("/v1/tenants/acme/routes/{route}"), &spec).await;
    }
    for event_type in ["inline", "both"] {
        let events: Vec<Value> = (0..300).map(|n| json!({ "event_type": event_type, "payload": n })).collect();
        let answer = post(&host.admin, BATCH, &json!({ "events": events })).await.expect(202);
        let ids: Vec<&str> =
            answer["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        let list = host.admin.get(&format!("{EVENTS}?limit=500&event_type={event_type}")).await.expect(200);
        // The list has the newest first.
        let items: Vec<&Value> = list["items"].as_array().unwrap().iter().rev().collect();
        assert!(items.iter().map(|event| event["id"].as_str().unwrap()).eq(ids), "{event_type}: {list}");
        let seqs: Vec<u64> = items.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert!(seqs.len() == 300 && seqs.is_sorted(), "{event_type}: {seqs:?}");
    }
}

#[tokio::test]
async fn batches_with_the_same_keys_in_other_orders_do_not_wait_for_each_other() {
    let (host, _receiver) = publishing("").await;
    let batch = |backwards: bool| {
        let mut events: Vec<Value> =
            (0..100).map(|n| json!({ "event_type": "t", "payload": n, "idempotency_key": format!("{n}") })).collect();
        if backwards {
            events.reverse();
        }
        json!({ "events": events })
    };
    let send = |round: usize| {
        let (admin, body) = (host.admin.clone(), batch(round % 2 == 1));
        tokio::spawn(async move { post(&admin, BATCH, &body).await.expect(202) })
    };
    let mut ids = BTreeSet::new();
    for sent in (0..8).map(send).collect::<Vec<_>>() {
        let answer = sent.await.unwrap();
        ids.extend(answer["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(ids.len(), 100);
}

#[tokio::test]
async fn what_has_no_room_is_refused_whole() {
    let host = Host::start_with("ingest.in_flight_max = 4\n").await;
    host.acme("http://127.0.0.1:1/").await;
    // More events than may be on their way at once take all the places there are.
    let events = json!({ "events": vec![json!({ "event_type": "t", "payload": 1 }); 50] });
    post(&host.admin, BATCH, &events).await.expect(202);
    let address = host.ingest_url.strip_prefix("http://").unwrap();
    let mut stalled = TcpStream::connect(address).await.unwrap();
    let head = "POST /in/acme/in HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n";
    stalled.write_all(head.as_bytes()).await.unwrap();
    // It is asked for its body when it has its place.
    let mut asked = [0; 12];
    stalled.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    let refused = post(&host.admin, BATCH, &events).await.problem(503);
    assert!(
        refused["code"] == "overloaded" && refused["detail"].to_string().contains("in_flight_max = 4"),
        "{refused}"
    );
    post(&host.admin, EVENTS, &json!({ "event_type": "t", "payload": 1 })).await.expect(202);

    let full = Host::start_with("store.free_bytes_min = 1125899906842624\n").await;
    full.acme("http://127.0.0.1:1/").await;
    let refused = post(&full.admin, EVENTS, &json!({ "event_type": "t", "payload": 1 })).await;
    assert_eq!(refused.problem(507)["code"], "disk_full");
    assert_eq!(full.admin.get(EVENTS).await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn who_hangs_up_does_not_undo_a_batch() {
    let (host, receiver) = publishing("").await;
    let events: Vec<Value> = (0..50).map(|n| json!({ "event_type": "gone", "payload": n })).collect();
    let body = json!({ "events": events }).to_string();
    let address = host.admin_url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST {BATCH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {OPERATOR_KEY}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    drop(stream);
    let mut came = BTreeSet::new();
    while came.len() < 50 {
        came.insert(receiver.next().await.body);
    }
    let found = host.admin.get(&format!("{EVENTS}?event_type=gone&limit=500")).await.expect(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 50);
}
