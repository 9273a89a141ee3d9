//! The host's own settings: one TOML file, a section for each part. A wrong one is refused with its line, or its key and bounds.

mod listeners;

use crate::{api, deliverer, ingest, jobs, pipeline, runtime, server, statistics, store, transport};
use listeners::{RawAdmin, RawIngest};
use serde::Deserialize;
use std::path::Path;

/// Every setting, commented, with its default: what `hookswitch settings` prints.
pub const DEFAULT: &str = include_str!("../../default.toml");

/// The settings of every part.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Section `[log]`.
    pub log: Log,
    /// Section `[ingest]`.
    pub ingest: ingest::Config,
    /// Section `[admin]`.
    pub admin: api::Config,
    /// Section `[store]`.
    pub store: store::Config,
    /// Section `[retention]`.
    pub retention: pipeline::RetentionConfig,
    /// Section `[runtime]`.
    pub runtime: runtime::Config,
    /// Section `[pipeline]`.
    pub pipeline: pipeline::Config,
    /// Section `[jobs]`.
    pub jobs: jobs::Config,
    /// Section `[deliverer]`.
    pub deliverer: deliverer::Config,
    /// Section `[transport]`.
    pub transport: transport::Config,
    /// Section `[statistics]`.
    pub statistics: statistics::Config,
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The text is not TOML, or a key is unknown or of the wrong type. The text shows the line.
    #[error("{path}: {error}")]
    Form {
        /// Which file.
        path: String,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// A value is out of its bounds.
    #[error("{path}: {key} = {value} is out of bounds: it is {least} to {most}")]
    Bounds {
        /// Which file.
        path: String,
        /// Section and key.
        key: String,
        /// What it says.
        value: u64,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// A part refuses its section.
    #[error("{path}: [{section}] {error}")]
    Section {
        /// Which file.
        path: String,
        /// Which section.
        section: &'static str,
        /// Why.
        error: String,
    },
}

/// How the host logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How the lines look.
    pub format: LogFormat,
    /// What is logged, in the form of `RUST_LOG`, which overrides it.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    log: Log,
    ingest: RawIngest,
    admin: RawAdmin,
    store: RawStore,
    retention: pipeline::RetentionConfig,
    runtime: runtime::Config,
    pipeline: pipeline::Config,
    jobs: jobs::Config,
    deliverer: deliverer::Config,
    transport: transport::Config,
    statistics: statistics::Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawStore {
    cache_bytes: u64,
    journal_bytes_max: u64,
    snapshot_bytes_min: u64,
    free_bytes_min: u64,
    backup_redo_bytes_max: u64,
    free_bytes_low: u64,
}

impl Default for RawStore {
    fn default() -> Self {
        let store::Config {
            cache_bytes,
            journal_bytes_max,
            snapshot_bytes_min,
            free_bytes_min,
            backup_redo_bytes_max,
            free_bytes_low,
            ..
        } = store::Config::default();
        Self {
            cache_bytes,
            journal_bytes_max,
            snapshot_bytes_min,
            free_bytes_min,
            backup_redo_bytes_max,
            free_bytes_low,
        }
    }
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, or anything in it is wrong.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| SettingsError::File { path: name.clone(), error })?;
        Self::parse(&name, &text)
    }

    /// Reads a text; `path` is where it came from, for errors.
    ///
    /// # Errors
    /// Where anything in it is wrong.
    pub fn parse(path: &str, text: &str) -> Result<Self, SettingsError> {
        let raw: Raw = toml::from_str(text)
            .map_err(|error| SettingsError::Form { path: path.to_owned(), error: Box::new(error) })?;
        raw.resolve(path)
    }
}

impl Raw {
    fn resolve(self, path: &str) -> Result<Settings, SettingsError> {
        let within = |key: &str, value: u64, least, most| {
            let wrong = || SettingsError::Bounds { path: path.to_owned(), key: key.to_owned(), value, least, most };
            if (least..=most).contains(&value) { Ok(()) } else { Err(wrong()) }
        };
        let ingest = ingest::Config {
            server: self.ingest.server(),
            body_bytes_max: self.ingest.body_bytes_max,
            in_flight_max: self.ingest.in_flight_max,
            in_flight_bytes_max: self.ingest.in_flight_bytes_max,
        };
        let admin = api::Config {
            server: self.admin.server(),
            hosts: self.admin.hosts,
            in_flight_bytes_max: self.admin.in_flight_bytes_max,
        };
        let listener = |section: &str, server: &server::Config| {
            let wrong = |error: server::OutOfBounds| SettingsError::Bounds {
                path: path.to_owned(),
                key: format!("{section}.{}", error.key),
                value: error.value,
                least: error.least,
                most: error.most,
            };
            server.check().map_err(wrong)
        };
        listener("ingest", &ingest.server)?;
        listener("admin", &admin.server)?;
        within("ingest.body_bytes_max", ingest.body_bytes_max, 1, 100 << 20)?;
        within("ingest.in_flight_max", ingest.in_flight_max.into(), 1, 100_000)?;
        within("ingest.in_flight_bytes_max", ingest.in_flight_bytes_max, ingest.body_bytes_max, 1 << 40)?;
        within("admin.in_flight_bytes_max", admin.in_flight_bytes_max.into(), 1 << 20, u32::MAX.into())?;
        within("pipeline.inline_budget_ms", self.pipeline.inline_budget_ms, 0, 1_000)?;
        within("pipeline.run_time_max_ms", self.pipeline.run_time_max_ms, 1, 600_000)?;
        within("pipeline.deliveries_per_run_max", self.pipeline.deliveries_per_run_max.into(), 1, 10_000)?;
        within("pipeline.messages_per_run_max", self.pipeline.messages_per_run_max.into(), 1, 1_000)?;
        let section = |section, error: String| SettingsError::Section { path: path.to_owned(), section, error };
        self.pipeline.state.check().map_err(|error| section("pipeline", error.to_string()))?;
        within("statistics.subjects_max", self.statistics.subjects_max, 1, statistics::SUBJECTS_MAX)?;
        within("jobs.pending_runs_max", self.jobs.pending_runs_max.into(), 1, 100_000)?;
        within("jobs.pending_deliveries_max", self.jobs.pending_deliveries_max.into(), 1, 1_000_000)?;
        within("store.cache_bytes", self.store.cache_bytes, 8 << 20, 1 << 40)?;
        within("store.journal_bytes_max", self.store.journal_bytes_max, 1 << 20, 1 << 30)?;
        within("store.snapshot_bytes_min", self.store.snapshot_bytes_min, 1 << 20, 1 << 40)?;
        within("store.free_bytes_min", self.store.free_bytes_min, 0, 1 << 50)?;
        within("store.backup_redo_bytes_max", self.store.backup_redo_bytes_max, 1 << 20, 1 << 50)?;
        within("store.free_bytes_low", self.store.free_bytes_low, 0, 1 << 50)?;
        within("retention.events_s", self.retention.events_s, 1, 315_360_000)?;
        within("retention.audit_s", self.retention.audit_s, 1, 315_360_000)?;
        self.runtime.check().map_err(|error| section("runtime", error.to_string()))?;
        self.deliverer.check().map_err(|error| section("deliverer", error.to_string()))?;
        Ok(Settings {
            log: self.log,
            ingest,
            admin,
            store: store::Config {
                cache_bytes: self.store.cache_bytes,
                journal_bytes_max: self.store.journal_bytes_max,
                snapshot_bytes_min: self.store.snapshot_bytes_min,
                free_bytes_min: self.store.free_bytes_min,
                backup_redo_bytes_max: self.store.backup_redo_bytes_max,
                free_bytes_low: self.store.free_bytes_low,
                ..store::Config::default()
            },
            retention: self.retention,
            runtime: self.runtime,
            pipeline: self.pipeline,
            jobs: self.jobs,
            deliverer: self.deliverer,
            transport: self.transport,
            statistics: self.statistics,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_defaults_are_the_defaults() {
        let printed = Settings::parse("default.toml", DEFAULT).unwrap();
        let silent = Settings::parse("none", "").unwrap();
        assert_eq!(format!("{printed:?}"), format!("{silent:?}"));
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_place() {
        let error = |text: &str| Settings::parse("host.toml", text).unwrap_err().to_string();
        let unknown = error("[ingest]\nlisten = \"127.0.0.1:0\"\nbody_max = 3\n");
        assert!(unknown.contains("line 3") && unknown.contains("body_max"), "{unknown}");
        let address = error("[admin]\nlisten = \"nowhere\"\n");
        assert!(address.contains("line 2") && address.contains("`nowhere` is no address with a port"), "{address}");
        let bounds = error("[ingest]\nbody_bytes_max = 0\n");
        assert_eq!(bounds, "host.toml: ingest.body_bytes_max = 0 is out of bounds: it is 1 to 104857600");
        let section = error("[ingress]\n");
        assert!(section.contains("ingress"), "{section}");
    }
}
