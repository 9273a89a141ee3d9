//! A job: one thing done to all that a filter finds, little by little, through crashes; and what each job says of itself.

use super::{DeliveryStatus, Digest, EndpointName, JobId, RouteName, RunsAsked, SourceName};
use serde::{Deserialize, Serialize};

/// One thing done to all that a filter finds. It looks at each only once, from the oldest on, and at nothing that came in after it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub action: JobAction,
    /// To what.
    pub filter: JobFilter,
    /// With which plans, where it makes runs.
    pub plan: PlanChoice,
    /// How many it does to in a second at most.
    pub rate_per_s: u32,
    /// A hash of the key by which whoever asked tells this request from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Digest>,
    /// When it was made: milliseconds since 1970-01-01T00:00:00Z. What came in later is no part of it.
    pub created_at_ms: u64,
    /// The last place in the order that was given when it was made. What came in later is no part of it.
    pub seq_max: u64,
    /// Where it stands.
    pub state: JobState,
    /// Why it stands there, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it last did something, or ended.
    pub updated_at_ms: u64,
    /// How many steps it has made: each is one commit.
    pub steps: u64,
    /// Behind which place it goes on; none before its first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The time of the event that it has come to. Where it runs held ones again these come route by route, so this may go back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached_ms: Option<u64>,
    /// How many records it has looked at.
    pub looked_at: u64,
    /// To how many it has done what it does.
    pub done: u64,
    /// How many the filter found and it left alone: what is queued already, or has no route or endpoint any more.
    pub skipped: u64,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobAction {
    /// Has deliveries tried again, from the start of their schedules.
    Retry,
    /// Runs held runs again.
    Rerun,
    /// Runs events again, as new runs.
    Replay,
}

/// With which plan a run goes again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanChoice {
    /// The one it was pinned to.
    Pinned,
    /// The one its route has now.
    #[default]
    Today,
}

/// To what a job does what it does: what meets all that is given here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobFilter {
    /// The source of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
    /// The route of the run or delivery; of an event, one that it has a run of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteName>,
    /// The endpoint of the delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointName>,
    /// The type of the event, or of the delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Where the delivery stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<DeliveryStatus>,
    /// Where a run of the event stands, or that it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_status: Option<RunsAsked>,
    /// The failure code of the held run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The event was received at this time or later: milliseconds since 1970-01-01T00:00:00Z.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// The event was received before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// At work, or waiting for room.
    Running,
    /// It has looked at everything.
    Done,
    /// Somebody ended it.
    Cancelled,
    /// It could not go on; its reason says why.
    Failed,
}

impl JobState {
    /// Whether it does nothing any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Running)
    }
}
