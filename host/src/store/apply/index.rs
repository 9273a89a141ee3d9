//! Runs and deliveries with their entries in the indexes: they change together, here and nowhere else.

use super::line;
use crate::model::{Delivery, DeliveryStatus, Run, RunStatus, TenantName};
use crate::store::key::Key;
use crate::store::keys;
use crate::store::stored::StoredDelivery;
use crate::store::tree::TreeId;
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
    let entry = |status| -> Option<Key> {
        match status {
            RunStatus::Pending => Some(keys::pending(tenant, &run.route, seq, run.id)),
            RunStatus::Held => Some(keys::held(tenant, &run.route, seq, run.id)),
            RunStatus::Routed | RunStatus::Filtered | RunStatus::Dropped => None,
        }
    };
    if let Some(key) = before.and_then(entry) {
        view.remove(TreeId::Hot, key);
    }
    if let Some(key) = entry(run.status) {
        view.put(TreeId::Hot, key, "");
    }
    if run.status == RunStatus::Pending {
        hints.push(Hint::Pending { tenant: tenant.clone(), route: run.route.clone(), seq, run: run.id });
    }
    record::put(view, TreeId::of(run.id.event()), keys::run(tenant, run.id), run)
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
    }
    put_delivery(view, tenant, None, &StoredDelivery { delivery, last: None }, hints)
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
        if before.status == DeliveryStatus::Pending {
            view.remove(TreeId::Hot, keys::due(tenant, &before.endpoint, before.due_ms, id));
        }
        for key in keys::found_by_status(tenant, &before.endpoint, before.status, id) {
            view.remove(tree, key);
        }
    }
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
    if let Some((due_ms, delivery)) = due {
        let endpoint = &stored.delivery.endpoint;
        view.put(TreeId::Hot, keys::due(tenant, endpoint, due_ms, delivery), "");
        hints.push(Hint::Due { tenant: tenant.clone(), endpoint: endpoint.clone(), due_ms, delivery });
    }
    stored.put(view, tenant)
}
