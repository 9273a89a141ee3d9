//! How endpoints are doing: stored with the attempt that it comes of, and with what its tenant is told of it.

use super::{Applied, Refusal};
use crate::model::{EndpointHealth, EndpointName, EndpointState, TenantName};
use crate::store::backend::Look as _;
use crate::store::notice::{self, Notice};
use crate::store::tree::TreeId;
use crate::store::{Hint, Outcome, ReadError, ResourceKey, View, keys, record};

/// Stores a change, unless a later one is there already.
pub(super) fn put(
    view: &mut View<'_>,
    tenant: &TenantName,
    endpoint: &EndpointName,
    health: &EndpointHealth,
    hints: &mut Vec<Hint>,
) -> Result<(), ReadError> {
    let before = stored(view, tenant, endpoint)?;
    if before.revision >= health.revision {
        return Ok(());
    }
    record::put(view, TreeId::Hot, keys::health(tenant, endpoint), health)?;
    if let Some(notice) = Notice::of_health(tenant, endpoint, before.state, health) {
        notice::put(view, Some(tenant), &notice)?;
        hints.push(Hint::Notice);
    }
    Ok(())
}

/// Stores a change that comes without its attempt.
pub(super) fn change(
    view: &mut View<'_>,
    tenant: &TenantName,
    endpoint: &EndpointName,
    health: &EndpointHealth,
) -> Result<Applied, Refusal> {
    if is_gone(view, tenant, endpoint)? {
        return Ok(Applied::quietly(Outcome::NotFound));
    }
    let mut hints = Vec::new();
    put(view, tenant, endpoint, health, &mut hints)?;
    Ok(Applied { outcome: Outcome::Done, hints })
}

/// A person wants it to be sent to again.
pub(super) fn enable(
    view: &mut View<'_>,
    tenant: &TenantName,
    endpoint: &EndpointName,
    now_ms: u64,
) -> Result<Applied, Refusal> {
    if is_gone(view, tenant, endpoint)? {
        return Ok(Applied::quietly(Outcome::NotFound));
    }
    let mut hints = Vec::new();
    begin_anew(view, tenant, endpoint, now_ms, "it was enabled", &mut hints)?;
    Ok(Applied { outcome: Outcome::Done, hints })
}

/// What was known of it counts no more.
pub(super) fn begin_anew(
    view: &mut View<'_>,
    tenant: &TenantName,
    endpoint: &EndpointName,
    now_ms: u64,
    reason: &str,
    hints: &mut Vec<Hint>,
) -> Result<(), ReadError> {
    let before = stored(view, tenant, endpoint)?;
    if before.state == EndpointState::Working {
        return Ok(());
    }
    let health = before.then(EndpointState::Working, now_ms, reason);
    put(view, tenant, endpoint, &health, hints)?;
    hints.push(Hint::Endpoint { tenant: tenant.clone(), endpoint: endpoint.clone(), health: Some(health) });
    Ok(())
}

/// The endpoint was removed.
pub(super) fn forget(
    view: &mut View<'_>,
    tenant: &TenantName,
    endpoint: EndpointName,
    hints: &mut Vec<Hint>,
) -> Result<(), ReadError> {
    record::remove(view, TreeId::Hot, keys::health(tenant, &endpoint))?;
    hints.push(Hint::Endpoint { tenant: tenant.clone(), endpoint, health: None });
    Ok(())
}

fn stored(view: &View<'_>, tenant: &TenantName, endpoint: &EndpointName) -> Result<EndpointHealth, ReadError> {
    let stored = record::get(view, TreeId::Hot, &keys::health(tenant, endpoint))?;
    Ok(stored.unwrap_or_else(EndpointHealth::unknown))
}

fn is_gone(view: &View<'_>, tenant: &TenantName, endpoint: &EndpointName) -> Result<bool, ReadError> {
    let resource = ResourceKey { tenant: Some(tenant.clone()), kind: "endpoint", name: endpoint.to_string() };
    Ok(view.get(TreeId::Hot, &keys::resource(&resource))?.is_none())
}
