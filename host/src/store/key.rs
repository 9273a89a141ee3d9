//! Keys as bytes: putting them together, ranges of them, taking them apart. What they mean stands in `keys`.

use super::ReadError;
use super::tree::TreeId;
use crate::model::{DeliveryId, Digest, EventId, RunId};

/// A key under construction, and when done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

impl Key {
    /// A key of this kind, with nothing in it yet.
    pub(super) fn of(kind: u8) -> Self {
        // Room for most keys: two short names, a number and an id.
        let mut bytes = Vec::with_capacity(96);
        bytes.push(kind);
        Self(bytes)
    }

    /// With these bytes behind it: of a fixed length, or the last.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// With this name and a 0 behind it.
    pub(super) fn name(self, name: &str) -> Self {
        self.bytes(name.as_bytes()).bytes(&[0])
    }

    /// With the id of something of an event behind it.
    pub(super) fn id(self, event: EventId, tag: u64) -> Self {
        self.bytes(&event.to_bytes()).bytes(&tag.to_be_bytes())
    }

    /// The key as the backend takes it.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// All keys that begin with this one.
    pub(super) fn prefix(self) -> KeyRange {
        let mut until = self.0.clone();
        while until.last() == Some(&u8::MAX) {
            until.pop();
        }
        // The first byte is a letter, so there is always a byte left to count up.
        if let Some(last) = until.last_mut() {
            *last += 1;
        }
        KeyRange { from: self.0, until }
    }
}

impl From<&[u8]> for Key {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// A range of keys: `from` is in it, `until` is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyRange {
    /// The first key that may be in it.
    pub(super) from: Vec<u8>,
    /// The first key beyond it.
    pub(super) until: Vec<u8>,
}

impl KeyRange {
    /// All keys there are: the first byte of each is a letter.
    pub(super) fn all() -> Self {
        Self { from: Vec::new(), until: vec![u8::MAX] }
    }

    /// The part of it after `key`.
    pub(super) fn after(mut self, key: &Key) -> Self {
        let mut next = key.0.clone();
        next.push(0);
        self.from = self.from.max(next);
        self
    }

    /// The part of it before `key`.
    pub(super) fn before(mut self, key: &Key) -> Self {
        self.until = self.until.min(key.0.clone());
        self
    }

    /// The part of it after every key that begins with `prefix`.
    pub(super) fn past(mut self, prefix: Key) -> Self {
        self.from = self.from.max(prefix.prefix().until);
        self
    }

    /// Whether nothing can be in it.
    pub(super) fn is_empty(&self) -> bool {
        self.from >= self.until
    }
}

/// Takes a key apart, from its front. Every step answers [`ReadError::Key`] where the key does not go on as expected.
pub(super) struct KeyReader<'a> {
    tree: TreeId,
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    /// Reads `key`, which stands in `tree`, from behind its first byte.
    pub(super) fn new(tree: TreeId, key: &'a [u8]) -> Self {
        Self { tree, whole: key, rest: key.get(1..).unwrap_or_default() }
    }

    /// A name and the 0 behind it.
    pub(super) fn name<T: std::str::FromStr>(&mut self) -> Result<T, ReadError> {
        let text = self.text()?;
        text.parse().map_err(|_| self.broken())
    }

    /// A text and the 0 behind it.
    pub(super) fn text(&mut self) -> Result<&'a str, ReadError> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or_else(|| self.broken())?;
        let text = self.take(end)?;
        self.take(1)?;
        str::from_utf8(text).map_err(|_| self.broken())
    }

    /// A number of 8 bytes.
    pub(super) fn number(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_be_bytes)
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> Result<u8, ReadError> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    /// A digest.
    pub(super) fn digest(&mut self) -> Result<Digest, ReadError> {
        self.array().map(Digest::from_bytes)
    }

    /// An event's id.
    pub(super) fn event(&mut self) -> Result<EventId, ReadError> {
        self.array().map(EventId::from_bytes)
    }

    /// A delivery's id.
    pub(super) fn delivery(&mut self) -> Result<DeliveryId, ReadError> {
        Ok(DeliveryId::from_parts(self.event()?, self.number()?))
    }

    /// A run's id.
    pub(super) fn run(&mut self) -> Result<RunId, ReadError> {
        Ok(RunId::from_parts(self.event()?, self.number()?))
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Steps over `count` bytes.
    pub(super) fn skip(&mut self, count: usize) -> Result<(), ReadError> {
        self.take(count).map(drop)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| self.broken())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.broken())?;
        self.rest = rest;
        Ok(taken)
    }

    /// The error that names this key.
    pub(super) fn broken(&self) -> ReadError {
        ReadError::Key { tree: self.tree.to_string(), key: self.whole.escape_ascii().to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> Key {
        Key::from(bytes)
    }

    #[test]
    fn a_prefix_covers_what_begins_with_it_and_no_more() {
        let covers = |prefix: &[u8], other: &[u8]| {
            let range = key(prefix).prefix();
            range.from.as_slice() <= other && other < range.until.as_slice()
        };
        assert!(covers(b"Ka\0", b"Ka\0"));
        assert!(covers(b"Ka\0", b"Ka\0\xff\xff"));
        assert!(!covers(b"Ka\0", b"Kab\0"));
        assert!(!covers(b"Ka\0", b"Ka"));
        assert!(covers(b"K\xff\xff", b"K\xff\xff\xff"));
        assert!(!covers(b"K\xff\xff", b"L"));
    }

    #[test]
    fn what_is_put_together_comes_apart() {
        let (event, run) = (EventId::new(5, 7), RunId::from_parts(EventId::new(5, 7), 9));
        let whole = Key::of(b'N').name("acme").name("r").bytes(&3_u64.to_be_bytes()).id(event, 9);
        let mut reader = KeyReader::new(TreeId::Hot, whole.as_bytes());
        assert_eq!(reader.text().unwrap(), "acme");
        assert_eq!(reader.name::<crate::model::RouteName>().unwrap().as_str(), "r");
        assert_eq!(reader.number().unwrap(), 3);
        assert_eq!(reader.run().unwrap(), run);
        let beyond = reader.number().unwrap_err();
        assert!(
            matches!(&beyond, ReadError::Key { tree, key } if tree == "hot" && key.starts_with("Nacme")),
            "{beyond}"
        );
        assert!(KeyReader::new(TreeId::Hot, b"NACME\0").name::<crate::model::RouteName>().is_err());
    }
}
