//! `hookswitch module …`: what the author of a module does, one file for each command.

mod build;
mod built;
mod check;
mod complete;
mod expected;
mod fixture;
mod language;
mod new;
mod on_host;
mod template;
mod test;
mod versions;
mod words;

use crate::app::Settings;
use crate::runtime;
use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum ModuleCommand {
    /// Begin a module: write a folder that builds, with fixtures to test it by
    ///
    /// The module works: a filter that looks at event types and at one value of the body, or a transform that makes a Slack
    /// message of GitHub's pull requests. It is the same in every language. Change it into yours.
    #[command(after_help = "Such as:\n  hookswitch module new --lang python --world transform my-module")]
    New(new::NewArgs),
    /// Build a module with its language's own tools, and say where the .wasm is
    ///
    /// It runs the one command that the README of the module says, with tools found in the folder, in the folders around it, or in PATH,
    /// and says what is missing and how to get it.
    Build(build::BuildArgs),
    /// Say what is in a module, and whether a host takes it
    ///
    /// Shows the world it is for, the version of the contract, its imports, its size and its memory. Where a host would refuse it,
    /// says why and what to do, and ends with exit code 1. No host is needed.
    Check(check::CheckArgs),
    /// Run a module on its fixtures: recorded events, and what has to come of them
    ///
    /// A fixture is a folder below fixtures/ with event.json (type, headers), body.json (the payload) and expected.json. For each one
    /// it shows the result or where it differs, the log, and time, memory and cost beside a host's limits. No host is needed.
    /// The exit code is 1 where a fixture fails.
    #[command(
        after_help = "Begin with:\n  hookswitch module test --update   # write what the module makes now as what is expected"
    )]
    Test(test::TestArgs),
    /// Upload a .wasm file as a new version of a module
    ///
    /// The version is active at once: events that come from then on run it, runs under way keep what they began with.
    Push(versions::PushArgs),
    /// Show the modules of a tenant or of the operator, and what each of their versions does
    List(versions::ListArgs),
    /// Make a version the active one
    Activate(versions::VersionArgs),
    /// Make the version active that was so before
    Rollback(on_host::ModuleArgs),
    /// Have a version run for a share of the events, or end that
    ///
    /// Which events follows from their ids: an event always gets the same version, and keeps it as the share grows.
    Canary(versions::CanaryArgs),
    /// Have a version run beside the active one, end that, or show how the two compare
    ///
    /// The shadow runs after the event is acknowledged, when there is time, and decides nothing.
    Shadow(versions::ShadowArgs),
    /// Let a version run again that is quarantined
    Release(versions::VersionArgs),
}

/// By which bounds modules are judged.
#[derive(Debug, Args)]
struct LimitsArgs {
    /// The settings of the host that will run the module, for its limits; without it they are the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl LimitsArgs {
    /// The bounds of the runtime, with one thread: a command calls one module after the other.
    fn read(&self) -> anyhow::Result<runtime::Config> {
        let config = match &self.config {
            Some(path) => Settings::read(path)?.runtime,
            None => runtime::Config::default(),
        };
        Ok(runtime::Config { threads: 1, ..config })
    }
}

pub(super) fn run(command: &ModuleCommand) -> anyhow::Result<()> {
    match command {
        ModuleCommand::New(args) => new::run(args),
        ModuleCommand::Build(args) => build::run(args),
        ModuleCommand::Check(args) => check::run(args),
        ModuleCommand::Test(args) => test::run(args),
        ModuleCommand::Push(args) => versions::push(args),
        ModuleCommand::List(args) => versions::list(args),
        ModuleCommand::Activate(args) => versions::activate(args),
        ModuleCommand::Rollback(args) => versions::rollback(args),
        ModuleCommand::Canary(args) => versions::canary(args),
        ModuleCommand::Shadow(args) => versions::shadow(args),
        ModuleCommand::Release(args) => versions::release(args),
    }
}

/// From this size on an author is told that compiling takes its time.
const LARGE_BYTES: usize = 1 << 20;

/// Says on stderr why nothing happens for some seconds.
#[expect(clippy::print_stderr, reason = "a person waits")]
fn say_that_it_compiles(wasm: &[u8]) {
    if wasm.len() >= LARGE_BYTES {
        eprintln!("compiling {}; a host does that once for each version ...", words::size(wasm.len()));
    }
}

fn read_module(path: &Path) -> anyhow::Result<Bytes> {
    let wasm = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(wasm.into())
}
