//! A run: one event through one route, and the trace of how it went.

use super::{DeliveryId, Digest, EventId, RouteName, RunId};
use serde::{Deserialize, Serialize};

/// One event through one route. It holds, drops or routes alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The route it goes through.
    pub route: RouteName,
    /// 0 for the event itself, counting up with each replay of it.
    pub generation: u32,
    /// The plan that the first routing pinned: steps with module versions and settings, endpoints, failure policy.
    pub plan: Digest,
    /// Why it runs.
    pub origin: Origin,
    /// Where it stands.
    pub status: RunStatus,
    /// When it was made: milliseconds since 1970-01-01T00:00:00Z.
    pub created_at_ms: u64,
    /// When it took its present status.
    pub updated_at_ms: u64,
    /// One entry for each call of a module, in order.
    pub trace: Vec<StepTrace>,
    /// What went wrong, for a run that is held or was dropped by its failure policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<RunFailure>,
    /// The deliveries it made.
    pub deliveries: Vec<DeliveryId>,
}

impl Run {
    /// A run of the event through this route that is still to be made, by this plan. `generation` is 0 but for replays.
    #[must_use]
    pub fn new(event: EventId, route: &RouteName, generation: u32, plan: Digest, now_ms: u64) -> Self {
        Self {
            id: RunId::new(event, route, generation),
            route: route.clone(),
            generation,
            plan,
            origin: if generation == 0 { Origin::Live } else { Origin::Replay },
            status: RunStatus::Pending,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            trace: Vec::new(),
            failure: None,
            deliveries: Vec::new(),
        }
    }
}

/// Why a run is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The event came in.
    Live,
    /// A held run, again.
    Rerun,
    /// The event, again.
    Replay,
    /// Somebody tries a module, of which nothing is kept; or an endpoint, without a module.
    Test,
}

impl Origin {
    /// As modules see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Rerun => "rerun",
            Self::Replay => "replay",
            Self::Test => "test",
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Acknowledged, not yet routed.
    Pending,
    /// Its deliveries are made; there may be none where no endpoint matched.
    Routed,
    /// A module stopped it: a filter rejected, or nothing came out.
    Filtered,
    /// A module failed and the route's policy is to hold: it waits for a rerun.
    Held,
    /// A module failed and the route's policy is to drop.
    Dropped,
}

/// What is asked of an event's runs: that one of them stands there, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunsAsked {
    /// One is pending.
    Pending,
    /// One was routed.
    Routed,
    /// One was filtered.
    Filtered,
    /// One is held.
    Held,
    /// One was dropped.
    Dropped,
    /// No route took the event.
    None,
}

impl RunsAsked {
    /// Whether these runs of an event are what is asked for.
    pub fn are<'a>(self, runs: impl IntoIterator<Item = &'a Run>) -> bool {
        let mut runs = runs.into_iter();
        let mut any = |status| runs.any(|run| run.status == status);
        match self {
            Self::Pending => any(RunStatus::Pending),
            Self::Routed => any(RunStatus::Routed),
            Self::Filtered => any(RunStatus::Filtered),
            Self::Held => any(RunStatus::Held),
            Self::Dropped => any(RunStatus::Dropped),
            Self::None => runs.next().is_none(),
        }
    }
}

/// What stopped a run against its will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFailure {
    /// Which step, from 0.
    pub step: u32,
    /// Stable: `trap`, `time_limit`, `memory_limit`, …, or the module's own code.
    pub code: String,
    /// For a person.
    pub message: String,
}

/// One call of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTrace {
    /// Which step of the route, from 0.
    pub step: u32,
    /// Which message, from 0, where a step before made several.
    pub message: u32,
    /// The module's name as the route has it.
    pub module: String,
    /// The version that ran.
    pub digest: Digest,
    /// What came of it.
    pub verdict: Verdict,
    /// How long the call took, instance and all.
    pub duration_us: u64,
    /// What the module logged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogLine>,
    /// Whether the module logged more than is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub logs_cut: bool,
}

/// What came of one call of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// A filter let the message go on.
    Accepted,
    /// A filter stopped it.
    Rejected {
        /// The module's words.
        reason: String,
    },
    /// A transform made this many messages.
    Produced {
        /// How many.
        messages: u32,
    },
    /// A router named this many endpoints.
    Dispatched {
        /// How many.
        messages: u32,
    },
    /// The module failed; the route's failure policy decided what then.
    Failed {
        /// Stable.
        code: String,
        /// The module's own code, where it failed in its own words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        module_code: Option<String>,
        /// For a person.
        message: String,
    },
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// Worth knowing.
    Info,
    /// Odd.
    Warn,
    /// Wrong.
    Error,
}

impl LogLevel {
    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line that a module logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The text, without its end of line.
    pub line: String,
}
