//! `make retention EVENTS=5000000`: a host that takes, delivers and sweeps events of 1 KiB as fast as it can, and how much of the disk it
//! uses over time. Nothing is kept longer than RETENTION_S seconds, so after that much time as many events go as come, and the disk
//! should not grow any more. It ends after EVENTS, or two hours; then everything is delivered and swept, and what is left is told.
//!
//! The load comes from this process, over loopback, onto the same cores: believe how things change over time, and how they compare.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

mod connection;
mod receiver;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;

use bytes::Bytes;
use connection::Connection;
use receiver::serve;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::Host;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

const CONNECTIONS: usize = 32;
const BODY_BYTES: usize = 1024;
/// How many events may be acknowledged and not delivered before no more are sent: the host takes faster than it delivers.
const UNDELIVERED_MAX: u64 = 5_000;
const TIME_MAX: Duration = Duration::from_secs(2 * 60 * 60);
const ROW_EVERY: Duration = Duration::from_secs(5);
/// How long nothing may arrive, or go, while there is something left to.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let well = tokio.block_on(Run::run(number("EVENTS", 300_000), number("RETENTION_S", 60)));
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A number from the environment.
fn number(name: &str, by_itself: u64) -> u64 {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty());
    text.map_or(by_itself, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// What load and receiver count.
struct Books {
    events: u64,
    next: AtomicU64,
    acked: AtomicU64,
    arrived: AtomicU64,
    /// A bit for each event.
    seen: Vec<AtomicU64>,
    changed: Notify,
    over: AtomicBool,
    times: Mutex<Times>,
}

impl Books {
    fn arrives(&self, body: &[u8]) {
        let digits: Vec<u8> = body.iter().copied().skip(5).take_while(u8::is_ascii_digit).collect();
        let number: u64 = str::from_utf8(&digits).unwrap().parse().unwrap();
        let bit = 1 << (number % 64);
        if self.seen[usize::try_from(number / 64).unwrap()].fetch_or(bit, Relaxed) & bit == 0 {
            self.arrived.fetch_add(1, Relaxed);
            self.changed.notify_waiters();
        }
    }

    /// Waits for room, and gives the number of the next event; none at the end.
    async fn next(&self) -> Option<u64> {
        loop {
            let changed = self.changed.notified();
            if self.over.load(Relaxed) {
                return None;
            }
            if self.acked.load(Relaxed) < self.arrived.load(Relaxed) + UNDELIVERED_MAX {
                return Some(self.next.fetch_add(1, Relaxed)).filter(|number| *number < self.events);
            }
            changed.await;
        }
    }

    async fn load(self: Arc<Self>, address: String) {
        let mut connection = Connection::open(&address).await;
        while let Some(number) = self.next().await {
            let began = Instant::now();
            let mut body = format!("{{\"n\":{number},\"fill\":\"");
            body.extend(std::iter::repeat_n('x', BODY_BYTES - 2 - body.len()));
            body.push_str("\"}");
            assert_eq!(connection.post("/in/acme/in", Bytes::from(body)).await, 202);
            self.acked.fetch_add(1, Relaxed);
            self.times.lock().unwrap().add(began.elapsed());
        }
    }
}

/// How long answers took, in tenths of milliseconds; the last stands for all that took longer.
#[derive(Clone)]
struct Times(Vec<u64>);

impl Times {
    const fn none() -> Self {
        Self(Vec::new())
    }

    fn add(&mut self, time: Duration) {
        self.0.resize(10_000, 0);
        self.0[usize::try_from(time.as_micros() / 100).unwrap().min(9_999)] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.0.resize(10_000, 0);
        self.0.iter_mut().zip(&other.0).for_each(|(sum, more)| *sum += more);
    }

    fn p99_ms(&self) -> f64 {
        let all: u64 = self.0.iter().sum();
        let mut left = all / 100;
        for (tenths, count) in self.0.iter().enumerate().rev() {
            if *count > left {
                return tenths as f64 / 10.0;
            }
            left -= count;
        }
        0.0
    }
}

struct Run {
    books: Arc<Books>,
    host: Host,
    began: Instant,
    /// Of each row under load, once sweeping had begun: the disk's MiB.
    settled: Vec<f64>,
    peak_mib: f64,
    rss_mib: f64,
    before: Times,
    sweeping: Times,
}

impl Run {
    async fn run(events: u64, retention_s: u64) -> bool {
        let books = Arc::new(Books {
            events,
            next: AtomicU64::new(0),
            acked: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            seen: (0..=events / 64).map(|_| AtomicU64::new(0)).collect(),
            changed: Notify::new(),
            over: AtomicBool::new(false),
            times: Mutex::new(Times::none()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let heard = Arc::clone(&books);
        tokio::spawn(serve(listener, move |body| heard.arrives(body)));
        let host = Host::start_with(&format!("log.filter = \"warn\"\nretention.events_s = {retention_s}\n")).await;
        host.acme(&url).await;
        host.put("/v1/tenants/acme/endpoints/out", &json!({ "url": url, "concurrency_max": 64 })).await;
        host.route("all", json!([])).await;
        println!("{CONNECTIONS} connections, events of {BODY_BYTES} bytes, kept for {retention_s} s after they came");
        println!("    events  seconds  disk MiB  RSS MiB  accept/s  p99 ms    swept  behind s");
        let (peak_mib, rss_mib, began) = (0.0, 0.0, Instant::now());
        let (before, sweeping) = (Times::none(), Times::none());
        let mut run = Self { books, host, began, settled: Vec::new(), peak_mib, rss_mib, before, sweeping };
        run.under_load().await;
        run.end().await
    }

    async fn under_load(&mut self) {
        let address = self.host.ingest_url.strip_prefix("http://").unwrap();
        let load: Vec<_> =
            (0..CONNECTIONS).map(|_| tokio::spawn(Arc::clone(&self.books).load(address.to_owned()))).collect();
        let mut rows = tokio::time::interval(ROW_EVERY);
        rows.tick().await;
        let mut acked = 0;
        while load.iter().any(|connection| !connection.is_finished()) {
            let row = Instant::now();
            rows.tick().await;
            let now = self.books.acked.load(Relaxed);
            self.row(now - acked, row.elapsed()).await;
            assert!(now > acked || load.iter().all(tokio::task::JoinHandle::is_finished), "nothing goes on");
            acked = now;
            if self.began.elapsed() > TIME_MAX {
                self.books.over.store(true, Relaxed);
                self.books.changed.notify_waiters();
            }
        }
        for connection in load {
            connection.await.unwrap();
        }
    }

    /// Prints how things stand. Answers how many events were swept.
    async fn row(&mut self, acked: u64, time: Duration) -> u64 {
        let report = self.host.admin.get("/v1/operator/retention").await.expect(200);
        let swept = report["events_swept"].as_u64().unwrap();
        let behind_s = report["behind_ms"].as_u64().map_or(0.0, |ms| ms as f64 / 1000.0);
        let times = std::mem::replace(&mut *self.books.times.lock().unwrap(), Times::none());
        let (disk_mib, rss_mib) = (mib(allocated(&self.host.data())), mib(resident(self.host.pid())));
        if acked > 0 {
            if swept == 0 {
                self.before.merge(&times);
            } else {
                self.sweeping.merge(&times);
                self.settled.push(disk_mib);
            }
        }
        (self.peak_mib, self.rss_mib) = (self.peak_mib.max(disk_mib), self.rss_mib.max(rss_mib));
        println!(
            "{:>10}  {:>7.0}  {disk_mib:>8.0}  {rss_mib:>7.0}  {:>8.0}  {:>6.1}  {swept:>7}  {behind_s:>8.1}",
            self.books.acked.load(Relaxed),
            self.began.elapsed().as_secs_f64(),
            acked as f64 / time.as_secs_f64(),
            times.p99_ms(),
        );
        swept
    }

    /// Waits until everything is delivered and swept, and sums it up. Answers whether nothing was lost.
    async fn end(mut self) -> bool {
        let (seconds, books) = (self.began.elapsed().as_secs_f64(), Arc::clone(&self.books));
        let acked = books.acked.load(Relaxed);
        loop {
            let changed = books.changed.notified();
            if books.arrived.load(Relaxed) >= acked || timeout(PATIENCE, changed).await.is_err() {
                break;
            }
        }
        let (mut rows, mut swept, mut last) = (tokio::time::interval(ROW_EVERY), 0, Instant::now());
        while swept < acked && last.elapsed() < PATIENCE {
            rows.tick().await;
            let now = self.row(0, ROW_EVERY).await;
            if now > swept {
                (swept, last) = (now, Instant::now());
            }
        }
        let lost = acked - books.arrived.load(Relaxed);
        // Of the last half of the rows.
        let mut half = self.settled.split_off(self.settled.len() / 2);
        half.sort_by(f64::total_cmp);
        println!(
            "retention: events={acked} seconds={seconds:.0} disk_peak_mib={:.0} settled_mib={:.0} disk_end_mib={:.0} rss_mib={:.0} \
             accept_p99_ms_sweeping={:.1} accept_p99_ms_without={:.1} swept={swept} lost={lost}",
            self.peak_mib,
            half.get(half.len() / 2).copied().unwrap_or_default(),
            mib(allocated(&self.host.data())),
            self.rss_mib,
            self.sweeping.p99_ms(),
            self.before.p99_ms(),
        );
        lost == 0 && swept == acked
    }
}

/// How many bytes a directory takes on the disk, with all that is in it.
fn allocated(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // It may be gone meanwhile.
        let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
        bytes += if found.is_dir() { allocated(&path) } else { found.blocks() * 512 };
    }
    bytes
}

/// What a process weighs: its resident set.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
