//! When each API key was used last. It is in memory, and what changed goes to the store once a minute: a crash forgets a minute of it.

use crate::config::{Kind, ResourceId};
use crate::model::{KeyName, TenantName};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// When each was used, by scope and name.
type Uses = HashMap<(Option<TenantName>, KeyName), u64>;

/// The uses of keys. Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct KeyUses {
    uses: Arc<Mutex<Uses>>,
}

impl KeyUses {
    /// A key was used now.
    pub(super) fn note(&self, scope: Option<&TenantName>, name: &KeyName, now_ms: u64) {
        self.uses().insert((scope.cloned(), name.clone()), now_ms);
    }

    /// When a key was used last, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn last(&self, id: &ResourceId) -> Option<u64> {
        let name = id.name.parse().ok().filter(|_| id.kind == Kind::Key)?;
        self.uses().get(&(id.tenant.clone(), name)).copied()
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
