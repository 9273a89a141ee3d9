//! Accept: an event, its runs and their deliveries, in one write.

use super::index::{put_new_delivery, put_run};
use super::{Applied, Refusal, check};
use crate::model::{Event, EventId, RunStatus};
use crate::store::backend::Look as _;
use crate::store::keys;
use crate::store::tree::TreeId;
use crate::store::{Accept, Outcome, ReadError, RoutedRun, View, dedup, meta, notice, stored};

/// Stores the event, unless its dedup key is taken.
pub(super) fn accept(view: &mut View<'_>, accept: Accept) -> Result<Applied, Refusal> {
    check::accept(&accept)?;
    let Accept { mut event, body, dedup_until_ms, runs } = accept;
    if event.is_operational() {
        // Told, now or before.
        notice::remove(view, keys::notice(Some(&event.tenant), event.id))?;
    }
    if let Some(first) = already(view, &event, dedup_until_ms)? {
        return Ok(Applied::quietly(Outcome::Duplicate { first }));
    }
    if let (Some(key), Some(until_ms)) = (&event.dedup_key, dedup_until_ms) {
        dedup::take(view, &event, key, until_ms);
    }
    event.seq = meta::next_seq(view)?;
    let mut hints = Vec::new();
    let mut done = Vec::new();
    for RoutedRun { run, deliveries } in runs {
        match run.status {
            RunStatus::Pending | RunStatus::Held => put_run(view, &event.tenant, event.seq, None, &run, &mut hints)?,
            RunStatus::Routed | RunStatus::Filtered | RunStatus::Dropped => done.push(run),
        }
        for delivery in deliveries {
            put_new_delivery(view, &event.tenant, event.seq, delivery, &mut hints)?;
        }
    }
    stored::put_event(view, &event, &done, &body)?;
    Ok(Applied { outcome: Outcome::Accepted { seq: event.seq }, hints })
}

/// The event that is there already: itself, where a caller that never learnt the outcome commits again, or the one that has its
/// dedup key.
fn already(view: &View<'_>, event: &Event, dedup_until_ms: Option<u64>) -> Result<Option<EventId>, ReadError> {
    if view.get(TreeId::of(event.id), &keys::event(&event.tenant, event.id))?.is_some() {
        return Ok(Some(event.id));
    }
    let (Some(key), Some(until_ms)) = (&event.dedup_key, dedup_until_ms) else { return Ok(None) };
    let now_ms = event.received_at_ms;
    let since_ms = now_ms.saturating_sub(until_ms.saturating_sub(now_ms));
    dedup::taken(view, &event.tenant, &event.source, key, since_ms, now_ms)
}
