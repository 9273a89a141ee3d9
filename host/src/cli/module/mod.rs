//! `hookswitch module …`: what the author of a module does, one file for each command.

mod build;
mod language;
mod new;
mod on_host;
mod template;
mod versions;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum ModuleCommand {
    /// Begin a module: write a folder that builds, with a fixture to test it by
    ///
    /// The module works: a filter that looks at event types and at one value of the body, or a transform that makes a Slack
    /// message of GitHub's pull requests. It is the same in every language. Change it into yours.
    New(new::NewArgs),
    /// Build a module with its language's own tools, and say where the .wasm is
    Build(build::BuildArgs),
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

pub(super) fn run(command: &ModuleCommand) -> anyhow::Result<()> {
    match command {
        ModuleCommand::New(args) => new::run(args),
        ModuleCommand::Build(args) => build::run(args),
        ModuleCommand::Push(args) => versions::push(args),
        ModuleCommand::List(args) => versions::list(args),
        ModuleCommand::Activate(args) => versions::activate(args),
        ModuleCommand::Rollback(args) => versions::rollback(args),
        ModuleCommand::Canary(args) => versions::canary(args),
        ModuleCommand::Shadow(args) => versions::shadow(args),
        ModuleCommand::Release(args) => versions::release(args),
    }
}
