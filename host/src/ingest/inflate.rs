//! Bodies that come compressed: `Content-Encoding: gzip` or `deflate` (RFC 9110, section 8.4.1). What is kept is what they hold.
//!
//! What must hold: a body that inflates without end costs no more than the bound; nothing is made of one that is cut off or spoilt.

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};
use std::fmt;
use std::io::{Cursor, Read};

/// What is taken, as the header `Accept-Encoding` has it.
pub(super) const TAKEN: &str = "gzip, deflate";

const PIECE_BYTES: usize = 64 * 1024;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 1952, of one member or several.
    Gzip,
    /// RFC 1950; what some senders mean by it, RFC 1951 alone, too.
    Deflate,
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        })
    }
}

/// A coding that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodingRefused {
    /// Nobody here knows it.
    #[error("the body's `Content-Encoding`, `{0}`, is not taken: send it as {TAKEN}, or as it is")]
    Unknown(String),
    /// One within the other.
    #[error("the body has more than one `Content-Encoding`: send it with one of {TAKEN}, or as it is")]
    Several,
}

/// How the request's body is compressed; none where it is not.
pub(super) fn coding_of(headers: &HeaderMap) -> Result<Option<Coding>, CodingRefused> {
    let mut found = None;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let coding = match name.to_ascii_lowercase().as_str() {
                "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                _ => return Err(CodingRefused::Unknown(name.chars().take(60).collect())),
            };
            if found.replace(coding).is_some() {
                return Err(CodingRefused::Several);
            }
        }
    }
    Ok(found)
}

/// Why there is no inflated body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InflateError {
    /// It is longer than it may be.
    TooLong,
    /// There is no room for it now.
    NoRoom,
    /// It is cut off, or no such data.
    Corrupt(String),
}

/// A body on its way to what it holds.
pub(super) struct Inflating {
    decoder: Decoder,
    whole: Vec<u8>,
    bytes_max: usize,
}

enum Decoder {
    Gzip(MultiGzDecoder<Cursor<Bytes>>),
    Zlib(ZlibDecoder<Cursor<Bytes>>),
    Raw(DeflateDecoder<Cursor<Bytes>>),
}

impl Inflating {
    /// Begins with a compressed body, of which no more than `bytes_max` bytes may come.
    pub(super) fn new(coding: Coding, compressed: Bytes, bytes_max: usize) -> Self {
        let is_zlib = has_zlib_head(&compressed);
        let input = Cursor::new(compressed);
        let decoder = match coding {
            Coding::Gzip => Decoder::Gzip(MultiGzDecoder::new(input)),
            Coding::Deflate if is_zlib => Decoder::Zlib(ZlibDecoder::new(input)),
            Coding::Deflate => Decoder::Raw(DeflateDecoder::new(input)),
        };
        Self { decoder, whole: Vec::new(), bytes_max }
    }

    /// Goes on until it is done, or `pause_at` bytes are there. `room` is asked before each piece is kept. Answers whether it is done.
    pub(super) fn go_on(&mut self, pause_at: usize, mut room: impl FnMut(usize) -> bool) -> Result<bool, InflateError> {
        let mut piece = vec![0; PIECE_BYTES];
        while self.whole.len() < pause_at {
            let read = self.decoder.read(&mut piece).map_err(|error| InflateError::Corrupt(error.to_string()))?;
            let Some(data) = piece.get(..read).filter(|data| !data.is_empty()) else {
                return if self.decoder.has_more() {
                    Err(InflateError::Corrupt("something follows its end".to_owned()))
                } else {
                    Ok(true)
                };
            };
            if self.whole.len() + data.len() > self.bytes_max {
                return Err(InflateError::TooLong);
            }
            if !room(data.len()) {
                return Err(InflateError::NoRoom);
            }
            self.whole.extend_from_slice(data);
        }
        Ok(false)
    }

    /// What it holds.
    pub(super) fn into_whole(self) -> Bytes {
        self.whole.into()
    }
}

impl Decoder {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(piece),
            Self::Zlib(decoder) => decoder.read(piece),
            Self::Raw(decoder) => decoder.read(piece),
        }
    }

    /// Whether there is input behind the end.
    fn has_more(&self) -> bool {
        let input = match self {
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zlib(decoder) => decoder.get_ref(),
            Self::Raw(decoder) => decoder.get_ref(),
        };
        input.position() < input.get_ref().len() as u64
    }
}

/// RFC 1950, section 2.2: the method is 8, and the two bytes are a multiple of 31.
fn has_zlib_head(bytes: &[u8]) -> bool {
    match bytes {
        [method, flags, ..] => method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write as _;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn inflated(coding: Coding, compressed: &[u8], bytes_max: usize) -> Result<Bytes, InflateError> {
        let mut inflating = Inflating::new(coding, Bytes::copy_from_slice(compressed), bytes_max);
        assert!(inflating.go_on(usize::MAX, |_| true)?);
        Ok(inflating.into_whole())
    }

    fn coding(values: &[&str]) -> Result<Option<Coding>, CodingRefused> {
        let headers = values.iter().map(|value| (header::CONTENT_ENCODING, value.parse().unwrap()));
        coding_of(&headers.collect())
    }

    #[test]
    fn a_coding_is_known_by_its_name_and_stands_alone() {
        let none: [&[&str]; 4] = [&[], &["identity"], &[""], &["identity, Identity"]];
        assert!(none.iter().all(|values| coding(values) == Ok(None)));
        let gzip: [&[&str]; 3] = [&["GZIP"], &["x-gzip, identity"], &["gzip", ""]];
        assert!(gzip.iter().all(|values| coding(values) == Ok(Some(Coding::Gzip))));
        assert_eq!(coding(&["deflate"]), Ok(Some(Coding::Deflate)));
        let several: [&[&str]; 2] = [&["gzip, gzip"], &["gzip", "deflate"]];
        assert!(several.iter().all(|values| coding(values) == Err(CodingRefused::Several)));
        assert_eq!(coding(&["br"]), Err(CodingRefused::Unknown("br".to_owned())));
        assert_eq!(coding(&["gzip;q=1"]), Err(CodingRefused::Unknown("gzip;q=1".to_owned())));
    }

    #[test]
    fn each_coding_gives_what_was_compressed() {
        let body: Vec<u8> = (0..200_000_u32).flat_map(|n| (n / 7).to_be_bytes()).collect();
        assert_eq!(inflated(Coding::Gzip, &gzip(&body), body.len()).unwrap(), body);
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(inflated(Coding::Gzip, &two, 7).unwrap(), "one two");
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(&body).unwrap();
        assert_eq!(inflated(Coding::Deflate, &zlib.finish().unwrap(), body.len()).unwrap(), body);
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(&body).unwrap();
        assert_eq!(inflated(Coding::Deflate, &raw.finish().unwrap(), body.len()).unwrap(), body);
        assert_eq!(inflated(Coding::Gzip, &gzip(b""), 0).unwrap(), "");
    }

    #[test]
    fn what_is_cut_off_or_spoilt_is_nothing() {
        let whole = gzip(b"a body that is long enough to have an inside");
        for length in 0..whole.len() {
            let cut = inflated(Coding::Gzip, &whole[..length], 1_000);
            assert!(matches!(cut, Err(InflateError::Corrupt(_))), "cut at {length}: {cut:?}");
        }
        let mut spoilt = whole.clone();
        spoilt[20] ^= 1;
        let behind = [whole, b"x".to_vec()].concat();
        for bytes in [spoilt, behind, b"plain".to_vec()] {
            assert!(matches!(inflated(Coding::Gzip, &bytes, 1_000), Err(InflateError::Corrupt(_))));
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(b"x").unwrap();
        let behind = [zlib.finish().unwrap(), b"x".to_vec()].concat();
        assert!(matches!(inflated(Coding::Deflate, &behind, 1_000), Err(InflateError::Corrupt(_))));
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_bound_and_no_more_room_than_there_is() {
        let bomb = gzip(&vec![0; 100 << 20]);
        let mut kept = 0;
        let mut inflating = Inflating::new(Coding::Gzip, bomb.clone().into(), 1 << 20);
        let stopped = inflating.go_on(usize::MAX, |bytes| {
            kept += bytes;
            true
        });
        assert_eq!(stopped, Err(InflateError::TooLong));
        assert!(kept <= 1 << 20, "{kept}");
        let mut inflating = Inflating::new(Coding::Gzip, bomb.into(), 1 << 30);
        assert_eq!(inflating.go_on(300_000, |_| true), Ok(false), "it can be stopped on the way");
        assert_eq!(inflating.go_on(usize::MAX, |_| false), Err(InflateError::NoRoom));
    }
}
