//! An event goes again: as it went, or as it would go today; and a test event to one endpoint.

use super::support::{Host, Receiver, Reply, until};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn path(event: &str) -> String {
    format!("/v1/tenants/acme/events/{event}/replay")
}

/// The replayed runs of an event, when there are so many and all of them have this status.
async fn replayed(host: &Host, event: &str, count: usize, status: &str) -> Vec<Value> {
    until("the replay", || async {
        let runs = host.show(event).await["runs"].as_array().unwrap().clone();
        let replays: Vec<Value> = runs.into_iter().filter(|run| run["origin"] == "replay").collect();
        (replays.len() == count && replays.iter().all(|run| run["status"] == status)).then_some(replays)
    })
    .await
}

#[tokio::test]
async fn an_event_goes_again_by_todays_routes_or_as_it_went() {
    let (host, receiver) = Host::with(&["misbehave"]).await;
    host.put("/v1/tenants/acme/endpoints/other", &json!({ "url": receiver.url("/other"), "secrets": [] })).await;
    let origin = json!([{ "module": "operator/misbehave", "settings": { "do": "echo-context" } }]);
    host.route("r", origin).await;
    let event = host.event("x", "\"body\"").await;
    let first = receiver.next().await;
    assert_eq!((first.path.as_str(), &first.json()["origin"]), ("/out", &json!("live")));
    // Today it is another route that takes the event, to another endpoint.
    host.admin.delete("/v1/tenants/acme/routes/r").await.expect(204);
    host.put("/v1/tenants/acme/routes/new", &json!({ "source": "in", "to": { "endpoints": ["other"] } })).await;

    let today = host.admin.post(&path(&event), "").await.expect(202);
    assert_eq!((&today["id"], today["runs"].as_array().unwrap().len()), (&json!(event), 1));
    let received = receiver.next().await;
    assert_eq!((received.path.as_str(), &received.body[..]), ("/other", &b"\"body\""[..]));
    let runs = replayed(&host, &event, 1, "routed").await;
    assert_eq!(
        (&runs[0]["id"], &runs[0]["route"], &runs[0]["generation"]),
        (&today["runs"][0], &json!("new"), &json!(1))
    );

    let pinned = host.admin.post(&path(&event), r#"{"plan":"pinned"}"#).await.expect(202);
    let again = receiver.next().await;
    assert_eq!((again.path.as_str(), &again.json()["origin"]), ("/out", &json!("replay")));
    assert_ne!(again.id(), first.id());
    let runs = replayed(&host, &event, 2, "routed").await;
    let run = runs.iter().find(|run| run["id"] == pinned["runs"][0]).unwrap();
    assert_eq!((&run["route"], &run["generation"]), (&json!("r"), &json!(2)));

    let wrong = async |body: &str, code: &str| {
        assert_eq!(host.admin.post(&path(&event), body.to_owned()).await.problem(409)["code"], code);
    };
    wrong(r#"{"routes":["r"]}"#, "route_missing").await;
    wrong(r#"{"plan":"pinned","routes":["new"]}"#, "route_missing").await;
    host.admin.delete("/v1/tenants/acme/routes/new").await.expect(204);
    wrong("", "no_route").await;
    let nobody = host.admin.post(&path("evt_01ARZ3NDEKTSV4RRFFQ69G5FAV"), "").await;
    assert_eq!(nobody.problem(404)["code"], "not_found");
}

#[tokio::test]
async fn a_request_with_the_same_key_replays_once() {
    let (host, receiver) = Host::with(&[]).await;
    host.route("a", json!([])).await;
    host.route("b", json!([])).await;
    let event = host.event("x", "{}").await;
    let send = async |key: &str| {
        let body = r#"{"routes":["b"]}"#;
        host.admin.send(Method::POST, &path(&event), &[("idempotency-key", key)], body).await.expect(202)["runs"]
            .clone()
    };
    let (one, same, other) = (send("1").await, send("1").await, send("2").await);
    assert_eq!(one, same);
    assert_ne!(one, other);
    let runs = replayed(&host, &event, 2, "routed").await;
    assert!(runs.iter().all(|run| run["route"] == "b"));
    for _ in 0..4 {
        receiver.next().await;
    }
    let long = "k".repeat(256);
    let refused = host.admin.send(Method::POST, &path(&event), &[("idempotency-key", &long)], "").await;
    assert_eq!(refused.problem(400)["code"], "header_invalid");
}

#[tokio::test]
async fn a_replay_sees_the_state_and_changes_nothing_in_it_also_when_it_is_rerun() {
    let (host, receiver) = Host::with(&["stateful"]).await;
    let step = json!({ "module": "operator/stateful", "settings": { "do": "count" }, "state": true });
    host.route("r", json!([step])).await;
    let first = host.event("x", r#"{"n":1}"#).await;
    assert_eq!(receiver.next().await.json()["count"], 1);
    let failing = host.event("x", r#"{"n":2,"fail":true}"#).await;
    host.run_with(&failing, "held").await;
    for _ in 0..2 {
        host.admin.post(&path(&first), "").await.expect(202);
        assert_eq!(receiver.next().await.json()["count"], 2, "it counts on from what is there, and keeps nothing");
    }
    // One that failed, and is rerun, is a replay still. The module fails again; the route lets it pass by now.
    host.admin.post(&path(&failing), "").await.expect(202);
    let held = replayed(&host, &failing, 1, "held").await;
    let run = held[0]["id"].as_str().unwrap();
    host.admin.post(&format!("/v1/tenants/acme/runs/{run}/rerun"), "").await.expect(202);
    let again = until("the rerun to be held again", || async {
        let runs = host.show(&failing).await["runs"].as_array().unwrap().clone();
        let run = runs.into_iter().find(|it| it["id"] == run).unwrap();
        (run["status"] == "held" && run["updated_at_ms"] != held[0]["updated_at_ms"]).then_some(run)
    })
    .await;
    assert_eq!(again["origin"], "replay");
    host.event("x", r#"{"n":3}"#).await;
    assert_eq!(receiver.next().await.json()["count"], 2);
}

#[tokio::test]
async fn a_test_event_goes_to_its_endpoint_alone_by_the_real_road() {
    let (host, receiver) = Host::with(&[]).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let endpoint = json!({
        "url": receiver.url("/tested"), "secrets": [secret], "auth": { "type": "bearer", "token": "t0" },
    });
    host.put("/v1/tenants/acme/endpoints/tested", &endpoint).await;
    // Whoever listens to the host's own events does not hear of it.
    let listener = json!({ "source": "hookswitch", "to": { "endpoints": ["out"] } });
    host.put("/v1/tenants/acme/routes/listener", &listener).await;
    let test = "/v1/tenants/acme/endpoints/tested/test";
    let answer = host.admin.post(test, "").await.expect(202);
    let received = receiver.next().await;
    assert_eq!((received.path.as_str(), received.id()), ("/tested", answer["delivery"].as_str().unwrap()));
    assert_eq!(received.headers["authorization"], "Bearer t0");
    assert!(received.headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    assert_eq!((&received.json()["test"], &received.json()["endpoint"]), (&json!(true), &json!("tested")));
    let event = host.show(answer["event"].as_str().unwrap()).await;
    assert_eq!((&event["source"], &event["event_type"]), (&json!("hookswitch"), &json!("endpoint.test")));
    assert_eq!((&event["runs"][0]["origin"], event["runs"].as_array().unwrap().len()), (&json!("test"), 1));
    host.delivery_with(received.id(), "delivered").await;

    let mine = r#"{"event_type":"order.created","content_type":"application/vnd.acme+json","payload":{"a": 1.0}}"#;
    host.admin.post(test, mine).await.expect(202);
    let received = receiver.next().await;
    assert_eq!(
        (&received.body[..], &received.headers["content-type"]),
        (&br#"{"a": 1.0}"#[..], &"application/vnd.acme+json".parse().unwrap())
    );
    let listed =
        host.admin.get("/v1/tenants/acme/deliveries?endpoint=tested&event_type=order.created").await.expect(200);
    assert_eq!(listed["items"][0]["id"], received.id());

    assert_eq!(host.admin.post(test, r#"{"event_type":"a b"}"#).await.problem(400)["pointer"], "/event_type");
    assert_eq!(host.admin.post("/v1/tenants/acme/endpoints/none/test", "").await.problem(404)["code"], "not_found");
    let taken = host.admin.put("/v1/tenants/acme/routes/hookswitch", &listener).await;
    assert_eq!(taken.problem(422)["code"], "resource_invalid");
    assert!(receiver.rest().await.is_empty(), "nobody else got any of it");
}

#[tokio::test]
async fn a_test_that_fails_makes_no_operational_event() {
    let receiver = Receiver::answering(|_| Reply::status(500)).await;
    let host = Host::start().await;
    host.acme(&receiver.url("/")).await;
    let endpoint = json!({ "url": receiver.url("/"), "secrets": [], "retry": { "schedule_s": [0] }, "hold_after": 1 });
    host.put("/v1/tenants/acme/endpoints/out", &endpoint).await;
    // Somebody wants to hear of what is dead: otherwise nothing is told at all.
    host.put("/v1/tenants/acme/endpoints/listener", &json!({ "url": receiver.url("/"), "secrets": [] })).await;
    let listener = json!({ "source": "hookswitch", "to": { "endpoints": ["listener"] } });
    host.put("/v1/tenants/acme/routes/listener", &listener).await;
    let answer = host.admin.post("/v1/tenants/acme/endpoints/out/test", "").await.expect(202);
    host.delivery_with(answer["delivery"].as_str().unwrap(), "dead").await;
    let status = host.admin.get("/v1/tenants/acme/endpoints/out").await.expect(200)["status"].clone();
    assert_eq!(status["state"], "working", "{status}");
    // An event that fails is told, after whatever the test could have caused; and it alone.
    host.route("r", json!([])).await;
    host.event("x", "{}").await;
    let own = until("the operational events", || async {
        let page = host.admin.get("/v1/tenants/acme/events?source=hookswitch").await.expect(200);
        let types =
            page["items"].as_array().unwrap().iter().map(|event| event["event_type"].as_str().unwrap().to_owned());
        let mut types: Vec<String> = types.collect();
        types.sort_unstable();
        types.contains(&"delivery.dead".to_owned()).then_some(types)
    })
    .await;
    assert_eq!(own.iter().filter(|event_type| *event_type == "delivery.dead").count(), 1, "{own:?}");
    assert_eq!(own.iter().filter(|event_type| *event_type == "endpoint.test").count(), 1);
    // Nor does a pinned replay of it go anywhere: it went through no route.
    let again = host.admin.post(&path(answer["event"].as_str().unwrap()), r#"{"plan":"pinned"}"#).await;
    assert_eq!(again.problem(409)["code"], "no_route");
}

#[tokio::test]
async fn a_test_that_finds_the_endpoint_gone_disables_it_and_that_is_told() {
    let receiver = Receiver::answering(|_| Reply::status(410)).await;
    let host = Host::start().await;
    host.acme(&receiver.url("/")).await;
    let answer = host.admin.post("/v1/tenants/acme/endpoints/out/test", "").await.expect(202);
    host.delivery_with(answer["delivery"].as_str().unwrap(), "pending").await;
    let types = until("the operational event", || async {
        let page = host.admin.get("/v1/tenants/acme/events?source=hookswitch").await.expect(200);
        let types =
            page["items"].as_array().unwrap().iter().map(|event| event["event_type"].as_str().unwrap().to_owned());
        let types: BTreeSet<_> = types.collect();
        (types.len() > 1).then_some(types)
    })
    .await;
    // The one may be of the other's millisecond: of what is told nothing says which comes first.
    assert_eq!(types, ["endpoint.disabled", "endpoint.test"].map(str::to_owned).into());
    let status = host.admin.get("/v1/tenants/acme/endpoints/out").await.expect(200)["status"].clone();
    assert_eq!(status["state"], "disabled", "{status}");
}
