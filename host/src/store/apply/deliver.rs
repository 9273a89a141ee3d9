//! Settle, Retry, Cancel: where a delivery stands.

use super::index::put_delivery;
use super::{Applied, Refusal, health};
use crate::model::{DeliveryId, DeliveryStatus, TenantName};
use crate::store::keys;
use crate::store::notice::{self, Notice};
use crate::store::stored::{self, StoredDelivery};
use crate::store::tree::TreeId;
use crate::store::{Hint, Next, Outcome, ReadError, Settle, View, owner, record};

/// Stores an attempt and what follows from it.
pub(super) fn settle(view: &mut View<'_>, settle: &Settle) -> Result<Applied, Refusal> {
    let Settle { tenant, delivery, attempt, next, health, tell } = settle;
    let mut told = None;
    let mut endpoint = None;
    let mut applied = change(view, tenant, *delivery, |view, StoredDelivery { delivery, last }| {
        if delivery.status != DeliveryStatus::Pending {
            return Err(Outcome::Stale { why: "the delivery is not pending" }.into());
        }
        if delivery.attempts.checked_add(1) != Some(attempt.number) {
            return Err(Outcome::Stale { why: "the delivery has made another number of attempts" }.into());
        }
        delivery.attempts = attempt.number;
        if !matches!(next, Next::Again(_)) {
            delivery.schedule_position = delivery.schedule_position.saturating_add(1);
        }
        match *next {
            Next::Delivered => delivery.status = DeliveryStatus::Delivered,
            Next::RetryAt(due_ms) | Next::Again(due_ms) => delivery.due_ms = due_ms,
            Next::Dead => {
                delivery.status = DeliveryStatus::Dead;
                told = (*tell && !delivery.operational).then(|| Notice::of_dead(tenant, delivery, attempt));
            }
        }
        endpoint = Some(delivery.endpoint.clone());
        let Some(earlier) = last.replace(attempt.clone()) else { return Ok(()) };
        let key = keys::attempt(tenant, delivery.id, earlier.number);
        Ok(record::put(view, TreeId::of(delivery.id.event()), key, &earlier)?)
    })?;
    if applied.outcome != Outcome::Done {
        return Ok(applied);
    }
    if let (Some(endpoint), Some(changed)) = (endpoint, health) {
        health::put(view, tenant, &endpoint, changed, &mut applied.hints)?;
    }
    if let Some(notice) = told {
        notice::put(view, Some(tenant), &notice)?;
        applied.hints.push(Hint::Notice);
    }
    Ok(applied)
}

/// Why a delivery is not sent to an endpoint that has its endpoint's name now.
const OTHERS: &str = "its endpoint was made anew, or got other labels, since the event came in, so it may be another customer's now: replay the event \
                      to send it to whom the routes of today say";

/// Puts a delivery back on its schedule, from the start. One whose event is gone is going too.
pub(super) fn retry(
    view: &mut View<'_>,
    tenant: &TenantName,
    delivery: DeliveryId,
    due_ms: u64,
) -> Result<Applied, Refusal> {
    let Some(event) = stored::event(view, tenant, delivery.event())? else {
        return Ok(Applied::quietly(Outcome::NotFound));
    };
    change(view, tenant, delivery, |view, StoredDelivery { delivery, .. }| {
        if delivery.status == DeliveryStatus::Pending {
            return Err(Outcome::Stale { why: "the delivery is pending already" }.into());
        }
        if event.seq <= owner::since_seq(view, tenant, &delivery.endpoint)? {
            return Err(Outcome::Stale { why: OTHERS }.into());
        }
        delivery.status = DeliveryStatus::Pending;
        delivery.schedule_position = 0;
        delivery.due_ms = due_ms;
        delivery.reason = None;
        Ok(())
    })
}

/// Gives a delivery up.
pub(super) fn cancel(
    view: &mut View<'_>,
    tenant: &TenantName,
    delivery: DeliveryId,
    reason: String,
) -> Result<Applied, Refusal> {
    change(view, tenant, delivery, |_, StoredDelivery { delivery, .. }| {
        if !matches!(delivery.status, DeliveryStatus::Pending | DeliveryStatus::Held) {
            return Err(Outcome::Stale { why: "the delivery is neither pending nor held" }.into());
        }
        delivery.status = DeliveryStatus::Dead;
        delivery.reason = Some(reason);
        Ok(())
    })
}

/// Why a delivery does not change.
enum Unchanged {
    /// It must not, and this is the answer.
    Outcome(Outcome),
    /// It cannot.
    Read(ReadError),
}

impl From<Outcome> for Unchanged {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

impl From<ReadError> for Unchanged {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Reads a delivery, changes it, and stores it with its index entries, unless `how` says no.
fn change(
    view: &mut View<'_>,
    tenant: &TenantName,
    id: DeliveryId,
    how: impl FnOnce(&mut View<'_>, &mut StoredDelivery) -> Result<(), Unchanged>,
) -> Result<Applied, Refusal> {
    let stored = StoredDelivery::get(view, tenant, id)?;
    let Some(mut stored) = stored else { return Ok(Applied::quietly(Outcome::NotFound)) };
    let before = stored.delivery.clone();
    match how(view, &mut stored) {
        Err(Unchanged::Outcome(outcome)) => Ok(Applied::quietly(outcome)),
        Err(Unchanged::Read(error)) => Err(error.into()),
        Ok(()) => {
            let mut hints = Vec::new();
            put_delivery(view, tenant, Some(&before), &stored, &mut hints)?;
            Ok(Applied { outcome: Outcome::Done, hints })
        }
    }
}
