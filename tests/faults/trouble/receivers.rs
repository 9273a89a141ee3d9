//! Receivers that do what receivers should not, each with an endpoint of its own, beside one that is well. Each delivery to one of them
//! ends dead after its attempts, with a reason; and the good one gets everything meanwhile.

use super::super::support::{Host, Receiver, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many events there are.
const EVENTS: usize = 40;
/// How long an attempt may take.
const TIMEOUT_MS: u64 = 1000;
/// How long the trickling one waits before each byte.
const TRICKLE_EVERY: Duration = Duration::from_millis(50);
/// How long the good receiver may wait for one of its deliveries.
const GOOD_WAITS_MAX: Duration = Duration::from_secs(5);

/// What a receiver does, and what the host has to make of it.
const KINDS: [(&str, &[&str]); 8] = [
    ("hangs", &["timeout"]),
    ("trickles", &["timeout"]),
    ("endless", &["status"]),
    ("closes", &["protocol"]),
    ("garbage", &["protocol"]),
    ("fails", &["status"]),
    ("redirects", &["status"]),
    // A name server may take longer than an attempt.
    ("nowhere", &["dns", "timeout"]),
];

pub(super) async fn run() -> Result<String, String> {
    let (host, good) = (Host::start_with("log.filter = \"error\"\n").await, Receiver::start().await);
    host.acme(&good.url("/good")).await;
    let mut bad = JoinSet::new();
    for (kind, _) in KINDS {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = if kind == "nowhere" { "http://nowhere.invalid/".to_owned() } else { format!("http://{address}/") };
        let spec = json!({ "url": url, "secrets": [], "timeout_ms": TIMEOUT_MS, "hold_after": 0, "retry": { "schedule_s": [0, 0] } });
        host.put(&format!("/v1/tenants/acme/endpoints/{kind}"), &spec).await;
        bad.spawn(serve(listener, kind, good.url("/stolen")));
    }
    let endpoints: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).chain(["out"]).collect();
    host.put("/v1/tenants/acme/routes/all", &json!({ "source": "in", "to": { "endpoints": endpoints } })).await;

    let mut longest = Duration::ZERO;
    for number in 0..EVENTS {
        let began = Instant::now();
        host.event("x", number.to_string()).await;
        let received = good.next().await;
        longest = longest.max(began.elapsed());
        if received.path != "/good" || received.json() != number {
            return Err(format!("the good receiver got {} at {}", received.json(), received.path));
        }
    }
    if longest > GOOD_WAITS_MAX {
        return Err(format!("the good receiver waited {longest:?} for a delivery"));
    }
    let mut failed = Vec::new();
    for (kind, expected) in KINDS {
        let codes = dead(&host, kind).await;
        if codes.keys().any(|code| !expected.contains(&code.as_str())) || codes.values().sum::<usize>() != 2 * EVENTS {
            println!("faults: receivers: {kind}: FAILED: not only {expected:?}: {codes:?}");
            failed.push(kind);
        } else {
            println!("faults: receivers: {kind}: well: dead after 2 attempts, {codes:?}");
        }
    }
    if !failed.is_empty() {
        return Err(format!("{failed:?} are not taken as what they are"));
    }
    if let Some(received) = good.rest().await.first() {
        return Err(format!("something came to {}, which nobody was sent to", received.path));
    }
    Ok(format!("{EVENTS} events to {} of them; the good one beside them waited at most {longest:.0?}", KINDS.len()))
}

/// Waits until all deliveries to an endpoint are dead, and counts the codes of their last attempts.
async fn dead(host: &Host, endpoint: &str) -> BTreeMap<String, usize> {
    let path = format!("/v1/tenants/acme/deliveries?endpoint={endpoint}&status=dead&limit=100");
    let items = until(&format!("the deliveries to {endpoint} to be dead"), || async {
        let page = host.admin.get(&path).await.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        (items.len() == EVENTS).then_some(items)
    })
    .await;
    let mut codes = BTreeMap::new();
    for item in items {
        let id = item["id"].as_str().unwrap();
        let delivery: Value = host.admin.get(&format!("/v1/tenants/acme/deliveries/{id}")).await.expect(200);
        for attempt in delivery["attempts"].as_array().unwrap() {
            *codes.entry(attempt["error"]["code"].as_str().unwrap_or("none").to_owned()).or_default() += 1;
        }
    }
    codes
}

async fn serve(listener: TcpListener, kind: &'static str, elsewhere: String) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, kind, elsewhere.clone()));
    }
}

/// Answers as that kind does. An error is the host's hanging up.
async fn answer(mut stream: TcpStream, kind: &'static str, elsewhere: String) -> std::io::Result<()> {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await?;
    match kind {
        "hangs" => std::future::pending().await,
        "trickles" => {
            for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".iter().chain([b'x'].iter().cycle()) {
                stream.write_all(&[*byte]).await?;
                // Until the host hangs up.
                if let Ok(Ok(0) | Err(_)) = timeout(TRICKLE_EVERY, stream.read(&mut request)).await {
                    break;
                }
            }
            Ok(())
        }
        "endless" => {
            stream.write_all(b"HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        "garbage" => stream.write_all(b"\x00\xff\x13 what is this? \r\n\r\n\x00").await,
        "fails" => {
            let head = "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            in_full(stream, head).await
        }
        "redirects" => {
            let head = format!(
                "HTTP/1.1 307 There\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            in_full(stream, &head).await
        }
        _ => Ok(()),
    }
}

/// Answers, and reads what is left of the request: an answer is lost where the connection is reset.
async fn in_full(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
