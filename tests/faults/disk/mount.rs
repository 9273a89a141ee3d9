//! A disk mounted for a host: on a directory of its own, and unmounted with the test, however that ends.

use super::Disk;
use super::calls::Calls;
use fuser::{BackgroundSession, Config, MountOption};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// A disk that is mounted. It is unmounted when this is dropped.
pub(crate) struct Mounted {
    disk: Arc<Mutex<Disk>>,
    session: Option<BackgroundSession>,
    dir: TempDir,
}

/// Whether this machine lets us mount; else why not.
pub(crate) fn is_there() -> Result<(), String> {
    if !Path::new("/dev/fuse").exists() {
        return Err("there is no /dev/fuse".to_owned());
    }
    Mounted::new(Disk::new()).map(drop).map_err(|error| format!("it does not mount: {error}"))
}

impl Mounted {
    /// Mounts a disk on a directory of its own.
    pub(crate) fn new(disk: Disk) -> std::io::Result<Self> {
        let mut mounted = Self { disk: Arc::new(Mutex::new(disk)), session: None, dir: tempfile::tempdir()? };
        mounted.mount()?;
        Ok(mounted)
    }

    fn mount(&mut self) -> std::io::Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("hookswitch-faults".to_owned()), MountOption::NoAtime];
        self.session = Some(fuser::spawn_mount(Calls::new(Arc::clone(&self.disk)), self.dir.path(), &config)?);
        Ok(())
    }

    /// Unmounts it, and mounts it again after `change`: the kernel knows nothing of what was there before.
    pub(crate) fn mount_again<T>(&mut self, change: impl FnOnce(&mut Disk) -> T) -> T {
        self.unmount();
        let changed = change(&mut self.disk());
        self.mount().expect("what was mounted can be mounted again");
        changed
    }

    /// The disk. While it is held, whoever wants something of the file system waits.
    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A directory on it, for a host to make.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn unmount(&mut self) {
        if self.session.take().is_some_and(|session| session.umount_and_join().is_err()) {
            // Somebody is still in it. Nobody new comes in, and it goes with the last.
            let _ = Command::new("umount").arg("--lazy").arg(self.dir.path()).status();
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.unmount();
    }
}
