//! The uploaded modules as files, one a version, named by their digest. They are too large for sled, and never change.

use super::whole_file;
use crate::model::Digest;
use bytes::Bytes;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory of module files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ModuleFiles {
    dir: PathBuf,
}

impl ModuleFiles {
    /// Opens `dir`, making it where it is not there.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn open(dir: &Path) -> io::Result<Self> {
        whole_file::open_dir(dir, |_| false)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Writes a module. When this returns the file is whole and durable; a crash before leaves none.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn put(&self, digest: &Digest, wasm: &[u8]) -> io::Result<()> {
        if self.get(digest).is_ok() {
            return Ok(());
        }
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
}
