//! The database for tests and simulation: trees in memory, gone with the process.

use super::backend::{Backend, BackendError, Batch, Look, Order, Scan};
use super::key::{Key, KeyRange};
use super::tree::TreeId;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

type Trees = BTreeMap<TreeId, BTreeMap<Bytes, Bytes>>;

/// Trees in memory.
#[derive(Debug, Default)]
pub(super) struct MemoryBackend {
    trees: RwLock<Trees>,
}

impl MemoryBackend {
    fn read(&self) -> RwLockReadGuard<'_, Trees> {
        self.trees.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of `tree` at the end of the bounds where `order` begins.
    fn first(&self, tree: TreeId, bounds: (Bound<Bytes>, Bound<Bytes>), order: Order) -> Option<(Bytes, Bytes)> {
        let trees = self.read();
        let mut range = trees.get(&tree)?.range::<Bytes, _>(bounds);
        let (key, value) = match order {
            Order::Ascending => range.next()?,
            Order::Descending => range.next_back()?,
        };
        Some((key.clone(), value.clone()))
    }
}

impl Look for MemoryBackend {
    fn get(&self, tree: TreeId, key: &Key) -> Result<Option<Bytes>, BackendError> {
        Ok(self.read().get(&tree).and_then(|tree| tree.get(key.as_bytes())).cloned())
    }

    fn scan(&self, tree: TreeId, range: &KeyRange, order: Order) -> Scan<'_> {
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        // The lock is taken for each entry, so that writes go on while somebody reads, as they do on disk.
        let mut from = Bound::Included(Bytes::copy_from_slice(&range.from));
        let mut until = Bound::Excluded(Bytes::copy_from_slice(&range.until));
        Box::new(std::iter::from_fn(move || {
            let (key, value) = self.first(tree, (from.clone(), until.clone()), order)?;
            match order {
                Order::Ascending => from = Bound::Excluded(key.clone()),
                Order::Descending => until = Bound::Excluded(key.clone()),
            }
            Some(Ok((key, value)))
        }))
    }

    fn trees(&self) -> Vec<TreeId> {
        self.read().keys().copied().collect()
    }
}

impl Backend for MemoryBackend {
    fn commit(&self, batch: Batch) -> Result<(), BackendError> {
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        for (id, writes) in batch.trees {
            let tree = trees.entry(id).or_default();
            for (key, value) in writes {
                let key = Bytes::copy_from_slice(key.as_bytes());
                match value {
                    Some(value) => tree.insert(key, value),
                    None => tree.remove(&key),
                };
            }
        }
        trees.retain(|_, tree| !tree.is_empty());
        Ok(())
    }

    fn kept(&self, tree: TreeId, key: &Key) -> Option<Option<Bytes>> {
        self.get(tree, key).ok()
    }
}
