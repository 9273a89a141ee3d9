//! A module tried out on a host: what it makes of a given or of a stored event, what that takes, and that nothing is kept.

use super::support::{Host, slow_filter, until};
use serde_json::{Value, json};

const MISBEHAVE: &str = "/v1/operator/modules/misbehave/test";

async fn tried(host: &Host, path: &str, request: &Value) -> Value {
    host.admin.post(path, request.to_string()).await.expect(200)
}

#[tokio::test]
async fn a_given_event_is_tried_and_nothing_is_kept() {
    let (host, receiver) = Host::with(&[]).await;
    let wasm = super::support::guest("ten-lines");
    host.admin.put_bytes("/v1/tenants/acme/modules/summary", wasm).await.expect(201);
    let path = "/v1/tenants/acme/modules/summary/test";
    let event = json!({ "event_type": "push", "body": { "sender": { "login": "octocat" } } });
    let answer = tried(&host, path, &json!({ "event": event })).await;
    let message = &answer["result"]["messages"][0];
    assert_eq!(message["body"]["summary"], "push by octocat");
    assert_eq!((&message["event_type"], &message["content_type"]), (&json!("push"), &json!("application/json")));
    assert_eq!((&answer["module"], &answer["world"]), (&json!("summary"), &json!("transform")));
    assert!(answer["fuel"].as_u64().unwrap() > 1000 && answer["memory_bytes"].as_u64().unwrap() > 65536, "{answer}");
    assert_eq!(answer["limits"]["max_time_ms"], 100);
    let again = tried(&host, path, &json!({ "event": event, "version": { "digest": answer["digest"] } })).await;
    assert_eq!((&again["fuel"], &again["result"]), (&answer["fuel"], &answer["result"]), "the same at every run");

    let events = host.admin.get("/v1/tenants/acme/events").await.expect(200);
    assert_eq!(events["items"], json!([]));
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn any_version_can_be_tried_within_the_time_that_is_its_modules() {
    let (host, _receiver) = Host::with(&[]).await;
    let path = "/v1/tenants/acme/modules/m";
    let upload = async |query: &str, guest: &str| {
        host.admin.put_bytes(&format!("{path}{query}"), super::support::guest(guest)).await.json()["version"].clone()
    };
    upload("", "ten-lines").await;
    let second = upload("?activate=false&max_time_ms=20", "misbehave").await;
    let event = json!({ "event_type": "push", "body": {} });
    let of = async |version: Value| {
        let request = json!({ "event": event, "settings": { "do": "loop" }, "version": version });
        tried(&host, &format!("{path}/test"), &request).await
    };
    let active = tried(&host, &format!("{path}/test"), &json!({ "event": event })).await;
    assert_eq!(active["result"]["messages"][0]["body"]["summary"], "push by somebody");
    for version in [json!({ "number": second["number"] }), json!({ "digest": second["digest"] })] {
        let answer = of(version).await;
        assert_eq!((&answer["digest"], &answer["limits"]["max_time_ms"]), (&second["digest"], &json!(20)));
        let stopped = answer["result"]["error"]["message"].as_str().unwrap();
        assert!(stopped.contains("20 ms") && stopped.contains("the module's `max_time_ms`"), "{stopped}");
    }
}

#[tokio::test]
async fn a_stored_event_is_tried_with_the_origin_test() {
    let (host, receiver) = Host::with(&[]).await;
    let wasm = super::support::guest("misbehave");
    host.admin.put_bytes("/v1/tenants/acme/modules/m", wasm).await.expect(201);
    host.route("plain", json!([])).await;
    let event = host.event("push", "12345").await;
    receiver.next().await;
    let request = json!({ "event_id": event, "settings": { "do": "echo-context" } });
    let answer = tried(&host, "/v1/tenants/acme/modules/m/test", &request).await;
    let told = json!({ "origin": "test", "event_id": event, "event_body_bytes": 5 });
    assert_eq!(answer["result"]["messages"][0]["body"], told);
    assert_eq!(host.show(&event).await["runs"].as_array().unwrap().len(), 1);
    assert!(receiver.rest().await.is_empty());
}

#[tokio::test]
async fn what_goes_wrong_is_the_result_with_its_log() {
    let (host, _receiver) = Host::with(&["misbehave"]).await;
    let with = |settings: Value| json!({ "event": {}, "settings": settings });
    let panic = tried(&host, MISBEHAVE, &with(json!({ "do": "panic" }))).await;
    assert_eq!(panic["result"]["error"]["code"], "trap");
    let words = panic["result"]["error"]["message"].as_str().unwrap();
    assert!(words.contains("misbehave was told to panic; in `hookswitch_guest_misbehave::"), "{words}");
    assert!(panic["logs"][0]["level"] == "error" && panic["fuel"].is_u64(), "{panic}");

    let failure = tried(&host, MISBEHAVE, &with(json!({ "do": "fail" }))).await;
    assert_eq!(failure["result"]["failure"], json!({ "code": "told-to-fail", "message": "the settings say so" }));
    let refused = tried(&host, MISBEHAVE, &with(json!({ "do": "good" }))).await;
    assert_eq!(refused["result"]["failure"]["code"], "settings-invalid");
    let endless = tried(&host, MISBEHAVE, &with(json!({ "do": "loop" }))).await;
    assert_eq!((&endless["result"]["error"]["code"], &endless["fuel"]), (&json!("time_limit"), &Value::Null));
}

#[tokio::test]
async fn counting_a_call_is_compiled_within_the_bounds_of_an_upload() {
    let (mut host, _receiver) = Host::with(&[]).await;
    host.admin.put_bytes("/v1/tenants/acme/modules/slow", slow_filter(8)).await.expect(201);
    for (settings, bound) in [
        ("runtime.compile_cpu_s_max = 1\n", "runtime.compile_cpu_s_max"),
        ("runtime.compile_time_s_max = 1\n", "runtime.compile_time_s_max"),
    ] {
        // The engine that runs the module finds its code on disk.
        host.terminate().await;
        host.start_again_with(settings).await;
        // On a busy machine a second of processor time takes longer than a trial waits: it says so then, and goes on.
        let answer = until("the module to be compiled, or to be refused", || async {
            let answer = tried(&host, "/v1/tenants/acme/modules/slow/test", &json!({ "event": {} })).await;
            let is_later = answer["not_counted"].as_str().is_some_and(|why| why.contains("ask again"));
            (!is_later).then_some(answer)
        })
        .await;
        assert_eq!((&answer["result"], &answer["fuel"]), (&json!({ "decision": "accept" }), &Value::Null));
        assert!(answer["not_counted"].as_str().unwrap().contains(bound), "{answer}");
    }
}

#[tokio::test]
async fn every_trial_begins_with_an_empty_state() {
    let (host, _receiver) = Host::with(&["stateful"]).await;
    let request = json!({ "event": { "body": { "n": 7 } }, "settings": { "do": "count" } });
    for _ in 0..2 {
        let answer = tried(&host, "/v1/operator/modules/stateful/test", &request).await;
        assert_eq!(answer["result"]["messages"][0]["body"], json!({ "n": 7, "count": 1 }), "{answer}");
        assert!(answer["fuel"].is_u64(), "{answer}");
    }
}

#[tokio::test]
async fn a_router_finds_the_tenants_endpoints_or_those_it_is_given() {
    let (host, _receiver) = Host::with(&["route-by-label"]).await;
    let wasm = super::support::guest("route-by-label");
    host.admin.put_bytes("/v1/tenants/acme/modules/r", wasm).await.expect(201);
    let spec = json!({ "url": "http://127.0.0.1:1/", "labels": { "team": "core" }, "secrets": [] });
    host.put("/v1/tenants/acme/endpoints/crm", &spec).await;
    let settings = json!({ "name": "team", "value": "core" });
    let names = |answer: Value| {
        let made = answer["result"]["dispatches"].as_array().unwrap().clone();
        made.iter().map(|made| made["endpoint"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut request = json!({ "event": { "body_text": "hi" }, "settings": settings });
    assert_eq!(names(tried(&host, "/v1/tenants/acme/modules/r/test", &request).await), ["crm"]);
    request["endpoints"] = json!([{ "name": "other", "labels": { "team": "core" } }]);
    let answer = tried(&host, "/v1/operator/modules/route-by-label/test", &request).await;
    assert_eq!(answer["result"]["dispatches"][0]["body_text"], "hi");
    assert_eq!(answer["logs"][0]["line"], "1 endpoints have team=core");
    assert_eq!(names(answer), ["other"]);
}

#[tokio::test]
async fn a_message_and_bytes_come_and_go_as_they_are() {
    let (host, _receiver) = Host::with(&["misbehave"]).await;
    let request = json!({
        "event": { "body": 1 },
        "message": { "event_type": "item", "body_base64": "//4=", "headers": [{ "name": "x-a", "value": "b" }] },
        "settings": { "do": "none" },
    });
    let message = &tried(&host, MISBEHAVE, &request).await["result"]["messages"][0];
    assert_eq!((&message["body_base64"], &message["event_type"]), (&json!("//4="), &json!("item")));
    assert_eq!(message["headers"], json!([{ "name": "x-a", "value": "b" }]));
    // No number is rounded on the way.
    let exact = r#"{"event": {"body": {"n": 12345678901234567890123.10}}, "settings": {"do": "none"}}"#;
    let answer = host.admin.post(MISBEHAVE, exact).await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(text.contains(r#""body":{"n":12345678901234567890123.10}"#), "{text}");
}

#[tokio::test]
async fn a_message_that_is_too_large_to_be_shown_is_told_by_its_size() {
    let host = Host::start_with("runtime.module_body_bytes_max = 8388608\nruntime.output_bytes_max = 16777216\n").await;
    host.upload("misbehave").await;
    let of = async |bytes: usize| {
        let event = json!({ "body_text": "x".repeat(bytes) });
        tried(&host, MISBEHAVE, &json!({ "event": event, "settings": { "do": "none" } })).await
    };
    let shown = of(1 << 20).await;
    assert_eq!(shown["result"]["messages"][0]["body_text"].as_str().unwrap().len(), 1 << 20);
    let cut = of(2 << 20).await;
    // The media type counts too.
    let bytes = (2 << 20) + "text/plain; charset=utf-8".len();
    assert_eq!(cut["result"], json!({ "messages": [{ "bytes": bytes }] }));
    assert_eq!((&shown["result_cut"], &cut["result_cut"]), (&json!(false), &json!(true)));
    assert_eq!(cut["limits"]["shown_bytes_max"], 2 << 20);
}

#[tokio::test]
async fn every_mistake_is_a_problem_that_points_at_its_place() {
    let (host, _receiver) = Host::with(&["misbehave"]).await;
    let acme = "/v1/tenants/acme/modules/misbehave/test";
    host.admin.put_bytes("/v1/tenants/acme/modules/misbehave", super::support::guest("misbehave")).await.expect(201);
    let cases = [
        (acme, "{", 400, "body_invalid", ""),
        (acme, "{}", 400, "body_invalid", ""),
        (acme, r#"{"event": {}, "event_id": "evt_00000000000000000000000000"}"#, 400, "body_invalid", ""),
        (acme, r#"{"event": {"event-type": "x"}}"#, 400, "body_invalid", "/event/event-type"),
        (acme, r#"{"event": {"body": 1, "body_text": "x"}}"#, 400, "body_invalid", "/event"),
        (acme, r#"{"event": {"tenant": "other"}}"#, 400, "body_invalid", "/event"),
        (acme, r#"{"event": {}, "message": {"body_base64": "?"}}"#, 400, "body_invalid", "/message"),
        (acme, r#"{"event_id": "evt_1"}"#, 400, "body_invalid", "/event_id"),
        (acme, r#"{"event_id": "evt_00000000000000000000000000"}"#, 404, "not_found", ""),
        (acme, r#"{"event": {}, "version": true}"#, 400, "body_invalid", "/version"),
        (acme, r#"{"event": {}, "version": {}}"#, 400, "body_invalid", "/version"),
        (acme, r#"{"event": {}, "version": {"number": "3"}}"#, 400, "body_invalid", "/version/number"),
        (acme, r#"{"event": {}, "version": {"number": 77}}"#, 404, "version_unknown", "/version"),
        (MISBEHAVE, r#"{"event_id": "evt_00000000000000000000000000"}"#, 400, "body_invalid", "/event_id"),
        (
            "/v1/tenants/acme/modules/misbehave/canary",
            r#"{"number": 1, "percent": []}"#,
            400,
            "body_invalid",
            "/percent",
        ),
        ("/v1/tenants/acme/modules/none/test", r#"{"event": {}}"#, 404, "not_found", ""),
        ("/v1/tenants/none/modules/misbehave/test", r#"{"event": {}}"#, 404, "not_found", ""),
        ("/v1/operator/modules/none/test", r#"{"event": {}}"#, 404, "not_found", ""),
    ];
    for (path, body, status, code, pointer) in cases {
        let problem = host.admin.post(path, body).await.problem(status);
        assert_eq!(
            (&problem["code"], problem["pointer"].as_str().unwrap_or_default()),
            (&json!(code), pointer),
            "{body}: {problem}"
        );
    }
    let large = format!(r#"{{"event": {{"body_text": "{}"}}}}"#, "x".repeat(5 << 20));
    assert_eq!(host.admin.post(acme, large).await.problem(413)["code"], "body_too_large");
    let body =
        format!(r#"{{"event": {{"body_text": "{}"}}, "settings": {{"do": "none"}}}}"#, "x".repeat((1 << 20) + 1));
    let answer = host.admin.post(acme, body).await.expect(200);
    assert_eq!(answer["result"]["error"]["code"], "input_too_large");
}
