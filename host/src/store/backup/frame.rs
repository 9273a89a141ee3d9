//! The form of a backup: a line that says what it is, then frames, the last of them the end mark. Whoever reads one is told of the first byte
//! that is not as it was written.
//!
//! A frame: check⁴ (CRC-32 of all that follows) length⁴ number⁸ kind¹, then as many bytes. Numbers count up from 0 and are
//! big-endian, so a frame that is missing, or there twice, is found as well as one that was changed.

use super::RestoreError;
use bytes::{Buf as _, Bytes};
use std::io::{ErrorKind, Read};

/// How a backup begins. The number is the version of this form.
pub(super) const MAGIC: &[u8] = b"hookswitch backup 1\n";
/// The length of a frame without its content.
pub(super) const HEAD_BYTES: usize = 17;
/// The longest content. A piece of the copy has about 1 MiB, and no commit has more than a few.
const CONTENT_BYTES_MAX: usize = 64 << 20;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What this is a backup of, as JSON: the first frame.
    Head = 1,
    /// Entries as they were found, a batch.
    Copy = 2,
    /// What was committed meanwhile, a batch: to be laid over all before it.
    Redo = 3,
    /// A file, or the next piece of one: the length of its name⁴, its name, its bytes.
    File = 4,
    /// The end mark, as JSON: the last frame.
    End = 5,
    /// Why there is no end mark, as text.
    Failed = 6,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Head, Self::Copy, Self::Redo, Self::File, Self::End, Self::Failed];
}

/// A frame under construction: room for what stands before the content.
pub(super) fn begin() -> Vec<u8> {
    vec![0; HEAD_BYTES]
}

/// Makes a frame of what was added to [`begin`].
pub(super) fn finish(mut frame: Vec<u8>, number: u64, kind: Kind) -> Bytes {
    let length = u32::try_from(frame.len().saturating_sub(HEAD_BYTES)).unwrap_or(u32::MAX);
    let mut head = [0; HEAD_BYTES];
    for (place, byte) in head.iter_mut().skip(4).zip(length.to_be_bytes().into_iter().chain(number.to_be_bytes())) {
        *place = byte;
    }
    if let Some(last) = head.last_mut() {
        *last = kind as u8;
    }
    if let Some(place) = frame.get_mut(..HEAD_BYTES) {
        place.copy_from_slice(&head);
    }
    let check = crc32fast::hash(frame.get(4..).unwrap_or_default()).to_be_bytes();
    if let Some(place) = frame.get_mut(..4) {
        place.copy_from_slice(&check);
    }
    frame.into()
}

/// A frame of this content.
pub(super) fn whole(number: u64, kind: Kind, content: &[u8]) -> Bytes {
    let mut frame = begin();
    frame.extend_from_slice(content);
    finish(frame, number, kind)
}

/// Reads the frames of a backup, one after the other.
pub(super) struct Frames<R> {
    from: R,
    at: u64,
    number: u64,
}

impl<R: Read> Frames<R> {
    /// Begins: what is no backup of this form is refused.
    pub(super) fn open(mut from: R) -> Result<Self, RestoreError> {
        let mut magic = [0; MAGIC.len()];
        let length = fill(&mut from, &mut magic)?;
        if length == MAGIC.len() && magic == MAGIC {
            return Ok(Self { from, at: MAGIC.len() as u64, number: 0 });
        }
        // All but the version.
        let ours = magic.starts_with(MAGIC.get(..MAGIC.len() - 2).unwrap_or_default());
        Err(if ours { RestoreError::Form } else { RestoreError::NoBackup })
    }

    /// The next frame; none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(Kind, Bytes)>, RestoreError> {
        let (at, number) = (self.at, self.number);
        let damaged = |why| RestoreError::Damaged { at, why };
        let mut head = [0; HEAD_BYTES];
        match fill(&mut self.from, &mut head)? {
            0 => return Ok(None),
            HEAD_BYTES => {}
            _ => return Err(RestoreError::Cut { at }),
        }
        let mut fields = &head[..];
        let (check, length) = (fields.get_u32(), usize::try_from(fields.get_u32()).unwrap_or(usize::MAX));
        let (found, kind) = (fields.get_u64(), fields.get_u8());
        if length > CONTENT_BYTES_MAX {
            return Err(damaged("a frame is longer than any is written"));
        }
        let mut content = vec![0; length];
        if fill(&mut self.from, &mut content)? < length {
            return Err(RestoreError::Cut { at });
        }
        let mut sum = crc32fast::Hasher::new();
        sum.update(head.get(4..).unwrap_or_default());
        sum.update(&content);
        if sum.finalize() != check {
            return Err(damaged("a check sum is wrong"));
        }
        if found != number {
            return Err(damaged("a frame is missing, or there twice"));
        }
        let kind = Kind::ALL.into_iter().find(|one| *one as u8 == kind);
        self.at += (HEAD_BYTES + length) as u64;
        self.number += 1;
        Ok(Some((kind.ok_or_else(|| damaged("a frame is of a kind that is not known"))?, content.into())))
    }

    /// How many bytes were read.
    pub(super) const fn bytes(&self) -> u64 {
        self.at
    }
}

/// Reads until `bytes` is full, or the file is at its end; and says how many there were.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> Result<usize, RestoreError> {
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(RestoreError::Read(error)),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8]) -> Result<Vec<(Kind, Bytes)>, RestoreError> {
        let mut frames = Frames::open(file)?;
        std::iter::from_fn(|| frames.next().transpose()).collect()
    }

    fn backup() -> Vec<u8> {
        let frames = [(Kind::Head, "{}"), (Kind::Copy, "a batch"), (Kind::End, "")];
        let frames = (0..).zip(frames).flat_map(|(number, (kind, content))| whole(number, kind, content.as_bytes()));
        MAGIC.iter().copied().chain(frames).collect()
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        let read = read(&backup()).unwrap();
        assert_eq!(read, [(Kind::Head, "{}".into()), (Kind::Copy, "a batch".into()), (Kind::End, "".into())]);
    }

    #[test]
    fn a_bit_that_was_flipped_is_found_wherever_it_is() {
        let whole = backup();
        for place in 0..whole.len() * 8 {
            let mut file = whole.clone();
            file[place / 8] ^= 1 << (place % 8);
            let error = read(&file).unwrap_err();
            let at = place as u64 / 8;
            match error {
                RestoreError::Form | RestoreError::NoBackup => assert!(at < MAGIC.len() as u64, "{at}"),
                // Where a length grew beyond the file, the rest of it is missing.
                RestoreError::Damaged { at: found, .. } | RestoreError::Cut { at: found } => {
                    assert!(found <= at, "{at}")
                }
                other => panic!("{at}: {other}"),
            }
        }
    }

    #[test]
    fn a_file_that_was_cut_in_a_frame_says_where_that_begins() {
        let file = backup();
        let second = MAGIC.len() + HEAD_BYTES + 2;
        for end in second + 1..second + HEAD_BYTES + 7 {
            let error = read(&file[..end]).unwrap_err();
            assert!(matches!(error, RestoreError::Cut { at } if at == second as u64), "{end}: {error}");
        }
        assert_eq!(read(&file[..second]).unwrap().len(), 1, "between two frames: the missing end mark tells that");
    }

    #[test]
    fn a_frame_that_is_missing_is_found() {
        let mut file = backup();
        let second = MAGIC.len() + HEAD_BYTES + 2;
        file.drain(second..second + HEAD_BYTES + 7);
        assert!(matches!(read(&file), Err(RestoreError::Damaged { at, .. }) if at == second as u64));
    }
}
