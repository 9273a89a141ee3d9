//! What a change of which the audit log tells is written with: both, or neither.

use super::tree::TreeId;
use super::{ReadError, keys, meta, record};
use super::{Transition, View};
use crate::model::{AuditEntry, AuditId, TenantName};

/// A change, and what is told of it.
#[derive(Clone, Debug)]
pub struct Audited {
    /// Whose log it stands in; none for the operator's.
    pub scope: Option<TenantName>,
    /// What is told. Its id is given by the committer: entries of one moment stand in the order of their commits.
    pub entry: AuditEntry,
    /// The change itself. Where it changes nothing, nothing is told.
    pub change: Transition,
}

/// Keeps an entry.
pub(super) fn put(view: &mut View<'_>, scope: Option<&TenantName>, entry: AuditEntry) -> Result<(), ReadError> {
    let id = AuditId::new(entry.at_ms, meta::next_audit(view)?.into());
    record::put(view, TreeId::Hot, keys::audited(scope, id), &AuditEntry { id, ..entry })
}
