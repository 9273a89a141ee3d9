//! Sweep and SweepDay: what is finished and past its time goes, a bounded part at a time; and what is left of a day after that.

use super::index::remove_some;
use super::{Applied, Refusal};
use crate::store::backend::{Look as _, Order};
use crate::store::key::{Key, KeyRange};
use crate::store::sweep::{KEYS_MAX, Mark, Sweep, Swept, expired, plan};
use crate::store::tree::{Day, TreeId};
use crate::store::usage::{self, Change};
use crate::store::{Outcome, ReadError, View, keys, record};
use bytes::Bytes;

/// Removes some of a tenant's events of one day.
pub(super) fn events(view: &mut View<'_>, sweep: &Sweep) -> Result<Applied, Refusal> {
    let Sweep { tenant, day, now_ms, again_ms, .. } = sweep;
    let tree = TreeId::Day(*day);
    let (before, stored) = Mark::get(view, sweep)?;
    let plan = plan(view, sweep, before.from)?;
    let (mut mark, mut more) = (Mark { from: plan.until, ..before }, !plan.through);
    mark.left = before.left.or(plan.left.first().copied());
    if before.left.is_none() {
        mark.looked_ms = *now_ms;
    }
    if let Some(event) = plan.long {
        record::remove(view, tree, keys::event(tenant, event))?;
        if remove_some(view, tenant, event, None, KEYS_MAX, &mut Vec::new())?.all {
            mark.from = event.next();
        }
    }
    let due = |left: &_| plan.through && mark.looked_ms.saturating_add(*again_ms) <= *now_ms && *left < mark.from;
    if let Some(left) = mark.left.filter(due) {
        (mark, more) = (Mark { from: left, left: None, looked_ms: *now_ms }, true);
    }
    // A look that finds nothing is not worth a write.
    let found = plan.events > 0 || !plan.left.is_empty() || !plan.keys.is_empty() || more || !stored;
    for key in plan.keys {
        view.remove(tree, key);
    }
    usage::change(view, tenant, Change::fewer_bytes(plan.bytes))?;
    if found {
        mark.put(view, tenant, *day)?;
    }
    let (left, until_ms) = (plan.left.len() as u64, plan.until.received_at_ms());
    Ok(Applied::quietly(Outcome::Swept(Swept { events: plan.events, left, until_ms, more })))
}

/// Removes the dedup keys of a day that have expired, of some behind `after`; and at the end, where nothing else is left of that day, what
/// says how far it is swept.
pub(super) fn day(view: &mut View<'_>, day: Day, after: Option<&Bytes>, now_ms: u64) -> Result<Applied, Refusal> {
    let tree = TreeId::Day(day);
    let (expired, next) = expired(view, day, after, now_ms)?;
    for key in expired {
        view.remove(tree, key);
    }
    if next.is_none() {
        remove_marks(view, tree)?;
    }
    Ok(Applied::quietly(Outcome::SweptDay { next }))
}

/// Removes the marks of a day, if it has nothing else. One for each tenant.
fn remove_marks(view: &mut View<'_>, tree: TreeId) -> Result<(), ReadError> {
    let marks = keys::sweep_marks().prefix();
    let below = KeyRange { until: marks.from.clone(), ..KeyRange::all() };
    let above = KeyRange { from: marks.until.clone(), ..KeyRange::all() };
    for range in [below, above] {
        if view.scan(tree, &range, Order::Ascending).next().transpose()?.is_some() {
            return Ok(());
        }
    }
    let found = view.scan(tree, &marks, Order::Ascending).map(|entry| Ok(Key::from(&entry?.0[..])));
    for key in found.collect::<Result<Vec<_>, ReadError>>()? {
        view.remove(tree, key);
    }
    Ok(())
}
