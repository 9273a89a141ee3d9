//! Versions that fail too often: who is spared, who is told, and what comes after.

use super::{MODULE, by_mark, held, host_with_m, operational_events, push, quarantined, rebuilt, say, version};
use crate::support::{Host, Receiver, guest, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_failing_canary_is_quarantined_alone_and_its_share_goes_back_to_the_active_version() {
    let (host, receiver) = host_with_m("?quarantine_after=2").await;
    push(&host, "?activate=false", version(0)).await;
    say(&host, "canary", json!({ "number": 2, "percent": 100 })).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let event = host.event("order", "{}").await;
        waiting.push(host.run_with(&event, "held").await);
    }
    quarantined(&host, MODULE, 2).await;
    host.event("order", "{}").await;
    assert_eq!(receiver.next().await.json(), json!({ "mark": 1 }));

    // What is pinned to the canary's plan stays held, without being run, until the version is released.
    let pinned = r#"{"plan":"pinned"}"#;
    let rerun = async |run: &Value, code: &str| {
        let path = format!("/v1/tenants/acme/runs/{}/rerun", run["id"].as_str().unwrap());
        host.admin.post(&path, pinned).await.expect(202);
        let event = format!("evt_{}", &run["id"].as_str().unwrap()[4..30]);
        until("the rerun", || async {
            let now = host.show(&event).await["runs"][0].clone();
            (now["status"] == "held" && now["failure"]["code"] == code).then_some(())
        })
        .await;
    };
    rerun(&waiting[0], "module_quarantined").await;
    assert_eq!(say(&host, "release", json!({ "number": 2 })).await["released"], 1);
    assert_eq!(say(&host, "release", json!({ "number": 2 })).await["released"], 0);
    rerun(&waiting[0], "trap").await;

    // Only those with one code go again, where the request says so.
    let none = host.job(json!({ "do": "rerun", "filter": { "code": "module_quarantined" } })).await;
    assert_eq!((&none["done"], &none["looked_at"], held(&host).await.len()), (&json!(0), &json!(2), 2));
    say(&host, "canary", json!({ "percent": 0 })).await;
    assert_eq!(host.job(json!({ "do": "rerun", "filter": { "code": "trap" } })).await["done"], 2);
    for _ in 0..2 {
        assert_eq!(receiver.next().await.json(), json!({ "mark": 1 }));
    }
}

#[tokio::test]
async fn a_quarantine_rolls_back_by_itself_where_the_module_says_so() {
    let (host, receiver) = host_with_m("?quarantine_after=1&rollback_on_quarantine=true").await;
    push(&host, "", version(0)).await;
    let event = host.event("order", "{}").await;
    host.run_with(&event, "held").await;
    quarantined(&host, MODULE, 2).await;
    let module = host.admin.get(MODULE).await.expect(200);
    assert_eq!(
        (&module["versions"][0]["state"], &module["digest"]),
        (&json!("active"), &module["versions"][0]["digest"])
    );
    host.job(json!({ "do": "rerun" })).await;
    assert_eq!(receiver.next().await.json(), json!({ "mark": 1 }));
    let told = until("the operational event", || async { operational_events(&host).await.pop() }).await;
    let body = host.admin.get(&format!("/v1/tenants/acme/events/{}/body", told["id"].as_str().unwrap())).await.json();
    assert_eq!(body["rolled_back_to"], module["digest"]);
}

#[tokio::test]
async fn a_run_of_an_operational_event_causes_none() {
    let (host, _receiver) = host_with_m("?quarantine_after=1").await;
    // Whoever listens to the host's own events fails at each.
    let listener = json!({ "source": "hookswitch", "steps": [{ "module": "l", "settings": { "do": "fail" } }], "to": { "endpoints": ["out"] } });
    host.admin.put_bytes("/v1/tenants/acme/modules/l?quarantine_after=1", guest("misbehave")).await.expect(201);
    host.put("/v1/tenants/acme/routes/listener", &listener).await;
    let mut seen = BTreeSet::new();
    for number in [2, 3] {
        push(&host, "", rebuilt(version(0), number)).await;
        let event = host.event("order", "{}").await;
        host.run_with(&event, "held").await;
        let told = until("the operational event", || async {
            let events = operational_events(&host).await;
            events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).find(|id| !seen.contains(id))
        })
        .await;
        assert_eq!(host.run_with(&told, "held").await["failure"]["code"], "failed");
        seen.insert(told);
    }
    // The second one came after whatever the first could have caused.
    assert_eq!(operational_events(&host).await.len(), 2);
    let quarantine = host.admin.get("/v1/tenants/acme/quarantine").await.expect(200);
    let modules: Vec<&Value> = quarantine["items"].as_array().unwrap().iter().map(|item| &item["module"]).collect();
    assert_eq!(modules, ["m", "m"]);

    // And nobody else speaks in the host's name.
    let spec = json!({ "verify": { "scheme": "none" } });
    let refused = host.admin.put("/v1/tenants/acme/sources/hookswitch", &spec).await.problem(422);
    assert!(refused["detail"].as_str().unwrap().contains("the host's own"), "{refused}");
    assert_eq!(host.ingest.post("/in/acme/hookswitch", "{}").await.problem(404)["code"], "source_unknown");
}

#[tokio::test]
async fn an_operators_module_is_quarantined_only_for_the_tenant_it_fails() {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/acme")).await;
    host.put("/v1/tenants/beta", &json!({})).await;
    host.put("/v1/tenants/beta/sources/in", &json!({ "verify": { "scheme": "none" } })).await;
    host.put("/v1/tenants/beta/endpoints/out", &json!({ "url": receiver.url("/beta"), "secrets": [] })).await;
    let path = "/v1/operator/modules/shared";
    host.admin
        .put_bytes(&format!("{path}?quarantine_after=1&rollback_on_quarantine=true"), version(1))
        .await
        .expect(201);
    let route = |word: &str| {
        let steps = json!([{ "module": "operator/shared", "settings": { "do": word } }]);
        json!({ "source": "in", "steps": steps, "to": { "endpoints": ["out"] } })
    };
    host.put("/v1/tenants/acme/routes/r", &route("by-mark")).await;
    host.put("/v1/tenants/beta/routes/r", &route("none")).await;
    host.admin.put_bytes(path, version(0)).await.expect(200);
    let event = host.event("order", "{}").await;
    host.run_with(&event, "held").await;
    assert_eq!(quarantined(&host, path, 2).await["tenant"], "acme");

    // For acme the version before runs, for beta the active one; the operator's record is as it was.
    host.event("order", "{}").await;
    assert_eq!(receiver.next().await.json(), json!({ "mark": 1 }));
    host.ingest.post("/in/beta/in", "\"beta\"").await.expect(202);
    let received = receiver.next().await;
    assert_eq!((received.path.as_str(), &received.body[..]), ("/beta", &b"\"beta\""[..]));
    let module = host.admin.get(path).await.expect(200);
    assert_eq!(
        (&module["digest"], &module["versions"][1]["state"]),
        (&module["versions"][1]["digest"], &json!("active"))
    );

    // Released for acme, it runs there again.
    let released = host.admin.post(&format!("{path}/release"), r#"{"number":2,"tenant":"acme"}"#).await.expect(200);
    assert_eq!(released["released"], 1);
    let event = host.event("order", "{}").await;
    assert_eq!(host.run_with(&event, "held").await["failure"]["code"], "trap");

    // A quarantine keeps neither the module nor the tenant from being removed.
    quarantined(&host, path, 2).await;
    for resource in ["routes/r", "sources/in"] {
        host.admin.delete(&format!("/v1/tenants/acme/{resource}")).await.expect(204);
    }
    let _ = host.admin.delete("/v1/tenants/acme/endpoints/out?pending=cancel").await.expect(204);
    host.admin.delete("/v1/tenants/acme").await.expect(204);
}

#[tokio::test]
async fn an_operators_module_is_quarantined_also_where_the_version_before_does_not_fit() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let path = "/v1/operator/modules/shared";
    // The first version knows nothing of the settings that the route has by the time the second one fails.
    let options = "?quarantine_after=1&rollback_on_quarantine=true";
    host.admin.put_bytes(&format!("{path}{options}"), guest("ten-lines")).await.expect(201);
    host.admin.put_bytes(path, version(0)).await.expect(200);
    host.route("r", json!([{ "module": "operator/shared", "settings": { "do": "by-mark" } }])).await;
    let event = host.event("order", "{}").await;
    host.run_with(&event, "held").await;
    let found = quarantined(&host, path, 2).await;
    assert_eq!((&found["tenant"], &found["rolled_back_to"]), (&json!("acme"), &Value::Null));
    let event = host.event("order", "{}").await;
    assert_eq!(host.run_with(&event, "held").await["failure"]["code"], "module_quarantined");
}

#[tokio::test]
async fn under_pass_a_quarantined_module_is_passed_by_and_under_drop_its_runs_are_held() {
    let (host, receiver) = host_with_m("?quarantine_after=1").await;
    push(&host, "", version(0)).await;
    let route = |policy: &str| json!({ "source": "in", "steps": by_mark(), "to": { "endpoints": ["out"] }, "on_failure": policy });
    host.put("/v1/tenants/acme/routes/r", &route("pass")).await;
    for _ in 0..2 {
        let event = host.event("order", "\"as it was\"").await;
        assert_eq!(receiver.next().await.body, "\"as it was\"");
        host.run_with(&event, "routed").await;
        quarantined(&host, MODULE, 2).await;
    }
    host.put("/v1/tenants/acme/routes/r", &route("drop")).await;
    let event = host.event("order", "{}").await;
    assert_eq!(host.run_with(&event, "held").await["failure"]["code"], "module_quarantined");

    // Whoever activates a version wants it to run: that releases it.
    assert!(say(&host, "activate", json!({ "number": 1 })).await["versions"][1]["quarantined"].is_array());
    assert_eq!(say(&host, "activate", json!({ "number": 2 })).await["versions"][1]["quarantined"], Value::Null);

    // A run whose route is gone has no plan of today: it stays held.
    host.admin.delete("/v1/tenants/acme/routes/r").await.expect(204);
    let rerun = host.job(json!({ "do": "rerun" })).await;
    assert_eq!((&rerun["done"], &rerun["skipped"], held(&host).await.len()), (&json!(0), &json!(1), 1));
}
