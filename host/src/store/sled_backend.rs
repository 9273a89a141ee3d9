//! sled, with what it takes to keep promises on top of it.
//!
//! Read in the source of sled 0.34.7, and to be read again before another version is taken:
//!
//! - **A transaction reads every key before it writes it, and costs about as much again.** Nothing here needs one: what a crash
//!   leaves half written is written again from the journal.
//! - **`flush` is not durable.** It waits for `sync_file_range`, which leaves the disk's cache and the file's length alone. So
//!   every write ends with `fdatasync` on sled's file. It is never retried: after an error the kernel may call lost pages clean.
//! - **Only opening makes a snapshot**, and what was written since the last is read again by the next. So `sled_snapshot` makes more.
//! - **Opening writes**: over the end of the log, over torn and free segments, and a snapshot. It takes for granted that what it reads is
//!   on the disk, and of the snapshots there are it reads the one with the last name, be it unfinished.
//! - **Large items become files that are never synced.** [`super::backend::VALUE_BYTES_MAX`] keeps every item below that.
//! - **A segment is used again once its records were rewritten two segments further on, synced or not.** So less than a segment
//!   may be written between two syncs, sled's own rewriting included; so [`SledBackend::write`] syncs as it goes.
//! - **A tree is dropped by its name first, then page by page.** A crash in between leaves its pages for good. So only an empty tree is
//!   dropped: it has few. Whoever reads it meanwhile is told that there is no such tree.

use super::OpenError;
use super::backend::{BackendError, Batch, Look, Order, Scan};
use super::key::{Key, KeyRange};
use super::tree::TreeId;
use super::{sled_snapshot, whole_file};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

/// The file whose lock says that the directory is taken.
const LOCK: &str = "lock";

/// sled's unit of writing and of freeing, in bytes; fixed for the life of a store.
pub(super) const SEGMENT_BYTES: usize = 8 * 1024 * 1024;

/// How many bytes go to sled between two syncs, about. sled writes several times as much, it must be less than one of its segments, and
/// commits that come meanwhile wait for the disk to have it.
const UNSYNCED_BYTES_MAX: usize = 256 << 10;

/// What a write counts for, in bytes, beside its key, its value, and the value that it removes. With every tenth or so sled writes a whole
/// page anew, and where much is swept one more with it, which is in the way of a segment that is nearly empty.
const WRITE_BYTES: usize = 512;

/// How many keys are removed by [`SledBackend::remove`] between two syncs, for the same reason.
const REMOVALS_UNSYNCED_MAX: u64 = 512;

/// A sled database in a directory of its own.
pub(super) struct SledBackend {
    /// Where sled's files are.
    home: PathBuf,
    db: sled::Db,
    /// The trees that exist. sled's own lookup makes those that do not; a read must not.
    trees: RwLock<BTreeMap<TreeId, sled::Tree>>,
    /// sled's file, to sync it.
    file: File,
    /// How many keys were removed since the last sync.
    removed: AtomicU64,
    /// Says to other processes that the directory is taken. Released last.
    _lock: File,
}

impl SledBackend {
    /// Opens the database in `dir`, with a page cache of about `cache_bytes`. Makes it where there is none.
    pub(super) fn open(dir: &Path, cache_bytes: u64) -> Result<Self, OpenError> {
        let directory = |source| OpenError::Directory { dir: dir.to_owned(), source };
        let backend = |source| OpenError::Backend { dir: dir.to_owned(), source: failed("open")(source) };

        whole_file::make_dir(dir).map_err(directory)?;
        let lock = lock(dir)?;
        let home = dir.join("sled");
        settle_what_was_left(&home).map_err(directory)?;
        let db = sled::Config::new()
            .path(&home)
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_BYTES)
            // Nothing may be written, and no garbage moved, outside `write`.
            .flush_every_ms(None)
            .open()
            .map_err(backend)?;
        let mut trees = BTreeMap::new();
        for name in db.tree_names() {
            if let Some(id) = str::from_utf8(&name).ok().and_then(|name| name.parse::<TreeId>().ok()) {
                trees.insert(id, db.open_tree(&name).map_err(backend)?);
            }
        }
        let file = File::open(home.join("db")).map_err(directory)?;
        sync_new_files(dir, &home).map_err(directory)?;
        Ok(Self { home, db, trees: RwLock::new(trees), file, removed: AtomicU64::new(0), _lock: lock })
    }

    fn tree(&self, id: TreeId) -> Option<sled::Tree> {
        self.trees.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    fn tree_or_new(&self, id: TreeId) -> Result<sled::Tree, sled::Error> {
        if let Some(tree) = self.tree(id) {
            return Ok(tree);
        }
        let tree = self.db.open_tree(id.to_string())?;
        self.trees.write().unwrap_or_else(PoisonError::into_inner).insert(id, tree.clone());
        Ok(tree)
    }

    /// Puts or removes each of these keys, and syncs. A tree that does not exist is made where something is put. A crash may leave a
    /// part of it.
    ///
    /// After an error the database must not be written again: what is on disk is unknown.
    pub(super) fn write<'a>(
        &self,
        tree: TreeId,
        writes: impl IntoIterator<Item = (&'a Key, Option<&'a Bytes>)>,
    ) -> Result<(), BackendError> {
        let mut unsynced_bytes = 0;
        for (key, value) in writes {
            let key = key.as_bytes();
            unsynced_bytes += WRITE_BYTES + key.len();
            if let Some(value) = value {
                let tree = self.tree_or_new(tree).map_err(failed("make a tree"))?;
                tree.insert(key, &value[..]).map_err(failed("write"))?;
                unsynced_bytes += value.len();
            } else if let Some(tree) = self.tree(tree) {
                let removed = tree.remove(key).map_err(failed("write"))?;
                unsynced_bytes += removed.map_or(0, |value| value.len());
            }
            if unsynced_bytes >= UNSYNCED_BYTES_MAX {
                self.sync()?;
                unsynced_bytes = 0;
            }
        }
        self.sync()
    }

    /// Writes a batch of any length, and syncs as often as it takes. A crash may leave a part of it.
    ///
    /// After an error the database must not be written again: what is on disk is unknown.
    pub(super) fn write_batch(&self, batch: &Batch) -> Result<(), BackendError> {
        let mut trees = batch.trees.iter();
        trees.try_for_each(|(tree, writes)| self.write(*tree, writes.iter().map(|(key, value)| (key, value.as_ref()))))
    }

    /// Drops a tree if there is nothing in it.
    pub(super) fn drop_if_empty(&self, id: TreeId) -> Result<(), BackendError> {
        let Some(tree) = self.tree(id) else { return Ok(()) };
        if tree.first().map_err(failed("read"))?.is_some() {
            return Ok(());
        }
        self.trees.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.db.drop_tree(id.to_string()).map_err(failed("drop a tree"))?;
        self.sync()
    }

    /// Removes a key, if it is there. On disk with the next [`SledBackend::write`], or before.
    pub(super) fn remove(&self, tree: TreeId, key: &Key) -> Result<(), BackendError> {
        let Some(tree) = self.tree(tree) else { return Ok(()) };
        let removed = tree.remove(key.as_bytes()).map_err(failed("write"))?.is_some();
        if removed && self.removed.fetch_add(1, Relaxed) >= REMOVALS_UNSYNCED_MAX {
            return self.sync();
        }
        Ok(())
    }

    /// How far it has written. What it was given before this is on the disk once a [`SledBackend::write`] that began later is done.
    pub(super) fn place(&self) -> io::Result<i64> {
        sled_snapshot::place(&self.home)
    }

    /// Lets the next opening begin at such a place, where that saves it `bytes_min`. Commits go on meanwhile.
    pub(super) fn renew_snapshot(&self, until: i64, bytes_min: u64) -> io::Result<bool> {
        sled_snapshot::renew(&self.home, until, bytes_min)
    }

    fn sync(&self) -> Result<(), BackendError> {
        self.removed.store(0, Relaxed);
        self.db.flush().map_err(failed("flush"))?;
        self.file.sync_data().map_err(failed("sync"))
    }
}

impl Look for SledBackend {
    fn get(&self, tree: TreeId, key: &Key) -> Result<Option<Bytes>, BackendError> {
        let Some(tree) = self.tree(tree) else { return Ok(None) };
        match tree.get(key.as_bytes()) {
            Ok(value) => Ok(value.map(Bytes::from_owner)),
            Err(sled::Error::CollectionNotFound(_)) => Ok(None),
            Err(error) => Err(failed("read")(error)),
        }
    }

    fn scan(&self, tree: TreeId, range: &KeyRange, order: Order) -> Scan<'_> {
        let Some(tree) = self.tree(tree).filter(|_| !range.is_empty()) else { return Box::new(std::iter::empty()) };
        let entries = tree.range(range.from.as_slice()..range.until.as_slice());
        let read = |entry| match entry {
            Ok((key, value)) => Some(Ok((Bytes::from_owner(key), Bytes::from_owner(value)))),
            Err(sled::Error::CollectionNotFound(_)) => None,
            Err(error) => Some(Err(failed("read")(error))),
        };
        match order {
            Order::Ascending => Box::new(entries.map_while(read)),
            Order::Descending => Box::new(entries.rev().map_while(read)),
        }
    }

    fn trees(&self) -> Vec<TreeId> {
        self.trees.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

/// Whether a host has the store in `dir` open. Makes nothing where there is none.
pub fn is_in_use(dir: &Path) -> bool {
    let lock = File::open(dir.join(LOCK));
    lock.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Takes the directory for this process, or says that another one has it.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let directory = |source| OpenError::Directory { dir: dir.to_owned(), source };
    let file = File::create(dir.join(LOCK)).map_err(directory)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(directory(source)),
    }
}

/// Removes snapshots that were not finished: sled would take one of its own for the newest, and refuse it for not being whole. And makes what is read
/// what is on the disk, as sled takes for granted: a snapshot of anything else would be durable before that is, and all that sled writes
/// behind a gap in its log is lost as soon as the gap shows.
fn settle_what_was_left(home: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(home) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        if entry.path().extension().is_some_and(|extension| extension == "generating" || extension == whole_file::PART)
        {
            std::fs::remove_file(entry.path())?;
        } else {
            whole_file::settle(&entry.path())?;
        }
    }
    File::open(home)?.sync_all()
}

/// Makes the files that opening may have made durable, and their names: sled syncs neither. The names go before the database: opening
/// has written over segments that the snapshot before the new one knows.
fn sync_new_files(dir: &Path, home: &Path) -> io::Result<()> {
    let [conf, db] = ["conf", "db"].map(|file| home.join(file));
    [&conf, home, dir, &db].into_iter().try_for_each(|path| File::open(path)?.sync_all())
}

fn failed<E: std::fmt::Display>(doing: &'static str) -> impl Fn(E) -> BackendError {
    move |why| BackendError { doing, why: why.to_string() }
}

/// Opens what was open a moment ago. A process that another test starts holds the lock of the one before, too, until it has become its own
/// program.
#[cfg(test)]
pub(super) fn when_unlocked<T>(open: impl Fn() -> Result<T, OpenError>) -> T {
    for _ in 0..1_000_000 {
        match open() {
            Ok(opened) => return opened,
            Err(error) if error.to_string().contains("lock") => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("somebody keeps the lock")
}
