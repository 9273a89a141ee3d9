//! Structured logs on stderr: text for people, JSON for machines.

use super::settings::{Log, LogFormat};
use anyhow::Context as _;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Begins logging. To be called once.
///
/// # Errors
/// Where the filter is not one.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(given) => filter_of(EnvFilter::DEFAULT_ENV, &given)?,
        Err(_) => filter_of("[log] filter", &log.filter)?,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

fn filter_of(place: &str, text: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(text).with_context(|| {
        format!("{place} = \"{text}\" is no filter: write a level, as `info`, or one for a part, too, as `info,hookswitch::server=debug`")
    })
}
