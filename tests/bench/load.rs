//! Load on an ingest, and what it costs.

#[path = "connection.rs"]
mod connection;

use super::support::{Host, until};
use bytes::Bytes;
use connection::Connection;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) const CONNECTIONS: usize = 64;
pub(super) const BODY_BYTES: usize = 1024;

/// What a round of load saw.
pub(super) struct Load {
    pub(super) answers: usize,
    pub(super) rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// What one request cost the server's process.
    pub(super) cpu_us: f64,
}

impl Load {
    pub(super) fn told(&self, name: &str) -> String {
        let Self { rate, p50_ms, p99_ms, cpu_us, .. } = self;
        format!("{name} {rate:.0}/s (p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, cpu {cpu_us:.0} µs)")
    }
}

/// Sends requests over [`CONNECTIONS`] connections for one `round`.
pub(super) async fn load(address: &str, path: &str, round: Duration, cpu_time: impl Fn() -> Duration) -> Load {
    let cpu = cpu_time();
    let end = Instant::now() + round;
    let times_ms = send(address, path, move || Instant::now() < end).await;
    let at = |share: usize| times_ms[(times_ms.len() * share / 100).min(times_ms.len() - 1)];
    let cpu_us = micros_each(cpu_time() - cpu, times_ms.len());
    Load { answers: times_ms.len(), rate: per_second(times_ms.len(), round), p50_ms: at(50), p99_ms: at(99), cpu_us }
}

/// Sends so many requests over [`CONNECTIONS`] connections.
pub(super) async fn send_so_many(address: &str, path: &str, requests: usize) {
    let sent = Arc::new(AtomicUsize::new(0));
    send(address, path, move || sent.fetch_add(1, Ordering::Relaxed) < requests).await;
}

/// Sends requests as long as there is another. Answers how long each took, in milliseconds, sorted.
async fn send(address: &str, path: &str, another: impl Fn() -> bool + Clone + Send + 'static) -> Vec<f64> {
    let one = || tokio::spawn(one_connection(address.to_owned(), path.to_owned(), another.clone()));
    let connections: Vec<_> = (0..CONNECTIONS).map(|_| one()).collect();
    let mut times_ms = Vec::new();
    for connection in connections {
        times_ms.extend(connection.await.unwrap());
    }
    times_ms.sort_by(f64::total_cmp);
    times_ms
}

async fn one_connection(address: String, path: String, another: impl Fn() -> bool) -> Vec<f64> {
    let mut connection = Connection::open(&address).await;
    let body = Bytes::from(json!({ "n": 1, "fill": "x".repeat(BODY_BYTES - 20) }).to_string());
    let mut times_ms = Vec::new();
    while another() {
        let began = Instant::now();
        assert_eq!(connection.post(&path, body.clone()).await, 202);
        times_ms.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times_ms
}

/// Waits until the host has delivered everything to this endpoint of `acme`.
pub(super) async fn drained(host: &Host, endpoint: &str) {
    until("the deliveries to be made", || async {
        let path = format!("/v1/tenants/acme/deliveries?endpoint={endpoint}&status=pending&limit=1");
        let pending = host.admin.get(&path).await.expect(200);
        pending["items"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
}

pub(super) fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
pub(super) fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
pub(super) fn micros_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// How much time the processors have given a process so far, in the kernel's units of 10 ms.
pub(super) fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the program's name, which may hold anything, come the state and ten other fields, then user and system time.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    Duration::from_millis(fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum())
}
