//! Records that hold more than one of the model's types. Each key that is written costs, so what is written together, and read
//! together, is one record:
//!
//! - An event's record has the runs that were done when it was accepted, which never change again, and its body if that is
//!   short. Runs that were pending or held then, or came later, have records of their own.
//! - A delivery's record has its last attempt: most deliveries make one. Attempts before it have records of their own.

use super::backend::{Look, Order, VALUE_BYTES_MAX};
use super::key::Key;
use super::keys;
use super::tree::TreeId;
use super::usage::{self, Change};
use super::{ReadError, View, body, record};
use crate::model::{
    Attempt, BodyRef, Delivery, DeliveryId, DeliveryStatus, Erased, Event, EventId, Run, RunId, SourceName, TenantName,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// An event's record, as it is written: its length, this as JSON, the body.
#[derive(Serialize)]
struct EventToStore<'a> {
    event: &'a Event,
    runs: &'a [Run],
}

/// What most ask an event's record for. None in what is left of one that was erased.
#[derive(Deserialize)]
struct EventAlone {
    event: Option<Event>,
}

/// Whether an event's record is one of an event that is there.
#[derive(Deserialize)]
struct IsThere {
    event: Option<serde::de::IgnoredAny>,
}

/// The other part.
#[derive(Deserialize)]
struct RunsAlone {
    #[serde(default)]
    runs: Vec<Run>,
}

/// What a sweep asks for.
#[derive(Deserialize)]
struct EventToSweep {
    event: Option<DedupAlone>,
    erased: Option<Erased>,
}

#[derive(Deserialize)]
struct DedupAlone {
    source: SourceName,
    dedup_key: Option<String>,
}

/// The record of an event that was erased, as it is written: its length, this as JSON. It stands where the event stood.
#[derive(Serialize, Deserialize)]
struct ErasedAlone {
    erased: Option<Erased>,
}

/// Of an event's record, what decides what goes with it.
pub(super) struct ToSweep {
    /// The source and the dedup key, where it has one.
    pub(super) dedup: Option<(SourceName, String)>,
    /// When it was erased, if it was.
    pub(super) erased_at_ms: Option<u64>,
    /// How long the body in the record is.
    pub(super) body_bytes: usize,
}

/// Stores an event and its body, and with it the runs that are done.
pub(super) fn put_event(view: &mut View<'_>, event: &Event, runs: &[Run], bytes: &Bytes) -> Result<(), ReadError> {
    let (tree, key) = (TreeId::of(event.id), keys::event(&event.tenant, event.id));
    let mut value = begin(&EventToStore { event, runs }, bytes.len(), tree, &key)?;
    if value.len() + bytes.len() <= VALUE_BYTES_MAX {
        value.extend_from_slice(bytes);
    } else {
        body::put(view, &event.tenant, event.id, body::OF_EVENT, bytes);
    }
    record::finish(view, tree, key, value);
    usage::change(view, &event.tenant, Change::more_bytes(bytes.len()))
}

/// Stores what is left of an event, in the place of its record.
pub(super) fn put_erased(view: &mut View<'_>, tenant: &TenantName, erased: &Erased) -> Result<(), ReadError> {
    let (tree, key) = (TreeId::of(erased.id), keys::event(tenant, erased.id));
    if let Some(value) = view.get(tree, &key)? {
        let body = inline_body(view, tree, &key, value)?;
        usage::change(view, tenant, Change::fewer_bytes(body.len()))?;
    }
    record::remove(view, tree, key.clone())?;
    let value = begin(&ErasedAlone { erased: Some(erased.clone()) }, 0, tree, &key)?;
    record::finish(view, tree, key, value);
    Ok(())
}

/// An event's record up to its body, which is to have so many bytes.
fn begin<T: Serialize>(stored: &T, body_bytes: usize, tree: TreeId, key: &Key) -> Result<Vec<u8>, ReadError> {
    let mut value = record::begin(512 + body_bytes);
    value.extend_from_slice(&[0; 4]);
    let at = value.len();
    record::encode_into(&mut value, stored, tree, key)?;
    let length = u32::try_from(value.len() - at).unwrap_or(u32::MAX);
    if let Some(place) = value.get_mut(at - 4..at) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(value)
}

/// The body in an event's record, from the value that stands under its key; empty where it stands beside it.
pub(super) fn inline_body(look: &dyn Look, tree: TreeId, key: &Key, value: Bytes) -> Result<Bytes, ReadError> {
    Ok(in_two(look, tree, key, value)?.1)
}

/// What is left of an event, if it was erased.
pub(super) fn erased(look: &dyn Look, tenant: &TenantName, event: EventId) -> Result<Option<Erased>, ReadError> {
    let alone: Option<ErasedAlone> = event_part(look, tenant, event)?;
    Ok(alone.and_then(|alone| alone.erased))
}

/// An event.
pub(super) fn event(look: &dyn Look, tenant: &TenantName, event: EventId) -> Result<Option<Event>, ReadError> {
    let alone: Option<EventAlone> = event_part(look, tenant, event)?;
    Ok(alone.and_then(|alone| alone.event))
}

/// Reads what a sweep asks of an event's record, from the value that stands under its key.
pub(super) fn to_sweep(look: &dyn Look, tree: TreeId, key: &Key, value: Bytes) -> Result<ToSweep, ReadError> {
    let (json, body) = in_two(look, tree, key, value)?;
    let EventToSweep { event, erased } = record::decode_json(&json, tree, key)?;
    let dedup = event.and_then(|event| Some((event.source, event.dedup_key?)));
    Ok(ToSweep { dedup, erased_at_ms: erased.map(|erased| erased.erased_at_ms), body_bytes: body.len() })
}

/// The body of an event; none where there is no such event, or where it went while it was read.
pub(super) fn event_body(look: &dyn Look, tenant: &TenantName, event: EventId) -> Result<Option<Bytes>, ReadError> {
    let Some((json, body)) = event_record(look, tenant, event)? else { return Ok(None) };
    if !body.is_empty() {
        return Ok(Some(body));
    }
    // It stands beside the event, or is going with it.
    let alone: EventAlone = record::decode_json(&json, TreeId::of(event), &keys::event(tenant, event))?;
    let Some(event) = alone.event else { return Ok(None) };
    let body = body::read(look, tenant, event.id, body::OF_EVENT)?;
    Ok((body.len() as u64 == event.body_bytes).then_some(body))
}

/// A run, wherever it is.
pub(super) fn run(look: &dyn Look, tenant: &TenantName, run: RunId) -> Result<Option<Run>, ReadError> {
    if let Some(own) = record::get(look, TreeId::of(run.event()), &keys::run(tenant, run))? {
        return Ok(Some(own));
    }
    let with_event: Option<RunsAlone> = event_part(look, tenant, run.event())?;
    Ok(with_event.and_then(|with_event| with_event.runs.into_iter().find(|one| one.id == run)))
}

/// All runs of an event: those that were done at once, in the order in which they were given, then the others.
pub(super) fn runs(look: &dyn Look, tenant: &TenantName, event: EventId) -> Result<Vec<Run>, ReadError> {
    let with_event: Option<RunsAlone> = event_part(look, tenant, event)?;
    let mut runs = with_event.map_or_else(Vec::new, |with_event| with_event.runs);
    let tree = TreeId::of(event);
    for entry in look.scan(tree, &keys::runs(tenant, event), Order::Ascending) {
        let (key, value) = entry?;
        runs.push(record::decode(look, tree, &Key::from(&key[..]), value)?);
    }
    Ok(runs)
}

fn event_part<T: serde::de::DeserializeOwned>(
    look: &dyn Look,
    tenant: &TenantName,
    event: EventId,
) -> Result<Option<T>, ReadError> {
    let Some((json, _)) = event_record(look, tenant, event)? else { return Ok(None) };
    record::decode_json(&json, TreeId::of(event), &keys::event(tenant, event)).map(Some)
}

/// The two parts of an event's record: JSON, and the body if it is there.
fn event_record(look: &dyn Look, tenant: &TenantName, event: EventId) -> Result<Option<(Bytes, Bytes)>, ReadError> {
    let (tree, key) = (TreeId::of(event), keys::event(tenant, event));
    let Some(value) = look.get(tree, &key)? else { return Ok(None) };
    in_two(look, tree, &key, value).map(Some)
}

/// The two parts of an event's record, from the value that stands under its key.
fn in_two(look: &dyn Look, tree: TreeId, key: &Key, value: Bytes) -> Result<(Bytes, Bytes), ReadError> {
    let mut json = record::content(look, tree, key, value)?;
    let length = json.first_chunk().map_or(u32::MAX, |length| u32::from_be_bytes(*length));
    let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(4);
    if end > json.len() {
        return Err(record::unreadable(tree, key, "it is shorter than it says".to_owned()));
    }
    let body = json.split_off(end);
    Ok((json.split_off(4), body))
}

/// A delivery and its last attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredDelivery {
    /// The delivery.
    pub(super) delivery: Delivery,
    /// Its last attempt, if it made one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Attempt>,
}

impl StoredDelivery {
    /// Reads one.
    pub(super) fn get(look: &dyn Look, tenant: &TenantName, delivery: DeliveryId) -> Result<Option<Self>, ReadError> {
        record::get(look, TreeId::of(delivery.event()), &keys::delivery(tenant, delivery))
    }

    /// Stores it.
    pub(super) fn put(&self, view: &mut View<'_>, tenant: &TenantName) -> Result<(), ReadError> {
        record::put(view, TreeId::of(self.delivery.id.event()), keys::delivery(tenant, self.delivery.id), self)
    }
}

/// A delivery that is pending, and what it carries.
pub(super) type ToSend = (Delivery, Bytes);

/// A delivery and what it carries, if it is pending.
pub(super) fn to_send(look: &dyn Look, tenant: &TenantName, delivery: DeliveryId) -> Result<Option<ToSend>, ReadError> {
    let stored = StoredDelivery::get(look, tenant, delivery)?.map(|stored| stored.delivery);
    let pending = stored.filter(|delivery| delivery.status == DeliveryStatus::Pending);
    let Some(delivery) = pending else { return Ok(None) };
    Ok(delivery_body(look, tenant, &delivery)?.map(|body| (delivery, body)))
}

/// Whether an event is there, and was not erased.
fn is_there(look: &dyn Look, tenant: &TenantName, event: EventId) -> Result<bool, ReadError> {
    let found: Option<IsThere> = event_part(look, tenant, event)?;
    Ok(found.is_some_and(|found| found.event.is_some()))
}

/// What a delivery carries: its own body, or its event's. None where the event is gone: deliveries of one that is erased go little by little.
pub(super) fn delivery_body(
    look: &dyn Look,
    tenant: &TenantName,
    delivery: &Delivery,
) -> Result<Option<Bytes>, ReadError> {
    let (event, tag) = (delivery.id.event(), delivery.id.tag());
    match delivery.body {
        BodyRef::Event => event_body(look, tenant, event),
        BodyRef::Own => {
            // In this order: what went meanwhile is seen to have gone.
            let body = body::read(look, tenant, event, tag)?;
            Ok(is_there(look, tenant, event)?.then_some(body))
        }
    }
}

/// The attempts of a delivery, the first one first.
pub(super) fn attempts(look: &dyn Look, tenant: &TenantName, delivery: DeliveryId) -> Result<Vec<Attempt>, ReadError> {
    let Some(stored) = StoredDelivery::get(look, tenant, delivery)? else { return Ok(Vec::new()) };
    let tree = TreeId::of(delivery.event());
    let mut attempts = Vec::new();
    for entry in look.scan(tree, &keys::attempts(tenant, delivery), Order::Ascending) {
        let (key, value) = entry?;
        attempts.push(record::decode(look, tree, &Key::from(&key[..]), value)?);
    }
    attempts.extend(stored.last);
    // One that was settled between the two reads is there twice.
    attempts.dedup_by_key(|attempt: &mut Attempt| attempt.number);
    Ok(attempts)
}
