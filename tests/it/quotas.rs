//! What a tenant may use of the host, and what it does use.

use super::support::{Host, Receiver, Reply, guest, sign, until};
use http::Method;
use serde_json::{Value, json};

const T: &str = "/v1/tenants/acme";

async fn quotas(host: &Host, quotas: Value) {
    host.put(T, &json!({ "quotas": quotas })).await;
}

async fn send(host: &Host) -> super::support::Answer {
    host.ingest.send(Method::POST, "/in/acme/in", &[("x-event-type", "x")], "0123456789").await
}

async fn usage(host: &Host) -> Value {
    host.admin.get(&format!("{T}/usage")).await.expect(200)
}

#[tokio::test]
async fn no_event_is_taken_while_too_many_deliveries_wait() {
    let receiver = Receiver::answering(|_| Reply::Hang).await;
    let mut host = Host::start().await;
    host.acme(&receiver.url("/")).await;
    host.route("r", json!([])).await;
    quotas(&host, json!({ "waiting_deliveries_max": 2 })).await;
    send(&host).await.expect(202);
    send(&host).await.expect(202);
    let refused = send(&host).await;
    assert_eq!(refused.headers["retry-after"], "30");
    let problem = refused.problem(429);
    assert_eq!((&problem["code"], &problem["quota"]), (&json!("quota_exceeded"), &json!("waiting_deliveries_max")));
    assert_eq!((&problem["used"], &problem["max"]), (&json!(2), &json!(2)));
    let published =
        host.admin.post(&format!("{T}/events"), json!({ "event_type": "x", "payload": 1 }).to_string()).await;
    assert_eq!(published.problem(429)["code"], "quota_exceeded", "whichever way it comes");
    // It is counted on disk.
    host.kill().await;
    host.start_again().await;
    assert_eq!(usage(&host).await["waiting_deliveries"], json!({ "used": 2, "max": 2 }));
    send(&host).await.problem(429);
    host.admin.delete(&format!("{T}/routes/r")).await.expect(204);
    host.admin.delete(&format!("{T}/endpoints/out?pending=cancel")).await.expect(204);
    assert_eq!(usage(&host).await["waiting_deliveries"]["used"], 0);
    send(&host).await.expect(202);
}

#[tokio::test]
async fn who_proves_nothing_uses_up_nothing_and_learns_nothing() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:9/").await;
    let signed = json!({ "verify": { "scheme": "github", "secrets": ["hush"] }, "body_bytes_max": 1000 });
    host.put(&format!("{T}/sources/signed"), &signed).await;
    let with = async |secret: &str| {
        let signature = sign::github(secret, b"0123456789");
        host.ingest.send(Method::POST, "/in/acme/signed", &[("x-hub-signature-256", &signature)], "0123456789").await
    };
    quotas(&host, json!({ "events_per_s": 1 })).await;
    for _ in 0..20 {
        assert_eq!(with("wrong").await.problem(401)["code"], "signature_invalid");
        let too_long = host.ingest.send(Method::POST, "/in/acme/signed", &[], "x".repeat(1_001)).await;
        assert_eq!(too_long.problem(413)["code"], "body_too_large");
    }
    with("hush").await.expect(202);
    quotas(&host, json!({ "stored_bytes_max": 1 })).await;
    assert_eq!(with("hush").await.problem(429)["quota"], "stored_bytes_max");
    assert_eq!(with("wrong").await.problem(401)["code"], "signature_invalid");
}

#[tokio::test]
async fn bytes_and_modules_and_their_time_have_bounds_too() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:9/").await;
    quotas(&host, json!({ "stored_bytes_max": 15, "modules_max": 1 })).await;
    let first = send(&host).await.expect(202)["id"].as_str().unwrap().to_owned();
    send(&host).await.expect(202);
    assert_eq!(send(&host).await.problem(429)["quota"], "stored_bytes_max");
    host.admin.delete(&format!("{T}/events/{first}")).await.expect(200);
    assert_eq!(usage(&host).await["stored_bytes"], json!({ "used": 10, "max": 15 }));
    send(&host).await.expect(202);

    host.admin.put_bytes(&format!("{T}/modules/one"), guest("no-op")).await.expect(201);
    let second = host.admin.put_bytes(&format!("{T}/modules/two"), guest("no-op")).await.problem(429);
    assert_eq!((&second["code"], &second["quota"]), (&json!("quota_exceeded"), &json!("modules_max")));
    host.admin.put_bytes(&format!("{T}/modules/one"), guest("ten-lines")).await.expect(200);
    assert_eq!(usage(&host).await["modules"], json!({ "used": 1, "max": 1 }));

    host.upload("misbehave").await;
    quotas(&host, json!({ "module_time_ms_per_min": 1 })).await;
    host.route("slow", json!([{ "module": "operator/misbehave", "settings": { "do": "spin", "rounds": 50_000_000 } }]))
        .await;
    // Until its minute is used up: one that ends meanwhile gives another one.
    let refused = until("the minute to be used up", || async {
        let answer = send(&host).await;
        (answer.status != 202).then_some(answer)
    })
    .await;
    let wait_s: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait_s), "until the minute is over");
    assert_eq!(refused.problem(429)["quota"], "module_time_ms_per_min");

    for (wrong, at) in
        [("waiting_deliveries_max", 0), ("stored_bytes_max", 0), ("module_time_ms_per_min", 0), ("modules_max", 1001)]
    {
        let problem = host.admin.put(T, &json!({ "quotas": { wrong: at } })).await.problem(422);
        assert_eq!(problem["pointer"], format!("/quotas/{wrong}"));
    }
}

#[tokio::test]
async fn a_test_of_an_endpoint_counts_under_the_rate_and_is_told_of() {
    let (host, receiver) = Host::with(&[]).await;
    quotas(&host, json!({ "events_per_s": 1 })).await;
    let path = format!("{T}/endpoints/out/test");
    let mut taken = 0;
    // As many as a slow machine's seconds let through.
    let refused = until("a test to be refused", || async {
        let answer = host.admin.post(&path, "").await;
        answer.status.is_client_error().then_some(answer)
    });
    let refused = refused.await;
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.problem(429)["bound"], "quotas.events_per_s");
    let refused = until("no token to be left", || async {
        let answer = send(&host).await;
        answer.status.is_client_error().then_some(answer)
    });
    assert_eq!(refused.await.problem(429)["bound"], "quotas.events_per_s", "it is one rate");
    let log = host.admin.get(&format!("{T}/audit")).await.expect(200);
    for entry in log["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "test") {
        assert_eq!((&entry["target"], &entry["by"]["kind"]), (&json!("out"), &json!("operator")));
        assert_eq!(receiver.next().await.headers["webhook-id"].to_str().unwrap().get(..4), Some("dlv_"));
        taken += 1;
    }
    assert!(taken > 0, "each that was taken is told of: {log:#}");
}

#[tokio::test]
async fn whatever_modules_run_for_counts_as_their_time() {
    let (host, _receiver) = Host::with(&[]).await;
    let (path, spin) = (format!("{T}/modules/m"), json!({ "do": "spin", "rounds": 20_000_000 }));
    host.admin.put_bytes(&path, guest("misbehave")).await.expect(201);
    let request = json!({ "event": { "event_type": "x", "body": {} }, "settings": spin }).to_string();
    quotas(&host, json!({ "module_time_ms_per_min": 1 })).await;
    let refused = until("a trial to be refused", || async {
        let answer = host.admin.post(&format!("{path}/test"), request.clone()).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(refused.problem(429)["quota"], "module_time_ms_per_min");

    // A shadow runs as long as the version beside it, and after the commit.
    quotas(&host, json!({})).await;
    let mut again = guest("misbehave");
    again.extend([0, 2, 1, b'x']);
    host.admin.put_bytes(&format!("{path}?activate=false"), again).await.expect(200);
    host.admin.post(&format!("{path}/shadow"), json!({ "number": 2 }).to_string()).await.expect(200);
    host.route("r", json!([{ "module": "m", "settings": spin }])).await;
    let used = async || usage(&host).await["module_time_ms_per_min"]["used"].as_u64().unwrap();
    let compared = async || {
        let report = host.admin.get(&format!("{path}/shadow")).await.expect(200);
        ["equal", "different", "failed", "skipped"].iter().filter_map(|name| report[name].as_u64()).sum::<u64>()
    };
    // More than once where a minute ends meanwhile.
    until("both to be counted", || async {
        let (before, compared_before) = (used().await, compared().await);
        let event = host.event("x", "{}").await;
        let run = host.run_with(&event, "routed").await;
        let alone_ms = run["trace"][0]["duration_us"].as_u64().unwrap() / 1000;
        until("the shadow to have run", || async { (compared().await > compared_before).then_some(()) }).await;
        (used().await >= before + alone_ms + 3).then_some(())
    })
    .await;
}
