//! `make fuzz TARGET=… MINUTES=…`: throws made-up input at the runtime, in this process, and looks for what must not happen.
//!
//! - *upload*: broken and recombined modules, screened and compiled; what is taken is called.
//! - *result*: modules that answer with arbitrary memory, laid over a message.
//! - *settings*: arbitrary settings for every module in `target/guests`.
//!
//! It is a mutator with a seed, not one led by coverage: that needs a nightly compiler, and wasmtime compiled anew for each target. Input
//! number N of a seed is always the same. The input under way is in `target/fuzz`, should the process not survive it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on says why by a panic"
)]

#[path = "../hostile/call.rs"]
mod call;
#[path = "../hostile/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod hostile;
#[path = "fuzz/random.rs"]
mod random;
#[path = "fuzz/result.rs"]
mod result;
#[path = "fuzz/settings.rs"]
mod settings;
#[path = "fuzz/upload.rs"]
mod upload;

use hookswitch::runtime::{Config, Runtime};
use random::Random;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How many findings are told, of each target.
const TOLD_MAX: usize = 20;

/// Something to throw input at.
trait Target {
    /// Makes the next input.
    fn make(&mut self, random: &mut Random) -> Vec<u8>;
    /// Throws it: how it ended, in a word, or what must not have happened.
    fn throw(&mut self, input: &[u8]) -> Result<&'static str, String>;
}

fn main() -> ExitCode {
    let setting =
        |name: &str, default: &str| std::env::var(name).ok().filter(|v| !v.is_empty()).unwrap_or(default.into());
    let minutes: f64 = setting("MINUTES", "1").parse().unwrap();
    let seed: u64 = setting("SEED", "1").parse().unwrap();
    let chosen = setting("TARGET", "all");
    let names = ["upload", "result", "settings"];
    assert!(chosen == "all" || names.contains(&chosen.as_str()), "TARGET is {chosen}: one of {names:?}, or all");
    let mut findings = 0;
    for name in names.into_iter().filter(|name| chosen == "all" || chosen == *name) {
        let mut target: Box<dyn Target> = match name {
            "upload" => Box::new(upload::Uploads::new()),
            "result" => Box::new(result::Results::new()),
            _ => Box::new(settings::Settings::new()),
        };
        findings += fuzz(name, target.as_mut(), seed, Duration::from_secs_f64(minutes * 60.0));
    }
    if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Throws for so long, and says how often what came of it. Gives the number of findings.
fn fuzz(name: &str, target: &mut dyn Target, seed: u64, time: Duration) -> usize {
    let began = Instant::now();
    let (mut runs, mut findings, mut ends) = (0_u64, 0, BTreeMap::<&str, u64>::new());
    let dir = target_dir().join("fuzz");
    std::fs::create_dir_all(&dir).unwrap();
    while began.elapsed() < time {
        let input = target.make(&mut Random::new(seed, runs));
        std::fs::write(dir.join(name), &input).unwrap();
        match target.throw(&input) {
            Ok(end) => *ends.entry(end).or_default() += 1,
            Err(finding) => {
                findings += 1;
                if findings <= TOLD_MAX {
                    let kept = dir.join(format!("{name}-{seed}-{runs}"));
                    std::fs::write(&kept, &input).unwrap();
                    println!("{name}: {finding}; the input is {}", kept.display());
                }
            }
        }
        runs += 1;
    }
    let ends: Vec<_> = ends.iter().map(|(end, count)| format!("{end}={count}")).collect();
    println!("{name} ended: {}", ends.join(" "));
    println!(
        "fuzz: target={name} seed={seed} seconds={:.0} runs={runs} findings={findings}",
        began.elapsed().as_secs_f64()
    );
    findings
}

fn target_dir() -> PathBuf {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(default, PathBuf::from)
}

/// A runtime that does not take time for a module's fault where the machine is busy.
fn runtime() -> Runtime {
    Runtime::start(Config { threads: 1, max_time_ms: 5000, ..Config::default() }).unwrap()
}
