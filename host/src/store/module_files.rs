//! The uploaded modules as files, one a version, named by their digest. They are too large for sled, and never change.
//!
//! A file is there before the configuration has its version. So one that was put, anew or again, a short time ago is not swept.

use super::whole_file;
use crate::model::Digest;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A directory of module files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ModuleFiles {
    dir: PathBuf,
    /// When each was put, of those that were not long ago. Held while files come and go.
    put: Arc<Mutex<HashMap<Digest, Instant>>>,
}

impl ModuleFiles {
    /// Opens `dir`, making it where it is not there.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        whole_file::open_dir(dir, |_| false)?;
        Ok(Self { dir: dir.to_owned(), put: Arc::default() })
    }

    /// Writes a module. When this returns the file is whole and durable; a crash before leaves none.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn put(&self, digest: &Digest, wasm: &[u8]) -> io::Result<()> {
        let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        put.insert(*digest, Instant::now());
        // Also where it is there: whoever wrote it may have been killed before it was durable.
        whole_file::write(&self.path(digest), &[wasm])
    }

    /// Reads a module back.
    ///
    /// # Errors
    /// Where there is none, or its bytes are not those of its digest.
    pub fn get(&self, digest: &Digest) -> io::Result<Bytes> {
        let path = self.path(digest);
        let wasm = fs::read(&path).map_err(|error| whole_file::at(&path, &error))?;
        if Digest::of(&wasm) == *digest {
            return Ok(wasm.into());
        }
        Err(whole_file::damaged(&path, "it is damaged: its sha256 is not its name; upload the module again"))
    }

    /// Removes the modules that are not wanted and were not put within this time. Answers how many.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn sweep(&self, wanted: &BTreeSet<Digest>, put_within: Duration) -> io::Result<usize> {
        let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        put.retain(|_, at| at.elapsed() < put_within);
        let mut swept = 0;
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".wasm"));
            let Some(digest) = name.and_then(|name| name.parse::<Digest>().ok()) else { continue };
            if !wanted.contains(&digest) && !put.contains_key(&digest) {
                fs::remove_file(&path).map_err(|error| whole_file::at(&path, &error))?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{digest}.wasm"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_read_back_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let files = ModuleFiles::open(&dir.path().join("modules")).unwrap();
        let digest = Digest::of(b"wasm");
        assert_eq!(files.get(&digest).unwrap_err().kind(), io::ErrorKind::NotFound);
        files.put(&digest, b"wasm").unwrap();
        files.put(&digest, b"wasm").unwrap();
        assert_eq!(files.get(&digest).unwrap(), "wasm");
        fs::write(files.path(&digest), b"was").unwrap();
        assert_eq!(files.get(&digest).unwrap_err().kind(), io::ErrorKind::InvalidData);
        files.put(&digest, b"wasm").unwrap();
        assert_eq!(files.get(&digest).unwrap(), "wasm");
    }

    #[test]
    fn what_is_not_wanted_goes_unless_it_was_put_just_now() {
        let dir = tempfile::tempdir().unwrap();
        let files = ModuleFiles::open(dir.path()).unwrap();
        let [wanted, old] = [&b"wanted"[..], b"old"].map(|wasm| {
            let digest = Digest::of(wasm);
            files.put(&digest, wasm).unwrap();
            digest
        });
        fs::write(dir.path().join("something else"), "").unwrap();
        let only = BTreeSet::from([wanted]);
        assert_eq!(files.sweep(&only, Duration::MAX).unwrap(), 0);
        // Of another process: it was not put just now, until it is put again.
        let files = ModuleFiles::open(dir.path()).unwrap();
        files.put(&old, b"old").unwrap();
        assert_eq!(files.sweep(&only, Duration::MAX).unwrap(), 0);
        assert_eq!(files.sweep(&only, Duration::ZERO).unwrap(), 1);
        assert!(files.get(&wanted).is_ok() && files.get(&old).is_err());
        assert!(dir.path().join("something else").exists());
    }
}
