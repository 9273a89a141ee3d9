//! The audit log: an entry is of the same commit as what it tells of. Old ones go, a few at a time.

use super::{Applied, Refusal, apply};
use crate::model::{AuditId, KeyName, TenantName};
use crate::store::backend::{Look as _, Order};
use crate::store::key::Key;
use crate::store::tree::TreeId;
use crate::store::{Audited, Outcome, ReadError, ResourceKey, Transition, View, audit, keys, record, stored};

/// How many entries go in one commit.
const SWEPT_AT_ONCE: usize = 1000;

/// Makes a change, and tells of it if there was one.
pub(super) fn audited(view: &mut View<'_>, audited: Audited) -> Result<Applied, Refusal> {
    let Audited { scope, entry, change } = audited;
    // These do nothing the second time, and have nothing to hint at then.
    let may_do_nothing =
        matches!(change, Transition::Enable { .. } | Transition::Replay(_) | Transition::CreateJob { .. });
    // Nor does it change anything to erase what is erased already.
    let is_erased = match &change {
        Transition::Erase { tenant, event, .. } => stored::erased(view, tenant, *event)?.is_some(),
        _ => false,
    };
    let applied = apply(view, change)?;
    let changed = match applied.outcome {
        Outcome::Accepted { .. }
        | Outcome::Done
        | Outcome::More
        | Outcome::Configured { .. }
        | Outcome::Replayed { .. }
        | Outcome::JobIs { .. } => !(may_do_nothing && applied.hints.is_empty()),
        // Of others it is not known that they did anything.
        _ => false,
    };
    if changed && !is_erased && is_there(view, scope.as_ref())? {
        audit::put(view, scope.as_ref(), entry)?;
    }
    Ok(applied)
}

/// Whether the tenant is there whose log it is: one with its name that comes later must not find it.
fn is_there(view: &View<'_>, scope: Option<&TenantName>) -> Result<bool, ReadError> {
    let Some(tenant) = scope else { return Ok(true) };
    let key = ResourceKey { tenant: Some(tenant.clone()), kind: "tenant", name: tenant.to_string() };
    Ok(view.get(TreeId::Hot, &keys::resource(&key))?.is_some())
}

/// Removes entries of a log that are older than `before_ms`. [`Outcome::More`] where there are more of them.
pub(super) fn sweep(view: &mut View<'_>, scope: Option<&TenantName>, before_ms: u64) -> Result<Applied, Refusal> {
    let end = keys::audited(scope, AuditId::new(before_ms, 0));
    let range = keys::audited_of(scope).prefix().before(&end);
    let found = view.scan(TreeId::Hot, &range, Order::Ascending).take(SWEPT_AT_ONCE);
    let found = found.map(|entry| Ok(Key::from(&entry?.0[..]))).collect::<Result<Vec<_>, ReadError>>()?;
    let more = found.len() == SWEPT_AT_ONCE;
    for key in found {
        record::remove(view, TreeId::Hot, key)?;
    }
    Ok(Applied::quietly(if more { Outcome::More } else { Outcome::Done }))
}

/// Writes down when keys were used last. One that went meanwhile took its use along, and another one of its name must not find it.
pub(super) fn keys_used(view: &mut View<'_>, uses: &[(Option<TenantName>, KeyName, u64)]) -> Result<Applied, Refusal> {
    for (scope, name, at_ms) in uses {
        let key = ResourceKey { tenant: scope.clone(), kind: "key", name: name.to_string() };
        if view.get(TreeId::Hot, &keys::resource(&key))?.is_some() {
            view.put(TreeId::Hot, keys::key_use(scope.as_ref(), name.as_str()), at_ms.to_be_bytes().to_vec());
        }
    }
    Ok(Applied::quietly(Outcome::Done))
}
