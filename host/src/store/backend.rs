//! What a database has to do for the store: ordered trees, read one key or range at a time, and written by one durable, atomic
//! batch at a time. All that these bytes mean is decided above this line, once, for every backend.

use super::key::{Key, KeyRange};
use super::tree::TreeId;
use bytes::Bytes;
use std::cell::Cell;
use std::collections::BTreeMap;

/// The longest value, in bytes: what is longer goes in parts (see `record` and `body`).
///
/// sled moves an item longer than a quarter of its segment into a file of its own, which it never syncs; and its items are whole
/// leaves, of up to about 20 values. With segments of 8 MiB the limit is 2 MiB, and 20 of these values make 330 KiB.
pub(super) const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Ordered trees that can be read.
pub(super) trait Look {
    /// The value of a key. A tree that does not exist is an empty one.
    fn get(&self, tree: TreeId, key: &Key) -> Result<Option<Bytes>, BackendError>;

    /// The entries of a range, in the given order.
    fn scan(&self, tree: TreeId, range: &KeyRange, order: Order) -> Scan<'_>;

    /// The trees that exist, the oldest day first.
    fn trees(&self) -> Vec<TreeId>;
}

/// A database.
pub(super) trait Backend: Look + Send + Sync + 'static {
    /// Writes a batch: all of it or nothing, and on disk when it returns. Trees that do not exist are made.
    ///
    /// After an error the database must not be written again: what is on disk is unknown.
    fn commit(&self, batch: Batch) -> Result<(), BackendError>;

    /// What [`Look::get`] would say, if that is known without a disk; none where it is not.
    fn kept(&self, tree: TreeId, key: &Key) -> Option<Option<Bytes>>;
}

/// The entries of a range.
pub(super) type Scan<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes), BackendError>> + 'a>;

/// A look at what a backend keeps in memory: it never waits for a disk. What it says counts only if it missed nothing.
pub(super) struct Kept<'a> {
    backend: &'a dyn Backend,
    missed: Cell<bool>,
}

impl<'a> Kept<'a> {
    /// What `look` finds, if all that it asks for is kept.
    pub(super) fn find<T>(backend: &'a dyn Backend, look: impl FnOnce(&Self) -> T) -> Option<T> {
        let kept = Self { backend, missed: Cell::new(false) };
        let found = look(&kept);
        (!kept.missed.get()).then_some(found)
    }
}

impl Look for Kept<'_> {
    fn get(&self, tree: TreeId, key: &Key) -> Result<Option<Bytes>, BackendError> {
        let kept = self.backend.kept(tree, key);
        self.missed.set(self.missed.get() || kept.is_none());
        Ok(kept.flatten())
    }

    fn scan(&self, _: TreeId, _: &KeyRange, _: Order) -> Scan<'_> {
        self.missed.set(true);
        Box::new(std::iter::empty())
    }

    fn trees(&self) -> Vec<TreeId> {
        self.missed.set(true);
        Vec::new()
    }
}

/// Which end of a range comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The lowest key.
    Ascending,
    /// The highest key.
    Descending,
}

/// Writes, by tree and key: a value to put, or none to remove what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    /// At most one write for each key.
    pub(super) trees: BTreeMap<TreeId, BTreeMap<Key, Option<Bytes>>>,
}

impl Batch {
    /// Adds a write, and answers the one it replaces.
    pub(super) fn set(&mut self, tree: TreeId, key: Key, value: Option<Bytes>) -> Option<Option<Bytes>> {
        debug_assert!(value.as_ref().is_none_or(|value| value.len() <= VALUE_BYTES_MAX), "a value goes in parts");
        self.trees.entry(tree).or_default().insert(key, value)
    }

    /// The keys of a tree that are removed.
    pub(super) fn removed(&self, tree: TreeId) -> impl Iterator<Item = (TreeId, Key)> + '_ {
        let writes = self.trees.get(&tree).into_iter().flatten();
        writes.filter(|(_, value)| value.is_none()).map(move |(key, _)| (tree, key.clone()))
    }

    /// The write of a key.
    pub(super) fn get(&self, tree: TreeId, key: &Key) -> Option<&Option<Bytes>> {
        self.trees.get(&tree)?.get(key)
    }
}

/// The database failed: a disk that is full or broken, or a file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the database failed to {doing}: {why}")]
pub struct BackendError {
    /// What it was asked to do.
    pub doing: &'static str,
    /// In its own words.
    pub why: String,
}
