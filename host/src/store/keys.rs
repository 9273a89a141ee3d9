//! How keys are laid out. Keys sort as their parts do: the first byte says what the record is, names end with a 0 byte (no name
//! holds one), numbers and ids are big-endian. So every question that the store is asked is one range of one tree.
//!
//! | in the hot tree | holds |
//! | --- | --- |
//! | `M` name | the store's own facts: format, last `seq`, last state, config revision, generation and secret of the journal |
//! | `C` scope 0 kind 0 name 0 | a resource of the configuration; the operator's scope is empty |
//! | `P` digest³² | a plan |
//! | `I` digest³² | since when no route has a plan, nor any run that waits |
//! | `Q` tenant 0 endpoint 0 due⁸ event¹⁶ tag⁸ | a pending delivery whose turn it is, in its endpoint's lane by due time |
//! | `L` tenant 0 endpoint 0 hash¹⁶ seq⁸ ordinal⁴ event¹⁶ tag⁸ | a pending delivery in the line of its ordering key: its due time while it waits |
//! | `N` tenant 0 route 0 seq⁸ event¹⁶ tag⁸ | a pending run, by its event's place in the order |
//! | `H` tenant 0 route 0 seq⁸ event¹⁶ tag⁸ | a held run, likewise |
//! | `T` tenant 0 route 0 step 0 | the head of the state that a step's module keeps |
//! | `X` state⁸ key 0 | an entry of a state: when it expires, and its value |
//! | `Y` state⁸ expires⁸ key 0 | an entry that expires, by the time |
//! | `G` tenant 0 endpoint 0 | how an endpoint is doing, once something went wrong |
//! | `O` scope 0 event¹⁶ | a notice: an operational event that is still to be made; the host's own scope is empty |
//! | `W` tenant 0 event¹⁶ | an event that was erased and of which not everything is gone yet |
//! | `Z` state⁸ | a state that is nobody's any more: its entries are to go |
//! | `U` tenant 0 kind¹ name 0 (version³²) length¹ place¹ | what was counted of a subject in a minute or an hour; of a module by its version |
//! | `A` scope 0 entry¹⁶ | an entry of the audit log; the operator's scope is empty |
//! | `K` scope 0 name 0 | when an API key was used last |
//! | `F` tenant 0 endpoint 0 | of an endpoint with labels: the last `seq` when it was made, or they changed |
//! | `B` tenant 0 | what a tenant has in the store: deliveries that wait⁸, bytes of bodies⁸ |
//! | `S` tenant 0 source 0 | the last tick of a source with a schedule |
//! | `J` tenant 0 over¹ job¹⁶ | a job; over is 0 while it has something to do, 1 from then on |
//!
//! | in a day's tree | holds |
//! | --- | --- |
//! | `K` tenant 0 source 0 hash¹⁶ | a dedup key: the event of that day that took it, and until when |
//! | `E` tenant 0 event¹⁶ | an event, its body if that is short, and its runs that were done when it was accepted |
//! | `R` tenant 0 event¹⁶ tag⁸ | a run that was not done by then, or came later |
//! | `D` tenant 0 event¹⁶ tag⁸ | a delivery and its last attempt |
//! | `A` tenant 0 event¹⁶ tag⁸ number⁴ | an attempt before the last |
//! | `B` tenant 0 event¹⁶ tag⁸ number⁴ | a chunk of that delivery's body; of the event's where the tag is 0 |
//! | `S` tenant 0 endpoint 0 status¹ event¹⁶ tag⁸ | a delivery that is not pending, to be found by endpoint, status and time |
//! | `F` tenant 0 status¹ event¹⁶ tag⁸ | one that is held or dead, to be found without an endpoint |
//! | `I` tenant 0 event¹⁶ generation⁴ | a replay of an event: the runs it made |
//! | `M` tenant 0 | how far the tenant's events of that day are swept |
//!
//! Every key written costs about the same, whatever its value: that is why an event, its short body and its finished runs are one
//! record, and why a pending delivery stands in its lane and in no other index. Dedup keys stand in the day's tree: they may outlive
//! their events, but not for longer than a week, and then the tree goes.
//!
//! In both, `V` key number⁴ holds a part of a record that is too long for one value (see `record`). No key is the beginning of
//! another one of its kind, so the parts of one record are never among another's.

mod day;

pub(super) use day::{
    HELD, all_bodies, all_dedup, all_events, all_stopped, attempt, attempts, attempts_of, bodies_of, body, by_status,
    dedup, dedup_of, deliveries, delivery, event, events, found_by_status, is_event, of_events, replay, replays,
    replays_of, run, runs, runs_of, stopped, sweep_mark, sweep_marks,
};

use super::key::{Key, KeyRange};
use super::{ResourceKey, statistics};
use crate::model::{
    AuditId, DeliveryId, Digest, EndpointName, EventId, JobId, RouteName, RunId, SourceName, StepKey, TenantName, Turn,
};
use crate::statistics::{Period, Subject};

/// The facts of a store's own journal: another store begins another one.
pub(super) fn of_journal() -> [Key; 2] {
    [generation(), journal_secret()]
}

/// The version of all that is described here.
pub(super) fn format() -> Key {
    Key::of(b'M').bytes(b"format")
}

/// The last `seq` given.
pub(super) fn last_seq() -> Key {
    Key::of(b'M').bytes(b"seq")
}

/// The last id given to a state.
pub(super) fn last_state() -> Key {
    Key::of(b'M').bytes(b"state")
}

/// The last number given to an entry of an audit log.
pub(super) fn last_audit() -> Key {
    Key::of(b'M').bytes(b"audit")
}

/// The last generation of the journal that is in the database.
pub(super) fn generation() -> Key {
    Key::of(b'M').bytes(b"generation")
}

/// What the journal's marks are made of.
pub(super) fn journal_secret() -> Key {
    Key::of(b'M').bytes(b"journal secret")
}

/// Since when the disk is low.
pub(super) fn disk_low() -> Key {
    Key::of(b'M').bytes(b"disk low")
}

/// The config revision.
pub(super) fn revision() -> Key {
    Key::of(b'M').bytes(b"revision")
}

/// A resource.
pub(super) fn resource(key: &ResourceKey) -> Key {
    let scope = key.tenant.as_ref().map_or("", TenantName::as_str);
    Key::of(b'C').name(scope).name(key.kind).name(&key.name)
}

/// All resources.
pub(super) fn resources() -> KeyRange {
    Key::of(b'C').prefix()
}

/// The last tick of a source.
pub(super) fn tick(tenant: &TenantName, source: &SourceName) -> Key {
    Key::of(b'S').name(tenant.as_str()).name(source.as_str())
}

/// A plan.
pub(super) fn plan(digest: &Digest) -> Key {
    plans().bytes(digest.as_bytes())
}

/// All plans.
pub(super) fn plans() -> Key {
    Key::of(b'P')
}

/// Since when a plan is not needed.
pub(super) fn unused_plan(digest: &Digest) -> Key {
    Key::of(b'I').bytes(digest.as_bytes())
}

fn half_hash(text: &str) -> [u8; 16] {
    Digest::of(text.as_bytes()).as_bytes().first_chunk().copied().unwrap_or_default()
}

/// All lanes.
pub(super) fn lanes() -> Key {
    Key::of(b'Q')
}

/// The lane of one endpoint.
pub(super) fn lane(tenant: &TenantName, endpoint: &EndpointName) -> Key {
    lanes().name(tenant.as_str()).name(endpoint.as_str())
}

/// A pending delivery in its lane.
pub(super) fn due(tenant: &TenantName, endpoint: &EndpointName, due_ms: u64, delivery: DeliveryId) -> Key {
    lane(tenant, endpoint).bytes(&due_ms.to_be_bytes()).id(delivery.event(), delivery.tag())
}

/// The lines of one endpoint.
pub(super) fn lines(tenant: &TenantName, endpoint: &EndpointName) -> Key {
    all_lines().name(tenant.as_str()).name(endpoint.as_str())
}

/// The line of an ordering key, by a hash: the keys themselves may hold any byte. Two that share a hash share a line.
pub(super) fn line(tenant: &TenantName, endpoint: &EndpointName, ordering_key: &str) -> Key {
    lines(tenant, endpoint).bytes(&half_hash(ordering_key))
}

/// How many bytes of a key in a lane are the due time, behind the endpoint.
pub(super) const DUE_BYTES: usize = 8;
/// How many bytes of a key in a line are the place in the order.
pub(super) const TURN_BYTES: usize = 12;
/// How many bytes stand before the delivery's id in a key in a line, behind the endpoint.
pub(super) const IN_LINE_BYTES: usize = 16 + TURN_BYTES;

/// A pending delivery in its line.
pub(super) fn in_line(line: Key, turn: &Turn, delivery: DeliveryId) -> Key {
    let line = line.bytes(&turn.seq.to_be_bytes()).bytes(&turn.ordinal.to_be_bytes());
    line.id(delivery.event(), delivery.tag())
}

/// How all endpoints are doing.
pub(super) fn healths() -> Key {
    Key::of(b'G')
}

/// How a tenant's endpoints are doing.
pub(super) fn healths_of(tenant: &TenantName) -> Key {
    healths().name(tenant.as_str())
}

/// How an endpoint is doing.
pub(super) fn health(tenant: &TenantName, endpoint: &EndpointName) -> Key {
    healths_of(tenant).name(endpoint.as_str())
}

/// All notices.
pub(super) fn notices() -> Key {
    Key::of(b'O')
}

/// The notices of a tenant, or of the host itself.
pub(super) fn notices_of(scope: Option<&TenantName>) -> Key {
    notices().name(scope.map_or("", TenantName::as_str))
}

/// A notice, by the event that it becomes.
pub(super) fn notice(scope: Option<&TenantName>, event: EventId) -> Key {
    notices_of(scope).bytes(&event.to_bytes())
}

/// What a tenant has in the store.
pub(super) fn usage(tenant: &TenantName) -> Key {
    Key::of(b'B').name(tenant.as_str())
}

/// Since when an endpoint is whose it is.
pub(super) fn owner(tenant: &TenantName, endpoint: &str) -> Key {
    Key::of(b'F').name(tenant.as_str()).name(endpoint)
}

/// That it was counted from the beginning on.
pub(super) fn usage_counted() -> Key {
    Key::of(b'M').bytes(b"usage")
}

/// All lines.
pub(super) fn all_lines() -> Key {
    Key::of(b'L')
}

/// All audit logs.
pub(super) fn audits() -> Key {
    Key::of(b'A')
}

/// The audit log of a tenant, or the operator's.
pub(super) fn audited_of(scope: Option<&TenantName>) -> Key {
    audits().name(scope.map_or("", TenantName::as_str))
}

/// An entry of it.
pub(super) fn audited(scope: Option<&TenantName>, entry: AuditId) -> Key {
    audited_of(scope).bytes(&entry.to_bytes())
}

/// When all keys were used.
pub(super) fn key_uses() -> Key {
    Key::of(b'K')
}

/// When a key was used.
pub(super) fn key_use(scope: Option<&TenantName>, name: &str) -> Key {
    key_uses().name(scope.map_or("", TenantName::as_str)).name(name)
}

/// All pending runs.
pub(super) fn all_pending() -> Key {
    Key::of(b'N')
}

/// The pending runs of one route.
pub(super) fn pending_of(tenant: &TenantName, route: &RouteName) -> Key {
    all_pending().name(tenant.as_str()).name(route.as_str())
}

/// A pending run.
pub(super) fn pending(tenant: &TenantName, route: &RouteName, seq: u64, run: RunId) -> Key {
    pending_of(tenant, route).bytes(&seq.to_be_bytes()).id(run.event(), run.tag())
}

/// All held runs.
pub(super) fn all_held() -> Key {
    Key::of(b'H')
}

/// The held runs of one tenant.
pub(super) fn held_by(tenant: &TenantName) -> Key {
    all_held().name(tenant.as_str())
}

/// The held runs of one route.
pub(super) fn held_of(tenant: &TenantName, route: &RouteName) -> Key {
    held_by(tenant).name(route.as_str())
}

/// A held run.
pub(super) fn held(tenant: &TenantName, route: &RouteName, seq: u64, run: RunId) -> Key {
    held_of(tenant, route).bytes(&seq.to_be_bytes()).id(run.event(), run.tag())
}

/// The heads of one route's states.
pub(super) fn states_of(tenant: &TenantName, route: &RouteName) -> Key {
    Key::of(b'T').name(tenant.as_str()).name(route.as_str())
}

/// The head of a step's state.
pub(super) fn state(tenant: &TenantName, route: &RouteName, step: &StepKey) -> Key {
    states_of(tenant, route).name(step.as_str())
}

/// All entries of a state.
pub(super) fn state_entries(state: u64) -> Key {
    Key::of(b'X').bytes(&state.to_be_bytes())
}

/// An entry of a state. No key of an entry holds a 0 byte.
pub(super) fn state_entry(state: u64, key: &str) -> Key {
    state_entries(state).name(key)
}

/// The entries of a state that expire.
pub(super) fn state_expiries(state: u64) -> Key {
    Key::of(b'Y').bytes(&state.to_be_bytes())
}

/// An entry that expires.
pub(super) fn state_expiry(state: u64, expires_ms: u64, key: &str) -> Key {
    state_expiries(state).bytes(&expires_ms.to_be_bytes()).name(key)
}

/// The states that are nobody's any more.
pub(super) fn forgotten_states() -> Key {
    Key::of(b'Z')
}

/// A state that is nobody's any more.
pub(super) fn forgotten_state(state: u64) -> Key {
    forgotten_states().bytes(&state.to_be_bytes())
}

/// All that was counted.
pub(super) fn statistics() -> Key {
    Key::of(b'U')
}

/// What was counted of a tenant's subjects.
pub(super) fn statistics_of(tenant: &TenantName) -> Key {
    statistics().name(tenant.as_str())
}

/// What was counted of all that bears this name: of every version of a module.
pub(super) fn statistics_named(tenant: &TenantName, kind: u8, name: &str) -> Key {
    statistics_of(tenant).bytes(&[kind]).name(name)
}

/// What was counted of a subject.
pub(super) fn statistics_on(tenant: &TenantName, subject: &Subject) -> Key {
    let named = statistics_named(tenant, statistics::kind_byte(subject), subject.name());
    match subject {
        Subject::Module { version, .. } => named.bytes(version.as_bytes()),
        Subject::Source(_) | Subject::Endpoint(_) | Subject::All(_) => named,
    }
}

/// What was counted of a subject in a period. Periods share places by turns, so what is there is of the period that it says.
pub(super) fn statistics_in(tenant: &TenantName, subject: &Subject, period: Period) -> Key {
    statistics_on(tenant, subject).bytes(&statistics::place_of(period))
}

/// The erasures that are under way.
pub(super) fn erasures() -> Key {
    Key::of(b'W')
}

/// An erasure that is under way.
pub(super) fn erasure(tenant: &TenantName, event: EventId) -> Key {
    erasures().name(tenant.as_str()).bytes(&event.to_bytes())
}

/// A part of something long: of a body, or of a record ([`parts_of`]).
pub(super) fn part(whole: &Key, number: u32) -> Key {
    whole.clone().bytes(&number.to_be_bytes())
}

/// The beginning of the keys of a record's parts.
pub(super) fn parts_of(record: &Key) -> Key {
    Key::of(b'V').bytes(record.as_bytes())
}

/// All jobs.
pub(super) fn all_jobs() -> Key {
    Key::of(b'J')
}

/// The jobs of a tenant.
pub(super) fn jobs_of(tenant: &TenantName) -> Key {
    all_jobs().name(tenant.as_str())
}

/// The jobs of a tenant that are over, or those that are not.
pub(super) fn jobs(tenant: &TenantName, over: bool) -> Key {
    jobs_of(tenant).bytes(&[u8::from(over)])
}

/// A job.
pub(super) fn job(tenant: &TenantName, over: bool, job: JobId) -> Key {
    jobs(tenant, over).bytes(&job.to_bytes())
}
