//! The database on disk: a journal, and sled behind it.
//!
//! A commit is one frame of the journal, synced, and then a part of the newest *layer* in memory, which reads look at before they
//! look at sled. When a generation of the journal is full, a thread of its own writes its layer to sled, while commits go on with
//! the next one. So a commit costs one sequential write; what is written and removed again within a generation, such as most
//! entries of lanes, costs sled nothing; and nobody waits for sled's own log.
//!
//! Removals from the hot tree are the exception: they go to sled at once, unsynced, or each scan would have to step over them until then.
//! The journal has them, too, so that a crash does not bring back what they removed. Those from the days' trees wait like all else: what
//! a sweep takes, nobody reads any more.
//!
//! A day's tree that is empty in sled when a layer was written out goes from it. What a later layer has for it makes it anew.
//!
//! What must hold:
//!
//! - A layer goes only after sled has all of it, synced, and after sled has its number, synced after that. Generations up to that
//!   number are not read from the journal again: what is left of their files may be of any age.
//! - At most one layer waits to be written out; a commit that would make it two waits. So memory and the journal are bounded.
//! - After an error in either, nothing is committed any more.

mod snapshots;

use super::backend::{Backend, BackendError, Batch, Look, Order, Scan};
use super::journal::{Generation, Journal, JournalError, Secret, new_secret};
use super::key::{Key, KeyRange};
use super::layers::{Layer, merge};
use super::sled_backend::SledBackend;
use super::tree::TreeId;
use super::{Config, OpenError};
use super::{keys, meta};
use crate::telemetry::WorkerHealth;
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A store's directory.
pub(super) struct DiskBackend {
    shared: Arc<Shared>,
    /// Whoever commits. One at a time.
    journal: Mutex<Journal>,
    journal_bytes_max: u64,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    sled: SledBackend,
    state: Mutex<State>,
    /// Signalled when a layer is to be written out or was, and at the end.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The newest, which commits are added to.
    open: Arc<Layer>,
    /// The one before, until sled has it, with its generation.
    full: Option<(u64, Arc<Layer>)>,
    /// How many layers were written out.
    written_out: u64,
    failed: Option<BackendError>,
    closing: bool,
}

impl DiskBackend {
    /// Opens what is in `dir`, or makes it there.
    pub(super) fn open(dir: &Path, config: &Config, health: WorkerHealth) -> Result<Self, OpenError> {
        let sled = SledBackend::open(dir, config.cache_bytes)?;
        let failed = |source| OpenError::Backend { dir: dir.to_owned(), source };
        check_format(&sled, dir)?;
        let done = meta::generation(&sled).map_err(|error| failed(unreadable(error)))?;
        let secret = journal_secret(&sled).map_err(failed)?;
        let (journal, found) = Journal::open(dir, done, secret).map_err(|error| match error {
            JournalError::Io(source) => OpenError::Directory { dir: dir.to_owned(), source },
            JournalError::Format(found) => OpenError::Format { dir: dir.to_owned(), found, known: meta::FORMAT },
            JournalError::Frame | JournalError::Damaged { .. } => failed(unreadable(error)),
        })?;
        let shared = Arc::new(Shared { sled, state: Mutex::default(), changed: Condvar::new() });
        recover(&shared, done, found).map_err(failed)?;
        // A crash may have come between the last key and the tree.
        let mut days = shared.sled.trees().into_iter().filter(|tree| *tree != TreeId::Hot);
        days.try_for_each(|day| shared.sled.drop_if_empty(day)).map_err(failed)?;
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let (writing, renewing) = (Arc::clone(&shared), Arc::clone(&shared));
        health.running();
        let (journal, journal_bytes_max) = (Mutex::new(journal), config.journal_bytes_max);
        let mut disk = Self { shared, journal, journal_bytes_max, threads: Vec::new() };
        let writer = thread("checkpoint").spawn(move || writing.write_out_until_closed(&health));
        disk.threads.push(writer.map_err(OpenError::Thread)?);
        let bytes_min = config.snapshot_bytes_min;
        let renewer = thread("snapshot").spawn(move || renewing.renew_snapshots_until_closed(bytes_min));
        disk.threads.push(renewer.map_err(OpenError::Thread)?);
        Ok(disk)
    }

    /// Begins a new generation, as soon as the one before the present one is in sled.
    fn turn(&self, journal: &mut Journal) -> Result<(), BackendError> {
        let mut state = self.shared.state();
        while state.full.is_some() && state.failed.is_none() {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let generation = journal.generation();
        journal.turn();
        state.full = Some((generation, std::mem::take(&mut state.open)));
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl DiskBackend {
    /// Removes from sled what a commit removed, so that no scan has to step over what is gone: a lane that much has gone through
    /// would be nothing else. What the full layer has comes to sled yet, so that must wait.
    fn remove_at_once(&self, open: &Layer, removed: Vec<(TreeId, Key)>) -> Result<(), BackendError> {
        let full = self.shared.state().full.as_ref().map(|(_, layer)| Arc::clone(layer));
        let waits =
            |(tree, key): &(TreeId, Key)| full.as_ref().is_some_and(|full| full.read().get(*tree, key).is_some());
        let gone: Vec<_> = removed.into_iter().filter(|key| !waits(key)).collect();
        for (tree, key) in &gone {
            self.shared.sled.remove(*tree, key)?;
        }
        open.forget(&gone);
        Ok(())
    }
}

/// Lets a store of our format pass, and makes one of an empty database.
fn check_format(sled: &SledBackend, dir: &Path) -> Result<(), OpenError> {
    let unknown = |found| OpenError::Format { dir: dir.to_owned(), found, known: meta::FORMAT };
    match meta::format(sled).map_err(|_| unknown(0))? {
        Some(meta::FORMAT) => Ok(()),
        Some(found) => Err(unknown(found)),
        // The making of this store was cut short before its first commit, if it is not new.
        None => {
            let format = Bytes::copy_from_slice(&meta::FORMAT.to_be_bytes());
            let written = sled.write(TreeId::Hot, [(&keys::format(), Some(&format))]);
            written.map_err(|source| OpenError::Backend { dir: dir.to_owned(), source })
        }
    }
}

/// The secret of the journal's marks. A store that has none is given one.
fn journal_secret(sled: &SledBackend) -> Result<Secret, BackendError> {
    let key = keys::journal_secret();
    if let Some(found) = sled.get(TreeId::Hot, &key)? {
        return Secret::try_from(&found[..]).map_err(|_| unreadable("its secret is not one"));
    }
    let secret = new_secret().map_err(journal_failed)?;
    sled.write(TreeId::Hot, [(&key, Some(&Bytes::copy_from_slice(&secret)))])?;
    Ok(secret)
}

/// Gives sled what the journal has and sled has not.
fn recover(shared: &Shared, done: u64, found: Vec<Generation>) -> Result<(), BackendError> {
    let mut next = done + 1;
    for Generation { number, batch } in found {
        if number < next {
            continue;
        }
        if number > next {
            let why =
                format!("generation {next} is missing and {number} is there: one of the two files was lost or changed");
            return Err(BackendError { doing: "read the journal", why });
        }
        shared.write_out(number, &batch)?;
        next += 1;
    }
    Ok(())
}

impl Look for DiskBackend {
    fn get(&self, tree: TreeId, key: &Key) -> Result<Option<Bytes>, BackendError> {
        match self.kept(tree, key) {
            Some(write) => Ok(write),
            None => self.shared.sled.get(tree, key),
        }
    }

    fn scan(&self, tree: TreeId, range: &KeyRange, order: Order) -> Scan<'_> {
        if range.is_empty() {
            return Box::new(std::iter::empty());
        }
        // Held until the scan ends, though sled may have got them meanwhile: what it shows of them is what they say.
        let layers = self.shared.layers();
        let below = self.shared.sled.scan(tree, range, order);
        layers.into_iter().rev().fold(below, |below, layer| merge(below, layer.scan(tree, range, order), order))
    }

    fn trees(&self) -> Vec<TreeId> {
        let layers = self.shared.layers();
        let mut trees = self.shared.sled.trees();
        trees.extend(layers.iter().flat_map(|layer| layer.read().trees.keys().copied().collect::<Vec<_>>()));
        trees.sort_unstable();
        trees.dedup();
        trees
    }
}

impl Backend for DiskBackend {
    fn commit(&self, batch: Batch) -> Result<(), BackendError> {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if journal.bytes() >= self.journal_bytes_max {
            self.turn(&mut journal)?;
        }
        self.shared.state().failed.clone().map_or(Ok(()), Err)?;
        journal.append(&batch).map_err(journal_failed)?;
        let removed: Vec<_> = batch.removed(TreeId::Hot).collect();
        let open = Arc::clone(&self.shared.state().open);
        open.add(batch);
        self.remove_at_once(&open, removed)
    }

    fn kept(&self, tree: TreeId, key: &Key) -> Option<Option<Bytes>> {
        self.shared.layers().iter().find_map(|layer| layer.read().get(tree, key).cloned())
    }
}

impl Drop for DiskBackend {
    fn drop(&mut self) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        // What is not written out by then is in the journal.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The layers over sled, the newest first.
    fn layers(&self) -> Vec<Arc<Layer>> {
        let state = self.state();
        let full = state.full.as_ref().map(|(_, layer)| layer);
        [&state.open].into_iter().chain(full).cloned().collect()
    }

    fn write_out_until_closed(&self, health: &WorkerHealth) {
        while let Some((generation, layer)) = self.next_full() {
            let written = catch_unwind(AssertUnwindSafe(|| self.write_out(generation, &layer.read())));
            let panicked = || BackendError { doing: "write", why: "the database panicked".to_owned() };
            let mut state = self.state();
            match written.unwrap_or_else(|_| Err(panicked())) {
                Ok(()) => {
                    state.full = None;
                    state.written_out += 1;
                }
                Err(error) => {
                    health.failed(&error.to_string());
                    state.failed = Some(error);
                }
            }
            drop(state);
            self.changed.notify_all();
        }
        if self.state().failed.is_none() {
            health.stopped();
        }
    }

    /// Waits for a layer to write out; none at the end, and after a failure.
    fn next_full(&self) -> Option<(u64, Arc<Layer>)> {
        let mut state = self.state();
        loop {
            if state.closing || state.failed.is_some() {
                return None;
            }
            if let Some(full) = &state.full {
                return Some(full.clone());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives sled a generation: its writes, and when they are on disk its number.
    fn write_out(&self, generation: u64, batch: &Batch) -> Result<(), BackendError> {
        self.sled.write_batch(batch)?;
        let (key, number) = (keys::generation(), Bytes::copy_from_slice(&generation.to_be_bytes()));
        self.sled.write(TreeId::Hot, [(&key, Some(&number))])?;
        batch.trees.keys().filter(|tree| **tree != TreeId::Hot).try_for_each(|tree| self.sled.drop_if_empty(*tree))
    }
}

fn journal_failed(error: std::io::Error) -> BackendError {
    BackendError { doing: "write the journal", why: error.to_string() }
}

fn unreadable(error: impl std::fmt::Display) -> BackendError {
    BackendError { doing: "read the journal", why: error.to_string() }
}

#[cfg(test)]
mod tests;
