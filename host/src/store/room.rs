//! The room on the disk. Below a reserve no event is taken, so that what becomes of those that were taken can still be written.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer of the file system counts.
const COUNTS_FOR: Duration = Duration::from_millis(200);

/// The disk is as good as full.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk of the data directory has {free_bytes} bytes left, fewer than store.free_bytes_min = {free_bytes_min}: no event is taken until \
     there is room again"
)]
pub struct DiskFull {
    /// How much is free.
    pub free_bytes: u64,
    /// How much has to be.
    pub free_bytes_min: u64,
}

/// Looks after the room on a disk.
pub(super) struct Room {
    /// None where nothing is on a disk.
    dir: Option<PathBuf>,
    free_bytes_min: u64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    full: Option<DiskFull>,
}

impl Room {
    /// Of the disk that `dir` is on.
    pub(super) fn new(dir: Option<&Path>, free_bytes_min: u64) -> Self {
        Self { dir: dir.map(Path::to_owned), free_bytes_min, seen: Mutex::default() }
    }

    /// Whether there is room.
    pub(super) fn check(&self) -> Result<(), DiskFull> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.is_none_or(|at| at.elapsed() >= COUNTS_FOR) {
            let full = self.look(dir);
            match (&seen.full, &full) {
                (None, Some(full)) => tracing::error!("{full}"),
                (Some(_), None) => tracing::info!("there is room on the disk again: events are taken"),
                _ => {}
            }
            *seen = Seen { at: Some(Instant::now()), full };
        }
        seen.full.clone().map_or(Ok(()), Err)
    }

    fn look(&self, dir: &Path) -> Option<DiskFull> {
        let found = rustix::fs::statvfs(dir).ok()?;
        let free_bytes = found.f_bavail.saturating_mul(found.f_frsize);
        let free_bytes_min = self.free_bytes_min;
        (free_bytes < free_bytes_min).then_some(DiskFull { free_bytes, free_bytes_min })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_the_reserve_is_full_and_says_how_full() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Room::new(Some(dir.path()), 0).check(), Ok(()));
        assert_eq!(Room::new(None, u64::MAX).check(), Ok(()));
        let full = Room::new(Some(dir.path()), u64::MAX).check().unwrap_err();
        assert!(full.free_bytes > 0 && full.free_bytes_min == u64::MAX, "{full}");
        assert!(full.to_string().contains("store.free_bytes_min = 18446744073709551615"), "{full}");
    }

    #[test]
    fn where_the_file_system_does_not_say_there_is_room() {
        assert_eq!(Room::new(Some(Path::new("/nowhere/at/all")), u64::MAX).check(), Ok(()));
    }
}
