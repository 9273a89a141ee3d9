//! The audit log of what people do to events, deliveries and endpoints, its filters, and how long it is kept.

use super::support::{Client, Host, Receiver, Reply, until};
use serde_json::{Value, json};

const T: &str = "/v1/tenants/acme";

async fn entries(client: &Client, query: &str) -> Vec<Value> {
    client.get(&format!("{T}/audit?limit=500{query}")).await.expect(200)["items"].as_array().unwrap().clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// An event `x` through three routes: one run is held, one keeps state, one makes a delivery that is dead and one for an endpoint that is disabled. And
/// the rest of a job's work.
async fn furnished(receiver: &Receiver) -> Host {
    let host = Host::start().await;
    host.acme(&receiver.url("/")).await;
    for guest in ["misbehave", "stateful"] {
        host.upload(guest).await;
    }
    let once = json!({ "url": receiver.url("/"), "secrets": [], "hold_after": 0, "retry": { "schedule_s": [0] } });
    host.put(&format!("{T}/endpoints/once"), &once).await;
    host.put(&format!("{T}/endpoints/gone"), &json!({ "url": receiver.url("/gone"), "secrets": [] })).await;
    let stateful = json!([{ "module": "operator/stateful", "settings": { "do": "count" }, "state": true }]);
    let trap = json!([{ "module": "operator/misbehave", "settings": { "do": "trap" } }]);
    for (name, steps, types, to) in [
        ("held", trap, json!(["x", "work"]), json!(["out"])),
        ("keeps", stateful, json!(["x"]), json!(["gone"])),
        ("sends", json!([]), json!(["x"]), json!(["once"])),
    ] {
        let route = json!({ "source": "in", "event_types": types, "steps": steps, "to": { "endpoints": to } });
        host.put(&format!("{T}/routes/{name}"), &route).await;
    }
    host
}

#[tokio::test]
async fn what_people_do_is_told_with_who_did_it() {
    let receiver = Receiver::answering(|request| Reply::status(if request.path == "/gone" { 410 } else { 500 })).await;
    let host = furnished(&receiver).await;
    let event = host.event("x", "{}").await;
    for _ in 0..30 {
        host.event("work", "{}").await;
    }
    let run_of = async |route: &str, status: &str| {
        until(&format!("the run through {route}"), || async {
            let shown = host.show(&event).await;
            let run = shown["runs"].as_array().unwrap().iter().find(|run| run["route"] == route).cloned();
            run.filter(|run| run["status"] == status)
        })
        .await
    };
    let held = text(&run_of("held", "held").await["id"]);
    let sent = text(&run_of("sends", "routed").await["deliveries"][0]);
    run_of("keeps", "routed").await;
    host.delivery_with(&sent, "dead").await;
    until("the endpoint to be disabled", || async {
        let endpoint = host.admin.get(&format!("{T}/endpoints/gone")).await.expect(200);
        (endpoint["status"]["state"] == "disabled").then_some(())
    })
    .await;

    let made = host.admin.put(&format!("{T}/keys/ops"), &json!({ "role": "admin" })).await.expect(201);
    let ops = Client::new(&host.admin_url, made["key"].as_str());
    ops.post(&format!("{T}/deliveries/{sent}/retry"), "").await.expect(202);
    ops.post(&format!("{T}/runs/{held}/rerun"), "").await.expect(202);
    ops.post(&format!("{T}/events/{event}/replay"), "").await.expect(202);
    ops.delete(&format!("{T}/routes/keeps/state")).await.expect(204);
    ops.post(&format!("{T}/endpoints/gone/enable"), "").await.expect(202);
    // Slow enough to have something to do when it is cancelled.
    let job = json!({ "do": "rerun", "filter": { "event_type": "work" }, "rate_per_s": 1 }).to_string();
    let job = text(&ops.post(&format!("{T}/jobs"), job).await.expect(202)["id"]);
    ops.post(&format!("{T}/jobs/{job}/cancel"), "").await.expect(202);
    ops.post(&format!("{T}/tokens"), json!({ "labels": { "customer": "42" } }).to_string()).await.expect(201);
    ops.post(&format!("{T}/endpoints/once/test"), "").await.expect(202);

    let told = entries(&host.admin, "&key=ops").await;
    let mut pairs: Vec<(String, String)> =
        told.iter().map(|entry| (text(&entry["action"]), text(&entry["target"]))).collect();
    pairs.reverse();
    let labels = r#"{"customer":"42"}"#;
    let wanted = [
        ("retry", sent.as_str()),
        ("rerun", &held),
        ("replay", &event),
        ("forget_state", "acme/route/keeps"),
        ("enable", "gone"),
        ("create_job", &job),
        ("cancel_job", &job),
        ("make_token", labels),
        ("test", "once"),
    ];
    assert_eq!(pairs, wanted.map(|(action, target)| (action.to_owned(), target.to_owned())), "{told:#?}");
    for entry in &told {
        assert_eq!((&entry["by"]["kind"], &entry["by"]["key"]), (&json!("key"), &json!("ops")));
        assert!(entry["by"]["request"].is_string() && entry["by"]["address"] == "127.0.0.1", "{entry}");
    }

    // Filters: by the key above, and by time, which a page has in its order.
    assert_eq!(entries(&host.admin, "&key=nobody").await, [Value::Null; 0]);
    let middle = &told[4]["at_ms"];
    let all = entries(&host.admin, "").await;
    let since = entries(&host.admin, &format!("&since_ms={middle}")).await;
    let until = entries(&host.admin, &format!("&until_ms={middle}")).await;
    assert!(since.contains(&told[4]) && !until.contains(&told[4]) && !until.is_empty(), "{since:#?} {until:#?}");
    assert_eq!([since, until].concat(), all);
}

#[tokio::test]
async fn entries_are_kept_for_their_time() {
    let mut host = Host::start().await;
    host.acme("http://127.0.0.1:9/").await;
    host.terminate().await;
    host.start_again().await;
    assert_eq!(entries(&host.admin, "").await.len(), 2, "a year by itself");
    let mut left = usize::MAX;
    // Each start looks for old ones; those that are not a second old yet are there at the next.
    for _ in 0..30 {
        host.terminate().await;
        host.start_again_with("retention.audit_s = 1").await;
        let operators = host.admin.get("/v1/operator/audit").await.expect(200);
        left = entries(&host.admin, "").await.len() + operators["items"].as_array().unwrap().len();
        if left == 0 {
            break;
        }
    }
    assert_eq!(left, 0, "of the tenant's log and the operator's");
    host.admin.get(&format!("{T}/endpoints/out")).await.expect(200);
}
