//! The audit log: an entry is of the same commit as what it tells of. Old ones go, a few at a time.

use super::{Applied, Refusal, apply};
use crate::model::{AuditId, KeyName, TenantName};
use crate::store::backend::{Look as _, Order};
use crate::store::key::Key;
use crate::store::tree::TreeId;
use crate::store::{Audited, Outcome, ReadError, View, audit, keys, record};

/// How many entries go in one commit.
const SWEPT_AT_ONCE: usize = 1000;

/// Makes a change, and tells of it if there was one.
pub(super) fn audited(view: &mut View<'_>, audited: Audited) -> Result<Applied, Refusal> {
    let Audited { scope, entry, change } = audited;
    let applied = apply(view, change)?;
    let changed = match applied.outcome {
        Outcome::Done
        | Outcome::More
        | Outcome::Configured { .. }
        | Outcome::Replayed { .. }
        | Outcome::JobIs { .. } => true,
        // Of others it is not known that they did anything.
        _ => false,
    };
    if changed {
        audit::put(view, scope.as_ref(), &entry)?;
    }
    Ok(applied)
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

/// Writes down when keys were used last.
pub(super) fn keys_used(view: &mut View<'_>, uses: &[(Option<TenantName>, KeyName, u64)]) -> Applied {
    for (scope, name, at_ms) in uses {
        view.put(TreeId::Hot, keys::key_use(scope.as_ref(), name.as_str()), at_ms.to_be_bytes().to_vec());
    }
    Applied::quietly(Outcome::Done)
}
