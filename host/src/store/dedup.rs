//! Dedup keys. A key stands in the tree of the day on which its event came, and goes with it: nothing has to sweep it. So a
//! look-up goes through the days for which keys are remembered, the latest first; that is two for most sources.

use super::backend::Look;
use super::keys;
use super::tree::{DAY_MS, TreeId};
use super::{ReadError, View};
use crate::model::{Event, EventId, SourceName, TenantName};

/// The event that took this key at `since_ms` or later, and has it still at `now_ms`.
pub(super) fn taken(
    look: &dyn Look,
    tenant: &TenantName,
    source: &SourceName,
    key: &str,
    since_ms: u64,
    now_ms: u64,
) -> Result<Option<EventId>, ReadError> {
    let key = keys::dedup(tenant, source, key);
    // An event that came a moment later may have been committed before: look a day ahead, too.
    for tree in TreeId::days(since_ms, now_ms.saturating_add(DAY_MS)).rev() {
        let Some(value) = look.get(tree, &key)? else { continue };
        let parts =
            value.split_first_chunk().and_then(|(event, until)| Some((*event, <[u8; 8]>::try_from(until).ok()?)));
        let Some((event, until_ms)) = parts else {
            let why = format!("{} bytes are no dedup key", value.len());
            return Err(ReadError::Record {
                tree: tree.to_string(),
                key: key.as_bytes().escape_ascii().to_string(),
                why,
            });
        };
        let event = EventId::from_bytes(event);
        // The latest one that took it decides: one before had expired by then.
        return Ok((event.received_at_ms() >= since_ms && u64::from_be_bytes(until_ms) > now_ms).then_some(event));
    }
    Ok(None)
}

/// Takes a key for this event.
pub(super) fn take(view: &mut View<'_>, event: &Event, key: &str, until_ms: u64) {
    let value = [&event.id.to_bytes()[..], &until_ms.to_be_bytes()].concat();
    view.put(TreeId::of(event.id), keys::dedup(&event.tenant, &event.source, key), value);
}
