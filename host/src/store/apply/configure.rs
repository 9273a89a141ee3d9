//! Configure: resources and plans, fenced by the revision they were made against. What a route's modules kept goes with the route.

use super::{Applied, Refusal, check, state};
use crate::model::{DeliveryStatus, EndpointName, TenantName};
use crate::store::backend::{Look as _, Order};
use crate::store::key::Key;
use crate::store::keys;
use crate::store::tree::TreeId;
use crate::store::{Configure, Hint, Outcome, ReadError, View, meta, record};

/// Changes the configuration, unless somebody else did since, or an endpoint that goes is in use.
pub(super) fn configure(view: &mut View<'_>, configure: Configure) -> Result<Applied, Refusal> {
    check::configure(&configure)?;
    let revision = meta::revision(view)?;
    if revision != configure.expected_revision {
        return Ok(Applied::quietly(Outcome::Stale { why: "the configuration has changed since it was read" }));
    }
    for (tenant, endpoint) in configure.unused {
        if in_use(view, &tenant, &endpoint)? {
            return Ok(Applied::quietly(Outcome::InUse { endpoint }));
        }
    }
    let mut hints = Vec::new();
    for key in &configure.removes {
        record::remove(view, TreeId::Hot, keys::resource(key))?;
        // A name that is none is that of no route.
        if let ("route", Some(tenant), Ok(route)) = (key.kind, &key.tenant, key.name.parse()) {
            hints.extend(state::forget(view, tenant, &route, None)?.hints);
        }
    }
    for (key, value) in &configure.puts {
        let key = keys::resource(key);
        record::remove(view, TreeId::Hot, key.clone())?;
        record::put_bytes(view, TreeId::Hot, key, value);
    }
    for (digest, plan) in &configure.plans {
        record::put_bytes(view, TreeId::Hot, keys::plan(digest), plan);
    }
    let revision = revision + 1;
    meta::put_revision(view, revision);
    hints.push(Hint::Configured { revision });
    Ok(Applied { outcome: Outcome::Configured { revision }, hints })
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
