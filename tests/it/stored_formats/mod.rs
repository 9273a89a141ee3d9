//! The format of the store: a data directory that an earlier host wrote is opened by this one, and answers as it did; one of a later format is
//! refused. `tests/fixtures` has those directories, and `make` makes them.

mod make;

use super::support::{Host, Receiver, until};
use hookswitch::model::Digest;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// The fixture of the first format.
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/store-1")
}

async fn tar(arguments: &[&str]) {
    let status = Command::new("tar").args(arguments).status().await.expect("tar is there");
    assert!(status.success(), "tar {arguments:?}: {status}");
}

/// A host on a copy of the fixture in this folder.
async fn host_on(fixture: &Path, top: &Path) -> Host {
    let archive = fixture.join("data.tar.gz");
    tar(&["-xzf", archive.to_str().unwrap(), "-C", top.to_str().unwrap()]).await;
    // Whatever the date is, nothing of it is past its time.
    Host::start_on(top.join("data"), "retention.events_s = 315360000\n").await.unwrap_or_else(|why| panic!("{why}"))
}

/// What was answered of it when it was made.
fn expected_of(fixture: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(fixture.join("expected.json")).unwrap()).unwrap()
}

async fn get(host: &Host, path: &str) -> Value {
    host.admin.get(&format!("/v1/{path}")).await.expect(200)
}

/// A body, as its length and digest.
async fn body(host: &Host, path: &str) -> Value {
    let body = host.admin.get(&format!("/v1/tenants/acme/{path}/body")).await.body;
    json!({ "bytes": body.len(), "sha256": Digest::of(&body) })
}

/// Everything of a list, each with what `path/{id}` says, and its body.
async fn each(host: &Host, path: &str) -> Value {
    let mut all = Map::new();
    for item in get(host, &format!("tenants/acme/{path}?limit=500")).await["items"].as_array().unwrap() {
        let (id, mut whole) = (item["id"].as_str().unwrap(), item.clone());
        let shown = get(host, &format!("tenants/acme/{path}/{id}")).await;
        whole.as_object_mut().unwrap().extend(shown.as_object().unwrap().clone());
        whole["body"] = body(host, &format!("{path}/{id}")).await;
        all.insert(id.to_owned(), whole);
    }
    all.into()
}

/// What the interface says of the fixture, once the host has told what was to be told, and compiled its modules.
async fn answers(host: &Host) -> Value {
    until("the notice to become an event", || async {
        let page = get(host, "tenants/acme/events?limit=500&event_type=delivery.dead").await;
        (page["items"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    let mut all = Map::new();
    for path in [
        "operator/modules",
        "tenants",
        "tenants/acme/sources",
        "tenants/acme/endpoints",
        "tenants/acme/routes",
        "tenants/acme/runs?status=held",
        "tenants/acme/routes/counted/state",
    ] {
        all.insert(path.to_owned(), get(host, path).await);
    }
    for path in ["events", "deliveries"] {
        all.insert(path.to_owned(), each(host, path).await);
    }
    all.into()
}

/// Where `actual` has not what `expected` has. What it has beyond that is what later hosts say more.
fn missing(expected: &Value, actual: &Value, at: &str, wrong: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, value) in expected {
                missing(value, actual.get(name).unwrap_or(&Value::Null), &format!("{at}/{name}"), wrong);
            }
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (number, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                missing(expected, actual, &format!("{at}/{number}"), wrong);
            }
        }
        (expected, actual) if expected != actual => wrong.push(format!("{at}: {expected} has become {actual}")),
        _ => {}
    }
}

#[tokio::test]
async fn a_store_of_the_first_format_answers_as_it_did() {
    let top = tempfile::tempdir().unwrap();
    let mut host = host_on(&fixture(), top.path()).await;
    let expected = expected_of(&fixture());
    for life in ["with what its journal holds", "with all in the database"] {
        let (mut wrong, actual) = (Vec::new(), answers(&host).await);
        missing(&expected, &actual, "", &mut wrong);
        assert!(wrong.is_empty(), "{life}: {wrong:#?}");
        check_usage(&host, &actual).await;
        host.kill().await;
        host.start_again().await;
    }
    // It is not only read: what waits goes out, in its line, signed with the secret that was sealed then.
    let receiver = Receiver::start().await;
    let spec = json!({ "url": receiver.url("/"), "ordering": "key", "secrets": ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="] });
    host.put("/v1/tenants/acme/endpoints/line", &spec).await;
    let mut lined = Vec::new();
    while lined.len() < 2 {
        let received = receiver.next().await;
        assert!(received.headers.contains_key("webhook-signature"));
        lined.extend((received.headers["content-type"] == "text/plain; charset=utf-8").then_some(received.body));
    }
    assert_eq!(lined, ["{\"n\":1", "{\"n\":2"], "in the order of their events");
}

/// What an earlier host did not count is counted by this one.
async fn check_usage(host: &Host, answers: &Value) {
    let items = |list: &str| answers[list].as_object().unwrap().values().cloned().collect::<Vec<Value>>();
    let bytes = |list: &str| items(list).iter().map(|item| item["body"]["bytes"].as_u64().unwrap()).sum::<u64>();
    let waits = |delivery: &Value| ["pending", "held"].contains(&delivery["status"].as_str().unwrap());
    let usage = get(host, "tenants/acme/usage").await;
    let waiting = items("deliveries").iter().filter(|delivery| waits(delivery)).count();
    assert_eq!(usage["waiting_deliveries"]["used"], waiting);
    // Some deliveries have bodies of their own, and the others their events'.
    let stored = usage["stored_bytes"]["used"].as_u64().unwrap();
    assert!((bytes("events") + 1..bytes("events") + bytes("deliveries")).contains(&stored), "{usage}");
}

/// What is in a fixture, whatever its ids and times are: the events with their runs, and the deliveries, by where they stand.
fn kinds(expected: &Value) -> Vec<String> {
    let events = expected["events"].as_object().unwrap().values().map(|event| {
        let mut runs: Vec<String> =
            event["runs"].as_array().unwrap().iter().map(|run| run["status"].to_string()).collect();
        runs.sort();
        format!("{} {} {runs:?}", event["event_type"], event["body"]["bytes"].as_u64() > Some(1_000))
    });
    let deliveries = expected["deliveries"].as_object().unwrap().values();
    let deliveries = deliveries.map(|delivery| format!("{} {}", delivery["endpoint"], delivery["status"]));
    let mut all: Vec<String> = events.chain(deliveries).collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_fixture_made_today_holds_what_the_first_one_does() {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("store-1");
    make::make(&made).await;
    assert_eq!(kinds(&expected_of(&made)), kinds(&expected_of(&fixture())));
}

#[tokio::test]
async fn a_store_of_a_later_format_is_refused_and_says_what_to_do() {
    let mut host = Host::start().await;
    host.terminate().await;
    let sled = sled::Config::new().path(host.data().join("store/sled")).segment_size(8 << 20).open().unwrap();
    sled.open_tree("hot").unwrap().insert(b"Mformat", &2_u32.to_be_bytes()).unwrap();
    sled.flush().unwrap();
    drop(sled);
    let why = host.try_start_again().await.unwrap_err();
    assert!(why.contains("has format 2, this hookswitch reads format 1: run the version that wrote it"), "{why}");
}
