//! Dedup keys. A key stands in the tree of the day on which its event came. So a look-up goes through the days for which keys are
//! remembered, the latest first; that is two for most sources. A key that has expired goes with its event, one that has not outlives it.

use super::backend::Look;
use super::key::Key;
use super::tree::{DAY_MS, TreeId};
use super::{ReadError, View, keys, record};
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
        let (event, until_ms) = decode(tree, &key, &value)?;
        // The latest one that took it decides: one before had expired by then.
        return Ok((event.received_at_ms() >= since_ms && until_ms > now_ms).then_some(event));
    }
    Ok(None)
}

/// Takes a key for this event.
pub(super) fn take(view: &mut View<'_>, event: &Event, key: &str, until_ms: u64) {
    let value = [&event.id.to_bytes()[..], &until_ms.to_be_bytes()].concat();
    view.put(TreeId::of(event.id), keys::dedup(&event.tenant, &event.source, key), value);
}

/// The place of a dedup key, if this event has taken it and it has expired.
pub(super) fn expired(
    look: &dyn Look,
    (tenant, source, key): (&TenantName, &SourceName, &str),
    taken_by: EventId,
    now_ms: u64,
) -> Result<Option<Key>, ReadError> {
    let (tree, key) = (TreeId::of(taken_by), keys::dedup(tenant, source, key));
    let Some(value) = look.get(tree, &key)? else { return Ok(None) };
    let (event, until_ms) = decode(tree, &key, &value)?;
    Ok((event == taken_by && until_ms <= now_ms).then_some(key))
}

/// Which event took a key, and until when, in milliseconds since 1970-01-01T00:00:00Z.
pub(super) fn decode(tree: TreeId, key: &Key, value: &[u8]) -> Result<(EventId, u64), ReadError> {
    let parts = value.split_first_chunk().and_then(|(event, until)| Some((*event, <[u8; 8]>::try_from(until).ok()?)));
    let Some((event, until_ms)) = parts else {
        return Err(record::unreadable(tree, key, format!("{} bytes are no dedup key", value.len())));
    };
    Ok((EventId::from_bytes(event), u64::from_be_bytes(until_ms)))
}
