//! `make soak CALLS=10000000`: calls of modules without end, good ones and such that trap, loop, hoard and flood, on as many threads as
//! a host has; and what the process weighs after a million more to warm up, and at the end. Growth is a leak: above 5 % it fails.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

mod event;
#[path = "../it/support/guests.rs"]
mod guests;

use bytes::Bytes;
use guests::guest;
use hookswitch::model::{Event, Message};
use hookswitch::runtime::{Call, Config, Module, Runtime};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CALLS_BY_ITSELF: u64 = 1_000_000;
/// How many calls come before. Only so many have met every bad guest on every thread, and in every slot of the pool.
const WARM_UP_CALLS: u64 = 1_000_000;
const GROWTH_MAX: f64 = 0.05;
/// How many lines of progress there are.
const STAGES: u64 = 10;
/// Of so many calls one misbehaves.
const MISBEHAVES_EVERY: u64 = 100;
/// How long one that misbehaves may take: less than in a host, so that endless loops are not most of what the soak does.
const BAD_TIME: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    let calls = std::env::var("CALLS").map_or(CALLS_BY_ITSELF, |text| text.parse().expect("CALLS is a number"));
    let config = Config::default();
    let threads = config.threads;
    let runtime = Runtime::start(config).unwrap();
    let all = Guests::new(&runtime);
    println!(
        "soak: {calls} calls on {threads} threads after {WARM_UP_CALLS} to warm up, every {MISBEHAVES_EVERY}th of a module that \
         misbehaves"
    );
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let (together, weights) = (Barrier::new(threads), Mutex::new(Vec::new()));
    // The same threads from the beginning to the end, as in a host. None is in a call when the process is weighed.
    let work = || {
        for stage in 0..=STAGES {
            let until = WARM_UP_CALLS + calls * stage / STAGES;
            while let Ok(number) =
                next.try_update(Ordering::Relaxed, Ordering::Relaxed, |number| (number < until).then_some(number + 1))
            {
                all.call(number);
            }
            if together.wait().is_leader() {
                let weight = resident_bytes();
                weights.lock().unwrap().push(weight);
                println!("  {until:>10} calls  {:>6.1} s  {:>6.1} MiB", began.elapsed().as_secs_f64(), mib(weight));
            }
            together.wait();
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let weights = weights.into_inner().unwrap();
    let (warm, end) = (weights[0], weights[weights.len() - 1]);
    let growth = end as f64 / warm as f64 - 1.0;
    println!(
        "soak: calls={calls} seconds={:.0} rss_warm_mib={:.1} rss_end_mib={:.1} growth_percent={:.1}",
        began.elapsed().as_secs_f64(),
        mib(warm),
        mib(end),
        growth * 100.0
    );
    if growth > GROWTH_MAX { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The modules, and what they are called with.
struct Guests {
    good: Vec<Module>,
    misbehave: Module,
    event: Event,
    body: Bytes,
    message: Message,
}

impl Guests {
    fn new(runtime: &Runtime) -> Self {
        let body = Bytes::from_static(br#"{"action":"opened","sender":{"login":"octocat"},"number":7}"#);
        let event = event::pull_request_event();
        let message = Message::of_event(&event, &body);
        let compile = |name: &str| runtime.compile(&guest(name)).unwrap();
        let good = ["no-op", "ten-lines", "github-to-slack"].map(compile).into();
        Self { good, misbehave: compile("misbehave"), event, body, message }
    }

    /// The call of this number.
    fn call(&self, number: u64) {
        const SINS: [&str; 7] = ["trap", "panic", "loop", "memory", "log-flood", "big-output", "deep-recursion"];
        let turn = |length: usize| usize::try_from(number / MISBEHAVES_EVERY).unwrap() % length;
        let good = !number.is_multiple_of(MISBEHAVES_EVERY);
        let settings = if good { "{}".to_owned() } else { format!(r#"{{"do":"{}"}}"#, SINS[turn(SINS.len())]) };
        let module =
            if good { &self.good[usize::try_from(number).unwrap() % self.good.len()] } else { &self.misbehave };
        let call = Call::trial(&self.event, &self.body, &self.message, &settings);
        let time = if good { call.time } else { BAD_TIME };
        let report = module.call(&Call { time, ..call });
        // A flood of logs is only cut: that call ends well.
        assert!(!good || report.result.is_ok(), "{:?}", report.result);
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// What the process weighs: the resident set of Linux.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}
