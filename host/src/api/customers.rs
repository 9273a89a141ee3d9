//! What a tenant's customers may change: their own endpoints, and not the labels that say whose these are.

use super::change::{Change, ChangeError};
use crate::config::{Kind, Snapshot, Spec};
use crate::model::{Actor, EndpointName, TenantName};
use std::collections::BTreeMap;

/// Where a customer leaves the labels of an endpoint out, they are what they have to be: those of the token for a new one, its own for another.
pub(super) fn with_labels(by: &Actor, mut spec: Spec, old: Option<&Spec>) -> Spec {
    if let (Some(of_token), Spec::Endpoint(endpoint)) = (&by.labels, &mut spec)
        && endpoint.labels.is_empty()
    {
        let of_old = match old {
            Some(Spec::Endpoint(old)) => Some(&old.labels),
            _ => None,
        };
        endpoint.labels.clone_from(of_old.unwrap_or(of_token));
    }
    spec
}

/// Whether all of it is for who asks to change, as it is now: what was looked at before one's turn may have changed since.
pub(super) fn check_customer(by: &Actor, before: &Snapshot, changes: &[Change]) -> Result<(), ChangeError> {
    let labels = |spec: Option<&Spec>| match spec {
        Some(Spec::Endpoint(endpoint)) => Some(endpoint.labels.clone()),
        _ => None,
    };
    for (id, after) in changes.iter().filter(|_| by.labels.is_some()) {
        let (before, after) = (labels(before.record(id).as_ref()), labels(after.as_ref()));
        if id.kind != Kind::Endpoint || !by.may_change(before.as_ref(), before.as_ref()) {
            return Err(ChangeError::NotOwn);
        }
        if !by.may_change(before.as_ref(), after.as_ref()) {
            return Err(ChangeError::Labels);
        }
    }
    Ok(())
}

/// The endpoints that get other labels than they have, or are made with some; and whether they have any then.
pub(super) fn relabelled(before: &Snapshot, changes: &[Change]) -> Vec<(TenantName, EndpointName, bool)> {
    let one = |(id, after): &Change| {
        let (Some(tenant), Ok(endpoint), Some(Spec::Endpoint(after))) = (&id.tenant, id.name.parse(), after) else {
            return None;
        };
        let none = BTreeMap::new();
        let labels = before.endpoint(tenant, &endpoint).map_or(&none, |before| &before.labels);
        (*labels != after.labels).then(|| (tenant.clone(), endpoint, !after.labels.is_empty()))
    };
    changes.iter().filter_map(one).collect()
}
