//! Makes a data directory of a backup. The whole file is read and checked first; only then is anything made. A directory that is not
//! finished yet has a file that says so, and no host starts on it.

use super::files::is_ours;
use super::frame::{Frames, Kind};
use super::{End, Head};
use crate::store::backend::{BackendError, Batch, Look as _};
use crate::store::sled_backend::SledBackend;
use crate::store::whole_file::{self, NewFile};
use crate::store::{OpenError, batch_bytes, keys, meta, tree::TreeId};
use bytes::{Buf as _, Bytes};
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

/// The file that says that a directory is not finished.
const MARK: &str = "restore-unfinished";
/// What may be in the directory already: the keys, and what a file system puts into each.
const LEFT_ALONE: [&str; 3] = ["master.key", "operator.key", "lost+found"];
/// How much is read before it is written, about, in bytes.
const BATCH_BYTES: usize = 4 << 20;
/// The page cache while writing, in bytes.
const CACHE_BYTES: u64 = 64 << 20;

/// No data directory was made of a file.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is something else.
    #[error("it is no backup of a hookswitch: it does not begin as one")]
    NoBackup,
    /// It has another form.
    #[error(
        "it is a backup of a form that this hookswitch does not know: use the version that wrote it, or a later one"
    )]
    Form,
    /// The store in it has another format.
    #[error(
        "it is of a store of format {found}, which hookswitch {version} wrote; this one reads format {known}: restore it with that version"
    )]
    Format {
        /// The store's.
        found: u32,
        /// Ours.
        known: u32,
        /// Who wrote it.
        version: String,
    },
    /// Its end is missing.
    #[error(
        "it is not whole: it ends in the frame that begins at byte {at}; make another backup, or copy the file again"
    )]
    Cut {
        /// Where.
        at: u64,
    },
    /// Its end mark is missing.
    #[error("it is not whole: its end mark is missing behind byte {at}; make another backup, or copy the file again")]
    NoEnd {
        /// Where.
        at: u64,
    },
    /// It is not as it was written.
    #[error("it is damaged: {why}, in the frame that begins at byte {at}; take another copy of it, or another backup")]
    Damaged {
        /// Where.
        at: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The host could not finish it.
    #[error("the host could not finish it: {0}")]
    Failed(String),
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Read(io::Error),
    /// There is something already.
    #[error("{} is not empty (`{found}` is in it): a backup is restored into a directory of its own", dir.display())]
    NotEmpty {
        /// Where.
        dir: PathBuf,
        /// What is in it.
        found: String,
    },
    /// An earlier one did not end.
    #[error("a restore into {} was not finished: remove what is in it, and restore again", dir.display())]
    Unfinished {
        /// Where.
        dir: PathBuf,
    },
    /// The directory cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be written.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// What is in a backup, and with [`restore`] in the directory made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What it says at its beginning.
    pub head: Head,
    /// What it says at its end.
    pub end: End,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// How many events there are; 0 where nothing was restored.
    pub events: u64,
    /// How many entries of the store, events among them; 0 where nothing was restored.
    pub entries: u64,
    /// How many modules.
    pub modules: u64,
    /// How many uploads that wait to be compiled.
    pub uploads: u64,
}

/// Reads a whole backup, and says what is in it.
///
/// # Errors
/// Where it is not as a host wrote it, or has no end.
pub fn verify(file: &Path) -> Result<Restored, RestoreError> {
    let mut frames = open(file)?;
    let damaged = |at, why| RestoreError::Damaged { at, why };
    let (mut head, mut end) = (None, None);
    let (mut modules, mut uploads, mut last) = (0, 0, Bytes::new());
    loop {
        let at = frames.bytes();
        let Some((kind, content)) = frames.next()? else { break };
        if end.is_some() {
            return Err(damaged(at, "something is behind the end mark"));
        }
        if head.is_none() != (kind == Kind::Head) {
            return Err(damaged(at, "it does not begin with what it is a backup of"));
        }
        match kind {
            Kind::Head => head = Some(known(&content).map_err(|error| error.unwrap_or(damaged(at, NO_SENSE)))?),
            Kind::End => end = Some(serde_json::from_slice(&content).map_err(|_| damaged(at, NO_SENSE))?),
            Kind::Failed => return Err(RestoreError::Failed(String::from_utf8_lossy(&content).into_owned())),
            Kind::File => {
                let (name, _) = file_piece(content).ok_or(damaged(at, "a file's name is not one of a host's"))?;
                if name != last {
                    modules += u64::from(name.starts_with(b"modules/"));
                    uploads += u64::from(name.starts_with(b"uploads/"));
                }
                last = name;
            }
            Kind::Copy | Kind::Redo => {}
        }
    }
    let bytes = frames.bytes();
    let (Some(head), Some(end)) = (head, end) else { return Err(RestoreError::NoEnd { at: bytes }) };
    Ok(Restored { head, end, bytes, events: 0, entries: 0, modules, uploads })
}

/// Makes a data directory at `data`, which must not be there, or be empty but for keys.
///
/// # Errors
/// See [`RestoreError`]. What is found wrong with the file has changed nothing.
pub fn restore(file: &Path, data: &Path) -> Result<Restored, RestoreError> {
    check_empty(data)?;
    let mut restored = verify(file)?;
    whole_file::make_dir(data).map_err(written(data))?;
    let mark = data.join(MARK);
    whole_file::write(&mark, &[]).map_err(written(&mark))?;
    let sled = SledBackend::open(&data.join("store"), CACHE_BYTES)?;
    let mut writing =
        Writing { data, sled, batch: Batch::default(), batch_bytes: 0, file: None, events: 0, entries: 0 };
    let mut frames = open(file)?;
    loop {
        let at = frames.bytes();
        let Some((kind, content)) = frames.next()? else { break };
        match kind {
            Kind::Copy | Kind::Redo => writing.batch(content, at)?,
            Kind::File => writing.file(content, at)?,
            Kind::Head | Kind::End | Kind::Failed => {}
        }
    }
    (restored.events, restored.entries) = writing.finish()?;
    whole_file::remove(&mark).map_err(written(&mark))?;
    Ok(restored)
}

/// Refuses a data directory whose restore was not finished.
///
/// # Errors
/// [`RestoreError::Unfinished`].
pub fn check_restored(data: &Path) -> Result<(), RestoreError> {
    if data.join(MARK).exists() { Err(RestoreError::Unfinished { dir: data.to_owned() }) } else { Ok(()) }
}

const NO_SENSE: &str = "what it says makes no sense";

fn open(file: &Path) -> Result<Frames<BufReader<File>>, RestoreError> {
    Frames::open(BufReader::with_capacity(1 << 20, File::open(file).map_err(RestoreError::Read)?))
}

/// What a backup is of, if we know such stores; no error of its own where it makes no sense.
fn known(content: &[u8]) -> Result<Head, Option<RestoreError>> {
    let head: Head = serde_json::from_slice(content).map_err(|_| None)?;
    if head.store_format == meta::FORMAT {
        return Ok(head);
    }
    Err(Some(RestoreError::Format { found: head.store_format, known: meta::FORMAT, version: head.host_version }))
}

/// A file's name, and a piece of it; none where the name is not one of ours.
fn file_piece(mut content: Bytes) -> Option<(Bytes, Bytes)> {
    let length = usize::try_from(content.try_get_u32().ok()?).ok()?;
    let name = (length <= content.len()).then(|| content.split_to(length))?;
    str::from_utf8(&name).is_ok_and(is_ours).then_some((name, content))
}

fn check_empty(data: &Path) -> Result<(), RestoreError> {
    check_restored(data)?;
    let entries = match fs::read_dir(data) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(written(data))?,
    };
    for entry in entries {
        let name = entry.map_err(written(data))?.file_name();
        if !LEFT_ALONE.iter().any(|known| name == *known) {
            return Err(RestoreError::NotEmpty { dir: data.to_owned(), found: name.to_string_lossy().into_owned() });
        }
    }
    Ok(())
}

fn written(path: &Path) -> impl FnOnce(io::Error) -> RestoreError + use<> {
    let path = path.to_owned();
    move |source| RestoreError::Write { path, source }
}

/// A directory in the making.
struct Writing<'a> {
    data: &'a Path,
    sled: SledBackend,
    batch: Batch,
    batch_bytes: usize,
    file: Option<(Bytes, PathBuf, NewFile)>,
    events: u64,
    entries: u64,
}

impl Writing<'_> {
    fn batch(&mut self, content: Bytes, at: u64) -> Result<(), RestoreError> {
        self.batch_bytes += content.len();
        batch_bytes::decode(content, &mut self.batch).ok_or(RestoreError::Damaged { at, why: NO_SENSE })?;
        if self.batch_bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), RestoreError> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        for (tree, writes) in &batch.trees {
            for (key, value) in writes {
                let (was, is) = (self.sled.get(*tree, key)?.is_some(), value.is_some());
                let event = matches!(tree, TreeId::Day(_)) && keys::is_event(key.as_bytes());
                for count in [Some(&mut self.entries), event.then_some(&mut self.events)].into_iter().flatten() {
                    *count = count.saturating_add(is.into()).saturating_sub(was.into());
                }
            }
        }
        Ok(self.sled.write_batch(&batch)?)
    }

    fn file(&mut self, content: Bytes, at: u64) -> Result<(), RestoreError> {
        let (name, piece) = file_piece(content).ok_or(RestoreError::Damaged { at, why: NO_SENSE })?;
        if self.file.as_ref().is_none_or(|(current, ..)| *current != name) {
            self.finish_file()?;
            let path = self.data.join(str::from_utf8(&name).unwrap_or_default());
            let dir = path.parent().unwrap_or(self.data);
            whole_file::make_dir(dir).map_err(written(dir))?;
            let file = NewFile::create(&path).map_err(written(&path))?;
            self.file = Some((name, path, file));
        }
        let Some((_, path, file)) = &mut self.file else { return Ok(()) };
        file.write(&piece).map_err(written(path))
    }

    fn finish_file(&mut self) -> Result<(), RestoreError> {
        let Some((_, path, file)) = self.file.take() else { return Ok(()) };
        file.finish().map_err(written(&path))
    }

    fn finish(mut self) -> Result<(u64, u64), RestoreError> {
        self.flush()?;
        self.finish_file()?;
        Ok((self.events, self.entries))
    }
}
