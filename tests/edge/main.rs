//! `make edge`: everything bad that can come by a socket, thrown at a real host. JSONTestSuite as bodies of events and of resources; HTTP/1.1
//! and HTTP/2 that are wrong, or meant to be read in two ways; floods; a thousand slow connections beside healthy clients.
//!
//! What must hold: no answer is a fault of the host (5xx), no worker is started again, nothing panics; what was refused left nothing in the
//! store, what was taken is there once. With `QUICK=1` the slow part is short, and resources are sources only. All of it is on loopback, and ends
//! by itself.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on says why by a panic"
)]

mod book;
mod frames;
mod http1;
mod http2;
mod json;
mod slow;
mod stored;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;
#[expect(dead_code, reason = "the tests use more of it")]
mod wire;

use book::Book;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use support::Host;

/// Short times, so that what is ended late is ended while somebody looks.
fn settings(wait_ms: u64) -> String {
    let own =
        ["ingest.header_timeout_ms", "ingest.idle_timeout_ms", "ingest.write_timeout_ms", "admin.write_timeout_ms"];
    let own: String = own.iter().map(|key| format!("{key} = {wait_ms}\n")).collect();
    format!("log.filter = \"warn\"\ningest.body_timeout_ms = 10000\n{own}")
}

fn main() -> ExitCode {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        tokio::select! {
            code = run() => code,
            // What is dropped then kills its host.
            _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
        }
    })
}

async fn run() -> ExitCode {
    let quick = std::env::var("QUICK").is_ok_and(|quick| quick == "1");
    // A thousand connections have two ends, and both are on this machine.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let (began, mut book) = (Instant::now(), Book::default());
    let suite = json::suite();
    let host = Host::start_with(&settings(if quick { 1500 } else { 3000 })).await;
    host.acme("http://127.0.0.1:1/").await;

    let kinds = if quick { &["source"][..] } else { &["source", "endpoint", "route", "tenant"] };
    json::as_events(&host, &suite, &mut book).await;
    json::as_resources(&host, &suite, kinds, &mut book).await;
    http1::run(&host, &mut book).await;
    http2::run(&host, &mut book).await;
    let (turn, turns) = if quick { (Duration::from_secs(2), 1) } else { (Duration::from_secs(7), 3) };
    let ratio = slow::run(&host, turn, turns, &mut book).await;
    look_after(&host, &mut book).await;

    for wrong in book.wrong() {
        println!("WRONG: {wrong}");
    }
    println!("took {:.0} s", began.elapsed().as_secs_f64());
    println!("edge: cases={} server_errors={} healthy_p99_ratio={ratio:.2}", book.cases, book.server_errors);
    if book.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the host is as well as before.
async fn look_after(host: &Host, book: &mut Book) {
    let ready = host.admin.get("/readyz").await;
    if ready.status != 200 {
        book.server_error(format!("/readyz answers {}", ready.status));
    }
    for worker in ready.json()["workers"].as_array().unwrap() {
        if worker["restarts"] != 0 {
            book.server_error(format!("a worker was started again: {worker}"));
        }
    }
    for line in host.log().lines().filter(|line| line.contains("panicked") || line.contains("ERROR")) {
        book.server_error(format!("the host's log says: {line}"));
    }
}
