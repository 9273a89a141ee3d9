//! `make bench`: how fast the road is, as ratios inside one run. The load comes from this process, over loopback, for a bounded time, onto
//! the same cores as what it measures; so believe the ratios, and take the absolute figures for this machine's. What a request costs the
//! server's process in processor time is the steadiest of them: it hardly minds what else the machine does.
//!
//! - *bare*: a hyper server in a process of its own that reads the body and answers 202.
//! - *accept*: a host whose route calls the filter `match`; the 202 follows the fdatasync of event, run, trace and delivery.
//! - *road*: the same with deliveries, signed, to the bare server; until the last outcome is durable.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

#[expect(dead_code, reason = "`pending` uses more of it")]
mod load;
mod receiver;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;

use load::{BODY_BYTES, CONNECTIONS, cpu_time, drained, load, median, micros_each, per_second};
use receiver::serve;
use serde_json::json;
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::Host;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// The argument by which this program becomes the bare server.
const SERVE_BARE: &str = "serve-bare";
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(3);

fn main() {
    let bare = std::env::args().any(|argument| argument == SERVE_BARE);
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(async { if bare { serve_bare().await } else { measure().await } });
}

async fn measure() {
    let (bare_server, bare_at) = start_bare().await;
    let bare_pid = bare_server.id().unwrap();
    let accepting = host(&format!("http://{bare_at}/"), true).await;
    let delivering = host(&format!("http://{bare_at}/"), false).await;
    println!("{CONNECTIONS} connections, {BODY_BYTES}-byte JSON bodies, {ROUNDS} rounds of {ROUND:?} each");
    let mut rounds = Vec::new();
    for round in 1..=ROUNDS {
        let bare = load(&bare_at, "/", ROUND, || cpu_time(bare_pid)).await;
        let at = accepting.ingest_url.strip_prefix("http://").unwrap();
        let accept = load(at, "/in/acme/in", ROUND, || cpu_time(accepting.pid())).await;
        let (began, cpu) = (Instant::now(), cpu_time(delivering.pid()));
        let at = delivering.ingest_url.strip_prefix("http://").unwrap();
        let sent = load(at, "/in/acme/in", ROUND, || cpu_time(delivering.pid())).await;
        drained(&delivering, "out").await;
        let road = per_second(sent.answers, began.elapsed());
        let road_cpu_us = micros_each(cpu_time(delivering.pid()) - cpu, sent.answers);
        let (bare_told, accept_told) = (bare.told("bare"), accept.told("accept"));
        println!("round {round}: {bare_told}   {accept_told}   road {road:.0}/s (cpu {road_cpu_us:.0} µs)");
        rounds.push([bare.rate, accept.rate, road, bare.cpu_us, accept.cpu_us, road_cpu_us]);
    }
    let median = |column: usize| median(rounds.iter().map(|round| round[column]));
    let (bare, accept, road) = (median(0), median(1), median(2));
    println!(
        "road: bare_per_s={bare:.0} accept_per_s={accept:.0} accept_to_bare={:.3} events_per_s={road:.0} events_to_bare={:.3} \
         bare_cpu_us={:.0} accept_cpu_us={:.0} road_cpu_us={:.0}",
        accept / bare,
        road / bare,
        median(3),
        median(4),
        median(5)
    );
}

/// A host whose tenant `acme` filters what comes by `in` and sends it to `url`, at once or never.
async fn host(url: &str, keep: bool) -> Host {
    let host = Host::start_with("log.filter = \"warn\"\n").await;
    host.acme(url).await;
    host.upload("match").await;
    let spec = json!({ "url": url, "disabled": keep, "concurrency_max": 64 });
    host.put("/v1/tenants/acme/endpoints/out", &spec).await;
    host.route("all", json!([{ "module": "operator/match", "settings": { "pointer": "/n", "gte": 0 } }])).await;
    host
}

/// Starts this program as the bare server. It ends with the handle.
async fn start_bare() -> (Child, String) {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    let mut child = command.arg(SERVE_BARE).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.next_line().await.unwrap().expect("the bare server says where it is");
    (child, address)
}

async fn serve_bare() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    serve(listener, |_| {}).await;
}
