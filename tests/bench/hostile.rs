//! `make hostile`: a real host serves two tenants. `mallory` uploads every hostile guest of `tests/hostile`, makes routes of them
//! and sends events through them; `acme` has one good filter and a low rate of events.
//!
//! First each guest by itself: what becomes of it, and by which error. Then rounds, quiet and under attack by turns: how long
//! an event of `acme` takes from its request to its delivery, how long `/healthz` takes. Beside them *busy*: as many events of
//! `mallory` through a good module, because two tenants share a disk, too, whatever their modules do. The clients share the
//! host's cores; so believe the ratios, and take the absolute figures for this machine's.
//!
//! The attack is a storm and a steady rate of events for all guests that run, uploads of those that are refused, routes that never come
//! to be, and a second tenant of the same mind, who keeps the compiler busy. It ends with an error where a guest is not contained.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

#[path = "../hostile/mod.rs"]
mod hostile;
#[path = "hostile/mallory.rs"]
mod mallory;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;
#[path = "hostile/times.rs"]
mod times;

use hostile::{Fate, all, flipped, good, hostile, truncated};
use mallory::{Mallory, attack};
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Host, Receiver};
use times::{Times, at, median, millis, times};

const ROUNDS: u32 = 5;
const ROUND: Duration = Duration::from_secs(4);
/// How many modules with flipped bits are uploaded.
const FLIPS: usize = 300;

fn main() -> ExitCode {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(measure())
}

async fn measure() -> ExitCode {
    let host = Host::start_with("log.filter = \"error\"\nruntime.compile_cpu_s_max = 10\n").await;
    let (receiver, sink) = (Receiver::start().await, Receiver::start().await);
    host.acme(&receiver.url("/")).await;
    host.upload("match").await;
    host.route("all", json!([{ "module": "operator/match", "settings": { "pointer": "/n", "gte": 0 } }])).await;
    let mallory = Mallory::new(&host, &sink.url("/")).await;

    let (mut guests, mut contained) = (0, 0);
    let mut tell = |name: &str, verdict: Result<String, String>, began: Instant| {
        guests += 1;
        contained += usize::from(verdict.is_ok());
        let verdict = verdict.unwrap_or_else(|wrong| format!("NOT CONTAINED: {wrong}"));
        println!("{name:32} {verdict:44} {:>6.0} ms", millis(began.elapsed()));
    };
    let catalogue = all(true);
    for guest in &catalogue {
        let began = Instant::now();
        tell(guest.name, mallory.try_guest(guest).await, began);
    }
    for (name, uploads) in [("cut-off-at-every-section", truncated()), ("flipped-bits", flipped(FLIPS))] {
        let began = Instant::now();
        tell(name, mallory.try_uploads(&uploads).await, began);
    }
    let began = Instant::now();
    tell("storm-of-loops", mallory.try_storm().await, began);

    assert!(mallory.try_guest(&hostile("good", good(), Fate::Harmless)).await.is_ok());
    let (mallory, catalogue) = (Arc::new(mallory), Arc::new(catalogue));
    let (mut slowdowns, mut busy_slowdowns, mut health_ms) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let quiet = times(&host, &receiver).await;
        let busy = during(mallory.clone().events(vec!["good"]), &mallory, &host, &receiver).await;
        let attacked = during(attack(mallory.clone(), catalogue.clone(), round), &mallory, &host, &receiver).await;
        busy_slowdowns.push(median(&busy.events_ms) / median(&quiet.events_ms));
        slowdowns.push(median(&attacked.events_ms) / median(&quiet.events_ms));
        println!("round {round}: quiet {quiet}; busy {busy}; attacked {attacked}");
        health_ms.extend(attacked.health_ms);
    }
    println!("as many events through a good module slow the other tenant {:.2} times", median(&busy_slowdowns));
    host.admin.get("/readyz").await.expect(200);
    println!(
        "hostile: guests={guests} contained={contained} healthz_p99_ms={:.1} other_tenant_slowdown={:.2}",
        at(&health_ms, 99),
        median(&slowdowns)
    );
    if contained == guests { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The times while `work` goes on. What is left of it would disturb the next round: it is waited for.
async fn during(
    work: impl Future<Output = Vec<String>> + Send + 'static,
    mallory: &Mallory,
    host: &Host,
    receiver: &Receiver,
) -> Times {
    let work = tokio::spawn(work);
    let times = times(host, receiver).await;
    for event in work.await.unwrap() {
        mallory.run_of(&event).await;
    }
    times
}
