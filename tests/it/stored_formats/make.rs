//! Makes a fixture: a data directory with some of everything, as a kill leaves it, and what the interface says of it.

use super::super::support::{Host, Receiver, Reply, until};
use super::{answers, get, host_on, tar};
use hookswitch::model::Attempt;
use hookswitch::store::{Config, Next, Settle, Store, Transition};
use hookswitch::telemetry::Health;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The master key of the fixtures, which seals nobody's secrets.
const MASTER_KEY: &str = "f1c7f1c7f1c7f1c7f1c7f1c7f1c7f1c7f1c7f1c7f1c7f1c7f1c7f1c7f1c7f1c7";
/// How long the bodies are that are stored with their event, and those that are in chunks.
const LONG_BYTES: usize = 9_000;
const CHUNKED_BYTES: usize = 50_000;

/// Makes a fixture of today's format in a folder.
pub(super) async fn make(fixture: &Path) {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("master.key"), MASTER_KEY).unwrap();
    std::fs::set_permissions(data.join("master.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let receiver = Receiver::answering(|received| match received.path.as_str() {
        "/gone" => Reply::Status(410, vec![], "no longer here"),
        "/bad" => Reply::status(500),
        _ => Reply::status(200),
    })
    .await;
    let mut host = Host::start_on(data.clone(), "").await.unwrap();
    configure(&host, &receiver).await;
    // Half of it goes to the database when the host starts again.
    fill(&host, 1).await;
    host.kill().await;
    host.start_again().await;
    fill(&host, 2).await;
    host.kill().await;
    leave_a_notice(&data.join("store"), &host_deliveries(&mut host).await).await;
    for name in ["compiled", "store/lock"] {
        let path = data.join(name);
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
    std::fs::create_dir_all(fixture).unwrap();
    let archive = fixture.join("data.tar.gz");
    let (archive, from) = (archive.to_str().unwrap(), top.path().to_str().unwrap());
    tar(&["--sort=name", "--owner=0", "--group=0", "-czf", archive, "-C", from, "data"]).await;
    let again = tempfile::tempdir().unwrap();
    let mut expected = answers(&host_on(fixture, again.path()).await).await;
    forget_today(&mut expected);
    let expected = serde_json::to_string_pretty(&expected).unwrap() + "\n";
    std::fs::write(fixture.join("expected.json"), expected).unwrap();
}

/// What comes of the notice comes of it when a host starts: its times are of that day.
fn forget_today(expected: &mut Value) {
    for (list, times) in [("events", ["created_at_ms", "updated_at_ms"]), ("deliveries", ["created_at_ms", "due_ms"])] {
        for item in
            expected[list].as_object_mut().unwrap().values_mut().filter(|it| it["event_type"] == "delivery.dead")
        {
            let runs = item.get_mut("runs").map(Value::take);
            let mut runs = runs.map_or_else(Vec::new, |runs| runs.as_array().unwrap().clone());
            for one in runs.iter_mut().chain([&mut *item]) {
                times.iter().for_each(|time| drop(one.as_object_mut().unwrap().remove(*time)));
            }
            if list == "events" {
                item["runs"] = runs.into();
            }
        }
    }
}

/// The deliveries that wait for `later`: asked of the host in a life of its own.
async fn host_deliveries(host: &mut Host) -> Vec<Value> {
    host.start_again().await;
    let page = get(host, "tenants/acme/deliveries?endpoint=later&status=pending").await;
    host.kill().await;
    page["items"].as_array().unwrap().clone()
}

async fn configure(host: &Host, receiver: &Receiver) {
    for (name, file) in [("filter", "filter.wasm"), ("transform", "transform.wasm")] {
        let wasm =
            std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/0.1.0").join(file)).unwrap();
        let answer = host.admin.put_bytes(&format!("/v1/operator/modules/{name}"), wasm).await;
        assert!(answer.status.is_success());
    }
    let secret = json!(["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]);
    let state = json!([{ "module": "operator/filter", "settings": {}, "state": true }]);
    let at = |path: &str| receiver.url(path);
    for (path, spec) in [
        ("", json!({})),
        ("/sources/in", json!({ "verify": { "scheme": "none" }, "dedup": { "header": "x-dedup", "window_s": 3600 } })),
        ("/sources/signed", json!({ "verify": { "scheme": "github", "secrets": ["a secret of the fixture"] } })),
        ("/endpoints/out", json!({ "url": at("/out"), "secrets": secret })),
        ("/endpoints/gone", json!({ "url": at("/gone"), "secrets": [] })),
        (
            "/endpoints/bad",
            json!({ "url": at("/bad"), "secrets": [], "hold_after": 0, "retry": { "schedule_s": [0, 0] } }),
        ),
        (
            "/endpoints/later",
            json!({ "url": at("/later"), "disabled": true, "secrets": secret,
            "auth": { "type": "bearer", "token": "a token of the fixture" } }),
        ),
        ("/endpoints/line", json!({ "url": at("/line"), "disabled": true, "secrets": secret, "ordering": "key" })),
        ("/routes/plain", json!({ "source": "in", "event_types": ["plain"], "to": { "endpoints": ["out", "later"] } })),
        (
            "/routes/lined",
            json!({ "source": "in", "event_types": ["lined"], "to": { "endpoints": ["line"] },
            "steps": [{ "module": "operator/transform" }] }),
        ),
        (
            "/routes/ordered",
            json!({ "source": "in", "event_types": ["ordered"], "to": { "endpoints": ["out"] }, "ordered": true,
            "steps": [{ "module": "operator/filter", "settings": {} }] }),
        ),
        (
            "/routes/counted",
            json!({ "source": "in", "event_types": ["counted"], "to": { "endpoints": ["out"] }, "steps": state }),
        ),
        (
            "/routes/told",
            json!({ "source": "hookswitch", "event_types": ["delivery.dead"], "to": { "endpoints": ["later"] } }),
        ),
        ("/routes/gone", json!({ "source": "in", "event_types": ["gone"], "to": { "endpoints": ["gone"] } })),
        ("/routes/bad", json!({ "source": "in", "event_types": ["bad"], "to": { "endpoints": ["bad"] } })),
    ] {
        host.put(&format!("/v1/tenants/acme{path}"), &spec).await;
    }
}

/// Some of everything, in either half.
async fn fill(host: &Host, half: u64) {
    for (event_type, body) in [
        ("plain", format!("{{\"n\":{half}}}")),
        ("plain", format!("{{\"n\":{half},\"fill\":\"{}\"}}", "long ".repeat(LONG_BYTES / 5))),
        ("plain", format!("{{\"n\":{half},\"fill\":\"{}\"}}", "chunked ".repeat(CHUNKED_BYTES / 8))),
        ("lined", format!("{{\"n\":{half}}}")),
        ("counted", "{}".to_owned()),
        ("counted", "filtered".to_owned()),
        // The first of these is held, and all others wait behind it.
        ("ordered", String::new()),
        ("ordered", "{}".to_owned()),
    ] {
        let event = host.event(event_type, body).await;
        if event_type == "plain" || event_type == "counted" {
            settled(host, &event, "delivered", "out").await;
        }
    }
    if half == 1 {
        settled(host, &host.event("bad", "{}").await, "dead", "bad").await;
        host.event("gone", "{}").await;
        until("the endpoint `gone` to be disabled, and both to be told", || async {
            let endpoint = get(host, "tenants/acme/endpoints/gone").await;
            let told = get(host, "tenants/acme/events?source=hookswitch").await;
            (endpoint["status"]["state"] == "disabled" && told["items"].as_array().unwrap().len() == 2).then_some(())
        })
        .await;
    }
    until("a held run", || async {
        let held = get(host, "tenants/acme/runs?status=held").await;
        (held["items"].as_array().unwrap().len() == 1).then_some(())
    })
    .await;
}

/// Waits until the event's delivery for this endpoint, if it has one, is settled so.
async fn settled(host: &Host, event: &str, status: &str, endpoint: &str) {
    until("the runs to be done", || async {
        let shown = host.show(event).await;
        let runs = shown["runs"].as_array().unwrap().clone();
        if runs.iter().any(|run| run["status"] == "pending") {
            return None;
        }
        for id in runs.iter().flat_map(|run| run["deliveries"].as_array().unwrap().clone()) {
            let delivery = get(host, &format!("tenants/acme/deliveries/{}", id.as_str().unwrap())).await;
            if delivery["endpoint"] == endpoint && delivery["status"] != status {
                return None;
            }
        }
        Some(())
    })
    .await;
}

/// Lets one of these die with no host there to tell of it.
async fn leave_a_notice(dir: &Path, deliveries: &[Value]) {
    let store = Store::open(dir, &Config::default(), &Health::default()).unwrap();
    let delivery = &deliveries[0];
    let attempt = Attempt {
        number: 1,
        started_at_ms: delivery["created_at_ms"].as_u64().unwrap(),
        duration_ms: 7,
        status: Some(500),
        response: "not today".to_owned(),
        error: None,
    };
    let (tenant, delivery) = ("acme".parse().unwrap(), delivery["id"].as_str().unwrap().parse().unwrap());
    let dead = Settle { tenant, delivery, attempt, next: Next::Dead, health: None, tell: true };
    store.commit(Transition::Settle(Box::new(dead))).await.unwrap();
    store.close().await;
}
