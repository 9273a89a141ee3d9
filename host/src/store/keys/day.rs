//! The keys of a day's tree.

use super::half_hash;
use crate::model::{DeliveryId, DeliveryStatus, EndpointName, EventId, RunId, SourceName, TenantName};
use crate::store::key::{Key, KeyRange};

/// Whether a key of a day's tree is an event's.
pub(in crate::store) fn is_event(key: &[u8]) -> bool {
    key.first() == Some(&b'E')
}

/// All events of a tenant on one day.
pub(in crate::store) fn events(tenant: &TenantName) -> Key {
    all_events().name(tenant.as_str())
}

/// An event.
pub(in crate::store) fn event(tenant: &TenantName, event: EventId) -> Key {
    events(tenant).bytes(&event.to_bytes())
}

/// All runs of a tenant on one day that have records of their own.
pub(in crate::store) fn runs_of(tenant: &TenantName) -> Key {
    Key::of(b'R').name(tenant.as_str())
}

/// The runs of an event.
pub(in crate::store) fn runs(tenant: &TenantName, event: EventId) -> KeyRange {
    runs_of(tenant).bytes(&event.to_bytes()).prefix()
}

/// A run.
pub(in crate::store) fn run(tenant: &TenantName, run: RunId) -> Key {
    runs_of(tenant).id(run.event(), run.tag())
}

/// All deliveries of a tenant on one day.
pub(in crate::store) fn deliveries(tenant: &TenantName) -> Key {
    Key::of(b'D').name(tenant.as_str())
}

/// A delivery.
pub(in crate::store) fn delivery(tenant: &TenantName, delivery: DeliveryId) -> Key {
    deliveries(tenant).id(delivery.event(), delivery.tag())
}

/// All attempts of a tenant on one day that have records of their own.
pub(in crate::store) fn attempts_of(tenant: &TenantName) -> Key {
    Key::of(b'A').name(tenant.as_str())
}

/// The attempts of a delivery.
pub(in crate::store) fn attempts(tenant: &TenantName, delivery: DeliveryId) -> KeyRange {
    attempts_of(tenant).id(delivery.event(), delivery.tag()).prefix()
}

/// An attempt.
pub(in crate::store) fn attempt(tenant: &TenantName, delivery: DeliveryId, number: u32) -> Key {
    attempts_of(tenant).id(delivery.event(), delivery.tag()).bytes(&number.to_be_bytes())
}

/// All chunks of bodies of a day.
pub(in crate::store) fn all_bodies() -> Key {
    Key::of(b'B')
}

/// All chunks of bodies of a tenant on one day.
pub(in crate::store) fn bodies_of(tenant: &TenantName) -> Key {
    all_bodies().name(tenant.as_str())
}

/// A body, as the beginning of its chunks' keys: the event's own has the tag 0.
pub(in crate::store) fn body(tenant: &TenantName, event: EventId, tag: u64) -> Key {
    bodies_of(tenant).id(event, tag)
}

/// How far all tenants' events of a day are swept.
pub(in crate::store) fn sweep_marks() -> Key {
    Key::of(b'M')
}

/// How far a tenant's events of a day are swept.
pub(in crate::store) fn sweep_mark(tenant: &TenantName) -> Key {
    sweep_marks().name(tenant.as_str())
}

/// All events of a day.
pub(in crate::store) fn all_events() -> Key {
    Key::of(b'E')
}

/// All dedup keys of a day.
pub(in crate::store) fn all_dedup() -> Key {
    Key::of(b'K')
}

/// The byte for held deliveries.
pub(in crate::store) const HELD: u8 = 3;

/// A status as a byte. Pending deliveries stand in their lane instead.
const fn status_byte(status: DeliveryStatus) -> Option<u8> {
    match status {
        DeliveryStatus::Pending => None,
        DeliveryStatus::Delivered => Some(2),
        DeliveryStatus::Held => Some(HELD),
        DeliveryStatus::Dead => Some(4),
    }
}

/// The deliveries of one endpoint that have one status, on one day. None where the status is found elsewhere.
pub(in crate::store) fn by_status(tenant: &TenantName, endpoint: &EndpointName, status: DeliveryStatus) -> Option<Key> {
    let status = status_byte(status)?;
    Some(Key::of(b'S').name(tenant.as_str()).name(endpoint.as_str()).bytes(&[status]))
}

/// All deliveries of a day that are held or dead.
pub(in crate::store) fn all_stopped() -> Key {
    Key::of(b'F')
}

/// The deliveries of a tenant that are held, or dead, on one day. None for another status: most deliveries are delivered, and cost no
/// key here.
pub(in crate::store) fn stopped(tenant: &TenantName, status: DeliveryStatus) -> Option<Key> {
    let status = status_byte(status).filter(|_| status != DeliveryStatus::Delivered)?;
    Some(all_stopped().name(tenant.as_str()).bytes(&[status]))
}

/// Where a delivery with this status stands in the indexes of its day.
pub(in crate::store) fn found_by_status(
    tenant: &TenantName,
    endpoint: &EndpointName,
    status: DeliveryStatus,
    delivery: DeliveryId,
) -> impl Iterator<Item = Key> + use<> {
    let indexes = [by_status(tenant, endpoint, status), stopped(tenant, status)];
    indexes.into_iter().flatten().map(move |key| key.id(delivery.event(), delivery.tag()))
}

/// All replays of a tenant's events of one day.
pub(in crate::store) fn replays_of(tenant: &TenantName) -> Key {
    Key::of(b'I').name(tenant.as_str())
}

/// The replays of an event.
pub(in crate::store) fn replays(tenant: &TenantName, event: EventId) -> Key {
    replays_of(tenant).bytes(&event.to_bytes())
}

/// A replay of an event.
pub(in crate::store) fn replay(tenant: &TenantName, event: EventId, generation: u32) -> Key {
    replays(tenant, event).bytes(&generation.to_be_bytes())
}

/// All dedup keys of a tenant on one day.
pub(in crate::store) fn dedup_of(tenant: &TenantName) -> Key {
    all_dedup().name(tenant.as_str())
}

/// A dedup key, by a hash: the keys themselves are as long as senders like.
pub(in crate::store) fn dedup(tenant: &TenantName, source: &SourceName, key: &str) -> Key {
    dedup_of(tenant).name(source.as_str()).bytes(&half_hash(key))
}

/// All records of a tenant's events on one day, and of what came of them.
pub(in crate::store) fn of_events(tenant: &TenantName) -> [Key; 6] {
    [events(tenant), deliveries(tenant), runs_of(tenant), bodies_of(tenant), attempts_of(tenant), replays_of(tenant)]
}
