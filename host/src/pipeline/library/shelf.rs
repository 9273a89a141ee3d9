//! The modules in memory: as many as fit the bound, those used last. One that is in use stays, even over the bound: another copy of it
//! would only take more.

use crate::model::Digest;
use crate::runtime::Module;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Modules by their digest.
#[derive(Debug)]
pub(super) struct Shelf {
    bytes_max: usize,
    modules: RwLock<Modules>,
    /// Counts uses: the order in which modules were used.
    clock: AtomicU64,
}

#[derive(Debug, Default)]
struct Modules {
    bytes: usize,
    by_digest: HashMap<Digest, Kept>,
}

#[derive(Debug)]
struct Kept {
    module: Module,
    used: AtomicU64,
}

impl Shelf {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, modules: RwLock::default(), clock: AtomicU64::new(0) }
    }

    /// The module, if it is there.
    pub(super) fn get(&self, digest: &Digest) -> Option<Module> {
        let modules = self.modules.read().unwrap_or_else(PoisonError::into_inner);
        let kept = modules.by_digest.get(digest)?;
        kept.used.store(self.tick(), Ordering::Relaxed);
        Some(kept.module.clone())
    }

    /// Puts a module there, and takes away what it leaves no room for.
    pub(super) fn put(&self, module: &Module) {
        let kept = Kept { module: module.clone(), used: AtomicU64::new(self.tick()) };
        let mut gone = Vec::new();
        let mut modules = self.modules.write().unwrap_or_else(PoisonError::into_inner);
        modules.bytes += module.code_bytes();
        gone.extend(modules.by_digest.insert(module.digest(), kept));
        modules.bytes -= gone.iter().map(|kept| kept.module.code_bytes()).sum::<usize>();
        while modules.bytes > self.bytes_max {
            // The caller has this one in hand, so it is in use too.
            let Some(oldest) = modules.oldest_unused() else { break };
            let kept = modules.by_digest.remove(&oldest);
            modules.bytes -= kept.as_ref().map_or(0, |kept| kept.module.code_bytes());
            gone.extend(kept);
        }
        drop(modules);
        // Unmapping code takes a moment, for which nobody has to wait.
        drop(gone);
    }

    /// How many modules are there, and how many bytes they take.
    pub(super) fn size(&self) -> (usize, usize) {
        let modules = self.modules.read().unwrap_or_else(PoisonError::into_inner);
        (modules.by_digest.len(), modules.bytes)
    }

    /// Whether there is room left.
    pub(super) fn has_room(&self) -> bool {
        self.size().1 < self.bytes_max
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }
}

impl Modules {
    fn oldest_unused(&self) -> Option<Digest> {
        let unused = self.by_digest.iter().filter(|(_, kept)| !kept.module.is_in_use());
        unused.min_by_key(|(_, kept)| kept.used.load(Ordering::Relaxed)).map(|(digest, _)| *digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Config, Runtime, tests::small_upload};

    #[test]
    fn those_used_last_stay_and_those_in_use() {
        let runtime = Runtime::start(Config { threads: 1, ..Config::default() }).unwrap();
        let compiled = runtime.precompile(&small_upload()).unwrap();
        let module = |name: u8| runtime.load(Digest::of(&[name]), &compiled).unwrap();
        let bytes = module(0).code_bytes();
        let shelf = Shelf::new(3 * bytes);
        let there =
            |shelf: &Shelf| (0..5).filter(|name| shelf.get(&Digest::of(&[*name])).is_some()).collect::<Vec<u8>>();
        for name in 0..3 {
            assert!(shelf.has_room());
            shelf.put(&module(name));
        }
        assert!(!shelf.has_room());
        shelf.put(&module(1));
        assert_eq!(shelf.size(), (3, 3 * bytes), "the same module again takes no more");

        let in_use = shelf.get(&Digest::of(&[0])).unwrap();
        shelf.get(&Digest::of(&[1])).unwrap();
        shelf.put(&module(3));
        assert_eq!(there(&shelf), [0, 1, 3], "2 was not used for longest");
        shelf.put(&module(4));
        assert_eq!(there(&shelf), [0, 3, 4], "0 was used before 1, but it is in use");
        drop(in_use);
        let held: Vec<Module> = [0, 3, 4].iter().filter_map(|name| shelf.get(&Digest::of(&[*name]))).collect();
        shelf.put(&module(1));
        assert_eq!(there(&shelf), [0, 1, 3, 4], "over the bound rather than without one that is in use");
        drop(held);
        shelf.put(&module(2));
        assert_eq!(shelf.size(), (3, 3 * bytes));
    }
}
