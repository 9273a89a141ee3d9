//! Backup of a host at work, and what a host on the restored directory knows and does: by the commands, as an operator would.

use super::support::{Host, OPERATOR_KEY, Receiver, Reply, hookswitch, until};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// So much is in the store before the backup begins that it cannot be on its way to the reader at once.
const LARGE_EVENTS: usize = 80;
const LARGE_BYTES: usize = 300_000;
/// How many events are accepted while the backup is held up.
const MEANWHILE: usize = 200;

/// What was acknowledged: the body, and when.
type Ledger = Arc<Mutex<HashMap<String, (Bytes, u64)>>>;

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn command(arguments: &[&str], paths: &[&Path]) -> Output {
    let mut command = hookswitch();
    command.args(arguments).args(paths);
    command.output().await.unwrap()
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn backup(host: &Host, file: &Path, more: &[&str]) -> Output {
    command(&[&["backup", "--admin", &host.admin_url], more, &["-o"]].concat(), &[file]).await
}

async fn restore(file: &Path, data: &Path) -> Output {
    command(&["restore", "--data", data.to_str().unwrap()], &[file]).await
}

/// A host with a delivering endpoint, one that keeps what it gets, a module and a held run.
async fn filled(receiver: &Receiver) -> (Host, String) {
    let host = Host::start().await;
    host.acme(&receiver.url("/out")).await;
    host.upload("match").await;
    host.upload("misbehave").await;
    host.put("/v1/tenants/acme/endpoints/later", &json!({ "url": receiver.url("/later"), "disabled": true })).await;
    let spec = json!({ "source": "in", "steps": [{ "module": "operator/match", "settings": { "pointer": "/n", "gte": 0 } }],
        "to": { "endpoints": ["out", "later"] } });
    host.put("/v1/tenants/acme/routes/all", &spec).await;
    let spec = json!({ "source": "in", "event_types": ["bad"], "to": { "endpoints": ["out"] },
        "steps": [{ "module": "operator/misbehave", "settings": { "do": "fail" } }] });
    host.put("/v1/tenants/acme/routes/held", &spec).await;
    let held = host.event("bad", "{\"n\":-1}").await;
    until("a held run", || async {
        let runs = host.admin.get("/v1/tenants/acme/runs?status=held").await.expect(200);
        (!runs["items"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    (host, held)
}

/// Sends events on several connections until told to stop.
fn load(host: &Host, ledger: &Ledger, stop: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut senders = JoinSet::new();
    let next = Arc::new(AtomicUsize::new(0));
    for _ in 0..8 {
        let (ingest, ledger, stop, next) = (host.ingest.clone(), ledger.clone(), stop.clone(), next.clone());
        senders.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let body = Bytes::from(format!("{{\"n\":{}}}", next.fetch_add(1, Ordering::Relaxed)));
                let headers = [("x-event-type", "tick"), ("content-type", "application/json")];
                let answer = ingest.send(http::Method::POST, "/in/acme/in", &headers, body.clone()).await.expect(202);
                let id = answer["id"].as_str().unwrap().to_owned();
                ledger.lock().unwrap().insert(id, (body, now_ms()));
            }
        });
    }
    senders
}

/// Fetches the backup, and stops in its midst until so many more events are acknowledged.
async fn fetch_slowly(host: &Host, ledger: &Ledger) -> Vec<u8> {
    let address = host.admin_url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/v1/operator/backup").header("host", address);
    let request = request.header("authorization", format!("Bearer {OPERATOR_KEY}"));
    let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let mut file = Vec::new();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    file.extend_from_slice(&first);
    let before = ledger.lock().unwrap().len();
    until("events to be accepted while the backup waits", || async {
        (ledger.lock().unwrap().len() >= before + MEANWHILE).then_some(())
    })
    .await;
    // Whoever wants another one is told so.
    assert_eq!(host.admin.get("/v1/operator/backup").await.problem(409)["code"], "backup_running");
    while let Some(frame) = body.frame().await {
        file.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    file
}

#[tokio::test]
async fn a_backup_under_load_has_everything_acknowledged_before_its_end_and_a_host_goes_on_from_it() {
    let open = Arc::new(AtomicBool::new(false));
    let is_open = open.clone();
    // What comes to `/later` is refused until the restored host is there to send it.
    let receiver = Receiver::answering(move |received| {
        Reply::status(if received.path == "/out" || is_open.load(Ordering::Relaxed) { 200 } else { 500 })
    })
    .await;
    let (mut host, held) = filled(&receiver).await;
    let ledger = Ledger::default();
    for n in 0..LARGE_EVENTS {
        let body = Bytes::from(format!("{{\"n\":{n},\"fill\":\"{}\"}}", "x".repeat(LARGE_BYTES)));
        let id = host.event("large", body.clone()).await;
        ledger.lock().unwrap().insert(id, (body, now_ms()));
    }
    let shown_before = host.show(&held).await;
    let stop = Arc::new(AtomicBool::new(false));
    let senders = load(&host, &ledger, &stop);
    let fetched = fetch_slowly(&host, &ledger).await;
    stop.store(true, Ordering::Relaxed);
    senders.join_all().await;
    host.kill().await;

    let top = tempfile::tempdir().unwrap();
    let (file, data) = (top.path().join("backup"), top.path().join("data"));
    std::fs::write(&file, fetched).unwrap();
    let told = restore(&file, &data).await;
    assert!(told.status.success(), "{}", words(&told));
    let number = |name: &str| -> u64 {
        let text = words(&told);
        text.split_whitespace()
            .find_map(|word| word.strip_prefix(name))
            .unwrap_or_else(|| panic!("{text}"))
            .parse()
            .unwrap()
    };
    let (as_of_ms, last_seq) = (number("as_of_ms="), number("last_seq="));
    assert_eq!(number("events="), last_seq, "{}", words(&told));
    std::fs::copy(host.data().join("master.key"), data.join("master.key")).unwrap();
    let again = Host::start_on(data, "").await.unwrap();
    let ledger = std::mem::take(&mut *ledger.lock().unwrap());
    let (mut there, mut meanwhile) = (0, 0);
    for (id, (body, acked_ms)) in &ledger {
        let answer = again.admin.get(&format!("/v1/tenants/acme/events/{id}/body")).await;
        if answer.status == 404 {
            assert!(*acked_ms >= as_of_ms, "{id} was acknowledged at {acked_ms}, before {as_of_ms}");
            continue;
        }
        assert_eq!(answer.status, 200, "{id}");
        assert!(answer.body == *body, "{id} is not byte for byte what was sent");
        there += 1;
        meanwhile += usize::from(body.len() < LARGE_BYTES);
        let shown = again.show(id).await;
        assert!(shown["seq"].as_u64().unwrap() <= last_seq);
        let run = shown["runs"].as_array().unwrap().iter().find(|run| run["route"] == "all").unwrap();
        assert_eq!(run["deliveries"].as_array().unwrap().len(), 2, "{shown}");
    }
    assert!(meanwhile >= MEANWHILE, "{meanwhile} of {there} came while the backup was under way");
    assert_eq!(
        again.admin.get("/v1/tenants/acme/runs?status=held").await.expect(200)["items"].as_array().unwrap().len(),
        1
    );
    assert_eq!(again.show(&held).await, shown_before, "traces, failures and all");

    // It goes on: the order, the modules, and what waits goes out once its endpoint is open.
    let next = again.event("tick", "{\"n\":1}").await;
    assert_eq!(again.show(&next).await["seq"], last_seq + 1);
    again.run_with(&next, "routed").await;
    open.store(true, Ordering::Relaxed);
    again.put("/v1/tenants/acme/endpoints/later", &json!({ "url": receiver.url("/later"), "disabled": false })).await;
    let waiting = until("a delivery to `later` to be made", || async {
        let path = "/v1/tenants/acme/deliveries?endpoint=later&status=delivered&limit=1";
        let page: Value = again.admin.get(path).await.expect(200);
        page["items"].as_array().unwrap().first().cloned()
    });
    assert_eq!(waiting.await["status"], "delivered");
}

/// A backup of a small host, saved by the command; and that host, stopped.
async fn saved(top: &Path) -> (PathBuf, Host) {
    let receiver = Receiver::start().await;
    let (mut host, _) = filled(&receiver).await;
    let file = top.join("backup");
    let told = backup(&host, &file, &[]).await;
    assert!(told.status.success() && words(&told).contains("saved"), "{}", words(&told));
    let again = backup(&host, &file, &[]).await;
    assert!(!again.status.success() && words(&again).contains("say --force to replace it"), "{}", words(&again));
    let forced = backup(&host, &file, &["--force"]).await;
    assert!(forced.status.success(), "{}", words(&forced));
    assert_eq!(std::fs::read_dir(top).unwrap().count(), 1, "nothing is left beside it");
    host.terminate().await;
    (file, host)
}

#[tokio::test]
async fn a_file_that_is_not_whole_is_refused_and_so_is_a_directory_that_is_not_empty() {
    let top = tempfile::tempdir().unwrap();
    let (file, host) = saved(top.path()).await;
    let (whole, data) = (std::fs::read(&file).unwrap(), top.path().join("data"));
    let bad = top.path().join("bad");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (bytes, why) in [
        (&whole[..whole.len() - 1], "it is not whole: it ends in the frame that begins at byte"),
        (&flipped, "it is damaged: "),
    ] {
        std::fs::write(&bad, bytes).unwrap();
        let told = restore(&bad, &data).await;
        assert!(!told.status.success() && words(&told).contains(why), "{}", words(&told));
        assert!(!data.exists(), "nothing is made of it");
    }
    let told = restore(&file, &host.data()).await;
    assert!(!told.status.success() && words(&told).contains("is not empty"), "{}", words(&told));
}

#[tokio::test]
async fn a_restored_directory_wants_its_master_key_and_one_that_was_not_finished_is_not_started_on() {
    let top = tempfile::tempdir().unwrap();
    let (file, host) = saved(top.path()).await;
    let data = top.path().join("data");
    let told = restore(&file, &data).await;
    assert!(told.status.success() && words(&told).contains("master.key"), "{}", words(&told));
    let why = Host::start_on(data.clone(), "").await.err().expect("it has no master key");
    assert!(why.contains("there is no master key"), "{why}");
    std::fs::copy(host.data().join("master.key"), data.join("master.key")).unwrap();
    let mut started = Host::start_on(data.clone(), "").await.unwrap();
    started.terminate().await;
    std::fs::write(data.join("restore-unfinished"), "").unwrap();
    let why = Host::start_on(data, "").await.err().expect("it was not finished");
    assert!(why.contains("was not finished: remove what is in it, and restore again"), "{why}");
}
