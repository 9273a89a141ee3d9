//! The journal: what was committed and may not be in the database yet, in two files that take turns.
//!
//! A *generation* is a number of commits, one frame each, in one file from its beginning. The files are written over and never
//! cut, so that a sync has no new length to write down. What is left of the generation before last stands behind the frames of
//! the new one, and is told from them by its mark. What must hold:
//!
//! - [`Journal::append`] returns when the frame is on disk.
//! - A generation begins only when the one before the last is in the database: its file is the one that is written over.
//! - What is read back are the frames that were appended, up to the first that is not whole: only the last one of all can have
//!   been cut by a crash, and nobody was told of that one. Where whole ones of its generation follow it, be it the first, the disk has
//!   lost what was acknowledged: the journal is refused.
//! - What is in the database already is not looked at: the first frame of the generation that takes its place may have been cut so that
//!   its beginning is not on the disk, and what is behind that is.
//! - A generation's mark is made of a secret of the store's: whoever sends a body that looks like frames can hope for a crash, but not for
//!   those frames to be read, nor to be missed.
//!
//! A frame: check⁴ (CRC-32 of all that follows) length⁴ format⁴ generation⁸ mark⁸, then a batch (`batch_bytes`). Numbers are big-endian.

use super::backend::Batch;
use super::batch_bytes::{self, length};
use super::meta;
use super::whole_file;
use bytes::{Buf as _, Bytes};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const HEAD_BYTES: usize = 28;
/// Room for what most commits need, kept from one to the next.
const BUFFER_BYTES: usize = 1 << 20;

/// What marks are made of.
pub(super) type Secret = [u8; 16];

/// The two files, and where the next frame goes.
pub(super) struct Journal {
    files: [File; 2],
    secret: Secret,
    generation: u64,
    mark: u64,
    at: u64,
    buffer: Vec<u8>,
}

/// What one file holds.
#[derive(Debug)]
pub(super) struct Generation {
    /// Counts up from 1.
    pub(super) number: u64,
    /// Its commits, laid over one another.
    pub(super) batch: Batch,
}

/// The journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    /// The file system failed.
    #[error("cannot read the journal: {0}")]
    Io(#[from] io::Error),
    /// Another version wrote it.
    #[error("the journal has format {0}")]
    Format(u32),
    /// A frame is whole, but nobody writes such frames.
    #[error("the journal holds a frame that makes no sense")]
    Frame,
    /// A frame is not whole, and no crash can have cut it.
    #[error(
        "{} is damaged at byte {at}, and what was acknowledged after that is still behind it: the disk has lost a part of it; restore a \
         backup, or move the file away to go on without what it holds", path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the frame begins that is not whole.
        at: usize,
    },
}

impl Journal {
    /// Opens the files in `dir`, or makes them, and reads what they hold beyond `done`, the last generation that is in the database; the
    /// older generation first. The next generation is the one after the newest of them, and after `done`.
    pub(super) fn open(dir: &Path, done: u64, secret: Secret) -> Result<(Self, Vec<Generation>), JournalError> {
        let paths = [0, 1].map(|number| file_of(dir, number));
        let mut found = Vec::new();
        for number in [done + 1, done + 2] {
            let path = &file_of(dir, number);
            match whole_file::settle(path).and_then(|()| std::fs::read(path)) {
                Ok(bytes) => found.extend(read(bytes.into(), path, done, (number, mark_of(&secret, number)))?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        found.sort_by_key(|generation| generation.number);
        let newest = found.last().map_or(0, |generation| generation.number);
        let open = |path| File::options().create(true).write(true).truncate(false).open(path);
        let [even, odd] = paths;
        let files = [open(even)?, open(odd)?];
        File::open(dir)?.sync_all()?;
        let generation = newest.max(done) + 1;
        let mark = mark_of(&secret, generation);
        Ok((Self { files, secret, generation, mark, at: 0, buffer: Vec::new() }, found))
    }

    /// The number of the generation that is being written.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// How many bytes this generation has.
    pub(super) const fn bytes(&self) -> u64 {
        self.at
    }

    /// Begins the next generation. The one before the last must be in the database.
    pub(super) fn turn(&mut self) {
        self.generation += 1;
        self.mark = mark_of(&self.secret, self.generation);
        self.at = 0;
    }

    /// Adds a frame. It is on disk when this returns. After an error nothing may be appended any more.
    pub(super) fn append(&mut self, batch: &Batch) -> io::Result<()> {
        self.buffer.clear();
        encode(&mut self.buffer, self.generation, self.mark, batch)?;
        let [even, odd] = &self.files;
        let file = if self.generation.is_multiple_of(2) { even } else { odd };
        file.write_all_at(&self.buffer, self.at)?;
        file.sync_data()?;
        self.at += self.buffer.len() as u64;
        self.buffer.shrink_to(BUFFER_BYTES);
        Ok(())
    }
}

/// The file of every second generation.
pub(super) fn file_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join(if generation.is_multiple_of(2) { "journal-even" } else { "journal-odd" })
}

/// A new secret, for a store that has none.
pub(super) fn new_secret() -> io::Result<Secret> {
    let mut secret = Secret::default();
    getrandom::fill(&mut secret)
        .map_err(|error| io::Error::other(format!("the machine gives no random numbers: {error}")))?;
    Ok(secret)
}

fn mark_of(secret: &Secret, generation: u64) -> u64 {
    let digest = Sha256::new().chain_update(secret).chain_update(generation.to_be_bytes()).finalize();
    (&digest[..]).get_u64()
}

fn encode(frame: &mut Vec<u8>, generation: u64, mark: u64, batch: &Batch) -> io::Result<()> {
    frame.extend_from_slice(&[0; 8]);
    frame.extend_from_slice(&meta::FORMAT.to_be_bytes());
    frame.extend_from_slice(&generation.to_be_bytes());
    frame.extend_from_slice(&mark.to_be_bytes());
    batch_bytes::encode(frame, batch)?;
    let content = length(frame.len() - HEAD_BYTES)?;
    if let Some(place) = frame.get_mut(4..8) {
        place.copy_from_slice(&content);
    }
    let check = crc32fast::hash(frame.get(4..).unwrap_or_default()).to_be_bytes();
    if let Some(place) = frame.get_mut(..4) {
        place.copy_from_slice(&check);
    }
    Ok(())
}

/// The generation at the beginning of a file; none where its first frame was cut, or it is `done`, or there is none. By `expected`,
/// number and mark, it is known also where its first frame cannot be read.
fn read(file: Bytes, path: &Path, done: u64, expected: (u64, u64)) -> Result<Option<Generation>, JournalError> {
    let (mut number, mut mark) = expected;
    if let Some(first) = frame(&mut file.clone()) {
        // Only here: what stands behind the frames of this generation is of any age, and may be a part of a body.
        if first.format != meta::FORMAT {
            return Err(JournalError::Format(first.format));
        }
        if first.generation <= done {
            return Ok(None);
        }
        (number, mark) = (first.generation, first.mark);
    }
    let ours = |frame: &Frame| (frame.format, frame.generation, frame.mark) == (meta::FORMAT, number, mark);
    let (mut rest, mut batch, mut at) = (file.clone(), Batch::default(), 0);
    while let Some(next) = frame(&mut rest).filter(ours) {
        batch_bytes::decode(next.content, &mut batch).ok_or(JournalError::Frame)?;
        at = file.len() - rest.len();
    }
    let behind = file.slice(at..);
    // A mark is not to be guessed, so these are places where a frame of this generation may begin.
    let marks = behind.windows(8).enumerate().filter(|(_, window)| *window == mark.to_be_bytes());
    let mut begins = marks.filter_map(|(place, _)| place.checked_sub(HEAD_BYTES - 8));
    if begins.any(|begin| frame(&mut behind.slice(begin..)).as_ref().is_some_and(ours)) {
        return Err(JournalError::Damaged { path: path.to_owned(), at });
    }
    Ok((at > 0).then_some(Generation { number, batch }))
}

struct Frame {
    format: u32,
    generation: u64,
    mark: u64,
    content: Bytes,
}

/// Takes a whole frame off the front.
fn frame(file: &mut Bytes) -> Option<Frame> {
    let mut head = &file.first_chunk::<HEAD_BYTES>()?[..];
    let (check, length) = (head.get_u32(), head.get_u32());
    let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(HEAD_BYTES);
    if file.get(4..end).is_none_or(|checked| crc32fast::hash(checked) != check) {
        return None;
    }
    let (format, generation, mark) = (head.get_u32(), head.get_u64(), head.get_u64());
    Some(Frame { format, generation, mark, content: file.split_to(end).slice(HEAD_BYTES..) })
}

#[cfg(test)]
mod tests {
    use super::super::key::Key;
    use super::super::tree::TreeId;
    use super::*;

    const SECRET: Secret = [7; 16];

    fn write(name: &str, value: Option<&'static str>) -> Batch {
        let mut batch = Batch::default();
        batch.set(TreeId::Hot, Key::from(name.as_bytes()), value.map(Bytes::from));
        batch
    }

    /// Generations with what they hold, as text.
    fn seen(found: &[Generation]) -> String {
        let mut text = String::new();
        for Generation { number, batch } in found {
            let writes = batch.trees.values().flatten().map(|(key, value)| {
                let value = value.as_ref().map_or("-", |value| str::from_utf8(value).unwrap());
                format!(" {}={value}", key.as_bytes().escape_ascii())
            });
            text += &format!("{number}:{};", writes.collect::<String>());
        }
        text
    }

    /// A whole frame, as another version may write it.
    fn frame_of(format: u32, generation: u64, batch: &Batch) -> Vec<u8> {
        let mut frame = Vec::new();
        encode(&mut frame, generation, 0, batch).unwrap();
        frame[8..12].copy_from_slice(&format.to_be_bytes());
        let check = crc32fast::hash(&frame[4..]).to_be_bytes();
        frame[..4].copy_from_slice(&check);
        frame
    }

    fn found_in(dir: &Path) -> String {
        seen(&Journal::open(dir, 0, SECRET).unwrap().1)
    }

    #[test]
    fn what_was_appended_is_read_back_laid_over_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, found) = Journal::open(dir.path(), 4, SECRET).unwrap();
        assert!(found.is_empty());
        journal.append(&write("a", Some("1"))).unwrap();
        journal.append(&write("b", Some("2"))).unwrap();
        journal.append(&write("a", None)).unwrap();
        journal.turn();
        journal.append(&write("b", Some(""))).unwrap();
        assert_eq!(found_in(dir.path()), "5: a=- b=2;6: b=;");
        assert_eq!(Journal::open(dir.path(), 0, SECRET).unwrap().0.generation(), 7);
    }

    #[test]
    fn a_generation_hides_what_was_in_its_file_before() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), 0, SECRET).unwrap();
        for name in ["a", "b", "c"] {
            journal.append(&write(name, Some("old"))).unwrap();
        }
        journal.turn();
        journal.append(&write("d", Some("1"))).unwrap();
        journal.turn();
        journal.append(&write("x", Some("new"))).unwrap();
        assert_eq!(found_in(dir.path()), "2: d=1;3: x=new;");
    }

    #[test]
    fn a_body_that_looks_like_a_frame_is_none() {
        for format in [meta::FORMAT, 99] {
            a_forged_frame_of(format);
        }
    }

    fn a_forged_frame_of(format: u32) {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), 0, SECRET).unwrap();
        let forged = frame_of(format, 3, &write("x", Some("forged")));
        // The key is as long as it takes for the value to begin where the first frame of generation 3 will end.
        let mut batch = Batch::default();
        batch.set(TreeId::Hot, Key::from(&b"x234"[..]), Some(forged.clone().into()));
        journal.append(&batch).unwrap();
        journal.turn();
        journal.turn();
        journal.append(&write("x", Some("new"))).unwrap();
        let file = std::fs::read(file_of(dir.path(), 1)).unwrap();
        assert!(file[usize::try_from(journal.bytes()).unwrap()..] == forged, "the attack is set up");
        assert_eq!(found_in(dir.path()), "3: x=new;");
    }

    #[test]
    fn a_file_cut_anywhere_or_spoilt_in_its_last_frame_gives_the_frames_before_that() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), 0, SECRET).unwrap();
        journal.append(&write("a", Some("1"))).unwrap();
        let first = usize::try_from(journal.bytes()).unwrap();
        journal.append(&write("b", Some("2"))).unwrap();
        let file = file_of(dir.path(), 1);
        let whole = std::fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let expected = if at < first { "" } else { "1: a=1;" };
            std::fs::write(&file, &whole[..at]).unwrap();
            assert_eq!(found_in(dir.path()), expected, "cut at {at}");
            let mut spoilt = whole.clone();
            spoilt[at] ^= 1;
            std::fs::write(&file, &spoilt).unwrap();
            if at >= first {
                assert_eq!(found_in(dir.path()), expected, "spoilt at {at}");
            }
        }
    }

    #[test]
    fn what_is_in_the_database_may_be_half_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), 0, SECRET).unwrap();
        for name in ["a", "b", "c", "d"] {
            journal.append(&write(name, Some("old"))).unwrap();
        }
        let file = file_of(dir.path(), 1);
        let old = std::fs::read(&file).unwrap();
        journal.turn();
        journal.append(&write("e", Some("1"))).unwrap();
        journal.turn();
        journal.append(&write("x", Some("as long as the first two of those before were together, and more"))).unwrap();
        let mut torn = std::fs::read(&file).unwrap();
        let first = old.len() / 4;
        torn[..first].copy_from_slice(&old[..first]);
        std::fs::write(&file, &torn).unwrap();
        assert_eq!(seen(&Journal::open(dir.path(), 1, SECRET).unwrap().1), "2: e=1;");
    }

    #[test]
    fn damage_before_what_was_acknowledged_is_an_error_not_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(dir.path(), 0, SECRET).unwrap();
        let mut ends = Vec::new();
        for name in ["a", "b", "c"] {
            journal.append(&write(name, Some("1"))).unwrap();
            ends.push(usize::try_from(journal.bytes()).unwrap());
        }
        let file = file_of(dir.path(), 1);
        let whole = std::fs::read(&file).unwrap();
        for at in 0..ends[1] {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 1;
            std::fs::write(&file, &spoilt).unwrap();
            let error = Journal::open(dir.path(), 0, SECRET).err().unwrap();
            let begin = if at < ends[0] { 0 } else { ends[0] };
            assert!(matches!(error, JournalError::Damaged { at, .. } if at == begin), "{at}: {error}");
            assert!(error.to_string().contains("journal-odd is damaged at byte"), "{error}");
        }
    }

    #[test]
    fn a_journal_of_another_format_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(file_of(dir.path(), 1), frame_of(99, 1, &write("a", Some("1")))).unwrap();
        assert!(matches!(Journal::open(dir.path(), 0, SECRET), Err(JournalError::Format(99))));
    }
}
