//! A disk that can be cut: what is on it, what the host has been promised of that, and what is left when the power goes.
//!
//! It is at least as unkind as ext4 and xfs are allowed to be. When it is cut:
//!
//! - what a file had when it was last synced is there;
//! - of the writes since, any subset is, each torn at the bounds of sectors, and older ones may have won over newer ones;
//! - lengths are writes of their own: a file may have its new length and not its bytes, or neither;
//! - of what was made, renamed and removed in a directory since that directory was synced, any subset is. A sync of the file does
//!   not keep its name. A rename within a directory is whole or not there.
//!
//! When a sync of a file fails, what it was to keep is gone from the disk, and a later sync does not bring it back. The kernel still shows it
//! to whoever reads, until it forgets the pages.

mod calls;
mod cut;
mod mount;

pub(crate) use mount::{Mounted, is_there};

use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use tokio::sync::watch;

/// The number of a file or directory. Numbers are never used again.
pub(crate) type Ino = u64;

/// The top directory.
pub(crate) const ROOT: Ino = 1;

/// sled's file on a host's disk. Less than one of its segments of 8 MiB may be written to it between two syncs.
pub(crate) const DATABASE: &str = "data/store/sled/db";

/// The disk.
pub(crate) struct Disk {
    nodes: HashMap<Ino, Node>,
    next: Ino,
    pub(crate) trouble: Trouble,
    pub(crate) counts: Counts,
    /// Syncs of files that wait to be let, where they have to.
    held: Option<Vec<(Ino, WhenSynced)>>,
    /// How many those are.
    held_now: watch::Sender<usize>,
}

/// Whom to tell how a sync ended.
type WhenSynced = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// How it misbehaves short of being cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    /// How many bytes of files it takes; none: any number.
    pub(crate) bytes_max: Option<u64>,
    /// Syncs are answered as if they had been made.
    pub(crate) lies: bool,
    /// Writes fail.
    pub(crate) write_errors: bool,
    /// Syncs fail.
    pub(crate) sync_errors: SyncErrors,
}

/// Which syncs fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SyncErrors {
    #[default]
    None,
    All,
    /// All, from the next one of this file on.
    From(Ino),
}

/// What it has been asked to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) syncs: u64,
    pub(crate) bytes_written: u64,
}

struct Node {
    mode: u16,
    opened: u32,
    linked: bool,
    what: What,
}

enum What {
    File(File),
    Dir(Dir),
}

#[derive(Default)]
struct File {
    live: Vec<u8>,
    kept: Vec<u8>,
    /// Since `kept`, in order.
    writes: Vec<Write>,
    unsynced_bytes: u64,
    unsynced_most: u64,
}

enum Write {
    Bytes { at: usize, bytes: Bytes },
    Length(usize),
}

/// What a name stands for from now on.
type Change = (OsString, Option<Ino>);

#[derive(Default)]
struct Dir {
    live: BTreeMap<OsString, Ino>,
    kept: BTreeMap<OsString, Ino>,
    /// Since `kept`, in order; the changes of one are there together or not at all.
    changes: Vec<Vec<Change>>,
}

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    NotFound,
    NotADirectory,
    IsADirectory,
    NotEmpty,
    Exists,
    Full,
    Io,
    OtherDirectory,
}

impl Disk {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let root = Node { mode: 0o700, opened: 0, linked: true, what: What::Dir(Dir::default()) };
        let (trouble, counts) = (Trouble::default(), Counts::default());
        let nodes = [(ROOT, root)].into();
        Self { nodes, next: ROOT + 1, trouble, counts, held: None, held_now: watch::Sender::default() }
    }

    fn file(&mut self, ino: Ino) -> Result<&mut File, Error> {
        match self.nodes.get_mut(&ino).map(|node| &mut node.what) {
            Some(What::File(file)) => Ok(file),
            Some(What::Dir(_)) => Err(Error::IsADirectory),
            None => Err(Error::NotFound),
        }
    }

    fn dir(&mut self, ino: Ino) -> Result<&mut Dir, Error> {
        match self.nodes.get_mut(&ino).map(|node| &mut node.what) {
            Some(What::Dir(dir)) => Ok(dir),
            Some(What::File(_)) => Err(Error::NotADirectory),
            None => Err(Error::NotFound),
        }
    }

    /// How many bytes its files have.
    pub(crate) fn used(&self) -> u64 {
        let there = self.nodes.values().filter(|node| node.linked || node.opened > 0);
        there.map(|node| if let What::File(file) = &node.what { file.live.len() as u64 } else { 0 }).sum()
    }

    fn make(&mut self, parent: Ino, name: &OsStr, mode: u16, what: What) -> Result<Ino, Error> {
        let ino = self.next;
        let dir = self.dir(parent)?;
        if dir.live.contains_key(name) {
            return Err(Error::Exists);
        }
        dir.change(vec![(name.to_owned(), Some(ino))]);
        self.nodes.insert(ino, Node { mode, opened: 0, linked: true, what });
        self.next += 1;
        Ok(ino)
    }

    /// Takes a name away. What it stood for is there until nobody has it open.
    fn remove(&mut self, parent: Ino, name: &OsStr, is_dir: bool) -> Result<(), Error> {
        let ino = *self.dir(parent)?.live.get(name).ok_or(Error::NotFound)?;
        match &self.nodes[&ino].what {
            What::Dir(_) if !is_dir => return Err(Error::IsADirectory),
            What::File(_) if is_dir => return Err(Error::NotADirectory),
            What::Dir(dir) if !dir.live.is_empty() => return Err(Error::NotEmpty),
            _ => {}
        }
        self.dir(parent)?.change(vec![(name.to_owned(), None)]);
        self.nodes.get_mut(&ino).unwrap().linked = false;
        Ok(())
    }

    /// Renames within a directory, over what has that name already.
    fn rename(&mut self, parent: Ino, from: &OsStr, new_parent: Ino, to: &OsStr) -> Result<(), Error> {
        if parent != new_parent {
            return Err(Error::OtherDirectory);
        }
        let dir = self.dir(parent)?;
        let ino = *dir.live.get(from).ok_or(Error::NotFound)?;
        let replaced = dir.live.get(to).copied();
        dir.change(vec![(from.to_owned(), None), (to.to_owned(), Some(ino))]);
        if let Some(replaced) = replaced.and_then(|replaced| self.nodes.get_mut(&replaced)) {
            replaced.linked = false;
        }
        Ok(())
    }

    fn write(&mut self, ino: Ino, at: usize, bytes: &[u8]) -> Result<(), Error> {
        let (errors, end) = (self.trouble.write_errors, at + bytes.len());
        let room = self.trouble.bytes_max.map(|bytes_max| bytes_max.saturating_sub(self.used()));
        let file = self.file(ino)?;
        if errors {
            return Err(Error::Io);
        }
        if room.is_some_and(|room| end.saturating_sub(file.live.len()) as u64 > room) {
            return Err(Error::Full);
        }
        if end > file.live.len() {
            file.set_length(end);
        }
        file.live[at..end].copy_from_slice(bytes);
        file.writes.push(Write::Bytes { at, bytes: Bytes::copy_from_slice(bytes) });
        file.unsynced_bytes += bytes.len() as u64;
        file.unsynced_most = file.unsynced_most.max(file.unsynced_bytes);
        self.counts.bytes_written += bytes.len() as u64;
        Ok(())
    }

    fn set_length(&mut self, ino: Ino, length: usize) -> Result<(), Error> {
        self.file(ino)?.set_length(length);
        Ok(())
    }

    /// From now on each sync of a file waits until it is let. Gives how many do.
    pub(crate) fn hold_syncs(&mut self) -> watch::Receiver<usize> {
        self.held.get_or_insert_default();
        self.held_now.subscribe()
    }

    /// Makes the syncs that wait by now. Those after them wait again.
    pub(crate) fn let_held(&mut self) {
        let held = self.held.as_mut().map(std::mem::take).unwrap_or_default();
        self.held_now.send_replace(0);
        for (ino, told) in held {
            told(self.sync(ino));
        }
    }

    /// Makes the syncs that wait, and no later one waits any more.
    pub(crate) fn let_all(&mut self) {
        self.let_held();
        self.held = None;
    }

    /// Keeps what a file has, now or when it is let.
    fn sync_when_let(&mut self, ino: Ino, told: WhenSynced) {
        match &mut self.held {
            Some(held) => {
                held.push((ino, told));
                self.held_now.send_replace(held.len());
            }
            None => told(self.sync(ino)),
        }
    }

    /// Keeps what a file or a directory has.
    fn sync(&mut self, ino: Ino) -> Result<(), Error> {
        self.counts.syncs += 1;
        if self.trouble.sync_errors == SyncErrors::From(ino) {
            self.trouble.sync_errors = SyncErrors::All;
        }
        let (fails, lies) = (self.trouble.sync_errors == SyncErrors::All, self.trouble.lies);
        let node = self.nodes.get_mut(&ino).ok_or(Error::NotFound)?;
        match &mut node.what {
            What::File(file) if fails => file.lose(),
            What::Dir(_) if fails => {}
            _ if lies => return Ok(()),
            What::File(file) => file.keep(),
            What::Dir(dir) => {
                dir.kept = dir.live.clone();
                dir.changes.clear();
            }
        }
        if fails { Err(Error::Io) } else { Ok(()) }
    }

    /// The number of the file or directory at this path.
    pub(crate) fn ino(&mut self, path: &str) -> Option<Ino> {
        path.split('/').try_fold(ROOT, |ino, name| self.dir(ino).ok()?.live.get(OsStr::new(name)).copied())
    }

    /// The most bytes that were written to a file between two syncs since this was asked last.
    pub(crate) fn unsynced_most(&mut self, path: &str) -> u64 {
        let file = self.ino(path).and_then(|ino| self.file(ino).ok());
        file.map_or(0, |file| std::mem::replace(&mut file.unsynced_most, file.unsynced_bytes))
    }

    /// All files there are: their paths, and what they have.
    pub(crate) fn files(&self) -> Vec<(PathBuf, &[u8])> {
        let (mut found, mut next) = (Vec::new(), vec![(PathBuf::new(), ROOT)]);
        while let Some((path, ino)) = next.pop() {
            match self.nodes.get(&ino).map(|node| &node.what) {
                Some(What::File(file)) => found.push((path, file.live.as_slice())),
                Some(What::Dir(dir)) => next.extend(dir.live.iter().map(|(name, ino)| (path.join(name), *ino))),
                None => {}
            }
        }
        found
    }

    fn opened(&mut self, ino: Ino) {
        self.nodes.entry(ino).and_modify(|node| node.opened += 1);
    }

    fn released(&mut self, ino: Ino) {
        self.nodes.entry(ino).and_modify(|node| node.opened = node.opened.saturating_sub(1));
    }
}

impl Dir {
    fn change(&mut self, changes: Vec<Change>) {
        apply(&mut self.live, &changes);
        self.changes.push(changes);
    }
}

fn apply(entries: &mut BTreeMap<OsString, Ino>, changes: &[Change]) {
    for (name, ino) in changes {
        match ino {
            Some(ino) => drop(entries.insert(name.clone(), *ino)),
            None => drop(entries.remove(name)),
        }
    }
}

impl File {
    fn set_length(&mut self, length: usize) {
        self.live.resize(length, 0);
        self.writes.push(Write::Length(length));
    }

    /// Loses what was written since it was kept; not its length, which is the file system's own.
    fn lose(&mut self) {
        self.writes.retain(|write| matches!(write, Write::Length(_)));
        let length = self.live.len();
        self.live.clone_from(&self.kept);
        self.live.resize(length, 0);
    }

    fn keep(&mut self) {
        self.unsynced_bytes = 0;
        for write in self.writes.drain(..) {
            match write {
                Write::Length(length) => self.kept.resize(length, 0),
                Write::Bytes { at, bytes } => {
                    let end = at + bytes.len();
                    self.kept.resize(self.kept.len().max(end), 0);
                    self.kept[at..end].copy_from_slice(&bytes);
                }
            }
        }
    }
}
