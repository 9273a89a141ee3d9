//! Erase: an event goes on request, whatever is still to be done with it. The event and its runs go first, then the deliveries, a bounded part
//! at a time. What is left says so, in the event's place, until that time is over too.

use super::index::{Removed, remove_some};
use super::{Applied, Refusal};
use crate::model::{Erased, EventId, TenantName};
use crate::store::sweep::KEYS_MAX;
use crate::store::tree::TreeId;
use crate::store::{Outcome, ReadError, View, keys, stored};

/// Erases an event, or a part of what is left of one.
pub(super) fn erase(view: &mut View<'_>, tenant: &TenantName, event: EventId, now_ms: u64) -> Result<Applied, Refusal> {
    let Some(mut erased) = begun(view, tenant, event, now_ms)? else {
        // Its trace was swept before it came to its end.
        view.remove(TreeId::Hot, keys::erasure(tenant, event));
        return Ok(Applied::quietly(Outcome::NotFound));
    };
    let mut hints = Vec::new();
    let removed = remove_some(view, tenant, event, Some(erased.seq), KEYS_MAX, &mut hints)?;
    let Removed { runs_given_up, deliveries_given_up, all } = removed;
    erased.runs_given_up += runs_given_up;
    erased.deliveries_given_up += deliveries_given_up;
    stored::put_erased(view, tenant, &erased)?;
    // What was cut short is found by this.
    let under_way = keys::erasure(tenant, event);
    if all {
        view.remove(TreeId::Hot, under_way);
    } else {
        view.put(TreeId::Hot, under_way, "");
    }
    Ok(Applied { outcome: if all { Outcome::Done } else { Outcome::More }, hints })
}

/// What is left of the event, as it is now; or as it will be, where the event is still there.
fn begun(view: &View<'_>, tenant: &TenantName, event: EventId, erased_at_ms: u64) -> Result<Option<Erased>, ReadError> {
    if let Some(erased) = stored::erased(view, tenant, event)? {
        return Ok(Some(erased));
    }
    Ok(stored::event(view, tenant, event)?.map(|event| Erased {
        id: event.id,
        seq: event.seq,
        source: event.source,
        received_at_ms: event.received_at_ms,
        erased_at_ms,
        runs_given_up: 0,
        deliveries_given_up: 0,
    }))
}
