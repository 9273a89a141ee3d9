//! A batch as bytes: what a frame of the journal holds, and one of a backup.
//!
//! Trees, each as name length⁴, name, number of writes⁴, and the writes, each as key length⁴, key, value length⁴ (all bits set for a
//! removal), value. Numbers are big-endian. Two batches one behind the other are a batch: where both write a key, the later counts.

use super::backend::Batch;
use super::key::Key;
use bytes::{Buf as _, Bytes};
use std::io;

/// Stands for a value's length where the key is removed.
const REMOVED: u32 = u32::MAX;

/// Adds a batch to `bytes`.
///
/// # Errors
/// Where something in it is 4 GiB long.
pub(super) fn encode(bytes: &mut Vec<u8>, batch: &Batch) -> io::Result<()> {
    for (tree, writes) in &batch.trees {
        put(bytes, tree.to_string().as_bytes())?;
        bytes.extend_from_slice(&length(writes.len())?);
        for (key, value) in writes {
            put(bytes, key.as_bytes())?;
            match value {
                Some(value) => put(bytes, value)?,
                None => bytes.extend_from_slice(&REMOVED.to_be_bytes()),
            }
        }
    }
    Ok(())
}

/// Lays what the bytes hold over `batch`; none where they make no sense.
pub(super) fn decode(mut bytes: Bytes, batch: &mut Batch) -> Option<()> {
    while !bytes.is_empty() {
        let tree = take(&mut bytes)?;
        let tree = str::from_utf8(&tree).ok()?.parse().ok()?;
        for _ in 0..bytes.try_get_u32().ok()? {
            let key = Key::from(&take(&mut bytes)?[..]);
            let removed = bytes.first_chunk() == Some(&REMOVED.to_be_bytes());
            let value = if removed { None } else { Some(take(&mut bytes)?) };
            if removed {
                bytes.advance(4);
            }
            batch.set(tree, key, value);
        }
    }
    Some(())
}

/// A length as it is written. The store's bounds are far below what fits.
pub(super) fn length(bytes: usize) -> io::Result<[u8; 4]> {
    let length = u32::try_from(bytes).ok().filter(|length| *length != REMOVED);
    length.map(u32::to_be_bytes).ok_or_else(|| io::Error::other("a commit of 4 GiB does not fit a frame"))
}

fn put(all: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    all.extend_from_slice(&length(bytes.len())?);
    all.extend_from_slice(bytes);
    Ok(())
}

fn take(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::super::tree::TreeId;
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_later_counts() {
        let [mut first, mut second] = [Batch::default(), Batch::default()];
        let day = TreeId::days(0, 0).next().unwrap();
        first.set(TreeId::Hot, Key::from(&b"a"[..]), Some("1".into()));
        first.set(day, Key::from(&b"a"[..]), Some("".into()));
        second.set(TreeId::Hot, Key::from(&b"a"[..]), None);
        let mut bytes = Vec::new();
        encode(&mut bytes, &first).unwrap();
        encode(&mut bytes, &second).unwrap();
        let mut read = Batch::default();
        decode(bytes.clone().into(), &mut read).unwrap();
        assert_eq!(read.get(TreeId::Hot, &Key::from(&b"a"[..])), Some(&None));
        assert_eq!(read.get(day, &Key::from(&b"a"[..])), Some(&Some("".into())));
        for end in 1..bytes.len() {
            // A cut makes no sense, save where the second tree or the second batch begins.
            let whole = decode(Bytes::copy_from_slice(&bytes[..end]), &mut Batch::default()).is_some();
            assert_eq!(whole, end == 21 || end == bytes.len() - 20, "{end}");
        }
    }
}
