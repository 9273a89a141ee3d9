//! What is left of a tenant that was removed. Events are kept for their time, whosever name they have: whoever makes a tenant of that name would read
//! them, so the commit that makes one looks first.

use crate::model::TenantName;
use crate::store::backend::{Look as _, Order};
use crate::store::key::Key;
use crate::store::tree::TreeId;
use crate::store::{Configure, DEDUP_MS_MAX, Former, ReadError, ResourceKey, View, keys};

/// The first tenant that a change makes, and of which something is left, with what that is.
pub(super) fn of_new(view: &View<'_>, configure: &Configure) -> Result<Option<(TenantName, Former)>, ReadError> {
    for (key, _) in configure.puts.iter().filter(|_| !configure.keeps_former) {
        let Some(tenant) = made(view, key)? else { continue };
        if let Some(former) = left(view, tenant)? {
            return Ok(Some((tenant.clone(), former)));
        }
    }
    Ok(None)
}

/// The tenant, where the resource is one and is not there yet.
fn made<'a>(view: &View<'_>, key: &'a ResourceKey) -> Result<Option<&'a TenantName>, ReadError> {
    let Some(tenant) = key.tenant.as_ref().filter(|_| key.kind == "tenant") else { return Ok(None) };
    Ok(view.get(TreeId::Hot, &keys::resource(key))?.is_none().then_some(tenant))
}

/// What the days' trees have of this name: a few looks a day.
fn left(view: &View<'_>, tenant: &TenantName) -> Result<Option<Former>, ReadError> {
    let mut former = Former::default();
    for tree in view.trees() {
        let TreeId::Day(day) = tree else { continue };
        let has = |all: &Key| -> Result<bool, ReadError> {
            Ok(view.scan(tree, &all.clone().prefix(), Order::Ascending).next().transpose()?.is_some())
        };
        for all in keys::of_events(tenant) {
            if has(&all)? {
                former.events_ms = former.events_ms.max(Some(day.end_ms()));
                break;
            }
        }
        if has(&keys::dedup_of(tenant))? {
            former.dedup_ms = former.dedup_ms.max(Some(day.end_ms() + DEDUP_MS_MAX));
        }
    }
    Ok(Some(former).filter(|former| *former != Former::default()))
}
