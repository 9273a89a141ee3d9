//! How long the events of `acme` take, and `/healthz`, at a fixed pace whatever comes back.

use super::ROUND;
use super::support::{Host, Receiver};
use http::Method;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Between two events of `acme`, and between two looks at `/healthz`.
const PACE: Duration = Duration::from_millis(50);

/// What `acme` and the operator saw in a round, sorted.
pub(super) struct Times {
    pub(super) events_ms: Vec<f64>,
    pub(super) health_ms: Vec<f64>,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (events, health) = (&self.events_ms, &self.health_ms);
        write!(f, "{:.2} ms (p99 {:.1}), /healthz p99 {:.1} ms", median(events), at(events, 99), at(health, 99))
    }
}

/// Sends `acme`'s events and looks at `/healthz` for one round, at a fixed pace whatever comes back.
pub(super) async fn times(host: &Host, receiver: &Receiver) -> Times {
    let (mut events, mut looks) = (JoinSet::new(), JoinSet::new());
    let (mut ticks, end) = (ticks(PACE), Instant::now() + ROUND);
    let mut sent = Vec::new();
    let (mut arrived, mut next) = (Vec::new(), Box::pin(receiver.next()));
    loop {
        tokio::select! {
            received = &mut next, if arrived.len() < sent.len() => {
                arrived.push((received.json()["n"].as_u64().unwrap(), Instant::now()));
                next = Box::pin(receiver.next());
            }
            _ = ticks.tick(), if Instant::now() < end => {
                let (ingest, body) = (host.ingest.clone(), json!({ "n": sent.len() }).to_string());
                sent.push(Instant::now());
                events.spawn(async move { ingest.send(Method::POST, "/in/acme/in", &[], body).await.expect(202) });
                let admin = host.admin.clone();
                looks.spawn(async move {
                    let began = Instant::now();
                    assert_eq!(admin.get("/healthz").await.status, 200);
                    millis(began.elapsed())
                });
            }
            else => break,
        }
    }
    events.join_all().await;
    let took = arrived.iter().map(|(n, at)| millis(at.duration_since(sent[usize::try_from(*n).unwrap()])));
    Times { events_ms: sorted(took.collect()), health_ms: sorted(looks.join_all().await) }
}

pub(super) fn ticks(pace: Duration) -> tokio::time::Interval {
    let mut ticks = interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn sorted(mut all: Vec<f64>) -> Vec<f64> {
    all.sort_by(f64::total_cmp);
    all
}

pub(super) fn median(all: &[f64]) -> f64 {
    at(all, 50)
}

/// The value that so many percent are below.
pub(super) fn at(all: &[f64], percent: usize) -> f64 {
    let all = sorted(all.to_vec());
    all[(all.len() * percent / 100).min(all.len() - 1)]
}
