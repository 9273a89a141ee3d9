//! `hookswitch module test`: runs a module's fixtures within the bounds of a host, and says of each what came of it, what it logged
//! and what it took.

use super::built::module_at;
use super::expected::{differences, to_write};
use super::fixture::{self, Fixture};
use super::words::{count, milliseconds, plural, shortened, size, visible};
use super::{LimitsArgs, read_module, say_that_it_compiles};
use crate::runtime::{Config, Meter, Metered, Module, Report, Runtime, Verdict};
use crate::trial::Exact;
use anyhow::{Context as _, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::thread;

/// How often a fixture is called for its time, of which the median is told.
const CALLS: usize = 5;

/// What `test` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    /// The module's folder, or its .wasm file
    ///
    /// In a folder the module is the newest .wasm file in build/, in target/wasm32-unknown-unknown/release/, or in the folder itself.
    #[arg(value_name = "DIR or FILE.wasm", default_value = ".")]
    module: PathBuf,
    /// The folder of fixtures; without it `fixtures` beside the module, or above it
    #[arg(long, value_name = "DIR")]
    fixtures: Option<PathBuf>,
    /// Write what the module makes now into each expected.json, and so accept it
    #[arg(long)]
    update: bool,
    /// The settings of fixtures that have no settings.json of their own; without it `{}`
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitsArgs,
}

/// What became of a fixture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Ok,
    Failed,
    Written,
}

pub(super) fn run(args: &TestArgs) -> anyhow::Result<()> {
    let config = args.limits.read()?;
    let file = module_at(&args.module)?;
    let fixtures = match &args.fixtures {
        Some(dir) => dir.clone(),
        None => beside(&file)?,
    };
    let settings = match &args.settings {
        Some(path) => fixture::read_text(path)?.with_context(|| format!("there is no {}", path.display()))?,
        None => "{}".to_owned(),
    };
    let fixtures = fixture::read_all(&fixtures, &settings)?;
    let (module, metered) = compile(&file, &config)?;
    // A module's stack is this thread's, and has to fit on it.
    let builder = thread::Builder::new().stack_size(config.thread_stack_bytes());
    thread::scope(|scope| {
        let all = || run_all(&fixtures, &module, &metered, args.update, &config);
        let thread = builder.spawn_scoped(scope, all).context("cannot start a thread")?;
        thread.join().map_err(|_| anyhow::anyhow!("the host broke down; this is a mistake of its own"))?
    })
}

/// The folder `fixtures` beside a file, or the nearest one above it.
fn beside(file: &Path) -> anyhow::Result<PathBuf> {
    let whole = std::path::absolute(file).with_context(|| format!("cannot find {}", file.display()))?;
    let found = whole.ancestors().skip(1).map(|dir| dir.join("fixtures")).find(|dir| dir.is_dir());
    found.with_context(|| {
        format!("there is no folder `fixtures` beside {} or above it: make one, or say --fixtures DIR", file.display())
    })
}

/// The module as a host compiles it, and once more to be counted: at the same time, for both take long where a module carries
/// an interpreter.
fn compile(file: &Path, config: &Config) -> anyhow::Result<(Module, Metered)> {
    let wasm = read_module(file)?;
    let (runtime, meter) = (Runtime::start(config.clone())?, Meter::start(config)?);
    say_that_it_compiles(&wasm);
    let (module, metered) = thread::scope(|scope| {
        let metered = scope.spawn(|| meter.compile(&wasm));
        (runtime.compile(&wasm), metered.join())
    });
    let refused = || format!("{} is refused; `hookswitch module check` says more", file.display());
    let module = module.with_context(refused)?;
    let metered = metered.map_err(|_| anyhow::anyhow!("the compiler broke down"))?.with_context(refused)?;
    Ok((module, metered))
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
fn run_all(
    fixtures: &[Fixture],
    module: &Module,
    metered: &Metered,
    update: bool,
    config: &Config,
) -> anyhow::Result<()> {
    let mut marks = Vec::with_capacity(fixtures.len());
    for fixture in fixtures {
        let (report, duration_us) = call(fixture, module);
        let made = to_write(&report.result, &fixture.trial.message);
        let (mark, lines) = judge(fixture, &report, &made, update)?;
        let word = match mark {
            Mark::Ok => "ok",
            Mark::Failed => "FAILED",
            Mark::Written => "written",
        };
        println!("{}  {word}", fixture.name);
        for line in
            lines.into_iter().chain(measured(&report, duration_us, fixture.trial.fuel(metered, &report), config))
        {
            println!("    {line}");
        }
        marks.push(mark);
    }
    let number = |mark: Mark| marks.iter().filter(|other| **other == mark).count();
    let (ok, failed, written) = (number(Mark::Ok), number(Mark::Failed), number(Mark::Written));
    let written = if written > 0 { format!(", {written} written") } else { String::new() };
    println!("\n{}: {ok} ok, {failed} failed{written}", plural(marks.len(), "fixture"));
    if failed > 0 {
        bail!("{} failed", plural(failed, "fixture"));
    }
    Ok(())
}

/// Calls the module some times: the first report, and the median of the times.
fn call(fixture: &Fixture, module: &Module) -> (Report<Verdict>, u64) {
    let report = fixture.trial.run(module);
    let again = (1..CALLS).map(|_| fixture.trial.run(module).duration_us);
    let mut times: Vec<u64> = again.chain([report.duration_us]).collect();
    times.sort_unstable();
    (report, times.get(CALLS / 2).copied().unwrap_or_default())
}

/// Whether what was made is what is expected, and what to say about it. Under `update` it is written down.
fn judge(
    fixture: &Fixture,
    report: &Report<Verdict>,
    made: &Exact,
    update: bool,
) -> anyhow::Result<(Mark, Vec<String>)> {
    // A module that breaks is never what is expected.
    if let (Err(error), Exact::Object(members)) = (&report.result, made)
        && members.contains_key("error")
    {
        return Ok((Mark::Failed, vec![format!("error     {} ({})", visible(&error.to_string()), error.code())]));
    }
    let result = format!("result    {}", shortened(&made.to_string()));
    let differing =
        fixture.expected.as_ref().map(|expected| differences(expected, &report.result, &fixture.trial.message));
    match differing {
        Some(differing) if differing.is_empty() => Ok((Mark::Ok, vec![result])),
        _ if update => {
            let text = serde_json::to_string_pretty(made)? + "\n";
            std::fs::write(&fixture.expected_path, text)
                .with_context(|| format!("cannot write {}", fixture.expected_path.display()))?;
            Ok((Mark::Written, vec![result]))
        }
        Some(differing) => {
            let differing = differing.into_iter().map(|line| format!("differs   {line}"));
            Ok((Mark::Failed, differing.collect()))
        }
        None => {
            let missing = "expected  there is no expected.json: `--update` writes this result into it".to_owned();
            Ok((Mark::Failed, vec![result, missing]))
        }
    }
}

/// What the call took, beside what it may take; and what it logged.
fn measured(report: &Report<Verdict>, duration_us: u64, fuel: Option<u64>, config: &Config) -> Vec<String> {
    let (time_max, memory_max) = (config.max_time_ms, config.memory_bytes_max);
    let close =
        |used: u64, max: u64| if used.saturating_mul(4) >= max.saturating_mul(3) { "; close to it" } else { "" };
    let time_close = close(duration_us, time_max.saturating_mul(1000));
    let memory_close = close(report.memory_bytes as u64, memory_max as u64);
    let (time, memory) = (milliseconds(duration_us), size(report.memory_bytes));
    let mut lines = vec![
        format!("time      {time} of {time_max} ms (runtime.max_time_ms){time_close}"),
        format!("memory    {memory} of {} (runtime.memory_bytes_max){memory_close}", size(memory_max)),
        match fuel {
            Some(fuel) => format!("cost      {} fuel, the same at every run", count(fuel)),
            None => "cost      none: the call did not end by itself".to_owned(),
        },
    ];
    lines.extend(report.logs.iter().map(|log| format!("log       {}: {}", log.level.as_str(), visible(&log.line))));
    if report.logs_cut {
        lines.push("log       and more, which is not kept (runtime.log_bytes_max, runtime.log_lines_max)".to_owned());
    }
    lines
}
