//! The contract of the store, run against every backend: the same transitions, the same answers, the same projections.

mod accept;
mod audit;
mod backup;
mod configure;
mod deliver;
mod durable;
mod erase;
mod fail;
mod health;
mod jobs;
mod list;
mod order;
mod owner;
mod replay;
mod route;
mod state;
mod statistics;
mod sweep;
mod tick;
mod usage;

use super::{Accept, Config, NewDelivery, Next, Outcome, Reader, RoutedRun, Settle, Store, Transition};
use crate::model::{
    Attempt, BodyRef, Delivery, DeliveryId, DeliveryStatus, Digest, EndpointName, Event, EventId, Origin, RouteName,
    Run, RunId, RunStatus, StepTrace, TenantName, Verdict,
};
use crate::telemetry::Health;
use bytes::Bytes;
use std::path::Path;

/// 2024-03-01T12:00:00Z.
const NOON: u64 = 1_709_294_400_000;
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Runs a check against a new store on each backend.
fn on_each_backend<F: Future<Output = ()>>(check: impl Fn(Store) -> F) {
    let dir = tempfile::tempdir().unwrap();
    let in_memory = Store::in_memory(&Config::default(), &Health::default()).unwrap();
    // One that has to write out all the time, so that reads meet records wherever they can be.
    let tiny = Config { journal_bytes_max: 1, ..Config::default() };
    let tiny = Store::open(&dir.path().join("tiny"), &tiny, &Health::default()).unwrap();
    for store in [in_memory, open(&dir.path().join("store")), tiny] {
        wait(async {
            check(store.clone()).await;
            store.close().await;
            assert_eq!(store.panics(), 0);
        });
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn open(dir: &Path) -> Store {
    Store::open(dir, &Config::default(), &Health::default()).unwrap()
}

fn acme() -> TenantName {
    "acme".parse().unwrap()
}

fn route() -> RouteName {
    "r".parse().unwrap()
}

fn endpoint() -> EndpointName {
    "e".parse().unwrap()
}

/// The id of an event received at `ms`, the `n`th of that moment.
fn event_id(ms: u64, n: u128) -> EventId {
    EventId::new(ms, n)
}

/// An event without runs.
fn accept(id: EventId, body: impl Into<Bytes>) -> Accept {
    let body = body.into();
    let event = Event {
        event_type: "push".to_owned(),
        content_type: "application/json".to_owned(),
        ..Event::new(id, acme(), "s".parse().unwrap(), body.len())
    };
    Accept { event, body, dedup_until_ms: None, runs: Vec::new() }
}

/// A run of the event in this state, without deliveries.
fn run(event: EventId, route: &RouteName, status: RunStatus) -> Run {
    Run { status, ..Run::new(event, route, 0, Digest::of(b"plan"), event.received_at_ms()) }
}

/// A delivery of the run, due when its event came in.
fn delivery(run: &Run, endpoint: &EndpointName) -> Delivery {
    let received_at_ms = run.id.event().received_at_ms();
    Delivery { event_type: "push".to_owned(), ..Delivery::new(run, 0, 0, endpoint, received_at_ms) }
}

/// A routed run that made one delivery to each of these endpoints, with the event's body.
fn routed(event: EventId, endpoints: &[EndpointName]) -> RoutedRun {
    let mut run = run(event, &route(), RunStatus::Routed);
    let deliveries: Vec<Delivery> = endpoints.iter().map(|endpoint| delivery(&run, endpoint)).collect();
    run.deliveries = deliveries.iter().map(|delivery| delivery.id).collect();
    let deliveries = deliveries.into_iter().map(|delivery| NewDelivery { delivery, body: None }).collect();
    RoutedRun { run, deliveries }
}

/// An event with a routed run and one delivery; and that delivery's id.
fn with_delivery(id: EventId) -> (Accept, DeliveryId) {
    let mut accept = accept(id, "{}");
    accept.runs.push(routed(id, &[endpoint()]));
    let delivery = accept.runs[0].run.deliveries[0];
    (accept, delivery)
}

fn attempt(number: u32) -> Attempt {
    let started_at_ms = NOON + u64::from(number);
    Attempt { number, started_at_ms, duration_ms: 5, status: Some(200), response: "ok".to_owned(), error: None }
}

fn settle(delivery: DeliveryId, number: u32, next: Next) -> Transition {
    Transition::Settle(Box::new(Settle {
        tenant: acme(),
        delivery,
        attempt: attempt(number),
        next,
        health: None,
        tell: true,
    }))
}

async fn commit_accept(store: &Store, accept: Accept) -> Outcome {
    store.commit(Transition::Accept(Box::new(accept))).await.unwrap()
}

async fn commit(store: &Store, transition: Transition) -> Outcome {
    store.commit(transition).await.unwrap()
}

/// What is due in the lane of the endpoint `e`, and the next due time.
fn due_until(reader: &Reader, up_to_ms: u64) -> (Vec<DeliveryId>, Option<u64>) {
    let due = reader.due(&acme(), &endpoint(), None, up_to_ms, 100).unwrap();
    (due.items.into_iter().map(|(_, delivery)| delivery).collect(), due.next_due_ms)
}

/// A trace whose JSON is longer than one value may be.
fn long_trace() -> Vec<StepTrace> {
    let reason = "no ".repeat(super::backend::VALUE_BYTES_MAX / 2);
    let digest = Digest::of(b"module");
    let verdict = Verdict::Rejected { reason };
    vec![StepTrace {
        step: 0,
        message: 0,
        module: "m".to_owned(),
        digest,
        verdict,
        duration_us: 1,
        logs: vec![],
        logs_cut: false,
    }]
}
