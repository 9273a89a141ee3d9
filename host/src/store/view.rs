//! The trees as a transition sees them: what is on disk, with what earlier transitions of its group have written laid over it.

use super::backend::{BackendError, Batch, Look, Order, Scan};
use super::body::Chunk;
use super::key::{Key, KeyRange};
use super::layers::merge;
use super::tree::TreeId;
use bytes::Bytes;

/// A group of transitions under way. Nothing of it is on disk yet.
pub(super) struct View<'a> {
    below: &'a dyn Look,
    batch: Batch,
    /// Chunks of bodies. Nothing reads them before they are written, and nothing refers to them before the batch is: so they
    /// may go to disk first.
    chunks: Vec<Chunk>,
    /// What each write since the last mark replaced in the batch.
    undo: Vec<(TreeId, Key, Option<Option<Bytes>>)>,
    /// The bytes of keys and values put since the last mark.
    put_bytes: usize,
    /// How many chunks there were at the last mark.
    chunks_kept: usize,
}

impl<'a> View<'a> {
    /// A group over what `below` holds.
    pub(super) fn over(below: &'a dyn Look) -> Self {
        Self { below, batch: Batch::default(), chunks: Vec::new(), undo: Vec::new(), put_bytes: 0, chunks_kept: 0 }
    }

    /// Puts a value.
    pub(super) fn put(&mut self, tree: TreeId, key: Key, value: impl Into<Bytes>) {
        let value = value.into();
        self.put_bytes += key.as_bytes().len() + value.len();
        self.set(tree, key, Some(value));
    }

    /// Removes what is there, if anything.
    pub(super) fn remove(&mut self, tree: TreeId, key: Key) {
        self.set(tree, key, None);
    }

    /// Adds a chunk of a body.
    pub(super) fn put_chunk(&mut self, chunk: Chunk) {
        self.chunks.push(chunk);
    }

    /// How many bytes of records were put since the last mark.
    pub(super) const fn put_bytes(&self) -> usize {
        self.put_bytes
    }

    /// Marks this state: what was written is part of the group now.
    pub(super) fn keep(&mut self) {
        self.undo.clear();
        self.put_bytes = 0;
        self.chunks_kept = self.chunks.len();
    }

    /// Takes back all that was written since the last mark.
    pub(super) fn roll_back(&mut self) {
        while let Some((tree, key, before)) = self.undo.pop() {
            match (before, self.batch.trees.get_mut(&tree)) {
                (Some(before), Some(writes)) => drop(writes.insert(key, before)),
                (None, Some(writes)) => drop(writes.remove(&key)),
                (_, None) => {}
            }
        }
        self.chunks.truncate(self.chunks_kept);
        self.put_bytes = 0;
    }

    /// What the group writes: chunks, which may go first, and all the rest, which goes at once.
    pub(super) fn into_writes(self) -> (Vec<Chunk>, Batch) {
        (self.chunks, self.batch)
    }

    fn set(&mut self, tree: TreeId, key: Key, value: Option<Bytes>) {
        let before = self.batch.set(tree, key.clone(), value);
        self.undo.push((tree, key, before));
    }
}

impl Look for View<'_> {
    fn get(&self, tree: TreeId, key: &Key) -> Result<Option<Bytes>, BackendError> {
        match self.batch.get(tree, key) {
            Some(write) => Ok(write.clone()),
            None => self.below.get(tree, key),
        }
    }

    fn scan(&self, tree: TreeId, range: &KeyRange, order: Order) -> Scan<'_> {
        let below = self.below.scan(tree, range, order);
        let Some(writes) = self.batch.trees.get(&tree).filter(|_| !range.is_empty()) else { return below };
        let over = writes.range(Key::from(range.from.as_slice())..Key::from(range.until.as_slice()));
        let over = over.map(|(key, value)| (Bytes::copy_from_slice(key.as_bytes()), value.clone()));
        match order {
            Order::Ascending => merge(below, over, order),
            Order::Descending => merge(below, over.rev(), order),
        }
    }

    fn trees(&self) -> Vec<TreeId> {
        let mut trees = self.below.trees();
        trees.extend(self.batch.trees.keys());
        trees.sort_unstable();
        trees.dedup();
        trees
    }
}

#[cfg(test)]
mod tests {
    use super::super::backend::Backend as _;
    use super::super::keys;
    use super::super::memory_backend::MemoryBackend;
    use super::*;

    fn key(name: &str) -> Key {
        Key::from(name.as_bytes())
    }

    fn all(view: &View<'_>, order: Order) -> String {
        let entries = view.scan(TreeId::Hot, &key("k").prefix(), order);
        entries.map(|entry| String::from_utf8(entry.unwrap().1.to_vec()).unwrap()).collect()
    }

    /// `k1` to `k4` on disk; `k2` replaced, `k3` removed, `k0` and `k5` new in the group.
    fn with_view(check: impl FnOnce(&mut View<'_>)) {
        let below = MemoryBackend::default();
        let mut batch = Batch::default();
        for (name, value) in [("k1", "1"), ("k2", "2"), ("k3", "3"), ("k4", "4"), ("l", "l")] {
            batch.set(TreeId::Hot, key(name), Some(value.into()));
        }
        below.commit(batch).unwrap();
        let mut view = View::over(&below);
        view.put(TreeId::Hot, key("k2"), "b");
        view.remove(TreeId::Hot, key("k3"));
        view.put(TreeId::Hot, key("k0"), "0");
        view.put(TreeId::Hot, key("k5"), "5");
        view.keep();
        check(&mut view);
    }

    #[test]
    fn a_group_sees_its_own_writes() {
        with_view(|view| {
            assert_eq!(all(view, Order::Ascending), "01b45");
            assert_eq!(all(view, Order::Descending), "54b10");
            assert_eq!(view.get(TreeId::Hot, &key("k2")).unwrap().unwrap(), "b");
            assert_eq!(view.get(TreeId::Hot, &key("k3")).unwrap(), None);
            assert_eq!(view.get(TreeId::Hot, &key("k4")).unwrap().unwrap(), "4");
        });
    }

    #[test]
    fn rolling_back_restores_the_last_mark() {
        with_view(|view| {
            view.put(TreeId::Hot, key("k2"), "x");
            view.put(TreeId::Hot, key("k2"), "y");
            view.put(TreeId::Hot, key("k3"), "z");
            view.remove(TreeId::Hot, key("k5"));
            view.put(TreeId::Hot, key("k6"), "6");
            assert_eq!(all(view, Order::Ascending), "01yz46");
            view.roll_back();
            assert_eq!(all(view, Order::Ascending), "01b45");
            assert_eq!(view.put_bytes(), 0);
        });
    }

    #[test]
    fn ranges_have_ends() {
        with_view(|view| {
            let range = key("k").prefix().after(&key("k1"));
            assert_eq!(view.scan(TreeId::Hot, &range, Order::Ascending).count(), 3);
            let none = key("k").prefix().past(key("k"));
            assert!(none.is_empty());
            assert_eq!(view.scan(TreeId::Hot, &none, Order::Descending).count(), 0);
            assert_eq!(view.scan(TreeId::Hot, &keys::lanes().prefix(), Order::Ascending).count(), 0);
        });
    }
}
