//! Sources that make their events by themselves, over HTTP. When they do is tested beside the code, by clocks that can be moved.

use super::support::{Host, Receiver};
use serde_json::{Value, json};

const SOURCE: &str = "/v1/tenants/acme/sources/daily";

#[tokio::test]
async fn nobody_sends_to_a_schedule_and_it_is_a_resource_like_any_other() {
    let (mut host, receiver) = (Host::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    let spec = json!({ "schedule": { "cron": "0 9 * * MON-FRI", "time_zone": "Europe/Berlin", "event_type": "t", "payload": { "a": 1 } } });
    let made = host.admin.put(SOURCE, &spec).await.expect(201);
    assert_eq!(made["changed"], true);
    let next_ms = made["status"]["next_ms"].as_u64().unwrap();
    assert!(made["status"]["last_ms"].is_null() && next_ms.is_multiple_of(3_600_000), "{made}");
    host.put("/v1/tenants/acme/routes/daily", &json!({ "source": "daily", "to": { "endpoints": ["out"] } })).await;
    let sent = host.ingest.post("/in/acme/daily", "{}").await;
    assert_eq!(sent.problem(404)["code"], "source_unknown");
    let event = json!({ "event_type": "t", "payload": 1, "source": "daily" });
    let published = host.admin.post("/v1/tenants/acme/events", event.to_string()).await;
    assert_eq!(published.problem(422)["code"], "source_not_published");

    host.terminate().await;
    host.start_again().await;
    assert_eq!(host.admin.put(SOURCE, &spec).await.expect(200)["changed"], false);
    let shown = host.admin.get(SOURCE).await.expect(200);
    assert_eq!(
        (&shown["schedule"]["time_zone"], &shown["schedule"]["missed"]),
        (&json!("Europe/Berlin"), &json!("once"))
    );
    assert!(shown["status"]["next_ms"].as_u64().unwrap() >= next_ms, "{shown}");
    let disabled = json!({ "schedule": spec["schedule"], "disabled": true });
    let put = host.admin.put(SOURCE, &disabled).await.expect(200);
    assert_eq!((&put["disabled"], &put["status"]["next_ms"]), (&json!(true), &Value::Null));
    assert_eq!(host.admin.delete("/v1/tenants/acme/routes/daily").await.status, 204);
    assert_eq!(host.admin.delete(SOURCE).await.status, 204);
}

#[tokio::test]
async fn a_wrong_schedule_is_refused_with_its_place() {
    let host = Host::start().await;
    host.acme("http://127.0.0.1:1/").await;
    let good = json!({ "cron": "0 9 * * *", "event_type": "t" });
    let with = |name: &str, value: Value| {
        let mut schedule = good.clone();
        schedule[name] = value;
        json!({ "schedule": schedule })
    };
    for (spec, pointer) in [
        (with("cron", json!("0 25 * * *")), "/schedule/cron"),
        (with("cron", json!("@daily")), "/schedule/cron"),
        (with("time_zone", json!("Nowhere")), "/schedule/time_zone"),
        (with("missed", json!("some")), "/schedule/missed"),
        (with("seconds", json!(1)), "/schedule/seconds"),
        (json!({ "schedule": good, "publish": {} }), ""),
        (json!({ "schedule": good, "dedup": { "body": true } }), "/dedup"),
        (json!({ "schedule": good, "rate_per_s": 1 }), "/rate_per_s"),
    ] {
        let refused = host.admin.put(SOURCE, &spec).await.problem(422);
        assert_eq!(refused["pointer"], pointer, "{refused}");
    }
}
