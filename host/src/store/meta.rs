//! The store's own facts, in the hot tree: format, order, states, config revision. Big-endian numbers.

use super::backend::Look;
use super::key::Key;
use super::keys;
use super::tree::TreeId;
use super::{ReadError, View};
use bytes::Bytes;

/// The version of the layout as this code writes it. A store of another version is not opened.
pub(super) const FORMAT: u32 = 1;

/// The format of a store; none where nothing has been written yet. 0 stands for one that cannot be read.
pub(super) fn format(look: &dyn Look) -> Result<Option<u32>, ReadError> {
    let value = look.get(TreeId::Hot, &keys::format())?;
    Ok(value.map(|value| <[u8; 4]>::try_from(&value[..]).map_or(0, u32::from_be_bytes)))
}

/// The last generation of the journal that is in the database for good; 0 where none is.
pub(super) fn generation(look: &dyn Look) -> Result<u64, ReadError> {
    number(look, keys::generation())
}

/// The place in the order of the last event; 0 where there is none.
pub(super) fn last_seq(look: &dyn Look) -> Result<u64, ReadError> {
    number(look, keys::last_seq())
}

/// The place in the order for the next event. From 1.
pub(super) fn next_seq(view: &mut View<'_>) -> Result<u64, ReadError> {
    let seq = last_seq(view)? + 1;
    view.put(TreeId::Hot, keys::last_seq(), seq.to_be_bytes().to_vec());
    Ok(seq)
}

/// The id for the next state. From 1; none is ever given twice.
pub(super) fn next_state(view: &mut View<'_>) -> Result<u64, ReadError> {
    let id = number(view, keys::last_state())? + 1;
    view.put(TreeId::Hot, keys::last_state(), id.to_be_bytes().to_vec());
    Ok(id)
}

/// The number for the next entry of an audit log. From 1.
pub(super) fn next_audit(view: &mut View<'_>) -> Result<u64, ReadError> {
    let number = number(view, keys::last_audit())? + 1;
    view.put(TreeId::Hot, keys::last_audit(), number.to_be_bytes().to_vec());
    Ok(number)
}

/// The config revision; 0 in an empty store.
pub(super) fn revision(look: &dyn Look) -> Result<u64, ReadError> {
    number(look, keys::revision())
}

/// Writes down a new config revision.
pub(super) fn put_revision(view: &mut View<'_>, revision: u64) {
    view.put(TreeId::Hot, keys::revision(), revision.to_be_bytes().to_vec());
}

/// Since when the disk is low, in milliseconds since 1970-01-01T00:00:00Z; none where it is not.
pub(super) fn disk_low_since_ms(look: &dyn Look) -> Result<Option<u64>, ReadError> {
    Ok(Some(number(look, keys::disk_low())?).filter(|since_ms| *since_ms > 0))
}

/// Writes down since when the disk is low; none for no more.
pub(super) fn put_disk_low(view: &mut View<'_>, since_ms: Option<u64>) {
    view.put(TreeId::Hot, keys::disk_low(), since_ms.unwrap_or(0).to_be_bytes().to_vec());
}

/// A number that stands under a key; 0 where none does.
pub(super) fn number(look: &dyn Look, key: Key) -> Result<u64, ReadError> {
    let Some(value) = look.get(TreeId::Hot, &key)? else { return Ok(0) };
    <[u8; 8]>::try_from(&value[..]).map(u64::from_be_bytes).map_err(|_| broken(&key, &value))
}

fn broken(key: &Key, value: &Bytes) -> ReadError {
    let (tree, key) = (TreeId::Hot.to_string(), key.as_bytes().escape_ascii().to_string());
    ReadError::Record { tree, key, why: format!("{} bytes are not what stands there", value.len()) }
}
