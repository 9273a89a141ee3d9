//! The room on the disk. Below a reserve no event is taken, so that what becomes of those that were taken can still be written.

use super::HostFact;
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
    free_bytes_low: u64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    full: Option<DiskFull>,
}

impl Room {
    /// Of the disk that `dir` is on.
    pub(super) fn new(dir: Option<&Path>, free_bytes_min: u64, free_bytes_low: u64) -> Self {
        Self { dir: dir.map(Path::to_owned), free_bytes_min, free_bytes_low, seen: Mutex::default() }
    }

    /// Whether the room has become little, or enough again.
    pub(super) fn news(&self, low_since_ms: Option<u64>) -> Option<HostFact> {
        let free_bytes = free_bytes(self.dir.as_deref()?)?;
        news(low_since_ms, free_bytes, self.free_bytes_low.max(self.free_bytes_min))
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
        let free_bytes = free_bytes(dir)?;
        let free_bytes_min = self.free_bytes_min;
        (free_bytes < free_bytes_min).then_some(DiskFull { free_bytes, free_bytes_min })
    }
}

/// None where the file system does not say.
fn free_bytes(dir: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(dir).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Once it was little it is enough with a quarter more: a disk at the brink is one episode.
fn news(low_since_ms: Option<u64>, free_bytes: u64, low_bytes: u64) -> Option<HostFact> {
    match low_since_ms {
        None if free_bytes < low_bytes => Some(HostFact::DiskLow { free_bytes, low_bytes }),
        Some(low_since_ms) if free_bytes >= low_bytes.saturating_add(low_bytes / 4) => {
            Some(HostFact::DiskOk { free_bytes, low_since_ms })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_begins_below_the_bound_and_ends_a_quarter_above_it() {
        assert_eq!(news(None, 100, 100), None);
        assert_eq!(news(None, 99, 100), Some(HostFact::DiskLow { free_bytes: 99, low_bytes: 100 }));
        assert_eq!((news(Some(7), 0, 100), news(Some(7), 124, 100)), (None, None));
        assert_eq!(news(Some(7), 125, 100), Some(HostFact::DiskOk { free_bytes: 125, low_since_ms: 7 }));
        assert_eq!(news(None, 0, 0), None);
    }

    #[test]
    fn a_disk_without_the_reserve_is_full_and_says_how_full() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Room::new(Some(dir.path()), 0, 0).check(), Ok(()));
        assert_eq!(Room::new(None, u64::MAX, 0).check(), Ok(()));
        let full = Room::new(Some(dir.path()), u64::MAX, 0).check().unwrap_err();
        assert!(full.free_bytes > 0 && full.free_bytes_min == u64::MAX, "{full}");
        assert!(full.to_string().contains("store.free_bytes_min = 18446744073709551615"), "{full}");
    }

    #[test]
    fn where_the_file_system_does_not_say_there_is_room() {
        assert_eq!(Room::new(Some(Path::new("/nowhere/at/all")), u64::MAX, 0).check(), Ok(()));
    }
}
