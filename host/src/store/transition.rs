//! Every write there is, as a closed enum: what changes, and what must hold for it to change.

use super::audit::Audited;
use super::job::{JobStep, Replay};
use super::notice::Notice;
use super::state::{StateChange, StateEntry};
use super::sweep::Sweep;
use super::tick::Tick;
use super::tree::Day;
use crate::model::{
    Attempt, Delivery, DeliveryId, Digest, EndpointHealth, EndpointName, Event, EventId, Job, JobId, KeyName,
    RouteName, Run, RunId, StepKey, TenantName,
};
use crate::statistics::{Counted, Subject};
use bytes::Bytes;
use serde_json::value::RawValue;

/// One write. It happens whole or not at all, and is durable before its answer.
#[derive(Clone, Debug)]
pub enum Transition {
    /// An event came in and was routed as far as it could be.
    Accept(Box<Accept>),
    /// A source with a schedule made a tick. Stale where it made that or a later one, or has another schedule by now, [`super::Outcome::NotFound`]
    /// where it is gone.
    Tick(Box<Tick>),
    /// A pending run was routed (or held, or dropped). Stale unless the run is pending.
    Route(Box<RouteRun>),
    /// An attempt ended. Stale unless the delivery is pending and has made `attempt.number - 1` attempts.
    Settle(Box<Settle>),
    /// A delivery that is dead, held or delivered is to be tried again, with the same id. Stale while it is pending, and where its endpoint is another
    /// customer's since its event came in.
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
    /// How an endpoint is doing changed, and the attempt that it comes of was stale. Nothing happens where a later change is there.
    Health {
        /// Whose.
        tenant: TenantName,
        /// Which.
        endpoint: EndpointName,
        /// How it is doing.
        health: EndpointHealth,
    },
    /// An endpoint that is held or disabled is to be sent to again. It is no error if it is neither.
    Enable {
        /// Whose.
        tenant: TenantName,
        /// Which.
        endpoint: EndpointName,
        /// The time of the request.
        now_ms: u64,
    },
    /// A held run is to be routed again: it becomes pending with origin `rerun`, in its event's place in the order. Its trace
    /// stays until it is routed. Stale unless it is held.
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
    /// The state that a step's module keeps is taken away, or that of all steps of a route.
    ForgetState {
        /// Whose.
        tenant: TenantName,
        /// Which route's.
        route: RouteName,
        /// Which step's; none for all of them.
        step: Option<StepKey>,
    },
    /// Some entries of a state that was taken away go from the disk. [`super::Outcome::NotFound`] where none are left.
    SweepState,
    /// Something happened to the host itself, of which those who look after all tenants are told. Stale where the disk is known to be low
    /// already, or not to be.
    Happened {
        /// What.
        fact: HostFact,
        /// When.
        now_ms: u64,
    },
    /// A notice was told to others, and its own tenant is told nothing; the host itself never is. It is no error if it is gone.
    Told {
        /// Whose; none for the host's own.
        scope: Option<TenantName>,
        /// The event that it would have become.
        event: EventId,
    },
    /// What was counted in minutes that are over: added to what is kept of the same minute and hour. Of what is gone nothing is kept.
    KeepStatistics(Vec<Counted>),
    /// Of these subjects what is kept of times that are over goes from the disk.
    SweepStatistics {
        /// Which, and whose.
        subjects: Vec<(TenantName, Subject)>,
        /// The time.
        now_ms: u64,
    },
    /// An event goes again, as runs of a new generation. [`super::Outcome::TooMany`] where it did so too often.
    Replay(Box<Replay>),
    /// A job begins. [`super::Outcome::TooMany`] where its tenant has too many at work.
    CreateJob {
        /// Whose.
        tenant: TenantName,
        /// What it is to do. Its `seq_max` is given by the committer.
        job: Box<Job>,
    },
    /// What a job does next, with the place from which it goes on. Stale unless it is at work and has made `step` steps.
    Job(Box<JobStep>),
    /// A job is to do nothing more. Stale where it is over.
    CancelJob {
        /// Whose.
        tenant: TenantName,
        /// Which.
        job: JobId,
        /// The time of the request.
        now_ms: u64,
    },
    /// Some events that are past their time go, with all that came of them; those that are not finished stay.
    Sweep(Box<Sweep>),
    /// Of a day whose events were all looked at, dedup keys that have expired go; and when nothing else is left, the day.
    SweepDay {
        /// Which.
        day: Day,
        /// Where the step before ended; none to begin.
        after: Option<Bytes>,
        /// The time, in milliseconds since 1970-01-01T00:00:00Z.
        now_ms: u64,
    },
    /// An event is erased, with all that came of it, finished or not; what is left of it says that. [`super::Outcome::More`] where not
    /// everything is gone yet. It is no error if it is erased already.
    Erase {
        /// Whose.
        tenant: TenantName,
        /// Which.
        event: EventId,
        /// The time of the request.
        now_ms: u64,
    },
    /// Plans that nothing needs any more go, or are marked: not needed since now. Stale unless the store's config revision is
    /// `expected_revision`: what no route has is said of that one.
    SweepPlans {
        /// The revision that was looked at.
        expected_revision: u64,
        /// Plans that neither a route has, nor a run that is pending or held.
        unused: Vec<Digest>,
        /// The time, in milliseconds since 1970-01-01T00:00:00Z.
        now_ms: u64,
        /// Those that were marked at this time or before go.
        marked_by_ms: u64,
    },
    /// Configuration changes. Stale unless the store's config revision is `expected_revision`.
    Configure(Configure),
    /// Resources whose secrets are sealed anew, and nothing else: nobody is told. Stale unless the store's config revision is `expected_revision`.
    Reseal {
        /// The revision that was read.
        expected_revision: u64,
        /// The resources, whole.
        puts: Vec<(ResourceKey, Bytes)>,
    },
    /// A change of which the audit log tells.
    Audited(Box<Audited>),
    /// Entries of an audit log that are old go, some of them. [`super::Outcome::More`] where there are more.
    SweepAudit {
        /// Whose; none for the operator's.
        scope: Option<TenantName>,
        /// Those of an earlier time go: milliseconds since 1970-01-01T00:00:00Z.
        before_ms: u64,
    },
    /// What all tenants have is counted from the beginning on, unless it was before.
    CountUsage,
    /// When API keys were used last, in milliseconds since 1970-01-01T00:00:00Z. Of a key that is gone nothing is kept.
    KeysUsed(Vec<(Option<TenantName>, KeyName, u64)>),
}

/// The longest time that a dedup key is remembered, in milliseconds: a week. Each day of it is one more place to look.
pub const DEDUP_MS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;

/// An event with its runs.
#[derive(Clone, Debug)]
pub struct Accept {
    /// What was received. Its `seq` is given by the committer.
    pub event: Event,
    /// Its body, byte for byte.
    pub body: Bytes,
    /// Until when its `dedup_key` is remembered, in milliseconds since 1970-01-01T00:00:00Z: at most [`DEDUP_MS_MAX`] after it
    /// was received. Only with a key. Where an event took the same key as long before as that or less, and has it still, nothing
    /// is written and the outcome is [`super::Outcome::Duplicate`]. So it is where the event itself is there already: a caller that
    /// never learnt the outcome may commit again.
    pub dedup_until_ms: Option<u64>,
    /// One for each route that matched.
    pub runs: Vec<RoutedRun>,
}

/// A run and what it made. A run that is `Pending` or `Held` has no deliveries yet.
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
    /// The states it read, each once, and what it wrote there. None where it is held or was dropped. Nothing is kept for a route that is gone.
    pub states: Vec<StateChange>,
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
    /// How its endpoint is doing from here on, where that changes. Nothing happens where a later change is there.
    pub health: Option<EndpointHealth>,
    /// Whether anybody is told where the delivery is dead by it. Nobody ever is of one of an operational event.
    pub tell: bool,
}

/// What happened to the host itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostFact {
    /// Its disk has little room left.
    DiskLow {
        /// How much is free.
        free_bytes: u64,
        /// How much was to be free.
        low_bytes: u64,
    },
    /// Its disk has room again.
    DiskOk {
        /// How much is free.
        free_bytes: u64,
        /// Since when it had little.
        low_since_ms: u64,
    },
    /// A listener's new certificate cannot be used.
    CertificateRefused {
        /// Which listener.
        listener: String,
        /// Why not.
        reason: String,
    },
    /// It started anew by itself.
    Restarted {
        /// Why.
        reason: String,
    },
}

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The receiver has it.
    Delivered,
    /// Try again at this time: milliseconds since 1970-01-01T00:00:00Z.
    RetryAt(u64),
    /// Try again at this time, and the attempt counts for nothing in the schedule.
    Again(u64),
    /// Retries are used up.
    Dead,
}

/// A change of configuration. The store does not look into the values. An endpoint that is put is sent to again, whatever was known of it.
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
    /// The time of the change.
    pub now_ms: u64,
    /// What tenants are told of it.
    pub notices: Vec<(TenantName, Notice)>,
    /// Endpoints that must have no pending or held delivery (those that are removed). Otherwise the outcome is [`super::Outcome::InUse`].
    pub unused: Vec<(TenantName, EndpointName)>,
    /// Endpoints that are put with other labels than before, or are made with some: whether they have any now. What came of earlier events is no business
    /// of theirs from then on.
    pub relabelled: Vec<(TenantName, EndpointName, bool)>,
    /// Whether a tenant that is made may find what is left of a former one of its name. Otherwise, where there is any, the outcome is
    /// [`super::Outcome::Former`].
    pub keeps_former: bool,
}

/// Where a resource stands in the configuration: `scope / kind / name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// The tenant; none for the operator's scope.
    pub tenant: Option<TenantName>,
    /// One of [`ResourceKey::KINDS`].
    pub kind: &'static str,
    /// Its name; for a tenant the tenant's own.
    pub name: String,
}

impl ResourceKey {
    /// The kinds of resources there are.
    pub const KINDS: [&'static str; 8] =
        ["tenant", "source", "module", "quarantine", "route", "endpoint", "key", "event-type"];
}

impl Transition {
    /// About how many bytes it takes while it waits: its bodies and values, and something for each record.
    pub(super) fn weight(&self) -> usize {
        const RECORD_BYTES: usize = 1024;
        let routed = |routed: &RoutedRun| -> usize {
            let body = |new: &NewDelivery| RECORD_BYTES + new.body.as_ref().map_or(0, Bytes::len);
            RECORD_BYTES + routed.deliveries.iter().map(body).sum::<usize>()
        };
        let state = |change: &StateChange| -> usize {
            let value = |entry: &Option<StateEntry>| entry.as_ref().map_or(0, |entry| entry.value.len());
            RECORD_BYTES + change.writes.iter().map(|(key, entry)| key.len() + value(entry)).sum::<usize>()
        };
        match self {
            Self::Accept(accept) => RECORD_BYTES + accept.body.len() + accept.runs.iter().map(routed).sum::<usize>(),
            Self::Tick(tick) => {
                let of_event = |accept: &Accept| accept.body.len() + accept.runs.iter().map(routed).sum::<usize>();
                2 * RECORD_BYTES + tick.accept.as_ref().map_or(0, of_event)
            }
            Self::Route(route) => routed(&route.routed) + route.states.iter().map(state).sum::<usize>(),
            Self::Configure(configure) => {
                let puts: usize = configure.puts.iter().map(|(_, value)| RECORD_BYTES + value.len()).sum();
                let plans: usize = configure.plans.iter().map(|(_, value)| RECORD_BYTES + value.len()).sum();
                RECORD_BYTES + puts + plans
            }
            Self::Audited(audited) => {
                let value = |value: &Option<Box<RawValue>>| value.as_ref().map_or(0, |value| value.get().len());
                let changes = audited.entry.changes.iter();
                let changes: usize = changes.map(|it| value(&it.before) + value(&it.after)).sum();
                RECORD_BYTES * (1 + audited.entry.along.len()) + audited.change.weight() + changes
            }
            Self::Reseal { puts, .. } => puts.iter().map(|(_, value)| RECORD_BYTES + value.len()).sum(),
            Self::KeysUsed(uses) => RECORD_BYTES * uses.len(),
            Self::KeepStatistics(counted) => 2 * RECORD_BYTES * counted.len(),
            Self::Job(step) => RECORD_BYTES * (1 + step.items.len()),
            Self::Replay(replay) => RECORD_BYTES * (1 + replay.runs.len()),
            Self::Settle(_)
            | Self::CreateJob { .. }
            | Self::CancelJob { .. }
            | Self::Retry { .. }
            | Self::Cancel { .. }
            | Self::Health { .. }
            | Self::Enable { .. }
            | Self::Rerun { .. }
            | Self::ForgetState { .. }
            | Self::Happened { .. }
            | Self::Told { .. }
            | Self::SweepState
            | Self::SweepAudit { .. }
            | Self::CountUsage
            | Self::SweepStatistics { .. }
            | Self::Sweep(_)
            | Self::SweepPlans { .. }
            | Self::Erase { .. }
            | Self::SweepDay { .. } => RECORD_BYTES,
        }
    }
}
