//! Which version runs: shadows, refusals, and the bounds of a call.

use super::{MODULE, held, host_with_m, push, rebuilt, say, version};
use crate::support::{guest, until};
use serde_json::{Value, json};

#[tokio::test]
async fn a_shadow_that_says_the_same_is_equal_and_one_that_traps_has_failed() {
    let (host, receiver) = host_with_m("").await;
    push(&host, "?activate=false", rebuilt(version(1), b'x')).await;
    push(&host, "?activate=false", version(0)).await;
    let zeros = json!({ "equal": 0, "different": 0, "failed": 0, "skipped": 0, "samples": [] });
    for (number, counter) in [(2, "equal"), (3, "failed")] {
        let shadow = say(&host, "shadow", json!({ "number": number })).await;
        let report = host.admin.get(&format!("{MODULE}/shadow")).await.expect(200);
        for (name, count) in zeros.as_object().unwrap() {
            assert_eq!(&report[name], count, "a new shadow begins anew");
        }
        assert_eq!(report["digest"], shadow["versions"][number - 1]["digest"]);
        host.event("order", "{}").await;
        assert_eq!(receiver.next().await.json(), json!({ "mark": 1 }));
        let report = until("the comparison", || async {
            let report = host.admin.get(&format!("{MODULE}/shadow")).await.expect(200);
            (report[counter] == 1).then_some(report)
        })
        .await;
        assert_eq!(report["samples"].as_array().unwrap().len(), usize::from(counter == "failed"), "{report}");
    }
    say(&host, "shadow", Value::Null).await;
    assert_eq!(host.admin.get(&format!("{MODULE}/shadow")).await.expect(200)["digest"], Value::Null);
    assert!(held(&host).await.is_empty(), "a shadow decides nothing");
}

#[tokio::test]
async fn versions_are_refused_where_they_cannot_be() {
    let (host, _receiver) = host_with_m("").await;
    let refused = async |what: &str, body: Value, status: u16| {
        let answer = host.admin.post(&format!("{MODULE}/{what}"), body.to_string()).await;
        answer.problem(status)["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused("rollback", json!({}), 409).await, "version_no_previous");
    assert_eq!(refused("activate", json!({ "number": 9 }), 404).await, "version_unknown");
    assert_eq!(refused("activate", json!({}), 400).await, "body_invalid");
    assert_eq!(refused("canary", json!({ "number": 1, "percent": 5 }), 409).await, "version_active");
    push(&host, "?activate=false", version(2)).await;
    assert_eq!(refused("canary", json!({ "number": 2, "percent": 101 }), 422).await, "canary_percent");
    push(&host, "?activate=false", guest("match")).await;
    assert_eq!(refused("shadow", json!({ "number": 3 }), 422).await, "version_world");
    // A route uses settings that this version does not know: it is not activated, and nothing has changed.
    push(&host, "?activate=false", guest("ten-lines")).await;
    assert_eq!(refused("activate", json!({ "number": 4 }), 409).await, "in_use");
    assert_eq!(refused("canary", json!({ "number": 4, "percent": 1 }), 409).await, "in_use");
    let upload = host.admin.put_bytes(MODULE, guest("ten-lines")).await;
    assert_eq!(upload.problem(409)["code"], "in_use");
    let module = host.admin.get(MODULE).await.expect(200);
    assert_eq!((&module["versions"][0]["state"], &module["canary"]), (&json!("active"), &Value::Null));
    let bounds = host.admin.put_bytes(&format!("{MODULE}?max_time_ms=60001"), version(1)).await;
    assert_eq!(bounds.problem(422)["pointer"], "/max_time_ms");
}

#[tokio::test]
async fn the_time_of_a_call_is_bounded_by_module_tenant_and_host_and_the_error_says_which() {
    let (host, _receiver) = host_with_m("").await;
    let looping = json!([{ "module": "m", "settings": { "do": "loop" } }]);
    host.route("r", looping).await;
    let stopped = async |by: &str| {
        let event = host.event("x", "{}").await;
        let run = host.run_with(&event, "held").await;
        assert_eq!(run["failure"]["code"], "time_limit");
        let message = run["failure"]["message"].as_str().unwrap();
        assert!(message.contains(by), "{by}: {message}");
    };
    stopped("100 ms of processor time (by the host's `runtime.max_time_ms`)").await;
    push(&host, "?max_time_ms=30", version(1)).await;
    stopped("30 ms of processor time (by the module's `max_time_ms`)").await;
    host.put("/v1/tenants/acme", &json!({ "module_time_ms_max": 25 })).await;
    stopped("25 ms of processor time (by the tenant's `module_time_ms_max`)").await;
    // What is not said stays, and 0 takes it away.
    assert_eq!(push(&host, "", version(1)).await["max_time_ms"], 30);
    assert_eq!(push(&host, "?max_time_ms=0", version(1)).await["max_time_ms"], Value::Null);
}
