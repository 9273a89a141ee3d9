//! The uploaded modules as files, one a version, named by their digest. They are too large for sled, and never change.

use crate::model::Digest;
use bytes::Bytes;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

static PARTS: AtomicU64 = AtomicU64::new(0);

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
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Writes a module. When this returns the file is whole and durable; a crash before leaves none.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn put(&self, digest: &Digest, wasm: &[u8]) -> io::Result<()> {
        let path = self.path(digest);
        if self.get(digest).is_ok() {
            return Ok(());
        }
        // Two uploads of the same module at once must not write into one file.
        let part = path.with_extension(format!("{}.part", PARTS.fetch_add(1, Ordering::Relaxed)));
        let mut file = File::create(&part)?;
        file.write_all(wasm)?;
        file.sync_all()?;
        fs::rename(&part, &path)?;
        // The name is durable only when the directory is.
        File::open(&self.dir)?.sync_all()
    }

    /// Reads a module back.
    ///
    /// # Errors
    /// Where there is none, or its bytes are not those of its digest.
    pub fn get(&self, digest: &Digest) -> io::Result<Bytes> {
        let path = self.path(digest);
        let wasm =
            fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        if Digest::of(&wasm) == *digest {
            return Ok(wasm.into());
        }
        let message = format!("{}: is damaged: its sha256 is not its name; upload the module again", path.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
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
