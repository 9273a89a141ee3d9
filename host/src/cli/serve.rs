//! `hookswitch serve`: starts a host, says on stdout where it is, and stops it on SIGTERM or SIGINT. Where its store fails, another host takes its place.

use crate::app::{Host, Settings, Sockets, init_logs};
use crate::clock::Clock;
use anyhow::Context as _;
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn run(config: Option<&Path>, data: &Path) -> anyhow::Result<()> {
    let settings = match config {
        Some(path) => Settings::read(path)?,
        None => Settings::parse("the defaults", "")?,
    };
    init_logs(&settings.log)?;
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the threads")?;
    tokio.block_on(serve(&settings, data))
}

async fn serve(settings: &Settings, data: &Path) -> anyhow::Result<()> {
    // Before anything is taken: a signal that comes during the start must find its handler.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let sockets = Sockets::bind(settings).await?;
    let mut host = Host::start(settings, data, &sockets, Clock::system()).await?;
    say_ready(&host)?;
    tracing::info!(ingest = %host.ingest, admin = %host.admin, data = %data.display(), "ready");
    loop {
        let reason = tokio::select! {
            _ = terminate.recv() => break tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => break tracing::info!("SIGINT: stopping"),
            reason = host.failed(data) => reason,
        };
        tracing::warn!(reason, "the disk takes writes again: starting anew");
        host = tokio::select! {
            started = host.restart(settings, data, &sockets, reason) => started?,
            _ = terminate.recv() => anyhow::bail!("SIGTERM while starting anew: stopped at once; nothing acknowledged is lost"),
            _ = interrupt.recv() => anyhow::bail!("SIGINT while starting anew: stopped at once; nothing acknowledged is lost"),
        };
        tracing::info!(ingest = %host.ingest, admin = %host.admin, "ready again");
    }
    // With the host's own, which end with the last request: who connects from then on is refused, and does not wait.
    drop(sockets);
    let stopping = host.stop();
    tokio::select! {
        () = stopping => tracing::info!("stopped"),
        _ = terminate.recv() => anyhow::bail!("a second signal came: stopped at once; nothing acknowledged is lost"),
        _ = interrupt.recv() => anyhow::bail!("a second signal came: stopped at once; nothing acknowledged is lost"),
    }
    Ok(())
}

/// The one line on stdout, for scripts that ask for port 0.
fn say_ready(host: &Host) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "ready ingest={} admin={}", host.ingest, host.admin)?;
    stdout.flush().context("cannot write to stdout")
}
