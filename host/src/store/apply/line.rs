//! Lines: the deliveries of one ordering key at one endpoint, one behind the other.
//!
//! What must hold: of a line that is not empty exactly one delivery stands in its endpoint's lane, the one whose turn it is. It keeps its turn
//! through all its attempts. When it is delivered, dead or cancelled, the same commit gives the turn to the first of those that wait,
//! in the order of their events; one whose event came earlier, but was routed later, is first then.

use crate::model::{Delivery, DeliveryId, TenantName};
use crate::store::backend::{Look as _, Order};
use crate::store::key::{Key, KeyReader};
use crate::store::tree::TreeId;
use crate::store::{ReadError, View, keys};

/// A place in a lane.
type Place = (u64, DeliveryId);

/// A delivery is pending from now on, or its due time changed. Whether it stands in its lane.
pub(super) fn enter(view: &mut View<'_>, tenant: &TenantName, delivery: &Delivery) -> Result<bool, ReadError> {
    let Some((line, key)) = place_of(tenant, delivery) else { return Ok(true) };
    if let Some(waits) = view.get(TreeId::Hot, &key)? {
        return Ok(waits.is_empty());
    }
    let is_first = view.scan(TreeId::Hot, &line.prefix(), Order::Ascending).next().transpose()?.is_none();
    let value = if is_first { Vec::new() } else { delivery.due_ms.to_be_bytes().to_vec() };
    view.put(TreeId::Hot, key, value);
    Ok(is_first)
}

/// A delivery is pending no more. The next of its line, if its turn has come now.
pub(super) fn leave(view: &mut View<'_>, tenant: &TenantName, delivery: &Delivery) -> Result<Option<Place>, ReadError> {
    let Some((line, key)) = place_of(tenant, delivery) else { return Ok(None) };
    let had_turn = view.get(TreeId::Hot, &key)?.is_some_and(|waits| waits.is_empty());
    view.remove(TreeId::Hot, key);
    if !had_turn {
        return Ok(None);
    }
    let named = line.as_bytes().len();
    let Some((next, due)) = view.scan(TreeId::Hot, &line.prefix(), Order::Ascending).next().transpose()? else {
        return Ok(None);
    };
    let mut reader = KeyReader::new(TreeId::Hot, &next);
    reader.skip(named - 1 + keys::TURN_BYTES)?;
    let id = reader.delivery()?;
    let due_ms = due.first_chunk().map(|due| u64::from_be_bytes(*due)).ok_or_else(|| reader.broken())?;
    view.put(TreeId::Hot, Key::from(&next[..]), "");
    Ok(Some((due_ms, id)))
}

/// The line of a delivery, and its place there; none where it is in no order.
fn place_of(tenant: &TenantName, delivery: &Delivery) -> Option<(Key, Key)> {
    let Delivery { endpoint, ordering_key, turn, id, .. } = delivery;
    let (key, turn) = ordering_key.as_deref().zip(turn.as_ref())?;
    let line = keys::line(tenant, endpoint, key);
    Some((line.clone(), keys::in_line(line, turn, *id)))
}
