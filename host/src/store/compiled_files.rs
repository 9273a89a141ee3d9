//! Compiled modules as files, so that a start compiles nothing: one for each version and engine, authenticated.
//!
//! They are native code that the host runs. So each carries a MAC under a key that only this data directory's master key gives, over
//! its content and over what it is for: who can write to the directory, but has not the key, cannot make the host run
//! anything, nor one module in another's place. They can be made anew at any time: nothing is lost with them, and they belong in no
//! backup and no export.

use super::whole_file;
use crate::model::Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a file begins with: what it is, and the version of its form.
const FORMAT: &[u8; 16] = b"hookswitch-code1";
/// Format, module, engine, the content's length.
const HEAD_BYTES: usize = 16 + 32 + 32 + 8;
const MAC_BYTES: usize = 32;
/// How many digits of the engine's digest are in a file's name.
const ENGINE_DIGITS: usize = 16;

/// A directory of compiled modules for one engine. Cheap to clone.
#[derive(Clone)]
pub struct CompiledFiles {
    dir: PathBuf,
    engine: Digest,
    mac: Hmac<Sha256>,
}

impl CompiledFiles {
    /// Opens `dir`, making it where it is not there; removes what was compiled for another engine or of a module that nobody wants, and what
    /// a crash left unfinished.
    ///
    /// # Errors
    /// Where the directory cannot be made or read.
    pub fn open(dir: &Path, engine: Digest, key: &[u8; 32], is_wanted: impl Fn(&Digest) -> bool) -> io::Result<Self> {
        let mac = Hmac::new_from_slice(key).map_err(io::Error::other)?;
        let files = Self { dir: dir.to_owned(), engine, mac };
        let ours = files.ending();
        let module = |name: &str| name.strip_suffix(&ours)?.parse().ok();
        let removed = whole_file::open_dir(dir, |name| !module(name).is_some_and(|module| is_wanted(&module)))?;
        if removed > 0 {
            tracing::info!(removed, "removed compiled modules of another engine or that are gone, and unfinished ones");
        }
        Ok(files)
    }

    /// Writes what a module was compiled to: its parts, one after the other.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn put(&self, module: &Digest, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let head = self.head(module, length);
        let mut mac = self.mac.clone();
        mac.update(&head);
        parts.iter().for_each(|part| mac.update(part));
        let tag = mac.finalize().into_bytes();
        let whole: Vec<&[u8]> =
            std::iter::once(&head[..]).chain(parts.iter().copied()).chain(std::iter::once(&tag[..])).collect();
        whole_file::write(&self.path(module), &whole)
    }

    /// Reads back what a module was compiled to, in one piece.
    ///
    /// # Errors
    /// `NotFound` where there is nothing; `InvalidData` where the file is damaged, or not one that this host wrote for this module and
    /// engine.
    pub fn get(&self, module: &Digest) -> io::Result<Vec<u8>> {
        let path = self.path(module);
        let mut whole = fs::read(&path).map_err(|error| whole_file::at(&path, &error))?;
        let foreign = |what| whole_file::damaged(&path, what);
        let length = whole.len().checked_sub(HEAD_BYTES + MAC_BYTES).ok_or_else(|| foreign("it is too short"))?;
        let tag = whole.split_off(HEAD_BYTES + length);
        if whole.get(..HEAD_BYTES) != Some(&self.head(module, length)[..]) {
            return Err(foreign("it is of another form, module or engine, or was cut"));
        }
        let mut mac = self.mac.clone();
        mac.update(&whole);
        // In constant time.
        mac.verify_slice(&tag).map_err(|_| foreign("it is damaged, or not this host's: its MAC is wrong"))?;
        whole.drain(..HEAD_BYTES);
        Ok(whole)
    }

    fn head(&self, module: &Digest, length: usize) -> Vec<u8> {
        [FORMAT, &module.as_bytes()[..], &self.engine.as_bytes()[..], &(length as u64).to_le_bytes()].concat()
    }

    fn path(&self, module: &Digest) -> PathBuf {
        self.dir.join(format!("{module}{}", self.ending()))
    }

    fn ending(&self) -> String {
        let engine: String = self.engine.to_string().chars().take(ENGINE_DIGITS).collect();
        format!("-{engine}.bin")
    }
}

impl fmt::Debug for CompiledFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledFiles").field("dir", &self.dir).field("engine", &self.engine).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path, engine: &[u8], key: u8) -> CompiledFiles {
        CompiledFiles::open(dir, Digest::of(engine), &[key; 32], |_| true).unwrap()
    }

    #[test]
    fn code_is_read_back_by_the_host_that_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        let files = open(dir.path(), b"engine", 1);
        let module = Digest::of(b"module");
        assert_eq!(files.get(&module).unwrap_err().kind(), io::ErrorKind::NotFound);
        files.put(&module, &[b"f", b"code"]).unwrap();
        assert_eq!(files.get(&module).unwrap(), b"fcode");
        assert_eq!(open(dir.path(), b"engine", 1).get(&module).unwrap(), b"fcode");
        let other_key = open(dir.path(), b"engine", 2);
        assert!(other_key.get(&module).unwrap_err().to_string().contains("not this host's"));
    }

    #[test]
    fn no_byte_can_be_changed_and_no_file_stand_for_another() {
        let dir = tempfile::tempdir().unwrap();
        let files = open(dir.path(), b"engine", 1);
        let (module, other) = (Digest::of(b"module"), Digest::of(b"other"));
        files.put(&module, &[b"code"]).unwrap();
        let good = fs::read(files.path(&module)).unwrap();
        let refused = |bytes: &[u8]| {
            fs::write(files.path(&module), bytes).unwrap();
            assert_eq!(files.get(&module).unwrap_err().kind(), io::ErrorKind::InvalidData);
        };
        for at in 0..good.len() {
            refused(&good[..at]);
            let mut changed = good.clone();
            changed[at] ^= 1;
            refused(&changed);
        }
        refused(&[&good[..], b"x"].concat());
        fs::write(files.path(&other), &good).unwrap();
        assert!(files.get(&other).unwrap_err().to_string().contains("another form, module or engine"));
    }

    #[test]
    fn what_another_engine_left_and_what_nobody_wants_is_removed_at_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let module = Digest::of(b"module");
        open(dir.path(), b"old engine", 1).put(&module, &[b"code"]).unwrap();
        let files = open(dir.path(), b"engine", 1);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let other = Digest::of(b"other");
        [module, other].iter().for_each(|module| files.put(module, &[b"code"]).unwrap());
        let files = CompiledFiles::open(dir.path(), files.engine, &[1; 32], |wanted| *wanted == module).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(files.get(&module).unwrap(), b"code");
    }
}
