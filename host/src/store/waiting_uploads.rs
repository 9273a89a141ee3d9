//! Uploads that were acknowledged before they are compiled: a file for each, so that a crash loses none.
//!
//! A file's name is its number: uploads are taken up again in the order in which they came. It begins with a line of JSON, the sha256
//! of the wasm and what it is for, which is for the layers above to know; the wasm follows.

use super::whole_file;
use crate::model::Digest;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

const EXTENSION: &str = "upload";

/// A directory of waiting uploads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WaitingUploads {
    dir: PathBuf,
    next: Arc<AtomicU64>,
    still: Arc<RwLock<()>>,
}

/// One of them, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingUpload<T> {
    /// Its place in the order.
    pub number: u64,
    /// The sha256 of the wasm.
    pub digest: Digest,
    /// What it is for.
    pub purpose: T,
}

/// The first line of a file.
#[derive(Serialize, Deserialize)]
struct Head<T> {
    digest: Digest,
    purpose: T,
}

impl WaitingUploads {
    /// Opens `dir`, making it where it is not there, and lists what waits there, in order. What cannot be read is logged and left.
    ///
    /// # Errors
    /// Where the directory cannot be made or read.
    pub fn open<T: DeserializeOwned>(dir: &Path) -> io::Result<(Self, Vec<WaitingUpload<T>>)> {
        whole_file::open_dir(dir, |_| false)?;
        let mut found = Vec::new();
        let mut next = 0;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let Some(number) = number_of(&path) else { continue };
            next = next.max(number.saturating_add(1));
            match read_head(&path) {
                Ok((Head { digest, purpose }, _)) => found.push(WaitingUpload { number, digest, purpose }),
                Err(error) => tracing::error!(path = %path.display(), %error, "an upload that waits cannot be read"),
            }
        }
        found.sort_by_key(|upload| upload.number);
        Ok((Self { dir: dir.to_owned(), next: Arc::new(AtomicU64::new(next)), still: Arc::default() }, found))
    }

    /// Keeps an upload, durably, and gives its number.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn put<T: Serialize>(&self, digest: Digest, purpose: &T, wasm: &[u8]) -> io::Result<u64> {
        let _changing = self.still.read().unwrap_or_else(PoisonError::into_inner);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let head = serde_json::to_string(&Head { digest, purpose })?;
        whole_file::write(&self.path(number), &[head.as_bytes(), b"\n", wasm])?;
        Ok(number)
    }

    /// The wasm of an upload.
    ///
    /// # Errors
    /// Where it cannot be read, or is damaged.
    pub fn get(&self, number: u64) -> io::Result<Bytes> {
        let path = self.path(number);
        let (head, mut rest) =
            read_head::<serde::de::IgnoredAny>(&path).map_err(|error| whole_file::at(&path, &error))?;
        let mut wasm = Vec::new();
        io::Read::read_to_end(&mut rest, &mut wasm)?;
        if Digest::of(&wasm) == head.digest {
            return Ok(wasm.into());
        }
        Err(whole_file::damaged(&path, "it is damaged: its sha256 is another; upload the module again"))
    }

    /// Lets no upload come or go while somebody has this: for as long as it takes to open them all.
    pub(super) fn keep_still(&self) -> RwLockWriteGuard<'_, ()> {
        self.still.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets an upload: it has become a module, or was refused.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn remove(&self, number: u64) -> io::Result<()> {
        let _changing = self.still.read().unwrap_or_else(PoisonError::into_inner);
        match whole_file::remove(&self.path(number)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:020}.{EXTENSION}"))
    }
}

fn number_of(path: &Path) -> Option<u64> {
    let is_upload = path.extension().is_some_and(|extension| extension == EXTENSION);
    is_upload.then(|| path.file_stem()?.to_str()?.parse().ok()).flatten()
}

fn read_head<T: DeserializeOwned>(path: &Path) -> io::Result<(Head<T>, BufReader<File>)> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    Ok((serde_json::from_slice(&line)?, reader))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> (WaitingUploads, Vec<WaitingUpload<String>>) {
        WaitingUploads::open(dir).unwrap()
    }

    #[test]
    fn uploads_wait_in_order_through_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (uploads, none) = open(dir.path());
        assert_eq!(none, []);
        let numbers =
            ["b", "a", "b"].map(|name| uploads.put(Digest::of(name.as_bytes()), &name, name.as_bytes()).unwrap());
        uploads.remove(numbers[0]).unwrap();
        uploads.remove(numbers[0]).unwrap();

        let (uploads, found) = open(dir.path());
        let names: Vec<_> = found.iter().map(|upload| (upload.number, upload.purpose.as_str())).collect();
        assert_eq!(names, [(numbers[1], "a"), (numbers[2], "b")]);
        assert_eq!(uploads.get(numbers[1]).unwrap(), "a");
        assert!(uploads.put(Digest::of(b"c"), &"c", b"c").unwrap() > numbers[2]);
    }

    #[test]
    fn a_damaged_one_is_told_and_stops_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (uploads, _) = open(dir.path());
        let number = uploads.put(Digest::of(b"wasm"), &"a", b"was").unwrap();
        assert_eq!(uploads.get(number).unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::write(uploads.path(number + 1), "what is this").unwrap();
        let (_, found) = open(dir.path());
        assert_eq!(found.len(), 1);
    }
}
