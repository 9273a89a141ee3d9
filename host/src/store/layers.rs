//! Writes that lie over what is below them: of a group under way (`view`), or of a generation of the journal (`disk_backend`).

use super::backend::{Batch, Order, Scan};
use super::key::{Key, KeyRange};
use super::tree::TreeId;
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// A write: a key, and its value or none where it was removed.
pub(super) type Write = (Bytes, Option<Bytes>);

/// The writes of one generation of the journal. It is added to while others read.
#[derive(Debug, Default)]
pub(super) struct Layer {
    batch: RwLock<Batch>,
}

impl Layer {
    /// Lays a commit over what is there.
    pub(super) fn add(&self, batch: Batch) {
        let mut all = self.batch.write().unwrap_or_else(PoisonError::into_inner);
        for (tree, writes) in batch.trees {
            all.trees.entry(tree).or_default().extend(writes);
        }
    }

    /// Forgets these keys: what is below counts again.
    pub(super) fn forget(&self, keys: &[(TreeId, Key)]) {
        let mut all = self.batch.write().unwrap_or_else(PoisonError::into_inner);
        for (tree, key) in keys {
            all.trees.get_mut(tree).and_then(|writes| writes.remove(key));
        }
    }

    /// All writes.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Batch> {
        self.batch.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writes in a range. The lock is taken for each, so that commits go on while somebody reads.
    pub(super) fn scan(
        self: Arc<Self>,
        tree: TreeId,
        range: &KeyRange,
        order: Order,
    ) -> impl Iterator<Item = Write> + use<> {
        let mut from = Bound::Included(Key::from(range.from.as_slice()));
        let mut until = Bound::Excluded(Key::from(range.until.as_slice()));
        std::iter::from_fn(move || {
            let batch = self.read();
            let mut writes = batch.trees.get(&tree)?.range((from.as_ref(), until.as_ref()));
            let (key, value) = match order {
                Order::Ascending => writes.next()?,
                Order::Descending => writes.next_back()?,
            };
            match order {
                Order::Ascending => from = Bound::Excluded(key.clone()),
                Order::Descending => until = Bound::Excluded(key.clone()),
            }
            Some((Bytes::copy_from_slice(key.as_bytes()), value.clone()))
        })
    }
}

/// Lays `over` on `below`, both in `order`: where both have a key, `over` counts.
pub(super) fn merge<'a>(below: Scan<'a>, over: impl Iterator<Item = Write> + 'a, order: Order) -> Scan<'a> {
    let mut below = below.peekable();
    let mut over = over.peekable();
    Box::new(std::iter::from_fn(move || {
        loop {
            let first = match (below.peek(), over.peek()) {
                (Some(Ok((below, _))), Some((over, _))) => match order {
                    Order::Ascending => below.cmp(over),
                    Order::Descending => over.cmp(below),
                },
                (None, Some(_)) => Ordering::Greater,
                _ => Ordering::Less,
            };
            if first == Ordering::Less {
                return below.next();
            }
            if first == Ordering::Equal {
                below.next();
            }
            if let Some((key, Some(value))) = over.next() {
                return Some(Ok((key, value)));
            }
        }
    }))
}
