//! What the store answers to a transition: what became of it, or why nothing was written.

use super::sweep::Swept;
use crate::model::{EndpointName, EventId, JobId, RunId, TenantName};
use bytes::Bytes;

/// The store's answer to a transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The event is durable and has this place in the order.
    Accepted {
        /// Its place, from 1.
        seq: u64,
    },
    /// The event's dedup key is taken; nothing was written.
    Duplicate {
        /// The event that took it.
        first: EventId,
    },
    /// It is done and durable.
    Done,
    /// A part of it is done and durable: commit it again for the rest.
    More,
    /// That much was swept.
    Swept(Swept),
    /// Some dedup keys were looked at.
    SweptDay {
        /// Where to go on; none where all of the day were looked at.
        next: Option<Bytes>,
    },
    /// The configuration has this revision now.
    Configured {
        /// From 1.
        revision: u64,
    },
    /// The event goes again by these runs; where the same was asked for before, it did so then, and nothing was written.
    Replayed {
        /// One for each route.
        runs: Vec<RunId>,
    },
    /// The job began; or did so before, where the same was asked for then, and nothing was written.
    JobIs {
        /// Which.
        job: JobId,
    },
    /// There are so many already that nothing was written.
    TooMany {
        /// How many there may be.
        max: usize,
    },
    /// What the transition builds on is no longer so (or never was); nothing was written.
    Stale {
        /// For a person.
        why: &'static str,
    },
    /// A state that the run read was written by another since: nothing was written, and the run is to be made again.
    StateChanged,
    /// The thing to change does not exist; nothing was written.
    NotFound,
    /// An endpoint still has deliveries; nothing was written.
    InUse {
        /// Which.
        endpoint: EndpointName,
    },
    /// A tenant that was to be made would find what is left of a former one of its name; nothing was written.
    Former {
        /// Which.
        tenant: TenantName,
        /// What is left.
        former: Former,
    },
}

/// What is left of a tenant that was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Former {
    /// The end of the last day on which events came in that are still there, in milliseconds since 1970-01-01T00:00:00Z; none where none are.
    pub events_ms: Option<u64>,
    /// When the last dedup key has expired at the latest; none where there are none.
    pub dedup_ms: Option<u64>,
}
