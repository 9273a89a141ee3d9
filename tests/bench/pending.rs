//! `make bench`: what a backlog costs. One host has a million deliveries waiting for an endpoint that refuses every connection, and is killed;
//! beside it is a host with an empty store. They are made through the host: each event goes through ten routes to that endpoint. Both are
//! given the same load, in turns. `DELIVERIES=100000` makes do with fewer.
//!
//! - *ready*: from the start of the process, of which the kernel has nothing in memory, to its being ready.
//! - *rss*: the most memory that it took, from its start to the end of the first round. In each round the load leaves more that waits:
//!   how much that is in the end, and the most memory until then, is told, too.
//! - *accept*: the rate of events to an endpoint that is disabled, beside that of the empty host.
//! - *good*: how long an event takes to the receiver of a good endpoint, and how many a second get there, beside the same in the empty host.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

mod load;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;

use load::{cpu_time, drained, load, median, per_second, send_so_many};
use serde_json::json;
use std::time::{Duration, Instant};
use support::{Host, Receiver};
use tokio::net::TcpListener;

const DELIVERIES_BY_ITSELF: usize = 1_000_000;
/// How many deliveries an event makes that goes to the dead endpoint.
const ROUTES: usize = 10;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(5);
/// How many events are sent one after the other, to see how long each takes.
const EVENTS: usize = 200;

fn main() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(measure());
}

async fn measure() {
    let deliveries = std::env::var("DELIVERIES").map_or(DELIVERIES_BY_ITSELF, |text| text.parse().expect("a number"));
    // Bound, so that nobody else is there, and gone, so that it refuses.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let receiver = Receiver::start().await;
    let empty = host(&receiver, &format!("http://{nobody}/")).await;
    let mut full = host(&receiver, &format!("http://{nobody}/")).await;

    let began = Instant::now();
    send_so_many(address(&full), "/in/acme/dead", deliveries.div_ceil(ROUTES)).await;
    let (filled_s, filled_mib) = (began.elapsed().as_secs_f64(), most_mib(full.pid()));
    full.kill().await;
    let began = Instant::now();
    full.start_again().await;
    let ready_ms = began.elapsed().as_millis();
    println!(
        "{deliveries} deliveries stored in {filled_s:.0} s, at most {filled_mib} MiB; ready again after {ready_ms} ms, at most {} MiB by then",
        most_mib(full.pid())
    );

    let (mut rounds, mut waiting, mut rss_mib) = (Vec::new(), deliveries, 0);
    for round in 1..=ROUNDS {
        let mut figures = [[0.0; 3]; 2];
        // Whoever is second has the first one still writing out beside it.
        let turns = if round % 2 == 0 { [1, 0] } else { [0, 1] };
        for turn in turns {
            let (name, host) = [("empty", &empty), ("full", &full)][turn];
            let accept = load(address(host), "/in/acme/kept", ROUND, || cpu_time(host.pid())).await;
            let wait_ms = wait_ms(host, &receiver).await;
            let good_per_s = good_per_s(host, &receiver).await;
            println!("round {round}: {name}: {}   good {wait_ms:.2} ms, {good_per_s:.0}/s", accept.told("accept"));
            figures[turn] = [accept.rate, wait_ms, good_per_s];
            waiting += turn * accept.answers;
        }
        if round == 1 {
            rss_mib = most_mib(full.pid());
        }
        rounds.push([0, 1, 2].map(|figure| figures[1][figure] / figures[0][figure]));
    }
    let ratio = |figure: usize| median(rounds.iter().map(|round| round[figure]));
    println!("{waiting} deliveries wait in the end; at most {} MiB until then", most_mib(full.pid()));
    println!(
        "pending: deliveries={deliveries} ready_ms={ready_ms} rss_mib={rss_mib} accept_to_empty={:.2} good_beside_dead={:.2} \
         good_rate_beside_dead={:.2}",
        ratio(0),
        ratio(1),
        ratio(2)
    );
}

/// A host whose tenant `acme` has a source for each of its endpoints: `dead`, of ten routes, `kept`, which is disabled, and `good`.
async fn host(receiver: &Receiver, dead: &str) -> Host {
    let host = Host::start_with("log.filter = \"error\"\n").await;
    host.put("/v1/tenants/acme", &json!({})).await;
    for (name, url, routes) in [("dead", dead, ROUTES), ("kept", dead, 1), ("good", receiver.url("/good").as_str(), 1)]
    {
        host.put(&format!("/v1/tenants/acme/sources/{name}"), &json!({ "verify": { "scheme": "none" } })).await;
        let endpoint = json!({ "url": url, "disabled": name == "kept", "concurrency_max": 64 });
        host.put(&format!("/v1/tenants/acme/endpoints/{name}"), &endpoint).await;
        for route in 0..routes {
            let spec = json!({ "source": name, "to": { "endpoints": [name] } });
            host.put(&format!("/v1/tenants/acme/routes/{name}-{route}"), &spec).await;
        }
    }
    host
}

fn address(host: &Host) -> &str {
    host.ingest_url.strip_prefix("http://").unwrap()
}

/// How long an event takes to the good receiver, one at a time: the median.
async fn wait_ms(host: &Host, receiver: &Receiver) -> f64 {
    let mut times_ms = Vec::new();
    for number in 0..EVENTS {
        let began = Instant::now();
        host.ingest.post("/in/acme/good", json!({ "n": number }).to_string()).await.expect(202);
        receiver.next().await;
        times_ms.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    median(times_ms.into_iter())
}

/// How many events a second get to the good receiver, until the last outcome of a round is durable.
async fn good_per_s(host: &Host, receiver: &Receiver) -> f64 {
    let began = Instant::now();
    let sent = load(address(host), "/in/acme/good", ROUND, || cpu_time(host.pid())).await;
    drained(host, "good").await;
    let rate = per_second(sent.answers, began.elapsed());
    receiver.rest().await;
    rate
}

/// The most memory that a process took so far, in MiB.
fn most_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    most.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
}
