//! The whole walk.

use super::{MODULE, held, host_with_m, operational_events, push, quarantined, say, version};
use crate::support::until;
use hookswitch::config::{Canary, PlanStep};
use hookswitch::model::{Digest, World};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn a_walk_through_canary_shadow_quarantine_rollback_and_rerun() {
    // A module is pushed; its first version is active.
    let (mut host, receiver) = host_with_m("?quarantine_after=3").await;
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    let event = host.event("order", "{}").await;
    sent.insert(event, 1);
    assert_eq!(receiver.next().await.json(), json!({ "mark": 1 }));

    // Version 2 is pushed without being activated: nothing changes for events.
    let pushed = push(&host, "?activate=false", version(2)).await;
    assert_eq!((&pushed["version"]["number"], &pushed["version"]["state"]), (&json!(2), &json!("kept")));

    // It becomes the canary for 20 percent of the events. Which ones follows from their ids alone.
    let canary = say(&host, "canary", json!({ "number": 2, "percent": 20 })).await;
    assert_eq!(canary["versions"][1]["state"], "canary");
    let digest =
        |number: usize| -> Digest { canary["versions"][number - 1]["digest"].as_str().unwrap().parse().unwrap() };
    let step = PlanStep {
        module: "m".parse().unwrap(),
        digest: digest(1),
        world: World::Transform,
        settings: json!({}),
        state: false,
        canary: Some(Canary { digest: digest(2), percent: 20 }),
        max_time: None,
    };
    let mut took = BTreeSet::new();
    for number in 0.. {
        assert!(number < 500, "one of 500 events is in a share of 20 percent");
        let event = host.event("order", "{}").await;
        let version = step.version(event.parse().unwrap());
        let run = host.run_with(&event, "routed").await;
        assert_eq!(run["trace"][0]["digest"], version.to_string(), "the trace says which version ran");
        let mark = if version == digest(2) { 2 } else { 1 };
        assert_eq!(receiver.next().await.json(), json!({ "mark": mark }));
        sent.insert(event, mark);
        took.insert(mark);
        if took.len() == 2 && number >= 20 {
            break;
        }
    }

    // Version 2 is no longer wanted for events, but as a shadow: it runs beside version 1, and every answer differs.
    say(&host, "canary", json!({ "percent": 0 })).await;
    say(&host, "shadow", json!({ "number": 2 })).await;
    for _ in 0..3 {
        sent.insert(host.event("order", "{}").await, 1);
        assert_eq!(receiver.next().await.json(), json!({ "mark": 1 }));
    }
    let report = until("the shadow to have run", || async {
        let report = host.admin.get(&format!("{MODULE}/shadow")).await.expect(200);
        (report["different"] == 3).then_some(report)
    })
    .await;
    assert_eq!((&report["equal"], &report["failed"], &report["skipped"]), (&json!(0), &json!(0), &json!(0)));
    let sample = &report["samples"][0];
    assert!(sample["active"].as_str().unwrap().contains(r#"{\"mark\":1}"#), "{sample}");
    assert!(sample["shadow"].as_str().unwrap().contains(r#"{\"mark\":2}"#), "{sample}");

    // The tenant wants to hear when a module is in trouble: operational events are events of the source `hookswitch`.
    host.put("/v1/tenants/acme/endpoints/ops", &json!({ "url": receiver.url("/ops"), "secrets": [] })).await;
    let ops = json!({ "source": "hookswitch", "to": { "endpoints": ["ops"] } });
    host.put("/v1/tenants/acme/routes/ops", &ops).await;

    // Version 3 is pushed and active at once. It traps: each event's run is held. The third time in a row is once too often.
    push(&host, "", version(0)).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let event = host.event("order", "{}").await;
        assert_eq!(host.run_with(&event, "held").await["failure"]["code"], "trap");
        waiting.push(event);
    }
    let quarantine = quarantined(&host, MODULE, 3).await;
    assert_eq!((&quarantine["failures"], &quarantine["code"]), (&json!(3), &json!("trap")));

    // The operational event comes to its endpoint, and says what happened.
    let told = receiver.next().await;
    assert_eq!(
        (told.path.as_str(), &told.json()["module"], &told.json()["code"]),
        ("/ops", &json!("m"), &json!("trap"))
    );
    let shown = host.show(operational_events(&host).await[0]["id"].as_str().unwrap()).await;
    assert_eq!((&shown["event_type"], &shown["source"]), (&json!("module.quarantined"), &json!("hookswitch")));

    // From now on runs are held without running the module, also after a crash and a restart.
    for restart in [false, true] {
        if restart {
            host.kill().await;
            host.start_again().await;
        }
        let event = host.event("order", "{}").await;
        let run = host.run_with(&event, "held").await;
        assert_eq!(run["failure"]["code"], "module_quarantined");
        assert!(run["failure"]["message"].as_str().unwrap().contains("Activate another version"), "{run}");
        assert_eq!(
            (&run["trace"][0]["duration_us"], &run["trace"][0]["verdict"]["code"]),
            (&json!(0), &json!("module_quarantined"))
        );
        waiting.push(event);
    }
    assert_eq!(held(&host).await.len(), 5);

    // A rollback makes version 1 active again, for new events at once.
    let back = say(&host, "rollback", json!({})).await;
    assert_eq!((&back["versions"][0]["state"], &back["versions"][2]["state"]), (&json!("active"), &json!("previous")));
    sent.insert(host.event("order", "{}").await, 1);
    assert_eq!(receiver.next().await.json(), json!({ "mark": 1 }));

    // And one job runs again what was held: the hold is empty.
    let rerun = host.job(json!({ "do": "rerun", "filter": { "route": "r" } })).await;
    assert_eq!((&rerun["done"], &rerun["skipped"]), (&json!(5), &json!(0)));
    for event in waiting {
        assert_eq!(host.run_with(&event, "routed").await["origin"], "rerun");
        assert_eq!(receiver.next().await.json(), json!({ "mark": 1 }));
        sent.insert(event, 1);
    }
    assert_eq!(held(&host).await.len(), 0);

    // Nothing was lost, nothing came twice: each event made one delivery, and each was sent once.
    let mut deliveries = BTreeSet::new();
    for event in sent.keys() {
        let run = host.run_with(event, "routed").await;
        assert_eq!(run["deliveries"].as_array().unwrap().len(), 1);
        let id = run["deliveries"][0].as_str().unwrap();
        assert_eq!(host.delivery_with(id, "delivered").await["attempts_made"], 1);
        assert!(deliveries.insert(id.to_owned()));
    }
    assert!(receiver.rest().await.is_empty());
    assert_eq!(operational_events(&host).await.len(), 1, "also after the restart it is said once");
}
