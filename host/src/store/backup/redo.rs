//! What is committed while a backup runs, written down in a file without a name: so the memory that it takes does not grow with the time
//! that somebody takes to fetch a backup. It is written by the committer, which never waits for it: where it gets too long, or the disk
//! too full, the backup ends and commits go on.
//!
//! The file: for each commit its length⁴ and a batch.

use super::BackupError;
use crate::store::backend::Batch;
use crate::store::batch_bytes::{self, length};
use crate::store::room::Room;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The file's name until it has none any more.
const NAME: &str = "backup-redo";

/// The file, and how far it is.
pub(super) struct Redo {
    file: File,
    bytes_max: u64,
    room: Arc<Room>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: u64,
    failed: Option<BackupError>,
}

impl Redo {
    /// An empty one in `dir`. What a crash left of one before is written over.
    pub(super) fn new(dir: &Path, bytes_max: u64, room: Arc<Room>) -> io::Result<Self> {
        let path = dir.join(NAME);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        std::fs::remove_file(&path)?;
        Ok(Self { file, bytes_max, room, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it is, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Whether everything that was committed is in it.
    pub(super) fn check(&self) -> Result<(), BackupError> {
        self.state().failed.clone().map_or(Ok(()), Err)
    }

    /// Adds to `batches` those that stand at `at` and behind it, to about `bytes_max` bytes, one at least; and says where the next stands.
    pub(super) fn read(&self, batches: &mut Vec<u8>, at: u64, until: u64, bytes_max: usize) -> io::Result<u64> {
        let (mut at, began) = (at, batches.len());
        while at < until {
            let mut length = [0; 4];
            self.file.read_exact_at(&mut length, at)?;
            let length = u32::from_be_bytes(length);
            let from = batches.len();
            let end = from.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            if from > began && end - began > bytes_max {
                break;
            }
            batches.resize(end, 0);
            self.file.read_exact_at(batches.get_mut(from..).unwrap_or_default(), at + 4)?;
            at += 4 + u64::from(length);
        }
        Ok(at)
    }

    fn append(&self, bytes: &[u8]) -> Result<(), BackupError> {
        let at = self.bytes();
        let end = at + bytes.len() as u64;
        if end > self.bytes_max {
            return Err(BackupError::TooSlow { bytes_max: self.bytes_max });
        }
        self.room.check()?;
        self.file.write_all_at(bytes, at).map_err(|error| BackupError::Redo { why: error.to_string() })?;
        self.state().bytes = end;
        Ok(())
    }
}

/// The committer's end. It goes with the backup.
pub(in crate::store) struct Recorder {
    redo: Weak<Redo>,
    buffer: Vec<u8>,
}

impl Recorder {
    /// One that writes to `redo` as long as somebody has that.
    pub(super) fn new(redo: &Arc<Redo>) -> Self {
        Self { redo: Arc::downgrade(redo), buffer: Vec::new() }
    }

    /// Takes down a batch that is about to be committed.
    pub(in crate::store) fn take(&mut self, batch: &Batch) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; 4]);
        let Some(redo) = self.redo.upgrade() else { return };
        let taken = batch_bytes::encode(&mut self.buffer, batch).and_then(|()| length(self.buffer.len() - 4));
        match (taken, self.buffer.get_mut(..4)) {
            (Ok(length), Some(place)) => place.copy_from_slice(&length),
            (Err(error), _) => redo.state().failed = Some(BackupError::Redo { why: error.to_string() }),
            (Ok(_), None) => {}
        }
    }

    /// Writes it down, now that it is committed. Answers whether there is any use in going on.
    pub(in crate::store) fn keep(&mut self) -> bool {
        let Some(redo) = self.redo.upgrade() else { return false };
        let kept = redo.check().and_then(|()| redo.append(&self.buffer));
        if let Err(error) = &kept {
            redo.state().failed = Some(error.clone());
        }
        kept.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key::Key;
    use crate::store::tree::TreeId;

    fn batch(value: &str) -> Batch {
        let mut batch = Batch::default();
        batch.set(TreeId::Hot, Key::from(&b"k"[..]), Some(value.to_owned().into()));
        batch
    }

    fn value(bytes: Vec<u8>) -> String {
        let mut batch = Batch::default();
        batch_bytes::decode(bytes.into(), &mut batch).unwrap();
        let value = batch.get(TreeId::Hot, &Key::from(&b"k"[..])).unwrap().clone().unwrap();
        String::from_utf8(value.to_vec()).unwrap()
    }

    #[test]
    fn what_was_recorded_is_read_in_pieces_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let redo = Arc::new(Redo::new(dir.path(), 1 << 20, Arc::new(Room::new(None, 0, 0))).unwrap());
        let mut recorder = Recorder::new(&redo);
        for text in ["one", "two", "three"] {
            recorder.take(&batch(text));
            assert!(recorder.keep());
        }
        let mut seen = Vec::new();
        let mut at = 0;
        while at < redo.bytes() {
            let mut piece = Vec::new();
            at = redo.read(&mut piece, at, redo.bytes(), 50).unwrap();
            seen.push(value(piece));
        }
        // Two fit the first piece, and the later of them counts.
        assert_eq!(seen, ["two", "three"]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "a crash leaves nothing");
        drop(redo);
        recorder.take(&batch("four"));
        assert!(!recorder.keep(), "nobody wants it any more");
    }

    #[test]
    fn one_that_gets_too_long_ends_the_backup_and_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let redo = Arc::new(Redo::new(dir.path(), 60, Arc::new(Room::new(None, 0, 0))).unwrap());
        let mut recorder = Recorder::new(&redo);
        recorder.take(&batch("one"));
        assert!(recorder.keep() && redo.check().is_ok());
        recorder.take(&batch(&"long ".repeat(20)));
        assert!(!recorder.keep());
        let error = redo.check().unwrap_err();
        assert_eq!(error.code(), "backup_too_slow");
        assert!(error.to_string().contains("store.backup_redo_bytes_max = 60"), "{error}");
        let full = Arc::new(Redo::new(dir.path(), 60, Arc::new(Room::new(Some(dir.path()), u64::MAX, 0))).unwrap());
        let mut recorder = Recorder::new(&full);
        recorder.take(&batch("one"));
        assert!(!recorder.keep());
        assert_eq!(full.check().unwrap_err().code(), "disk_full");
    }
}
