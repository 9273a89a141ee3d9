//! sled's snapshots, made while it runs. sled writes one when it is opened and never again, and what it was given since then it reads again
//! at the next start, all of it: a start would take longer the more was delivered. So the same is done here from time to time: the
//! log since the last snapshot is read, as sled reads it, and a newer snapshot takes that one's place.
//!
//! Read in the source of sled 0.34.7, and to be read again before another version is taken: `pagecache/snapshot.rs`, `iterator.rs`,
//! `logger.rs`, `serialization.rs`.
//!
//! A snapshot says where each page is, as of one place in the log. Opening takes the last one and applies all that the log has since.
//! What must hold:
//!
//! - A snapshot is of the beginning of a segment, and all before it is on the disk.
//! - A segment may be used again while it is read: its pages were written anew before. So a page that is not where the snapshot says,
//!   or nowhere, must have been written again behind the snapshot's place, where opening finds it. That is looked up for each such page;
//!   where it is not so, there is no new snapshot.
//! - The old snapshot goes when the new one is on the disk, with its name.

use super::sled_backend::SEGMENT_BYTES;
use super::whole_file;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const SEGMENT_HEAD_BYTES: usize = 20;
const MESSAGE_HEAD_BYTES_MAX: usize = 32;
const SEGMENT: i64 = SEGMENT_BYTES as i64;
/// A snapshot before it has its name, which is not one that sled looks for.
const UNNAMED: &str = "renewed";
/// sled writes the number of a page's pieces as one byte.
const LINKS_MAX: usize = 254;

/// A piece of a page: its place in the order of the log, its place in the file, its length.
type Piece = (i64, u64, u64);

/// Where a page is.
#[derive(Clone, Debug, PartialEq)]
enum Page {
    /// What the log says of it is gone: it was written again later.
    Unknown,
    /// Nowhere: it was freed there.
    Free(i64, u64),
    /// There, and what was added to it since.
    Present(Piece, Vec<Piece>),
}

/// How much is written at least from one snapshot to the next, as a multiple of the snapshot itself.
const BETWEEN_SNAPSHOTS_MIN: u64 = 4;

/// Where the newest segment begins, in the order of the log. What is before that is on the disk when sled has been synced once more.
///
/// # Errors
/// Where the disk fails.
pub(super) fn place(home: &Path) -> io::Result<i64> {
    Ok(heads(&File::open(home.join("db"))?)?.into_iter().flatten().max().unwrap_or(0))
}

/// Makes a snapshot as of `until`, a place that [`place`] gave before the last sync, in `home`, where sled is. Does nothing where less than
/// `bytes_min` was written since the last. Answers whether there is a new one.
///
/// # Errors
/// Where the disk fails. The old snapshot is as good as before.
pub(super) fn renew(home: &Path, until: i64, bytes_min: u64) -> io::Result<bool> {
    let (old, from) = last(home)?.map_or((None, 0), |(path, place)| (Some(path), place));
    let old_bytes = old.as_ref().map_or(Ok(0), |old| fs::metadata(old).map(|found| found.len()))?;
    let bytes_min = bytes_min.max(old_bytes.saturating_mul(BETWEEN_SNAPSHOTS_MIN));
    if u64::try_from(until - from).unwrap_or(0) < bytes_min {
        return Ok(false);
    }
    let Some(mut pages) = old.as_ref().map_or(Ok(Some(Vec::new())), |old| fs::read(old).map(|bytes| read(&bytes)))?
    else {
        return Ok(false);
    };
    let file = File::open(home.join("db"))?;
    let is_understood = each_message(&file, &heads(&file)?, from / SEGMENT * SEGMENT, until, |message| {
        if message.lsn >= from {
            apply(&mut pages, message);
        }
    })?;
    if !is_understood || !is_whole(&file, &pages, until)? {
        return Ok(false);
    }
    let (whole, new) = (home.join(UNNAMED), home.join(format!("snap.{until:016X}")));
    whole_file::write(&whole, &[&written(&pages, until)])?;
    fs::rename(&whole, &new)?;
    File::open(home)?.sync_all()?;
    if let Some(old) = old {
        fs::remove_file(old)?;
    }
    Ok(true)
}

/// The snapshot that sled would take, and its place in the log.
fn last(home: &Path) -> io::Result<Option<(PathBuf, i64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(home)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix("snap."));
        let place = name.and_then(|name| i64::from_str_radix(name, 16).ok());
        found.extend(place.map(|place| (path, place)));
    }
    Ok(found.into_iter().max_by_key(|(_, place)| *place))
}

/// The place in the log of each segment of the file; none where its head is not whole.
fn heads(file: &File) -> io::Result<Vec<Option<i64>>> {
    (0..file.metadata()?.len().div_ceil(SEGMENT_BYTES as u64)).map(|index| head(file, index)).collect()
}

fn head(file: &File, index: u64) -> io::Result<Option<i64>> {
    let mut bytes = [0; SEGMENT_HEAD_BYTES];
    match file.read_exact_at(&mut bytes, index * SEGMENT_BYTES as u64) {
        Ok(()) => Ok(head_of(&bytes)),
        // Cut off meanwhile: it was free.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn head_of(segment: &[u8]) -> Option<i64> {
    let mut fields = Fields(segment.get(..SEGMENT_HEAD_BYTES)?);
    let check = !fields.u32()?;
    let whole = crc32fast::hash(fields.0) == check;
    let lsn = fields.i64()? ^ i64::MAX;
    (whole && lsn % SEGMENT == 0).then_some(lsn)
}

/// What one message of the log does to a page.
#[derive(Clone, Copy)]
struct Message {
    page: u64,
    does: Does,
    lsn: i64,
    at: u64,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Does {
    Free,
    Replace,
    Link,
}

/// Reads the segments from `from` until `until` in their order. Answers whether it knew all messages.
fn each_message(
    file: &File,
    heads: &[Option<i64>],
    from: i64,
    until: i64,
    mut take: impl FnMut(Message),
) -> io::Result<bool> {
    let mut segments: Vec<(i64, u64)> = (0..).zip(heads).filter_map(|(index, head)| Some(((*head)?, index))).collect();
    segments.retain(|(lsn, _)| (from..until).contains(lsn));
    segments.sort_unstable();
    let mut segment = Vec::new();
    for (lsn, index) in segments {
        segment.resize(SEGMENT_BYTES, 0);
        let base = index * SEGMENT_BYTES as u64;
        let length = read_at_most(file, &mut segment, base)?;
        segment.truncate(length);
        // Otherwise it was used again since its head was read.
        if head_of(&segment) == Some(lsn) && !messages_of(&segment, lsn, base, &mut take) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a segment's messages up to its end, or to where it is not whole: there it ends for sled, too. Answers
/// whether it knew all of them.
fn messages_of(segment: &[u8], lsn: i64, base: u64, take: &mut impl FnMut(Message)) -> bool {
    let mut at = SEGMENT_HEAD_BYTES;
    while at + MESSAGE_HEAD_BYTES_MAX <= SEGMENT_BYTES {
        let Some((kind, page, bytes)) = segment.get(at..).and_then(|rest| message(rest, lsn / SEGMENT)) else {
            return true;
        };
        let does = match kind {
            // Cancelled, or the end of a batch.
            1 | 3 => None,
            // What is left of the segment is empty.
            2 => return true,
            4 => Some(Does::Free),
            5 | 6 | 8 => Some(Does::Replace),
            10 => Some(Does::Link),
            // A page in a file of its own, which we keep sled from making: there is nothing to be said of it here.
            _ => return false,
        };
        if let Some(does) = does {
            let place = lsn.saturating_add_unsigned(at as u64);
            take(Message { page, does, lsn: place, at: base + at as u64, bytes: bytes as u64 });
        }
        at += bytes;
    }
    true
}

/// The message at the front: its kind, page and whole length; none where it is not whole, or of another segment.
fn message(front: &[u8], segment: i64) -> Option<(u8, u64, usize)> {
    let mut fields = Fields(front);
    let check = !fields.u32()?;
    let kind = fields.u8()?;
    let (length, number, page) = (usize::try_from(fields.varint()?).ok()?, fields.varint()?, fields.varint()?);
    let head_bytes = front.len() - fields.0.len();
    let mut sum = crc32fast::Hasher::new();
    sum.update(fields.0.get(..length)?);
    sum.update(front.get(4..head_bytes)?);
    let ours = sum.finalize() == check && i64::try_from(number) == Ok(segment);
    ours.then_some((kind, page, head_bytes + length))
}

fn apply(pages: &mut Vec<Page>, message: Message) {
    let Message { page, does, lsn, at, bytes } = message;
    let Ok(page) = usize::try_from(page) else { return };
    if does != Does::Link && pages.len() <= page {
        pages.resize(page + 1, Page::Unknown);
    }
    let Some(place) = pages.get_mut(page) else { return };
    match (does, place) {
        (Does::Free, place) => *place = Page::Free(lsn, at),
        (Does::Replace, place) => *place = Page::Present((lsn, at, bytes), Vec::new()),
        (Does::Link, Page::Present(base, links)) => {
            if links.last().map_or(base.0, |last| last.0) < lsn {
                links.push((lsn, at, bytes));
            }
        }
        // What it adds to was written again later.
        (Does::Link, _) => {}
    }
}

/// Whether each page is where `pages` says, or was written again at `until` or later.
fn is_whole(file: &File, pages: &[Page], until: i64) -> io::Result<bool> {
    let heads = heads(file)?;
    let is_there = |(lsn, at): (i64, u64)| {
        let head = usize::try_from(at / SEGMENT_BYTES as u64).ok().and_then(|index| heads.get(index));
        head == Some(&Some(lsn / SEGMENT * SEGMENT))
    };
    let is_known = |page: &Page| match page {
        Page::Unknown => false,
        Page::Free(lsn, at) => is_there((*lsn, *at)),
        Page::Present(base, links) => {
            links.len() < LINKS_MAX && [base].into_iter().chain(links).all(|(lsn, at, _)| is_there((*lsn, *at)))
        }
    };
    let mut missing: BTreeSet<u64> =
        (0..).zip(pages).filter_map(|(number, page)| (!is_known(page)).then_some(number)).collect();
    if !missing.is_empty() {
        return Ok(each_message(file, &heads, until, i64::MAX, |message| {
            if message.does != Does::Link {
                missing.remove(&message.page);
            }
        })? && missing.is_empty());
    }
    Ok(true)
}

/// The pages of a snapshot; none where it is not whole, or has what we never write.
fn read(snapshot: &[u8]) -> Option<Vec<Page>> {
    let (content, check) = snapshot.split_last_chunk::<4>()?;
    let (content, _length) = content.split_last_chunk::<8>()?;
    if crc32fast::hash(content) != u32::from_le_bytes(*check) {
        return None;
    }
    let mut fields = Fields(content);
    let (_stable, _active) = (fields.i64()?, fields.varint()?);
    let mut pages = Vec::new();
    while !fields.0.is_empty() {
        pages.push(match fields.u8()? {
            0 => Page::Free(fields.i64()?, fields.place()?),
            pieces => {
                let base = fields.piece()?;
                Page::Present(base, (1..pieces).map(|_| fields.piece()).collect::<Option<_>>()?)
            }
        });
    }
    Some(pages)
}

/// The snapshot of these pages as of `stable`, where a segment begins: none is active, sled takes the next one there is.
fn written(pages: &[Page], stable: i64) -> Vec<u8> {
    let mut bytes = (stable + 1).to_le_bytes().to_vec();
    bytes.push(0);
    let mut put = |pieces: u8, all: &mut dyn Iterator<Item = (i64, u64, Option<u64>)>| {
        bytes.push(pieces);
        for (lsn, at, length) in all {
            bytes.extend_from_slice(&lsn.to_le_bytes());
            bytes.push(0);
            put_varint(&mut bytes, at);
            if let Some(length) = length {
                put_varint(&mut bytes, length);
            }
        }
    };
    for page in pages {
        match page {
            Page::Present(base, links) if links.len() < LINKS_MAX => {
                let pieces = u8::try_from(links.len() + 1).unwrap_or(u8::MAX);
                put(pieces, &mut [base].into_iter().chain(links).map(|(lsn, at, length)| (*lsn, *at, Some(*length))));
            }
            Page::Free(lsn, at) => put(0, &mut std::iter::once((*lsn, *at, None))),
            // Written again later, as `is_whole` has seen: what stands here does not count.
            Page::Unknown | Page::Present(..) => put(0, &mut std::iter::once((0, 0, None))),
        }
    }
    let (length, check) = (bytes.len() as u64, crc32fast::hash(&bytes));
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&check.to_le_bytes());
    bytes
}

/// Takes sled's numbers off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn varint(&mut self) -> Option<u64> {
        match self.u8()? {
            small @ 0..=240 => Some(u64::from(small)),
            first @ 241..=248 => Some(240 + 256 * (u64::from(first) - 241) + u64::from(self.u8()?)),
            249 => Some(2288 + 256 * u64::from(self.u8()?) + u64::from(self.u8()?)),
            first => {
                let length = usize::from(first) - 247;
                let (number, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                let mut bytes = [0; 8];
                bytes.get_mut(..length)?.copy_from_slice(number);
                Some(u64::from_le_bytes(bytes))
            }
        }
    }

    /// A place in the file; none where it is one of sled's other files, which we keep it from making.
    fn place(&mut self) -> Option<u64> {
        if self.u8()? == 0 { self.varint() } else { None }
    }

    fn piece(&mut self) -> Option<Piece> {
        Some((self.i64()?, self.place()?, self.varint()?))
    }
}

fn put_varint(bytes: &mut Vec<u8>, number: u64) {
    let low = number.to_le_bytes();
    match number {
        0..=240 => bytes.extend(low.first()),
        241..=2287 => bytes.extend(
            [((number - 240) / 256 + 241).to_le_bytes(), (number - 240).to_le_bytes()]
                .iter()
                .filter_map(|it| it.first()),
        ),
        2288..=67823 => {
            bytes.push(249);
            bytes.extend(
                [((number - 2288) / 256).to_le_bytes(), (number - 2288).to_le_bytes()]
                    .iter()
                    .filter_map(|it| it.first()),
            );
        }
        _ => {
            let length = 8 - usize::try_from(number.leading_zeros() / 8).unwrap_or(0);
            let length = length.max(3);
            bytes.push(u8::try_from(247 + length).unwrap_or(u8::MAX));
            bytes.extend_from_slice(low.get(..length).unwrap_or_default());
        }
    }
}

/// Reads as much as there is.
fn read_at_most(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
