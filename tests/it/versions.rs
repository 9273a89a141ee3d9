//! The life of a module: versions, canary, shadow, quarantine, rollback, rerun. The first test is the whole walk, to be read from its
//! beginning to its end.

use super::support::{Host, Receiver, guest, hookswitch, until};
use hookswitch::config::{Canary, PlanStep};
use hookswitch::model::{Digest, World};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const MODULE: &str = "/v1/tenants/acme/modules/m";

/// A version of a module that answers `{"mark": n}` to everything; number 0 traps.
fn version(mark: u8) -> Vec<u8> {
    let mut wasm = guest("misbehave");
    let text = b"the mark of the module 1";
    let at = wasm.windows(text.len()).position(|window| window == text).unwrap();
    wasm[at + text.len() - 1] = b'0' + mark;
    wasm
}

/// The same module with other bytes: a custom section that says nothing.
fn rebuilt(mut wasm: Vec<u8>, name: u8) -> Vec<u8> {
    wasm.extend([0, 2, 1, name]);
    wasm
}

async fn push(host: &Host, query: &str, wasm: Vec<u8>) -> Value {
    let answer = host.admin.put_bytes(&format!("{MODULE}{query}"), wasm).await;
    assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    answer.json()
}

async fn say(host: &Host, what: &str, body: Value) -> Value {
    host.admin.post(&format!("{MODULE}/{what}"), body.to_string()).await.expect(200)
}

fn by_mark() -> Value {
    json!([{ "module": "m", "settings": { "do": "by-mark" } }])
}

/// A host with the module `m` in version 1, on the way from `in` to `out`.
async fn host_with_m(query: &str) -> (Host, Receiver) {
    let (host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/out")).await;
    push(&host, query, version(1)).await;
    host.route("r", by_mark()).await;
    (host, receiver)
}

/// Waits until a version is quarantined, and gives what the module says of it.
async fn quarantined(host: &Host, module: &str, number: u64) -> Value {
    until("the quarantine", || async {
        let module = host.admin.get(module).await.expect(200);
        let versions = module["versions"].as_array().unwrap().clone();
        let version = versions.into_iter().find(|version| version["number"] == number).unwrap();
        version["quarantined"][0].is_object().then(|| version["quarantined"][0].clone())
    })
    .await
}

async fn held(host: &Host) -> Vec<Value> {
    let page = host.admin.get("/v1/tenants/acme/runs?status=held").await.expect(200);
    page["items"].as_array().unwrap().clone()
}

async fn operational_events(host: &Host) -> Vec<Value> {
    let page = host.admin.get("/v1/tenants/acme/events?source=hookswitch").await.expect(200);
    page["items"].as_array().unwrap().clone()
}

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

    // And one request runs again what was held: the hold is empty.
    let rerun = host.admin.post("/v1/tenants/acme/runs/rerun?route=r", "").await.expect(202);
    assert_eq!(rerun, json!({ "rerun": 5, "skipped": 0, "next": null }));
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
    let none = host.admin.post("/v1/tenants/acme/runs/rerun?code=module_quarantined", "").await.expect(202);
    assert_eq!((&none["rerun"], held(&host).await.len()), (&json!(0), 2));
    say(&host, "canary", json!({ "percent": 0 })).await;
    // A page at a time: the cursor leads through the hold.
    let first = host.admin.post("/v1/tenants/acme/runs/rerun?code=trap&limit=1", "").await.expect(202);
    let next = format!("/v1/tenants/acme/runs/rerun?code=trap&limit=1&cursor={}", first["next"].as_str().unwrap());
    assert_eq!(host.admin.post(&next, "").await.expect(202), json!({ "rerun": 1, "skipped": 0, "next": null }));
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
    host.admin.post("/v1/tenants/acme/runs/rerun", "").await.expect(202);
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
    let rerun = host.admin.post("/v1/tenants/acme/runs/rerun", "").await.expect(202);
    assert_eq!((&rerun["rerun"], &rerun["skipped"], held(&host).await.len()), (&json!(0), &json!(1), 1));
}

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
    stopped("100 ms (by the host's `runtime.max_time_ms`)").await;
    push(&host, "?max_time_ms=30", version(1)).await;
    stopped("30 ms (by the module's `max_time_ms`)").await;
    host.put("/v1/tenants/acme", &json!({ "module_time_ms_max": 25 })).await;
    stopped("25 ms (by the tenant's `module_time_ms_max`)").await;
    // What is not said stays, and 0 takes it away.
    assert_eq!(push(&host, "", version(1)).await["max_time_ms"], 30);
    assert_eq!(push(&host, "?max_time_ms=0", version(1)).await["max_time_ms"], Value::Null);
}

#[tokio::test]
async fn the_command_line_pushes_lists_and_changes_versions() {
    let (host, _receiver) = (Host::start().await, Receiver::start().await);
    host.put("/v1/tenants/acme", &json!({})).await;
    let dir = tempfile::tempdir().unwrap();
    let file = |mark: u8| {
        let path = dir.path().join(format!("{mark}.wasm"));
        std::fs::write(&path, version(mark)).unwrap();
        path.display().to_string()
    };
    let run = async |words: &str, file: Option<String>| {
        let mut command = hookswitch();
        command.arg("module").args(words.split_whitespace()).args(file);
        command.args(["--tenant", "acme", "--name", "m", "--admin", &host.admin_url]);
        let output = command.output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let ok = async |words: &str, file: Option<String>| -> Vec<String> {
        let (ok, out, error) = run(words, file).await;
        assert!(ok, "{words}: {error}");
        // The numbers and states, the newest version first.
        let lines = out.lines().filter(|line| line.starts_with("    "));
        lines
            .map(|line| {
                line.split("  ").filter(|word| !word.is_empty()).take(2).collect::<Vec<_>>().join(" ").trim().to_owned()
            })
            .collect()
    };
    assert_eq!(ok("push --quarantine-after 3", Some(file(1))).await, ["1 active"]);
    assert_eq!(ok("push --no-activate", Some(file(2))).await, ["2 kept", "1 active"]);
    assert_eq!(ok("push --canary 20", Some(file(3))).await, ["3 canary 20 %", "2 kept", "1 active"]);
    assert_eq!(ok("canary --off", None).await, ["3 kept", "2 kept", "1 active"]);
    assert_eq!(ok("canary 2 --percent 5", None).await, ["3 kept", "2 canary 5 %", "1 active"]);
    assert_eq!(ok("shadow 3", None).await, ["3 shadow", "2 canary 5 %", "1 active"]);
    let (_, out, _) = run("shadow", None).await;
    assert!(out.contains("beside the active version") && out.contains("different  0"), "{out}");
    assert_eq!(ok("activate 3", None).await, ["3 active", "2 kept", "1 previous"]);
    assert_eq!(ok("rollback", None).await, ["3 previous", "2 kept", "1 active"]);
    assert_eq!(ok("list", None).await, ["3 previous", "2 kept", "1 active"]);
    let (_, out, _) = run("release 3", None).await;
    assert!(out.contains("was not quarantined"), "{out}");
    let (ok, _, error) = run("activate 9", None).await;
    assert!(!ok && error.contains("no version number 9") && error.contains("version_unknown"), "{error}");
}
