//! The life of a module: versions, canary, shadow, quarantine, rollback, rerun. `walk` is all of it, to be read from its beginning to its
//! end; `choice` is which version runs, `quarantine` which one does not, `commands` the same from the command line.

mod choice;
mod commands;
mod quarantine;
mod walk;

use super::support::{Host, Receiver, guest, until};
use serde_json::{Value, json};

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
