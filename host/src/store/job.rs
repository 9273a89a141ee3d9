//! What jobs and replays write: a step of a job, with all that it does; an event that goes again.

use crate::model::{DeliveryId, Digest, EventId, JobId, RouteName, RunId, TenantName};
use serde::{Deserialize, Serialize};

/// How many jobs of one tenant are at work at once.
pub const JOBS_AT_WORK_MAX: usize = 4;
/// How many jobs of one tenant are kept when they are over; the oldest ones go.
pub const JOBS_KEPT_MAX: usize = 100;
/// How often one event is replayed.
pub const REPLAYS_PER_EVENT_MAX: usize = 100;

/// What a job does next. It and the place from which the job goes on are one write: so nothing is done twice, whatever comes between.
#[derive(Clone, Debug)]
pub struct JobStep {
    /// Whose.
    pub tenant: TenantName,
    /// Which.
    pub job: JobId,
    /// How many steps it made before.
    pub step: u64,
    /// What to do, each once. What cannot be done now is skipped.
    pub items: Vec<JobItem>,
    /// Behind which place it goes on.
    pub cursor: Option<String>,
    /// The time of the event that it has come to.
    pub reached_ms: Option<u64>,
    /// How many records were looked at for this.
    pub looked_at: u64,
    /// How many of them the filter found that stand in no item.
    pub skipped: u64,
    /// Whether it is over with this.
    pub end: Option<JobEnd>,
    /// The time.
    pub now_ms: u64,
}

/// How a job ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// It has looked at everything.
    Done,
    /// It cannot go on, for this reason.
    Failed(String),
}

/// One thing that a job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobItem {
    /// As [`super::Transition::Retry`].
    Retry(DeliveryId),
    /// As [`super::Transition::Rerun`].
    Rerun {
        /// Which run.
        run: RunId,
        /// The plan to use; none keeps the pinned one.
        plan: Option<Digest>,
    },
    /// As [`super::Transition::Replay`], asked for by the job.
    Replay {
        /// Which event.
        event: EventId,
        /// By which routes, with which plans.
        runs: Vec<(RouteName, Digest)>,
    },
}

/// An event that goes again.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Whose.
    pub tenant: TenantName,
    /// Which.
    pub event: EventId,
    /// By which routes, each once, with which plans; there is at least one.
    pub runs: Vec<(RouteName, Digest)>,
    /// A hash of who asks, and of the key by which they tell this request from others. What was asked for once is not done again.
    pub asked: Option<Digest>,
    /// The time of the request.
    pub now_ms: u64,
}

/// A replay, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Replayed {
    /// Its generation: that of its runs.
    pub(super) generation: u32,
    /// See [`Replay::asked`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<Digest>,
    /// The runs that it made.
    pub(super) runs: Vec<RunId>,
}
