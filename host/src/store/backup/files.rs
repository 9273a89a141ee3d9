//! The files of a data directory that a backup has beside the store, by their names in it. What is not here is made anew (`compiled/`), is
//! the operator's to keep elsewhere (the keys), or was never meant to last.

use super::BackupError;
use crate::model::Digest;
use crate::store::WaitingUploads;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Which files those are.
#[derive(Clone, Debug)]
pub struct DataFiles {
    /// The data directory.
    pub data: PathBuf,
    /// Its waiting uploads, which come and go.
    pub uploads: WaitingUploads,
}

/// Where modules are.
const MODULES: &str = "modules";
/// Where waiting uploads are.
pub(super) const UPLOADS: &str = "uploads";
/// By what a start tells whether it was given the master key that the secrets are sealed with.
const FINGERPRINT: &str = "master.fingerprint";

/// Whether a backup has a file of this name. So none leads out of the directory that it is restored into.
pub(super) fn is_ours(name: &str) -> bool {
    match name.split_once('/') {
        Some((MODULES, file)) => file.strip_suffix(".wasm").is_some_and(|digest| digest.parse::<Digest>().is_ok()),
        Some((UPLOADS, file)) => file.strip_suffix(".upload").is_some_and(|number| number.parse::<u64>().is_ok()),
        Some(_) => false,
        None => name == FINGERPRINT,
    }
}

/// The files of one moment, and how far they are read.
pub(super) struct Reading {
    data: PathBuf,
    /// Those that never change are opened when it is their turn.
    left: VecDeque<(String, Option<File>)>,
    current: Option<(String, File)>,
    /// How many were begun.
    pub(super) count: u64,
}

impl Reading {
    /// Begins with what is there now. Waiting uploads are opened here: they may be gone a moment later.
    pub(super) fn new(data: &Path) -> Result<Self, BackupError> {
        let mut left = VecDeque::new();
        for folder in [MODULES, UPLOADS] {
            for name in names(data, folder).map_err(unreadable(folder))? {
                let opened = (folder == UPLOADS).then(|| File::open(data.join(&name)).map_err(unreadable(&name)));
                left.push_back((name, opened.transpose()?));
            }
        }
        if data.join(FINGERPRINT).exists() {
            left.push_back((FINGERPRINT.to_owned(), None));
        }
        Ok(Self { data: data.to_owned(), left, current: None, count: 0 })
    }

    /// Adds the next piece to `frame`, of about `bytes_max` bytes; false where there is none left.
    pub(super) fn piece(&mut self, frame: &mut Vec<u8>, bytes_max: u64) -> Result<bool, BackupError> {
        let mut is_new = false;
        if self.current.is_none() {
            let Some((name, opened)) = self.left.pop_front() else { return Ok(false) };
            let open = || File::open(self.data.join(&name)).map_err(unreadable(&name));
            let file = opened.map_or_else(open, Ok)?;
            self.current = Some((name, file));
            self.count += 1;
            is_new = true;
        }
        let Some((name, file)) = &mut self.current else { return Ok(false) };
        frame.extend_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes());
        frame.extend_from_slice(name.as_bytes());
        let read = file.take(bytes_max).read_to_end(frame).map_err(unreadable(name))?;
        if read == 0 && !is_new {
            // Its end: nothing of it is left to tell.
            frame.truncate(super::frame::HEAD_BYTES);
            self.current = None;
            return self.piece(frame, bytes_max);
        }
        Ok(true)
    }
}

/// The files of a folder that are ours, in order.
fn names(data: &Path, folder: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(data.join(folder))? {
        let name = entry?.file_name().into_string().map(|file| format!("{folder}/{file}"));
        names.extend(name.ok().filter(|name| is_ours(name)));
    }
    names.sort();
    Ok(names)
}

fn unreadable(name: &str) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let name = name.to_owned();
    move |error| BackupError::File { name, why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_hosts_own_files_are_taken() {
        let digest = Digest::of(b"wasm");
        for good in [format!("modules/{digest}.wasm"), "uploads/00000000000000000007.upload".into(), FINGERPRINT.into()]
        {
            assert!(is_ours(&good), "{good}");
        }
        for bad in ["", "master.key", "/etc/passwd", "modules/../master.key", "uploads/1.7.part", "uploads/a/1.upload"]
        {
            assert!(!is_ours(bad), "{bad}");
        }
    }
}
