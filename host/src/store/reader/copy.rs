//! The whole store as it is, piece by piece, for a backup.

use super::Reader;
use crate::store::ReadError;
use crate::store::backend::{Batch, Order};
use crate::store::key::{Key, KeyRange};
use crate::store::keys;
use crate::store::tree::TreeId;

/// A piece of a tree.
pub(in crate::store) struct Slice {
    /// Its entries.
    pub(in crate::store) batch: Batch,
    /// How many of them are events.
    pub(in crate::store) events: u64,
    /// What is left of the range; none at its end.
    pub(in crate::store) rest: Option<KeyRange>,
}

impl Reader {
    /// The trees that there are.
    pub(in crate::store) fn trees(&self) -> Vec<TreeId> {
        self.backend.trees()
    }

    /// The first entries of a range, of about `bytes_max` bytes. What is the store's own journal's alone is left out.
    pub(in crate::store) fn slice(&self, tree: TreeId, range: KeyRange, bytes_max: usize) -> Result<Slice, ReadError> {
        let own = keys::of_journal();
        let (mut batch, mut bytes, mut events) = (Batch::default(), 0, 0);
        for entry in self.backend.scan(tree, &range, Order::Ascending) {
            let (key, value) = entry?;
            bytes += key.len() + value.len();
            events += u64::from(matches!(tree, TreeId::Day(_)) && keys::is_event(&key));
            let key = Key::from(&key[..]);
            let full = bytes >= bytes_max;
            let rest = full.then(|| range.clone().after(&key));
            if tree != TreeId::Hot || !own.contains(&key) {
                batch.set(tree, key, Some(value));
            }
            if full {
                return Ok(Slice { batch, events, rest });
            }
        }
        Ok(Slice { batch, events, rest: None })
    }
}
