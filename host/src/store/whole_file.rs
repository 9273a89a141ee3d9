//! Files that are there whole or not at all: written under another name, synced, renamed, and the directory synced; and directories
//! whose names are durable. A sync of a file keeps its bytes, not its name, nor those of the directories above it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the name of a file ends that is not whole yet. One that a crash left is removed by [`open_dir`].
pub(super) const PART: &str = "part";

static PARTS: AtomicU64 = AtomicU64::new(0);

/// Makes a directory that only its owner may enter, where it is not there, and removes from it the files that a crash left unfinished
/// and those that `is_stale` by their name. Answers how many those were. What is no regular file is left alone.
///
/// Nobody else may be writing there: to be called at start.
pub(super) fn open_dir(dir: &Path, is_stale: impl Fn(&str) -> bool) -> io::Result<usize> {
    make_dir(dir)?;
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let path = entry.path();
        let is_part = path.extension().is_some_and(|extension| extension == PART);
        if is_part || path.file_name().and_then(|name| name.to_str()).is_some_and(&is_stale) {
            fs::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Makes a directory that only its owner may enter, and those above it, where they are not there. When this returns their names are
/// durable, also where a crash came between the making and this.
///
/// # Errors
/// Where the disk fails, or something else has that name.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    let dir = std::path::absolute(dir)?;
    let Some(above) = dir.parent() else { return Ok(()) };
    if !above.is_dir() {
        make_dir(above)?;
    }
    let is_new = match DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => false,
        Err(error) => return Err(error),
    };
    match File::open(above) {
        // Somebody else has made it for us, in a directory that is not ours to read.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_new => Ok(()),
        above => above?.sync_all(),
    }
}

/// Writes a file of these parts, one after the other, for its owner alone. When this returns it is whole and durable; a crash before
/// leaves none, or the one that was there.
///
/// # Errors
/// Where the disk fails.
pub fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = NewFile::create(path)?;
    parts.iter().try_for_each(|bytes| file.write(bytes))?;
    file.finish()
}

/// A file that is written piece by piece, and is there when [`NewFile::finish`] returns. One that is dropped before leaves nothing.
pub struct NewFile {
    path: PathBuf,
    part: PathBuf,
    file: File,
    finished: bool,
}

impl NewFile {
    /// Begins a file, for its owner alone.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn create(path: &Path) -> io::Result<Self> {
        // Two who write the same file at once must not write into one.
        let part = path.with_added_extension(format!("{}.{PART}", PARTS.fetch_add(1, Ordering::Relaxed)));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        Ok(Self { path: path.to_owned(), part, file, finished: false })
    }

    /// Adds these bytes.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// What there is of it so far, under another name.
    #[must_use]
    pub fn so_far(&self) -> &Path {
        &self.part
    }

    /// Gives it its name. When this returns it is whole and durable; before it there is none, or the one that was there.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.part, &self.path)?;
        self.finished = true;
        // The name is durable only when the directory is.
        sync_dir(&self.path)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            // On a full disk it only makes it fuller.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Removes a file, durably.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_dir(path)
}

/// Makes durable what others have left of a file in the kernel's memory alone, and has the kernel forget it, so that what is read from now
/// on is what the disk has. After a sync that failed the kernel goes on showing what the disk did not take, to the next process, too, and a
/// later sync does not write it.
pub(super) fn settle(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

fn sync_dir(path: &Path) -> io::Result<()> {
    // A name alone stands in the working directory.
    let dir = path.parent().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    dir.map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Does work with files, off the threads that serve connections.
///
/// # Errors
/// Those of the work; another where it broke down.
pub async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other).and_then(|done| done)
}

/// An error with the path it is about.
pub(super) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// What is there is not what should be.
pub(super) fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_private_and_leaves_no_part_behind() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("d");
        assert_eq!(open_dir(&dir, |_| false).unwrap(), 0);
        let path = dir.join("a.bin");
        write(&path, &[b"first"]).unwrap();
        write(&path, &[b"sec", b"ond"]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&path)), (0o700, 0o600));
        // What cannot be renamed is not left there either.
        fs::create_dir(dir.join("b.bin")).unwrap();
        assert!(write(&dir.join("b.bin"), &[b"x"]).is_err());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    }

    #[test]
    fn a_directory_is_made_with_those_above_it_and_making_it_again_is_no_error() {
        let top = tempfile::tempdir().unwrap();
        let dir = top.path().join("a/b/c");
        make_dir(&dir).unwrap();
        make_dir(&dir).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&top.path().join("a"))), (0o700, 0o700));
        fs::write(top.path().join("file"), "").unwrap();
        assert_eq!(make_dir(&top.path().join("file")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn what_a_crash_left_and_what_is_stale_is_removed_at_the_start() {
        let top = tempfile::tempdir().unwrap();
        for name in ["a.bin", "a.7.part", "old.bin"] {
            fs::write(top.path().join(name), "x").unwrap();
        }
        // Nothing of the host's, and nothing to fail at.
        fs::create_dir(top.path().join("old.part")).unwrap();
        assert_eq!(open_dir(top.path(), |name| name.starts_with("old")).unwrap(), 2);
        let mut left: Vec<_> = fs::read_dir(top.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a.bin", "old.part"]);
        remove(&top.path().join("a.bin")).unwrap();
        assert_eq!(remove(&top.path().join("a.bin")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
