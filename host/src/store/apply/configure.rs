//! Configure: resources and plans, fenced by the revision they were made against.

use super::{Applied, Refusal, check};
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
    for key in &configure.removes {
        record::remove(view, TreeId::Hot, keys::resource(key))?;
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
    Ok(Applied { outcome: Outcome::Configured { revision }, hints: vec![Hint::Configured { revision }] })
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
