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
//! - Memory is taken for what the log has since the last snapshot, not for each page there is: the old snapshot and that are merged page
//!   by page.

mod form;

use super::sled_backend::SEGMENT_BYTES;
use super::whole_file::NewFile;
use form::{Fields, LINKS_MAX, Page, Pages, Piece, Writer};
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const SEGMENT_HEAD_BYTES: usize = 20;
const MESSAGE_HEAD_BYTES_MAX: usize = 32;
const SEGMENT: i64 = SEGMENT_BYTES as i64;
/// A snapshot before it has its name, which is not one that sled looks for.
const UNNAMED: &str = "renewed";
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
    let length = old.as_ref().map_or(Ok(0), |old| fs::metadata(old).map(|found| found.len()))?;
    let bytes_min = bytes_min.max(length.saturating_mul(BETWEEN_SNAPSHOTS_MIN));
    if u64::try_from(until - from).unwrap_or(0) < bytes_min {
        return Ok(false);
    }
    let old_bytes = old.as_ref().map(fs::read).transpose()?;
    let before = old_bytes.as_ref().map_or(Some(Pages::default()), |bytes| Pages::of(bytes));
    let Some(before) = before else { return Ok(false) };
    let file = File::open(home.join("db"))?;
    let mut since = Since::default();
    if !each_message(&file, &heads(&file)?, from / SEGMENT * SEGMENT, until, |message| {
        if message.lsn >= from {
            since.add(message);
        }
    })? {
        return Ok(false);
    }
    let (whole, new) = (home.join(UNNAMED), home.join(format!("snap.{until:016X}")));
    let mut written = NewFile::create(&whole)?;
    if !merge(before, since, &file, until, |bytes| written.write(bytes))? {
        return Ok(false);
    }
    written.finish()?;
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

/// What the log has of some pages since the last snapshot.
#[derive(Default)]
struct Since {
    /// By the number of the page.
    pages: BTreeMap<u64, Change>,
    /// How many pages there are at least.
    count: u64,
}

enum Change {
    /// It is this, whatever it was.
    Anew(Page),
    /// These were added to what it was.
    Linked(Vec<Piece>),
}

impl Since {
    fn add(&mut self, Message { page, does, lsn, at, bytes }: Message) {
        let piece = (lsn, at, bytes);
        let anew = match does {
            Does::Free => Page::Free(lsn, at),
            Does::Replace => Page::Present(piece, Vec::new()),
            Does::Link => {
                match self.pages.entry(page) {
                    Entry::Vacant(free) => drop(free.insert(Change::Linked(vec![piece]))),
                    Entry::Occupied(mut present) => match present.get_mut() {
                        Change::Anew(page) => page.link(piece),
                        Change::Linked(links) => links.push(piece),
                    },
                }
                return;
            }
        };
        self.count = self.count.max(page + 1);
        self.pages.insert(page, Change::Anew(anew));
    }

    /// What is to be said of a page that was this. To be asked for each, once.
    fn after(&mut self, number: u64, before: Page) -> Page {
        match self.pages.remove(&number) {
            None => before,
            Some(Change::Anew(page)) => page,
            Some(Change::Linked(links)) => {
                let mut page = before;
                links.into_iter().for_each(|piece| page.link(piece));
                page
            }
        }
    }
}

/// Writes the snapshot as of `until` of what was before and what came since. Answers whether each page is where the snapshot says, or
/// was written again at `until` or later.
fn merge(
    before: Pages<'_>,
    mut since: Since,
    file: &File,
    until: i64,
    write: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<bool> {
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
    let mut missing = BTreeSet::new();
    let mut writer = Writer::begin(until, write);
    let (mut before, mut number) = (before.fuse(), 0);
    loop {
        let page = match before.next() {
            Some(Some(page)) => page,
            Some(None) => return Ok(false),
            None if number < since.count => Page::Unknown,
            None => break,
        };
        let page = since.after(number, page);
        if !is_known(&page) {
            missing.insert(number);
        }
        writer.page(&page)?;
        number += 1;
    }
    writer.end()?;
    if missing.is_empty() {
        return Ok(true);
    }
    let is_understood = each_message(file, &heads, until, i64::MAX, |message| {
        if message.does != Does::Link {
            missing.remove(&message.page);
        }
    })?;
    Ok(is_understood && missing.is_empty())
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
