//! When each API key was used last. It is in memory; `upkeep` gives what is new to the store.

use crate::config::{Kind, ResourceId, Snapshot};
use crate::model::{KeyName, TenantName};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A key, by scope and name.
type KeyId = (Option<TenantName>, KeyName);

/// The uses of keys. Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct KeyUses {
    uses: Arc<Mutex<HashMap<KeyId, Use>>>,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    at_ms: u64,
    /// Whether the store knows.
    is_kept: bool,
}

impl KeyUses {
    /// The uses that the store knows.
    #[must_use]
    pub fn new(kept: Vec<(Option<TenantName>, KeyName, u64)>) -> Self {
        let uses = kept.into_iter().map(|(scope, name, at_ms)| ((scope, name), Use { at_ms, is_kept: true }));
        Self { uses: Arc::new(Mutex::new(uses.collect())) }
    }

    /// A key was used now.
    pub(super) fn note(&self, scope: Option<&TenantName>, name: &KeyName, now_ms: u64) {
        self.uses().insert((scope.cloned(), name.clone()), Use { at_ms: now_ms, is_kept: false });
    }

    /// When a key was used last, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn last(&self, id: &ResourceId) -> Option<u64> {
        let name = id.name.parse().ok().filter(|_| id.kind == Kind::Key)?;
        self.uses().get(&(id.tenant.clone(), name)).map(|found| found.at_ms)
    }

    /// A key is gone, and another one may get its name.
    pub(super) fn forget(&self, id: &ResourceId) {
        if let Ok(name) = id.name.parse() {
            self.uses().remove(&(id.tenant.clone(), name));
        }
    }

    /// What the store does not know yet, of keys that are there. Those that are gone are forgotten.
    pub(super) fn take_new(&self, snapshot: &Snapshot) -> Vec<(Option<TenantName>, KeyName, u64)> {
        let mut uses = self.uses();
        uses.retain(|(scope, name), _| {
            let id = ResourceId { tenant: scope.clone(), kind: Kind::Key, name: name.to_string() };
            snapshot.record(&id).is_some()
        });
        let new = uses.iter_mut().filter(|(_, found)| !found.is_kept);
        new.map(|((scope, name), found)| {
            found.is_kept = true;
            (scope.clone(), name.clone(), found.at_ms)
        })
        .collect()
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<KeyId, Use>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MasterKey, parse};

    #[test]
    fn what_is_new_is_given_once_and_what_is_gone_is_forgotten() {
        let acme: TenantName = "acme".parse().unwrap();
        let record = |kind, name: &str, spec: &str| {
            let id = ResourceId { tenant: Some(acme.clone()), kind, name: name.to_owned() };
            (id, parse(kind, spec.as_bytes()).unwrap())
        };
        let key = format!(r#"{{"role": "read", "created_at_ms": 1, "digest": "{}"}}"#, "a".repeat(64));
        let records = [record(Kind::Tenant, "acme", "{}"), record(Kind::Key, "k", &key)];
        let snapshot = Snapshot::build(1, records.clone(), &MasterKey::new([1; 32])).unwrap();
        let [k, gone]: [KeyName; 2] = ["k", "gone"].map(|name| name.parse().unwrap());
        let uses = KeyUses::new(vec![(Some(acme.clone()), k.clone(), 5), (None, gone.clone(), 5)]);
        assert_eq!(uses.take_new(&snapshot), []);
        uses.note(Some(&acme), &k, 7);
        uses.note(Some(&acme), &gone, 7);
        assert_eq!(uses.take_new(&snapshot), [(Some(acme), k, 7)]);
        assert_eq!(uses.take_new(&snapshot), []);
        assert_eq!(uses.uses().len(), 1);
        assert_eq!(uses.last(&records[1].0), Some(7));
        uses.forget(&records[1].0);
        assert_eq!(uses.last(&records[1].0), None);
    }
}
