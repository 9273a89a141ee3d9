//! A store without threads, for simulations: who commits a group has its outcomes at once. What a transition changes is decided by the code
//! that the committer runs.

use super::apply::apply;
use super::backend::Backend as _;
use super::body::Chunk;
use super::memory_backend::MemoryBackend;
use super::{Hint, Outcome, Reader, Transition, View};
use std::sync::Arc;

/// See above.
pub(crate) struct Simulated {
    backend: Arc<MemoryBackend>,
    reader: Reader,
}

impl Simulated {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let backend = Arc::<MemoryBackend>::default();
        Self { reader: Reader::new(backend.clone()), backend }
    }

    /// What can be asked of it.
    pub(crate) const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Writes a group: what came of each, and what workers are told.
    pub(crate) fn commit(&self, group: Vec<Transition>) -> (Vec<Outcome>, Vec<Hint>) {
        let mut view = View::over(&*self.backend);
        let (mut outcomes, mut hints) = (Vec::new(), Vec::new());
        for transition in group {
            let applied = apply(&mut view, transition).unwrap();
            view.keep();
            outcomes.push(applied.outcome);
            hints.extend(applied.hints);
        }
        let (chunks, mut batch) = view.into_writes();
        for Chunk { tree, key, bytes } in chunks {
            batch.set(tree, key, Some(bytes));
        }
        self.backend.commit(batch).unwrap();
        (outcomes, hints)
    }
}
