//! What is past its time goes, once it is finished.

use super::support::{Host, Receiver, Reply, until};
use serde_json::json;

#[tokio::test]
async fn an_event_goes_when_its_time_is_over_and_it_is_finished() {
    let receiver = Receiver::start().await;
    let host = Host::start_with("retention.events_s = 1\n").await;
    host.acme(&receiver.url("/out")).await;
    let waits = json!({ "url": receiver.url("/waits"), "secrets": [], "disabled": true });
    host.put("/v1/tenants/acme/endpoints/waits", &waits).await;
    for (name, endpoint) in [("goes", "out"), ("stays", "waits")] {
        let route = json!({ "source": "in", "event_types": [name], "to": { "endpoints": [endpoint] } });
        host.put(&format!("/v1/tenants/acme/routes/{name}"), &route).await;
    }
    let (goes, stays) = (host.event("goes", "{}").await, host.event("stays", "{}").await);
    let gone = async |event: &str| {
        let path = format!("/v1/tenants/acme/events/{event}");
        until(&format!("{event} to be gone"), || async { (host.admin.get(&path).await.status == 404).then_some(()) })
            .await;
        assert_eq!(host.admin.get(&format!("{path}/body")).await.problem(404)["code"], "not_found");
    };
    gone(&goes).await;
    let listed = |what: &str| {
        let path = format!("/v1/tenants/acme/{what}");
        async { host.admin.get(&{ path }).await.expect(200)["items"].as_array().unwrap().clone() }
    };
    // It came before the other one went, and its time is over as well.
    let events = listed("events").await;
    assert_eq!((events.len(), events[0]["id"].as_str()), (1, Some(stays.as_str())));
    let deliveries = listed("deliveries").await;
    assert_eq!((deliveries.len(), deliveries[0]["status"].as_str()), (1, Some("pending")));
    let enabled = json!({ "url": receiver.url("/waits"), "secrets": [] });
    host.put("/v1/tenants/acme/endpoints/waits", &enabled).await;
    assert_eq!(receiver.next().await.path, "/out");
    assert_eq!(receiver.next().await.path, "/waits");
    gone(&stays).await;
    assert!(listed("deliveries").await.is_empty());
    let report = host.admin.get("/v1/operator/retention").await.expect(200);
    assert_eq!((report["events_s"].as_u64(), report["events_swept"].as_u64()), (Some(1), Some(2)));
}

#[tokio::test]
async fn an_event_is_erased_on_request_and_what_is_left_says_so() {
    let receiver = Receiver::answering(|_| Reply::Hang).await;
    let host = Host::start().await;
    host.acme(&receiver.url("/out")).await;
    host.route("all", json!([])).await;
    let (event, other) = (host.event("x", r#"{"name": "Ada"}"#).await, host.event("x", "{}").await);
    let path = format!("/v1/tenants/acme/events/{event}");
    let delivery = host.show(&event).await["runs"][0]["deliveries"][0].as_str().unwrap().to_owned();
    // It is under way when its event is erased.
    receiver.next().await;
    let left = host.admin.delete(&path).await.expect(200);
    assert_eq!((left["id"].as_str(), left["deliveries_given_up"].as_u64()), (Some(event.as_str()), Some(1)), "{left}");
    assert_eq!(host.admin.delete(&path).await.expect(200), left, "erasing twice is erasing once");
    assert_eq!(host.admin.get(&path).await.expect(200), left);
    let body = host.admin.get(&format!("{path}/body")).await.problem(410);
    assert_eq!((&body["code"], &body["erased_at_ms"]), (&json!("event_erased"), &left["erased_at_ms"]));
    for rest in [format!("deliveries/{delivery}"), format!("deliveries/{delivery}/body")] {
        assert_eq!(host.admin.get(&format!("/v1/tenants/acme/{rest}")).await.problem(404)["code"], "not_found");
    }
    let listed = host.admin.get("/v1/tenants/acme/events").await.expect(200);
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["id"]), (1, &json!(other)));
    let unknown = host.admin.delete(&format!("{}{}", &path[..path.len() - 4], "0000")).await;
    assert_eq!(unknown.problem(404)["code"], "not_found");
}

#[tokio::test]
async fn modules_go_that_nothing_needs_and_stay_while_a_run_waits_for_them() {
    let (host, receiver) = (Host::start_with("retention.events_s = 1\n").await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    for name in ["match", "misbehave"] {
        host.upload(name).await;
    }
    host.route("traps", json!([{ "module": "operator/misbehave", "settings": { "do": "trap" } }])).await;
    let event = host.event("x", "{}").await;
    let run = host.run_with(&event, "held").await["id"].as_str().unwrap().to_owned();
    for path in ["tenants/acme/routes/traps", "operator/modules/match", "operator/modules/misbehave"] {
        assert!(host.admin.delete(&format!("/v1/{path}")).await.status.is_success(), "{path}");
    }
    let files = || std::fs::read_dir(host.data().join("modules")).unwrap().count();
    until("the module to go that nothing needs", || async { (files() == 1).then_some(()) }).await;
    let again = host.admin.post(&format!("/v1/tenants/acme/runs/{run}/rerun"), r#"{"plan": "pinned"}"#).await;
    again.expect(202);
    let failed = until("the run to fail as before", || async {
        let run = host.show(&event).await["runs"][0].clone();
        (run["status"] == "held" && run["origin"] == "rerun").then_some(run)
    })
    .await;
    assert_eq!(failed["failure"]["code"], "trap", "{failed}");
    host.admin.delete(&format!("/v1/tenants/acme/events/{event}")).await.expect(200);
    until("the other module to go", || async { (files() == 0).then_some(()) }).await;
}
