//! From an event to its runs: which routes take it, what their modules say, which deliveries come of it; and the durable write.
//!
//! A run goes *inline*, before the acknowledgement, where its route is unordered, its modules are compiled and the module
//! threads have room, within a budget of time. Otherwise it is committed *pending*, and [`pending`] routes it afterwards: a slow
//! module costs latency, never an event. [`run`] is what both do, [`state`] what modules keep from one event to the next. What a run
//! says of its modules is counted by [`failures`] and [`statistics`] and compared by [`shadow`], once it is committed.

pub mod disk;
mod endpoint_test;
mod failures;
mod inline;
mod library;
mod module_times;
pub mod notices;
pub mod pending;
mod published;
pub mod retention;
mod run;
pub mod shadow;
mod state;
pub mod statistics;
pub mod sweep;
mod threads;
mod unused;

pub use endpoint_test::{EndpointTest, EndpointTestError};
pub use failures::{Failures, Streak, VersionOf};
pub use inline::{AcceptError, Accepted, Pipeline, Prepared};
pub use library::{Library, LibraryError, LibraryReport, Place, Scope, Turn};
pub use module_times::ModuleTimes;
pub use published::{Published, Still};
pub use retention::{Retention, RetentionConfig};
pub use shadow::{ModuleId, Sample, ShadowReport, Shadows};
pub use state::{RunState, StateConfig, StateConfigError};

use serde::Deserialize;

/// The bounds of routing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long the runs of an event may take in all before its acknowledgement, in milliseconds; what does not fit goes on
    /// after it. 0 to 1,000; 0 makes every run with modules pending. By itself 20.
    pub inline_budget_ms: u64,
    /// How long a run that goes on after the acknowledgement may take in all, in milliseconds, its last call not counted: 1 to 600,000;
    /// a longer one fails. By itself 30,000.
    pub run_time_max_ms: u64,
    /// How many deliveries one run may make: 1 to 10,000. By itself 1,000.
    pub deliveries_per_run_max: u32,
    /// How many messages one run may hold at once, between steps: 1 to 1,000. By itself 100.
    pub messages_per_run_max: u32,
    /// How much state modules may keep.
    pub state: StateConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            inline_budget_ms: 20,
            run_time_max_ms: 30_000,
            deliveries_per_run_max: 1_000,
            messages_per_run_max: 100,
            state: StateConfig::default(),
        }
    }
}
