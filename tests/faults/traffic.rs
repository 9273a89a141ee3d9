//! The events of a run. Each is a function of the seed and its number: what is sent, and where it has to arrive.

use super::random::Random;
use bytes::Bytes;
use std::fmt::Write as _;

/// The endpoints, by their place in the arrays of this test.
pub(crate) const ENDPOINTS: [&str; 4] = ["a", "b", "c", "d"];
/// The one of them that keeps the order of each key.
pub(crate) const IN_ORDER: usize = 3;
/// How long a large body is, in bytes, at most.
const LARGE_BYTES_MAX: u64 = 600 << 10;

/// What an event is like, which decides its source, and so its road.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Small, by its source's dedup key sent again without fear, to two endpoints.
    Plain,
    /// Through the module `match`, which lets it through.
    Picked,
    /// Through the module `match`, which does not.
    Dropped,
    /// Of up to several hundred kilobytes.
    Large,
    /// Through a route that is ordered, whose module counts, to the endpoint that keeps order.
    Ordered,
}

impl Kind {
    /// The kind of the event of this number.
    pub(crate) fn of(seed: u64, number: u64) -> Self {
        match Random::of(seed, number).within(0, 99) {
            0..60 => Self::Plain,
            60..75 => Self::Picked,
            75..80 => Self::Dropped,
            80..82 => Self::Large,
            _ => Self::Ordered,
        }
    }

    /// The path it is sent to.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Plain => "/in/acme/plain",
            Self::Picked | Self::Dropped => "/in/acme/picked",
            Self::Large => "/in/acme/large",
            Self::Ordered => "/in/acme/ordered",
        }
    }

    /// Where it has to arrive, in the order of [`ENDPOINTS`].
    pub(crate) fn arrives(self) -> [bool; 4] {
        match self {
            Self::Plain => [true, true, false, false],
            Self::Picked => [false, false, true, false],
            Self::Dropped => [false; 4],
            Self::Large => [true, false, false, false],
            Self::Ordered => [false, false, false, true],
        }
    }
}

/// The body of the event of this number: JSON that begins with the number.
pub(crate) fn body(seed: u64, number: u64) -> Bytes {
    let kind = Kind::of(seed, number);
    let mut random = Random::of(!seed, number);
    let fill = match kind {
        Kind::Large => random.within(20 << 10, LARGE_BYTES_MAX),
        _ => random.within(100, 2000),
    };
    let mut text = format!("{{\"n\":{number},\"keep\":{},\"fill\":\"", kind != Kind::Dropped);
    for _ in 0..fill / 16 {
        // Nothing that a disk, or a test, could mistake for something else.
        let _ = write!(text, "{:016x}", random.next());
    }
    text.push_str("\"}");
    text.into()
}

/// The number of the event that such a body is of.
pub(crate) fn number_of(body: &[u8]) -> Option<u64> {
    let digits = body.strip_prefix(b"{\"n\":")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    str::from_utf8(&digits[..end]).ok()?.parse().ok()
}
