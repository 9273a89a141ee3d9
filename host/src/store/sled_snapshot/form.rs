//! The form of sled's snapshots: where each page is, one after the other.

use std::io;

/// sled writes the number of a page's pieces as one byte.
pub(super) const LINKS_MAX: usize = 254;
/// How much of a snapshot is written at once, about, in bytes.
const WRITTEN_AT_ONCE: usize = 64 << 10;

/// A piece of a page: its place in the order of the log, its place in the file, its length.
pub(super) type Piece = (i64, u64, u64);

/// Where a page is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Page {
    /// What the log says of it is gone: it was written again later.
    Unknown,
    /// Nowhere: it was freed there.
    Free(i64, u64),
    /// There, and what was added to it since.
    Present(Piece, Vec<Piece>),
}

impl Page {
    /// Adds a piece to a page that is there, where it is not one of those it has. Otherwise what it adds to was written again later.
    pub(super) fn link(&mut self, piece: Piece) {
        if let Self::Present(base, links) = self
            && links.last().map_or(base.0, |last| last.0) < piece.0
        {
            links.push(piece);
        }
    }
}

/// The pages of a snapshot, in their order; none for one that we never write, and nothing behind it.
#[derive(Default)]
pub(super) struct Pages<'a>(Fields<'a>);

impl<'a> Pages<'a> {
    /// Those of this snapshot. None where it is not whole.
    pub(super) fn of(snapshot: &'a [u8]) -> Option<Self> {
        let (content, check) = snapshot.split_last_chunk::<4>()?;
        let (content, _length) = content.split_last_chunk::<8>()?;
        if crc32fast::hash(content) != u32::from_le_bytes(*check) {
            return None;
        }
        let mut fields = Fields(content);
        let (_stable, _active) = (fields.i64()?, fields.varint()?);
        Some(Self(fields))
    }

    fn page(&mut self) -> Option<Page> {
        let fields = &mut self.0;
        Some(match fields.u8()? {
            0 => Page::Free(fields.i64()?, fields.place()?),
            pieces => {
                let base = fields.piece()?;
                Page::Present(base, (1..pieces).map(|_| fields.piece()).collect::<Option<_>>()?)
            }
        })
    }
}

impl Iterator for Pages<'_> {
    type Item = Option<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.0.is_empty() {
            return None;
        }
        let page = self.page();
        if page.is_none() {
            self.0 = Fields(&[]);
        }
        Some(page)
    }
}

/// Writes a snapshot, page by page.
pub(super) struct Writer<W> {
    write: W,
    /// What was not written yet.
    bytes: Vec<u8>,
    /// The length and the sum of what was.
    length: u64,
    sum: crc32fast::Hasher,
}

impl<W: FnMut(&[u8]) -> io::Result<()>> Writer<W> {
    /// Begins the snapshot as of `stable`, where a segment begins: none is active, sled takes the next one there is.
    pub(super) fn begin(stable: i64, write: W) -> Self {
        let mut bytes = Vec::with_capacity(2 * WRITTEN_AT_ONCE);
        bytes.extend_from_slice(&(stable + 1).to_le_bytes());
        bytes.push(0);
        Self { write, bytes, length: 0, sum: crc32fast::Hasher::new() }
    }

    pub(super) fn page(&mut self, page: &Page) -> io::Result<()> {
        match page {
            Page::Present(base, links) if links.len() < LINKS_MAX => {
                self.bytes.push(u8::try_from(links.len() + 1).unwrap_or(u8::MAX));
                for (lsn, at, length) in [base].into_iter().chain(links) {
                    self.place(*lsn, *at);
                    put_varint(&mut self.bytes, *length);
                }
            }
            Page::Free(lsn, at) => {
                self.bytes.push(0);
                self.place(*lsn, *at);
            }
            // Written again later, as `merge` sees to: what stands here does not count.
            Page::Unknown | Page::Present(..) => {
                self.bytes.push(0);
                self.place(0, 0);
            }
        }
        if self.bytes.len() >= WRITTEN_AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn place(&mut self, lsn: i64, at: u64) {
        self.bytes.extend_from_slice(&lsn.to_le_bytes());
        self.bytes.push(0);
        put_varint(&mut self.bytes, at);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.length += self.bytes.len() as u64;
        self.sum.update(&self.bytes);
        (self.write)(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.flush()?;
        (self.write)(&self.length.to_le_bytes())?;
        (self.write)(&self.sum.finalize().to_le_bytes())
    }
}

/// Takes sled's numbers off the front.
#[derive(Default)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
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
    pub(super) fn place(&mut self) -> Option<u64> {
        if self.u8()? == 0 { self.varint() } else { None }
    }

    fn piece(&mut self) -> Option<Piece> {
        Some((self.i64()?, self.place()?, self.varint()?))
    }
}

pub(super) fn put_varint(bytes: &mut Vec<u8>, number: u64) {
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
