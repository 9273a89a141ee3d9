//! `make bench`: how long a host takes from its start to ready, with few and with many delivered events in its store. What was delivered
//! should not make a start longer: its journal is bounded, and sled's snapshot is renewed while it runs. `EVENTS` says how many are many.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;

use bytes::Bytes;
use hookswitch::model::{Attempt, Delivery, Digest, Event, EventId, Run, RunStatus};
use hookswitch::store::{Accept, Config, NewDelivery, Next, RoutedRun, Settle, Store, Transition};
use hookswitch::telemetry::Health;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::Host;

const FEW: u64 = 20_000;
const MANY: u64 = 400_000;
const BODY_BYTES: usize = 1024;
/// How many are committed at once.
const AT_ONCE: u64 = 1000;

fn main() {
    let many = std::env::var("EVENTS").ok().filter(|text| !text.is_empty());
    let many = many.map_or(MANY, |text| text.parse().expect("EVENTS is a number"));
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let few = measure(FEW).await;
        let many_took = measure(many).await;
        println!(
            "start: few={FEW} few_ms={} many={many} many_ms={} ratio={:.2}",
            few.as_millis(),
            many_took.as_millis(),
            many_took.as_secs_f64() / few.as_secs_f64()
        );
    });
}

/// From the start of the process to its line `ready`, the first time after so many deliveries were made.
async fn measure(events: u64) -> Duration {
    let top = tempfile::tempdir().unwrap();
    let data = top.path().join("data");
    let mut host = Host::start_on(data.clone(), "").await.unwrap();
    host.acme("http://127.0.0.1:9/").await;
    host.terminate().await;
    fill(&data.join("store"), events).await;
    let began = Instant::now();
    let mut host = Host::start_on(data.clone(), "").await.unwrap();
    let first = began.elapsed();
    host.kill().await;
    let began = Instant::now();
    let mut host = Host::start_on(data.clone(), "").await.unwrap();
    let again = began.elapsed();
    host.kill().await;
    let mib = size(&data.join("store/sled/db")) >> 20;
    println!(
        "{events} delivered, {mib} MiB in sled: ready after {} ms, and {} ms the next time",
        first.as_millis(),
        again.as_millis()
    );
    first
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

/// Accepts and delivers so many events.
async fn fill(dir: &Path, events: u64) {
    let store = Store::open(dir, &Config::default(), &Health::default()).unwrap();
    let now_ms = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    for first in (0..events).step_by(usize::try_from(AT_ONCE).unwrap()) {
        for settled in [false, true] {
            let mut outcomes = Vec::new();
            for n in first..(first + AT_ONCE).min(events) {
                let transition = if settled { settle(now_ms, n) } else { accept(now_ms, n) };
                outcomes.push(store.submit(transition).await.unwrap());
            }
            for outcome in outcomes {
                outcome.await.unwrap();
            }
        }
    }
    store.close().await;
}

fn delivery_of(now_ms: u64, n: u64) -> (Run, Delivery) {
    let event = EventId::new(now_ms, n.into());
    let mut run = Run::new(event, &"all".parse().unwrap(), 0, Digest::of(b"plan"), now_ms);
    let delivery = Delivery {
        event_type: "tick".to_owned(),
        content_type: "application/json".to_owned(),
        ..Delivery::new(&run, 0, 0, &"out".parse().unwrap(), now_ms)
    };
    run.status = RunStatus::Routed;
    run.deliveries = vec![delivery.id];
    (run, delivery)
}

fn accept(now_ms: u64, n: u64) -> Transition {
    let (run, delivery) = delivery_of(now_ms, n);
    let event = Event {
        event_type: "tick".to_owned(),
        content_type: "application/json".to_owned(),
        ..Event::new(delivery.id.event(), "acme".parse().unwrap(), "in".parse().unwrap(), BODY_BYTES)
    };
    let deliveries = vec![NewDelivery { delivery, body: None }];
    let runs = vec![RoutedRun { run, deliveries }];
    Transition::Accept(Box::new(Accept {
        event,
        body: Bytes::from(vec![b'x'; BODY_BYTES]),
        dedup_until_ms: None,
        runs,
    }))
}

fn settle(now_ms: u64, n: u64) -> Transition {
    let (_, delivery) = delivery_of(now_ms, n);
    let attempt = Attempt {
        number: 1,
        started_at_ms: now_ms,
        duration_ms: 1,
        status: Some(200),
        response: String::new(),
        error: None,
    };
    let tenant = "acme".parse().unwrap();
    Transition::Settle(Box::new(Settle {
        tenant,
        delivery: delivery.id,
        attempt,
        next: Next::Delivered,
        health: None,
        tell: false,
    }))
}
