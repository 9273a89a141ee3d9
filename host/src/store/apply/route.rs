//! Route and Rerun: what becomes of a run that was committed before it was routed, or held.

use super::index::{put_new_delivery, put_run};
use super::{Applied, Refusal, check, state};
use crate::model::{Digest, EventId, Origin, RunId, RunStatus, TenantName};
use crate::store::keys;
use crate::store::tree::TreeId;
use crate::store::{Outcome, ReadError, RouteRun, View, stored};

/// Stores what routing made of a pending run.
pub(super) fn route(view: &mut View<'_>, route: RouteRun) -> Result<Applied, Refusal> {
    let RouteRun { tenant, routed, states } = route;
    check::routed(&routed)?;
    check::states(routed.run.status, &states)?;
    let run = routed.run;
    if run.status == RunStatus::Pending {
        return Err(Refusal::Invalid("a routed run is no longer pending"));
    }
    let Some(before) = stored::run(view, &tenant, run.id)? else { return Ok(Applied::quietly(Outcome::NotFound)) };
    if before.status != RunStatus::Pending {
        return Ok(Applied::quietly(Outcome::Stale { why: "the run is not pending" }));
    }
    if before.route != run.route {
        return Err(Refusal::Invalid("a run stays with its route"));
    }
    if !state::still_so(view, &tenant, &run.route, &states)? {
        return Ok(Applied::quietly(Outcome::StateChanged));
    }
    let seq = seq(view, &tenant, run.id.event())?;
    let mut hints = Vec::new();
    put_run(view, &tenant, seq, Some(before.status), &run, &mut hints)?;
    state::write(view, &tenant, &run.route, states)?;
    for delivery in routed.deliveries {
        put_new_delivery(view, &tenant, seq, delivery, &mut hints)?;
    }
    Ok(Applied { outcome: Outcome::Done, hints })
}

/// Makes a held run pending again, in its old place in the order. Its trace stays until it is routed.
pub(super) fn rerun(
    view: &mut View<'_>,
    tenant: &TenantName,
    run: RunId,
    plan: Option<Digest>,
    now_ms: u64,
) -> Result<Applied, Refusal> {
    let Some(mut run) = stored::run(view, tenant, run)? else { return Ok(Applied::quietly(Outcome::NotFound)) };
    if run.status != RunStatus::Held {
        return Ok(Applied::quietly(Outcome::Stale { why: "the run is not held" }));
    }
    run.status = RunStatus::Pending;
    // A replay stays one: what it writes to a state is never kept.
    if run.origin != Origin::Replay {
        run.origin = Origin::Rerun;
    }
    run.plan = plan.unwrap_or(run.plan);
    run.updated_at_ms = now_ms;
    run.failure = None;
    let seq = seq(view, tenant, run.id.event())?;
    let mut hints = Vec::new();
    put_run(view, tenant, seq, Some(RunStatus::Held), &run, &mut hints)?;
    Ok(Applied { outcome: Outcome::Done, hints })
}

/// The place in the order of an event that has a run.
fn seq(view: &View<'_>, tenant: &TenantName, event: EventId) -> Result<u64, ReadError> {
    let (tree, key) = (TreeId::of(event), keys::event(tenant, event));
    let event = stored::event(view, tenant, event)?;
    event.map(|event| event.seq).ok_or_else(|| ReadError::Record {
        tree: tree.to_string(),
        key: key.as_bytes().escape_ascii().to_string(),
        why: "a run is there, but not its event".to_owned(),
    })
}
