//! How a record becomes a value: one byte for the version, then JSON.
//!
//! What is too long for one value goes in parts under a key of its own, and the record's value is a head that says how long the
//! whole is. A part that is there from an earlier, longer state is no part of the record.

use super::backend::{Look, Order, VALUE_BYTES_MAX};
use super::body;
use super::key::Key;
use super::keys;
use super::tree::TreeId;
use super::{ReadError, View};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of every record as it is written today. Versions count up to 127.
const VERSION: u8 = 1;
/// The bit in the version's byte that says: what follows is a length, and the record is in parts.
const IN_PARTS: u8 = 0x80;

/// Puts a record.
pub(super) fn put<T: Serialize>(view: &mut View<'_>, tree: TreeId, key: Key, record: &T) -> Result<(), ReadError> {
    let mut value = begin(512);
    encode_into(&mut value, record, tree, &key)?;
    finish(view, tree, key, value);
    Ok(())
}

/// The beginning of a value, with room for about `bytes` more.
pub(super) fn begin(bytes: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + bytes);
    value.push(VERSION);
    value
}

/// Adds JSON to a value. Fails only for a type that JSON has no form for; `tree` and `key` are for that error.
pub(super) fn encode_into<T: Serialize>(
    value: &mut Vec<u8>,
    record: &T,
    tree: TreeId,
    key: &Key,
) -> Result<(), ReadError> {
    serde_json::to_writer(value, record).map_err(|error| unreadable(tree, key, error.to_string()))
}

/// Reads a record.
pub(super) fn get<T: DeserializeOwned>(look: &dyn Look, tree: TreeId, key: &Key) -> Result<Option<T>, ReadError> {
    look.get(tree, key)?.map(|value| decode(look, tree, key, value)).transpose()
}

/// Reads a record from the value that stands under its key.
pub(super) fn decode<T: DeserializeOwned>(
    look: &dyn Look,
    tree: TreeId,
    key: &Key,
    value: Bytes,
) -> Result<T, ReadError> {
    decode_json(&content(look, tree, key, value)?, tree, key)
}

/// Reads JSON. `tree` and `key` are for the error.
pub(super) fn decode_json<T: DeserializeOwned>(json: &[u8], tree: TreeId, key: &Key) -> Result<T, ReadError> {
    serde_json::from_slice(json).map_err(|error| unreadable(tree, key, error.to_string()))
}

/// Puts bytes that the store does not look into.
pub(super) fn put_bytes(view: &mut View<'_>, tree: TreeId, key: Key, bytes: &[u8]) {
    let mut value = begin(bytes.len());
    value.extend_from_slice(bytes);
    finish(view, tree, key, value);
}

/// Reads such bytes from the value that stands under their key.
pub(super) fn content(look: &dyn Look, tree: TreeId, key: &Key, mut value: Bytes) -> Result<Bytes, ReadError> {
    let version = value.split_to(value.len().min(1)).first().copied().unwrap_or(0);
    if version & !IN_PARTS != VERSION {
        return Err(ReadError::Version {
            tree: tree.to_string(),
            key: key.as_bytes().escape_ascii().to_string(),
            version,
        });
    }
    if version & IN_PARTS == 0 {
        return Ok(value);
    }
    let length = value
        .first_chunk()
        .map_or(usize::MAX, |length| usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX));
    let mut whole = body::join(look, tree, &keys::parts_of(key))?;
    if whole.len() < length {
        return Err(unreadable(tree, key, format!("{} bytes of {length} are there", whole.len())));
    }
    whole.truncate(length);
    Ok(whole)
}

/// Removes a record and all its parts.
pub(super) fn remove(view: &mut View<'_>, tree: TreeId, key: Key) -> Result<(), ReadError> {
    let parts =
        view.scan(tree, &keys::parts_of(&key).prefix(), Order::Ascending).map(|entry| Ok(Key::from(&entry?.0[..])));
    for part in parts.collect::<Result<Vec<_>, ReadError>>()? {
        view.remove(tree, part);
    }
    view.remove(tree, key);
    Ok(())
}

/// Puts a value that [`begin`] began: whole, or in parts where it is too long.
pub(super) fn finish(view: &mut View<'_>, tree: TreeId, key: Key, value: Vec<u8>) {
    if value.len() <= VALUE_BYTES_MAX {
        // Of exactly its size: it stays in memory until it is written out, and a vector that grew may be twice as large.
        view.put(tree, key, Bytes::copy_from_slice(&value));
        return;
    }
    let mut value = Bytes::from(value);
    let mut head = value.split_to(1).to_vec();
    head.iter_mut().for_each(|version| *version |= IN_PARTS);
    head.extend_from_slice(&(value.len() as u64).to_be_bytes());
    let parts = keys::parts_of(&key);
    for (number, part) in body::split(&value) {
        view.put(tree, keys::part(&parts, number), part);
    }
    view.put(tree, key, head);
}

/// The error for a record that does not say what it should.
pub(super) fn unreadable(tree: TreeId, key: &Key, why: String) -> ReadError {
    ReadError::Record { tree: tree.to_string(), key: key.as_bytes().escape_ascii().to_string(), why }
}
