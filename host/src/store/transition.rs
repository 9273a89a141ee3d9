//! Every write there is, as a closed enum: what changes, and what must hold for it to change.

use crate::model::{Attempt, Delivery, DeliveryId, Digest, EndpointName, Event, EventId, Run, RunId, TenantName};
use bytes::Bytes;

/// One write. It happens whole or not at all, and is durable before its answer.
#[derive(Clone, Debug)]
pub enum Transition {
    /// An event came in and was routed as far as it could be.
    Accept(Box<Accept>),
    /// A pending run was routed (or held, or dropped). Stale unless the run is pending.
    Route(Box<RouteRun>),
    /// An attempt ended. Stale unless the delivery is pending and has made `attempt.number - 1` attempts.
    Settle(Box<Settle>),
    /// A delivery that is dead, held or delivered is to be tried again, with the same id. Stale while it is pending.
    Retry {
        /// Whose.
        tenant: TenantName,
        /// Which.
        delivery: DeliveryId,
        /// When to try it: milliseconds since 1970-01-01T00:00:00Z.
        due_ms: u64,
    },
    /// A pending or held delivery is given up. Stale unless it is one of these.
    Cancel {
        /// Whose.
        tenant: TenantName,
        /// Which.
        delivery: DeliveryId,
        /// Why; kept with the delivery.
        reason: String,
    },
    /// A held run is to be routed again: it becomes pending with origin `rerun`. Stale unless it is held.
    Rerun {
        /// Whose.
        tenant: TenantName,
        /// Which.
        run: RunId,
        /// The plan to use; none keeps the pinned one.
        plan: Option<Digest>,
        /// The time of the request.
        now_ms: u64,
    },
    /// Configuration changes. Stale unless the store's config revision is `expected_revision`.
    Configure(Configure),
}

/// An event with its runs.
#[derive(Clone, Debug)]
pub struct Accept {
    /// What was received. Its `seq` is given by the committer.
    pub event: Event,
    /// Its body, byte for byte.
    pub body: Bytes,
    /// Until when its `dedup_key` is remembered, in milliseconds since 1970-01-01T00:00:00Z. Only with a key. Where the key is
    /// known and not expired, nothing is written and the outcome is [`Outcome::Duplicate`].
    pub dedup_until_ms: Option<u64>,
    /// One for each route that matched.
    pub runs: Vec<RoutedRun>,
}

/// A run and what it made. A run that is `Pending` has no deliveries yet.
#[derive(Clone, Debug)]
pub struct RoutedRun {
    /// The run as it is to be stored.
    pub run: Run,
    /// Its deliveries, each `Pending`.
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery and its body.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// The delivery as it is to be stored.
    pub delivery: Delivery,
    /// The body where it is the delivery's own ([`crate::model::BodyRef::Own`]); none where it is the event's.
    pub body: Option<Bytes>,
}

/// The outcome of a pending run.
#[derive(Clone, Debug)]
pub struct RouteRun {
    /// Whose.
    pub tenant: TenantName,
    /// The run with its new status, and its deliveries.
    pub routed: RoutedRun,
}

/// The outcome of an attempt.
#[derive(Clone, Debug)]
pub struct Settle {
    /// Whose.
    pub tenant: TenantName,
    /// Which.
    pub delivery: DeliveryId,
    /// What happened.
    pub attempt: Attempt,
    /// What now.
    pub next: Next,
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The receiver has it.
    Delivered,
    /// Try again at this time: milliseconds since 1970-01-01T00:00:00Z.
    RetryAt(u64),
    /// Retries are used up.
    Dead,
}

/// A change of configuration. The store does not look into the values.
#[derive(Clone, Debug, Default)]
pub struct Configure {
    /// The revision that the change was made against; 0 in an empty store.
    pub expected_revision: u64,
    /// Resources to put: key and value.
    pub puts: Vec<(ResourceKey, Bytes)>,
    /// Resources to remove. It is no error if one is not there.
    pub removes: Vec<ResourceKey>,
    /// Plans to keep, by the digest of their bytes.
    pub plans: Vec<(Digest, Bytes)>,
    /// Endpoints that must have no pending or held delivery (those that are removed). Otherwise the outcome is [`Outcome::InUse`].
    pub unused: Vec<(TenantName, EndpointName)>,
}

/// Where a resource stands in the configuration: `scope / kind / name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The tenant; none for the operator's scope.
    pub tenant: Option<TenantName>,
    /// `tenant`, `source`, `module`, `route`, `endpoint` or `key`.
    pub kind: &'static str,
    /// Its name; for a tenant the tenant's own.
    pub name: String,
}

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
    /// The configuration has this revision now.
    Configured {
        /// From 1.
        revision: u64,
    },
    /// What the transition builds on is no longer so (or never was); nothing was written.
    Stale {
        /// For a person.
        why: &'static str,
    },
    /// The thing to change does not exist; nothing was written.
    NotFound,
    /// An endpoint still has deliveries; nothing was written.
    InUse {
        /// Which.
        endpoint: EndpointName,
    },
}
