//! Backup of a store that is at work, and what makes a data directory of one again (`restore`).
//!
//! A backup is a copy that is made while commits go on, so it is of no one moment; and what was committed from its beginning until its end,
//! in that order (`redo`). Every commit says what stands under a key from then on, whatever stood there before. So the copy with
//! those commits laid over it is the store at the moment at which the copy was done: nothing that was acknowledged before is missing.
//!
//! What must hold:
//!
//! - The committer begins to record before the copy begins, and ends after it ended, each between two commits.
//! - Nothing waits for a backup: neither a commit nor the other backup that somebody wants.
//! - Memory is bounded by a few pieces, whatever the store's size and however slowly the backup is fetched.
//! - The facts of the store's own journal are not in it: a restored store begins a journal of its own.
//! - A backup without its end mark is none.

mod files;
mod frame;
mod redo;
mod restore;

pub use files::DataFiles;
pub use restore::{RestoreError, Restored, check_restored, restore, verify};

use super::key::KeyRange;
use super::room::DiskFull;
use super::tree::TreeId;
use super::{CommitError, ReadError, Store, batch_bytes, committer::Message, meta};
use crate::clock::Clock;
use bytes::Bytes;
use files::Reading;
use frame::Kind;
pub(super) use redo::Recorder;
use redo::Redo;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// How long a piece is, about, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// What a backup says of itself at its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The format of the store.
    pub store_format: u32,
    /// The version of the host that wrote it.
    pub host_version: String,
    /// When it began, in milliseconds since 1970-01-01T00:00:00Z.
    pub began_at_ms: u64,
}

/// What a backup says of itself at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The moment whose state it holds, in milliseconds since 1970-01-01T00:00:00Z: what was acknowledged before is in it.
    pub as_of_ms: u64,
    /// The `seq` of the last event that was accepted by then.
    pub last_seq: u64,
    /// How many events were copied; those of the commits after that come to them.
    pub events_copied: u64,
    /// How many files are in it, modules most of them.
    pub files: u64,
}

/// There is no backup, or no end of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// One at a time.
    #[error("another backup of this host is under way: wait until it is done")]
    Running,
    /// The disk has no room for what is committed meanwhile.
    #[error(transparent)]
    DiskFull(#[from] DiskFull),
    /// Too much was committed meanwhile.
    #[error(
        "more than store.backup_redo_bytes_max = {bytes_max} bytes were committed while the backup was fetched: fetch it faster, or raise that \
         setting"
    )]
    TooSlow {
        /// The bound.
        bytes_max: u64,
    },
    /// What is committed meanwhile could not be written down.
    #[error("cannot write down what is committed meanwhile: {why}")]
    Redo {
        /// Why.
        why: String,
    },
    /// A file of the data directory cannot be read.
    #[error("cannot read {name} in the data directory: {why}")]
    File {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
    /// The store does not commit.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl BackupError {
    /// Stable, for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Running => "backup_running",
            Self::DiskFull(_) => "disk_full",
            Self::TooSlow { .. } => "backup_too_slow",
            Self::Redo { .. } | Self::File { .. } => "backup_failed",
            Self::Commit(error) => error.code(),
            Self::Read(error) => error.code(),
        }
    }
}

/// A backup under way, piece by piece. Dropping it ends it.
pub struct Backup {
    store: Store,
    files: DataFiles,
    clock: Clock,
    redo: Arc<Redo>,
    frames: u64,
    end: End,
    phase: Phase,
    /// Also held by what ends it, which goes on where this is dropped.
    alone: Arc<OwnedSemaphorePermit>,
}

/// What comes next.
enum Phase {
    Head,
    Copy { trees: VecDeque<TreeId>, rest: KeyRange },
    Redo { at: u64, until: u64, files: Reading },
    Files(Reading),
    Done,
}

impl Store {
    /// Begins a backup. Nothing of the copy is read before the first piece is asked for.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub async fn backup(&self, files: DataFiles, clock: Clock) -> Result<Backup, BackupError> {
        let alone = Arc::clone(&self.shared.backups).try_acquire_owned().map_err(|_| BackupError::Running)?;
        self.room()?;
        let (dir, bytes_max) = (files.data.clone(), self.shared.backup_redo_bytes_max);
        let room = Arc::clone(&self.shared.disk);
        let made = super::on_disk(move || Redo::new(&dir, bytes_max, room)).await;
        let redo = Arc::new(made.map_err(|error| BackupError::Redo { why: error.to_string() })?);
        let (begun, begins) = oneshot::channel();
        let record = Message::Record { recorder: Recorder::new(&redo), begun };
        self.shared.queue.send(record).await.map_err(|_| CommitError::Closed)?;
        self.begun(begins.await)?;
        let store = self.clone();
        Ok(Backup {
            store,
            files,
            clock,
            redo,
            frames: 0,
            end: End::default(),
            phase: Phase::Head,
            alone: Arc::new(alone),
        })
    }

    /// Whether a backup is under way.
    #[must_use]
    pub fn has_backup(&self) -> bool {
        self.shared.backups.available_permits() == 0
    }

    /// A committer that does not answer has failed, or was closed.
    fn begun<T>(&self, answer: Result<T, oneshot::error::RecvError>) -> Result<T, CommitError> {
        answer.map_err(|_| self.check().err().unwrap_or(CommitError::Closed))
    }
}

impl Backup {
    /// The next piece of it; none after the last.
    ///
    /// # Errors
    /// See [`BackupError`]: then there is no more, and what there is, is no backup. [`Backup::failure`] says so at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BackupError> {
        loop {
            let (kind, content) = match std::mem::replace(&mut self.phase, Phase::Done) {
                Phase::Head => return self.head().await.map(Some),
                Phase::Copy { trees, rest } => match self.copy(trees, rest).await? {
                    Some(content) => (Kind::Copy, content),
                    None => continue,
                },
                Phase::Redo { at, until, files } if at < until => (Kind::Redo, self.redone(at, until, files).await?),
                Phase::Redo { files, .. } => {
                    self.phase = Phase::Files(files);
                    continue;
                }
                Phase::Files(files) => self.file(files).await?,
                Phase::Done => return Ok(None),
            };
            return Ok(Some(self.frame(kind, content)));
        }
    }

    /// The last frame of a backup that failed: it says why.
    #[must_use]
    pub fn failure(mut self, error: &BackupError) -> Bytes {
        self.content_frame(Kind::Failed, error.to_string().as_bytes())
    }

    fn frame(&mut self, kind: Kind, content: Vec<u8>) -> Bytes {
        self.frames += 1;
        frame::finish(content, self.frames - 1, kind)
    }

    fn content_frame(&mut self, kind: Kind, content: &[u8]) -> Bytes {
        self.frames += 1;
        frame::whole(self.frames - 1, kind, content)
    }

    async fn head(&mut self) -> Result<Bytes, BackupError> {
        let trees = self.store.read(|reader| Ok(reader.trees())).await?;
        self.phase = Phase::Copy { trees: trees.into(), rest: KeyRange::all() };
        let host_version = env!("CARGO_PKG_VERSION").to_owned();
        let head = Head { store_format: meta::FORMAT, host_version, began_at_ms: self.clock.now_ms() };
        let head = self.content_frame(Kind::Head, json(&head).as_bytes());
        Ok([frame::MAGIC, &head].concat().into())
    }

    /// A piece of the copy; none where that is done.
    async fn copy(&mut self, mut trees: VecDeque<TreeId>, rest: KeyRange) -> Result<Option<Vec<u8>>, BackupError> {
        self.redo.check()?;
        let Some(tree) = trees.front().copied() else {
            let files = self.end_copy().await?;
            self.phase = Phase::Redo { at: 0, until: self.redo.bytes(), files };
            return Ok(None);
        };
        let copied = self.store.read(move |reader| {
            let slice = reader.slice(tree, rest, PIECE_BYTES)?;
            let mut content = frame::begin();
            batch_bytes::encode(&mut content, &slice.batch).map_err(|_| ReadError::Internal)?;
            Ok((slice.events, slice.rest, content))
        });
        let (events, rest, content) = copied.await?;
        self.end.events_copied += events;
        if rest.is_none() {
            trees.pop_front();
        }
        self.phase = Phase::Copy { trees, rest: rest.unwrap_or_else(KeyRange::all) };
        Ok((content.len() > frame::HEAD_BYTES).then_some(content))
    }

    /// Ends the recording, and takes the files of that moment. Modules are on disk before the configuration refers to them, and uploads
    /// until it does: those must neither come nor go between the two.
    async fn end_copy(&mut self) -> Result<Reading, BackupError> {
        let (store, files, clock) = (self.store.clone(), self.files.clone(), self.clock.clone());
        let alone = Arc::clone(&self.alone);
        let ended = tokio::task::spawn_blocking(move || {
            let _alone = alone;
            let _still = files.uploads.keep_still();
            let (ended, ends) = oneshot::channel();
            let as_of_ms = clock.now_ms();
            store.shared.queue.blocking_send(Message::StopRecording { ended }).map_err(|_| CommitError::Closed)?;
            let last_seq = store.begun(ends.blocking_recv())??;
            Ok::<_, BackupError>((last_seq, as_of_ms, Reading::new(&files.data)?))
        });
        let (last_seq, as_of_ms, files) = ended.await.map_err(|_| ReadError::Internal)??;
        self.redo.check()?;
        (self.end.last_seq, self.end.as_of_ms) = (last_seq, as_of_ms);
        Ok(files)
    }

    async fn redone(&mut self, at: u64, until: u64, files: Reading) -> Result<Vec<u8>, BackupError> {
        let redo = Arc::clone(&self.redo);
        let read = super::on_disk(move || {
            let mut content = frame::begin();
            redo.read(&mut content, at, until, PIECE_BYTES).map(|at| (at, content))
        });
        let (at, content) = read.await.map_err(|error| BackupError::Redo { why: error.to_string() })?;
        self.phase = Phase::Redo { at, until, files };
        Ok(content)
    }

    async fn file(&mut self, mut files: Reading) -> Result<(Kind, Vec<u8>), BackupError> {
        let read = tokio::task::spawn_blocking(move || {
            let mut content = frame::begin();
            files.piece(&mut content, PIECE_BYTES as u64).map(|more| (files, content, more))
        });
        let (files, mut content, more) = read.await.map_err(|_| ReadError::Internal)??;
        if more {
            self.phase = Phase::Files(files);
            return Ok((Kind::File, content));
        }
        self.end.files = files.count;
        content.extend_from_slice(json(&self.end).as_bytes());
        Ok((Kind::End, content))
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
