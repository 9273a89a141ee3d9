//! What must hold for a transition to make sense at all, whatever the store holds. Who breaks it has a bug.

use super::Refusal;
use crate::model::{BodyRef, Delivery, DeliveryId, DeliveryStatus, Job, JobState, RunStatus};
use crate::store::{Accept, Configure, DEDUP_MS_MAX, NewDelivery, Replay, ResourceKey, RoutedRun, StateChange};
use std::collections::BTreeSet;

/// An event with its runs.
pub(super) fn accept(accept: &Accept) -> Result<(), Refusal> {
    let Accept { event, body, dedup_until_ms, runs } = accept;
    let ids: BTreeSet<_> = runs.iter().map(|routed| routed.run.id).collect();
    that(event.id.received_at_ms() == event.received_at_ms, "an event's id carries the time it was received")?;
    that(event.body_bytes == body.len() as u64, "an event says how long its body is")?;
    that(dedup_until_ms.is_none() || event.dedup_key.is_some(), "only a dedup key expires")?;
    let remembered_ms = dedup_until_ms.map_or(0, |until_ms| until_ms.saturating_sub(event.received_at_ms));
    that(remembered_ms <= DEDUP_MS_MAX, "a dedup key is remembered for a week at most (DEDUP_MS_MAX)")?;
    that(ids.len() == runs.len(), "no run comes twice")?;
    that(ids.iter().all(|run| run.event() == event.id), "a run belongs to its event")?;
    runs.iter().try_for_each(routed)
}

/// A run with its deliveries.
pub(super) fn routed(routed: &RoutedRun) -> Result<(), Refusal> {
    let RoutedRun { run, deliveries } = routed;
    let made: Vec<DeliveryId> = deliveries.iter().map(|new| new.delivery.id).collect();
    that(run.deliveries == made, "a run names the deliveries it made, in order")?;
    that(made.iter().collect::<BTreeSet<_>>().len() == made.len(), "no delivery comes twice")?;
    let open = matches!(run.status, RunStatus::Pending | RunStatus::Held);
    that(!open || made.is_empty(), "a run that is pending or held has no deliveries yet")?;
    deliveries.iter().try_for_each(|NewDelivery { delivery, body }| {
        let Delivery { id, run: made_by, route, status, attempts, .. } = delivery;
        that(
            *made_by == run.id && *route == run.route && id.event() == run.id.event(),
            "a delivery belongs to its run",
        )?;
        that(*status == DeliveryStatus::Pending && *attempts == 0, "a new delivery is pending and untried")?;
        that(
            (delivery.body == BodyRef::Own) == body.is_some(),
            "a delivery's own body comes with it, the event's does not",
        )
    })
}

/// The states that a run read and wrote.
pub(super) fn states(status: RunStatus, changes: &[StateChange]) -> Result<(), Refusal> {
    let steps: BTreeSet<_> = changes.iter().map(|change| &change.step).collect();
    let done = matches!(status, RunStatus::Routed | RunStatus::Filtered);
    let writes = changes.iter().any(|change| !change.writes.is_empty());
    that(done || !writes, "a run that is held or dropped writes no state")?;
    that(steps.len() == changes.len(), "no state changes twice in one write")?;
    changes.iter().try_for_each(|change| {
        let keys: BTreeSet<_> = change.writes.iter().map(|(key, _)| key.as_str()).collect();
        that(keys.len() == change.writes.len(), "no key of a state is written twice at once")?;
        that(keys.iter().all(|key| !key.is_empty() && !key.contains('\0')), "a key of a state has bytes, and no 0 byte")
    })
}

/// An event that goes again.
pub(super) fn replay(replay: &Replay) -> Result<(), Refusal> {
    let routes: BTreeSet<_> = replay.runs.iter().map(|(route, _)| route).collect();
    that(!replay.runs.is_empty(), "a replay has a run")?;
    that(routes.len() == replay.runs.len(), "no route comes twice")
}

/// A job before it began.
pub(super) fn new_job(job: &Job) -> Result<(), Refusal> {
    let untouched = (job.steps, job.looked_at, job.done, job.skipped) == (0, 0, 0, 0) && job.cursor.is_none();
    that(untouched && job.state == JobState::Running, "a new job is to be done, and has done nothing")
}

/// A change of configuration.
pub(super) fn configure(configure: &Configure) -> Result<(), Refusal> {
    let keys = || configure.puts.iter().map(|(key, _)| key).chain(&configure.removes);
    that(keys().all(|key| ResourceKey::KINDS.contains(&key.kind)), "a resource has a kind that there is")?;
    that(keys().all(|key| !key.name.contains('\0')), "a resource's name has no 0 byte")?;
    that(keys().collect::<BTreeSet<_>>().len() == keys().count(), "no resource changes twice in one write")
}

fn that(holds: bool, why: &'static str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::Invalid(why)) }
}
