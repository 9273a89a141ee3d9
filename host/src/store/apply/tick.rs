//! Ticks of schedules: each is an event, with the place that its source has come to by it.

use super::{Applied, Refusal, accept};
use crate::model::{SourceName, TenantName};
use crate::store::backend::Look as _;
use crate::store::tree::TreeId;
use crate::store::{Outcome, ReadError, ResourceKey, Tick, TickMark, View, keys, record};

/// Makes a tick, unless it or a later one was made; or counts from here on, unless that is done for this schedule.
pub(super) fn tick(view: &mut View<'_>, tick: Tick) -> Result<Applied, Refusal> {
    let Tick { tenant, source, mark, accept } = tick;
    let resource = ResourceKey { tenant: Some(tenant.clone()), kind: "source", name: source.to_string() };
    if view.get(TreeId::Hot, &keys::resource(&resource))?.is_none() {
        return Ok(Applied::quietly(Outcome::NotFound));
    }
    let key = keys::tick(&tenant, &source);
    let known: Option<TickMark> = record::get(view, TreeId::Hot, &key)?;
    let known = known.filter(|known| known.schedule == mark.schedule);
    let Some(accept) = accept else {
        if known.is_none() {
            record::put(view, TreeId::Hot, key, &mark)?;
        }
        return Ok(Applied::quietly(Outcome::Done));
    };
    if accept.event.tenant != tenant || accept.event.source != source {
        return Err(Refusal::Invalid("a tick's event is of the tick's source"));
    }
    if known.is_none_or(|known| known.at_ms >= mark.at_ms) {
        return Ok(Applied::quietly(Outcome::Stale { why: "the schedule was changed, or the tick was made before" }));
    }
    record::put(view, TreeId::Hot, key, &mark)?;
    accept::accept(view, accept)
}

/// The source was removed.
pub(super) fn forget(view: &mut View<'_>, tenant: &TenantName, source: &SourceName) -> Result<(), ReadError> {
    record::remove(view, TreeId::Hot, keys::tick(tenant, source))
}
