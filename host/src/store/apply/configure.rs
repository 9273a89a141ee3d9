//! Configure and SweepPlans: resources and plans, fenced by the revision they were made against. What a route's modules kept goes with the
//! route, and what was counted of something goes with it.

use super::{Applied, Refusal, check, former, health, state, statistics, tick};
use crate::model::{DeliveryStatus, Digest, EndpointName, TenantName};
use crate::store::backend::{Look as _, Order};
use crate::store::key::{Key, KeyRange};
use crate::store::keys;
use crate::store::tree::TreeId;
use crate::store::{Configure, Hint, Outcome, ReadError, ResourceKey, View, meta, notice, owner, record};
use bytes::Bytes;

/// Changes the configuration, unless somebody else did since, an endpoint that goes is in use, or a tenant that is made would find what is left of a
/// former one.
pub(super) fn configure(view: &mut View<'_>, configure: Configure) -> Result<Applied, Refusal> {
    check::configure(&configure)?;
    let revision = meta::revision(view)?;
    if revision != configure.expected_revision {
        return Ok(Applied::quietly(Outcome::Stale { why: "the configuration has changed since it was read" }));
    }
    for (tenant, endpoint) in &configure.unused {
        if in_use(view, tenant, endpoint)? {
            return Ok(Applied::quietly(Outcome::InUse { endpoint: endpoint.clone() }));
        }
    }
    if let Some((tenant, former)) = former::of_new(view, &configure)? {
        return Ok(Applied::quietly(Outcome::Former { tenant, former }));
    }
    let mut hints = Vec::new();
    for key in &configure.removes {
        remove(view, key, &mut hints)?;
    }
    for (key, value) in &configure.puts {
        let key = keys::resource(key);
        record::remove(view, TreeId::Hot, key.clone())?;
        record::put_bytes(view, TreeId::Hot, key, value);
    }
    for (tenant, endpoint, has_labels) in &configure.relabelled {
        owner::put(view, tenant, endpoint, *has_labels)?;
    }
    for (key, _) in &configure.puts {
        if let ("endpoint", Some(tenant), Ok(endpoint)) = (key.kind, &key.tenant, key.name.parse()) {
            let reason = "its configuration changed";
            health::begin_anew(view, tenant, &endpoint, configure.now_ms, reason, &mut hints)?;
        }
    }
    for (tenant, notice) in &configure.notices {
        notice::put(view, Some(tenant), notice)?;
        hints.push(Hint::Notice);
    }
    for (digest, plan) in &configure.plans {
        record::put_bytes(view, TreeId::Hot, keys::plan(digest), plan);
        view.remove(TreeId::Hot, keys::unused_plan(digest));
    }
    let revision = revision + 1;
    meta::put_revision(view, revision);
    hints.push(Hint::Configured { revision });
    Ok(Applied { outcome: Outcome::Configured { revision }, hints })
}

/// Removes a resource, with what is kept of it beside.
fn remove(view: &mut View<'_>, key: &ResourceKey, hints: &mut Vec<Hint>) -> Result<(), Refusal> {
    record::remove(view, TreeId::Hot, keys::resource(key))?;
    statistics::forget(view, key)?;
    // A name that is none is that of no route, and of no endpoint.
    match (key.kind, &key.tenant) {
        ("route", Some(tenant)) => {
            if let Ok(route) = key.name.parse() {
                hints.extend(state::forget(view, tenant, &route, None)?.hints);
            }
        }
        ("key", scope) => view.remove(TreeId::Hot, keys::key_use(scope.as_ref(), &key.name)),
        ("endpoint", Some(tenant)) => {
            view.remove(TreeId::Hot, keys::owner(tenant, &key.name));
            if let Ok(endpoint) = key.name.parse() {
                health::forget(view, tenant, endpoint, hints)?;
            }
        }
        ("source", Some(tenant)) => {
            if let Ok(source) = key.name.parse() {
                tick::forget(view, tenant, &source)?;
            }
        }
        ("tenant", Some(tenant)) => {
            forget_all(view, &keys::notices_of(Some(tenant)).prefix())?;
            forget_all(view, &keys::jobs_of(tenant).prefix())?;
            // Another tenant with its name must not read what was done in this one.
            forget_all(view, &keys::audited_of(Some(tenant)).prefix())?;
        }
        _ => {}
    }
    Ok(())
}

/// Puts resources whose secrets are sealed anew.
pub(super) fn reseal(
    view: &mut View<'_>,
    expected_revision: u64,
    puts: &[(ResourceKey, Bytes)],
) -> Result<Applied, Refusal> {
    if meta::revision(view)? != expected_revision {
        return Ok(Applied::quietly(Outcome::Stale { why: "the configuration has changed since it was read" }));
    }
    for (key, value) in puts {
        let key = keys::resource(key);
        record::remove(view, TreeId::Hot, key.clone())?;
        record::put_bytes(view, TreeId::Hot, key, value);
    }
    Ok(Applied::quietly(Outcome::Done))
}

/// Marks plans that are not needed, and removes those that have not been for long enough.
pub(super) fn sweep_plans(
    view: &mut View<'_>,
    expected_revision: u64,
    unused: Vec<Digest>,
    now_ms: u64,
    marked_by_ms: u64,
) -> Result<Applied, Refusal> {
    if meta::revision(view)? != expected_revision {
        return Ok(Applied::quietly(Outcome::Stale { why: "the configuration has changed since it was read" }));
    }
    for digest in unused {
        let mark = keys::unused_plan(&digest);
        let marked = view.get(TreeId::Hot, &mark)?;
        match marked.map(|ms| ms.first_chunk().map_or(0, |ms| u64::from_be_bytes(*ms))) {
            None => view.put(TreeId::Hot, mark, now_ms.to_be_bytes().to_vec()),
            Some(marked_ms) if marked_ms <= marked_by_ms => {
                record::remove(view, TreeId::Hot, keys::plan(&digest))?;
                view.remove(TreeId::Hot, mark);
            }
            Some(_) => {}
        }
    }
    Ok(Applied::quietly(Outcome::Done))
}

/// Removes records of the hot tree that went with their tenant: notices that nobody is told any more, jobs.
fn forget_all(view: &mut View<'_>, of_tenant: &KeyRange) -> Result<(), ReadError> {
    let found = view.scan(TreeId::Hot, of_tenant, Order::Ascending).map(|entry| Ok(Key::from(&entry?.0[..])));
    for key in found.collect::<Result<Vec<_>, ReadError>>()? {
        record::remove(view, TreeId::Hot, key)?;
    }
    Ok(())
}

/// Whether a delivery to this endpoint is pending (its lane says so) or held (the days' indexes do).
fn in_use(view: &View<'_>, tenant: &TenantName, endpoint: &EndpointName) -> Result<bool, ReadError> {
    let lane = keys::lane(tenant, endpoint).prefix();
    let held = keys::by_status(tenant, endpoint, DeliveryStatus::Held).map(Key::prefix);
    for tree in view.trees() {
        let range = if tree == TreeId::Hot { Some(&lane) } else { held.as_ref() };
        let Some(range) = range else { continue };
        if view.scan(tree, range, Order::Ascending).next().transpose()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
