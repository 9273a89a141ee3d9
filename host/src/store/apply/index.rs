//! Runs and deliveries with their entries in the indexes: they change together, here and nowhere else.

use super::line;
use crate::model::{Delivery, DeliveryId, DeliveryStatus, EventId, RouteName, Run, RunStatus, TenantName};
use crate::store::backend::{Look as _, Order};
use crate::store::key::{Key, KeyRange, KeyReader};
use crate::store::keys;
use crate::store::stored::StoredDelivery;
use crate::store::tree::TreeId;
use crate::store::usage::{self, Change};
use crate::store::{Hint, NewDelivery, ReadError, View, body, record};

/// Stores a run in a record of its own, in its new state. `before` is the status it had, `seq` its event's place in the order.
pub(super) fn put_run(
    view: &mut View<'_>,
    tenant: &TenantName,
    seq: u64,
    before: Option<RunStatus>,
    run: &Run,
    hints: &mut Vec<Hint>,
) -> Result<(), ReadError> {
    if let Some(key) = before.and_then(|before| entry(tenant, seq, run, before)) {
        view.remove(TreeId::Hot, key);
    }
    if let Some(key) = entry(tenant, seq, run, run.status) {
        view.put(TreeId::Hot, key, "");
    }
    if run.status == RunStatus::Pending {
        hints.push(Hint::Pending { tenant: tenant.clone(), route: run.route.clone(), seq, run: run.id });
    }
    record::put(view, TreeId::of(run.id.event()), keys::run(tenant, run.id), run)
}

/// Where a run stands among those that wait, in this status.
fn entry(tenant: &TenantName, seq: u64, run: &Run, status: RunStatus) -> Option<Key> {
    match status {
        RunStatus::Pending => Some(keys::pending(tenant, &run.route, seq, run.id)),
        RunStatus::Held => Some(keys::held(tenant, &run.route, seq, run.id)),
        RunStatus::Routed | RunStatus::Filtered | RunStatus::Dropped => None,
    }
}

/// Stores a delivery that was not there before, and its body. `seq` is its event's place in the order.
pub(super) fn put_new_delivery(
    view: &mut View<'_>,
    tenant: &TenantName,
    seq: u64,
    new: NewDelivery,
    hints: &mut Vec<Hint>,
) -> Result<(), ReadError> {
    let NewDelivery { mut delivery, body } = new;
    if let Some(turn) = &mut delivery.turn {
        turn.seq = seq;
    }
    if let Some(body) = body {
        body::put(view, tenant, delivery.id.event(), delivery.id.tag(), &body);
        usage::change(view, tenant, Change::more_bytes(body.len()))?;
    }
    put_delivery(view, tenant, None, &StoredDelivery { delivery, last: None }, hints)
}

/// What was removed of an event.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// How many of its runs were pending or held.
    pub(super) runs_given_up: u64,
    /// How many of its deliveries were pending or held.
    pub(super) deliveries_given_up: u64,
    /// Whether nothing is left.
    pub(super) all: bool,
}

/// Removes what belongs to an event beside its own record, with all entries in the indexes: whole runs and deliveries, until about
/// `keys_max` keys are gone. `seq` is the event's place in the order; a run that is pending or held goes only where it is known.
pub(super) fn remove_some(
    view: &mut View<'_>,
    tenant: &TenantName,
    event: EventId,
    seq: Option<u64>,
    keys_max: usize,
    hints: &mut Vec<Hint>,
) -> Result<Removed, ReadError> {
    let tree = TreeId::of(event);
    let (mut removed, mut gone) = (Removed::default(), 0);
    for key in some_keys(view, tree, &keys::runs(tenant, event), keys_max)? {
        let run: Option<Run> = record::get(view, tree, &key)?;
        if let Some((run, seq)) = run.zip(seq)
            && let Some(entry) = entry(tenant, seq, &run, run.status)
        {
            view.remove(TreeId::Hot, entry);
            removed.runs_given_up += 1;
            // It may have been what the route waited for.
            hints.extend(first_pending(view, tenant, &run.route)?);
        }
        record::remove(view, tree, key)?;
        gone += 1;
    }
    for key in some_keys(view, tree, &keys::replays(tenant, event).prefix(), keys_max)? {
        record::remove(view, tree, key)?;
        gone += 1;
    }
    let body = keys::body(tenant, event, body::OF_EVENT).prefix();
    gone += remove_chunks(view, tenant, tree, &body, keys_max.saturating_sub(gone))?;
    let deliveries = keys::deliveries(tenant).bytes(&event.to_bytes()).prefix();
    for key in some_keys(view, tree, &deliveries, keys_max)? {
        if gone >= keys_max {
            return Ok(removed);
        }
        let Some(StoredDelivery { delivery, .. }) = record::get(view, tree, &key)? else { continue };
        removed.deliveries_given_up +=
            u64::from(matches!(delivery.status, DeliveryStatus::Pending | DeliveryStatus::Held));
        gone += remove_delivery(view, tenant, &delivery, hints)?;
    }
    removed.all = gone < keys_max;
    Ok(removed)
}

/// The first pending run of a route.
fn first_pending(view: &View<'_>, tenant: &TenantName, route: &RouteName) -> Result<Option<Hint>, ReadError> {
    let all = keys::pending_of(tenant, route);
    let first = some_keys(view, TreeId::Hot, &all.clone().prefix(), 1)?.pop();
    let Some(first) = first else { return Ok(None) };
    let mut reader = KeyReader::new(TreeId::Hot, first.as_bytes());
    reader.skip(all.as_bytes().len() - 1)?;
    let (seq, run) = (reader.number()?, reader.run()?);
    Ok(Some(Hint::Pending { tenant: tenant.clone(), route: route.clone(), seq, run }))
}

/// Removes a delivery, pending or not, with its attempts and its own body. Answers how many keys went, about.
fn remove_delivery(
    view: &mut View<'_>,
    tenant: &TenantName,
    delivery: &Delivery,
    hints: &mut Vec<Hint>,
) -> Result<usize, ReadError> {
    let (tree, id) = (TreeId::of(delivery.id.event()), delivery.id);
    leave_indexes(view, tenant, delivery);
    usage::change(view, tenant, Change::of_status(Some(delivery.status), None))?;
    if delivery.status == DeliveryStatus::Pending
        && let Some((due_ms, next)) = line::leave(view, tenant, delivery)?
    {
        put_due(view, tenant, delivery, (due_ms, next), hints);
    }
    let attempts = some_keys(view, tree, &keys::attempts(tenant, id), usize::MAX)?;
    let body = keys::body(tenant, id.event(), id.tag()).prefix();
    let gone = 2 + attempts.len() + remove_chunks(view, tenant, tree, &body, usize::MAX)?;
    for key in attempts.into_iter().chain([keys::delivery(tenant, id)]) {
        record::remove(view, tree, key)?;
    }
    Ok(gone)
}

/// Removes chunks of a body, as many as `keys_max`. Answers how many went.
fn remove_chunks(
    view: &mut View<'_>,
    tenant: &TenantName,
    tree: TreeId,
    body: &KeyRange,
    keys_max: usize,
) -> Result<usize, ReadError> {
    let found = view.scan(tree, body, Order::Ascending).take(keys_max);
    let found = found.map(|entry| entry.map(|(key, value)| (Key::from(&key[..]), value.len())));
    let chunks = found.collect::<Result<Vec<_>, _>>()?;
    usage::change(view, tenant, Change::fewer_bytes(chunks.iter().map(|(_, bytes)| bytes).sum()))?;
    let count = chunks.len();
    chunks.into_iter().for_each(|(key, _)| view.remove(tree, key));
    Ok(count)
}

/// The first keys of a range.
fn some_keys(view: &View<'_>, tree: TreeId, range: &KeyRange, keys_max: usize) -> Result<Vec<Key>, ReadError> {
    view.scan(tree, range, Order::Ascending).take(keys_max).map(|entry| Ok(Key::from(&entry?.0[..]))).collect()
}

/// Stores a delivery in its new state. `before` is the state it had.
pub(super) fn put_delivery(
    view: &mut View<'_>,
    tenant: &TenantName,
    before: Option<&Delivery>,
    stored: &StoredDelivery,
    hints: &mut Vec<Hint>,
) -> Result<(), ReadError> {
    let StoredDelivery { delivery, .. } = stored;
    let (tree, id) = (TreeId::of(delivery.id.event()), delivery.id);
    if let Some(before) = before {
        leave_indexes(view, tenant, before);
    }
    usage::change(view, tenant, Change::of_status(before.map(|before| before.status), Some(delivery.status)))?;
    for key in keys::found_by_status(tenant, &delivery.endpoint, delivery.status, id) {
        view.put(tree, key, "");
    }
    let due = if delivery.status == DeliveryStatus::Pending {
        line::enter(view, tenant, delivery)?.then_some((delivery.due_ms, id))
    } else if before.is_some_and(|before| before.status == DeliveryStatus::Pending) {
        line::leave(view, tenant, delivery)?
    } else {
        None
    };
    if let Some(place) = due {
        put_due(view, tenant, delivery, place, hints);
    }
    stored.put(view, tenant)
}

/// Takes a delivery out of its lane, or from where it is found by its status.
fn leave_indexes(view: &mut View<'_>, tenant: &TenantName, delivery: &Delivery) {
    let Delivery { id, endpoint, status, due_ms, .. } = delivery;
    if *status == DeliveryStatus::Pending {
        view.remove(TreeId::Hot, keys::due(tenant, endpoint, *due_ms, *id));
    }
    for key in keys::found_by_status(tenant, endpoint, *status, *id) {
        view.remove(TreeId::of(id.event()), key);
    }
}

/// Puts a delivery in the lane of the endpoint that `of` goes to: itself, or the next of its line.
fn put_due(
    view: &mut View<'_>,
    tenant: &TenantName,
    of: &Delivery,
    (due_ms, delivery): (u64, DeliveryId),
    hints: &mut Vec<Hint>,
) {
    let endpoint = of.endpoint.clone();
    view.put(TreeId::Hot, keys::due(tenant, &endpoint, due_ms, delivery), "");
    hints.push(Hint::Due { tenant: tenant.clone(), endpoint, due_ms, delivery });
}
