//! Bodies in chunks: no value may be so long that the database moves it out of its log.

use super::backend::{Look, Order, VALUE_BYTES_MAX};
use super::key::Key;
use super::keys;
use super::tree::TreeId;
use super::{ReadError, View};
use crate::model::{EventId, TenantName};
use bytes::{Bytes, BytesMut};

/// The tag of an event's own body, where a delivery's has the delivery's.
pub(super) const OF_EVENT: u64 = 0;

/// A piece of a body, with its place.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// The tree of the event.
    pub(super) tree: TreeId,
    /// Its key: the body's and its number.
    pub(super) key: Key,
    /// At most [`VALUE_BYTES_MAX`] bytes.
    pub(super) bytes: Bytes,
}

/// Puts a body. An empty one has no chunks.
pub(super) fn put(view: &mut View<'_>, tenant: &TenantName, event: EventId, tag: u64, body: &Bytes) {
    let key = keys::body(tenant, event, tag);
    for (number, bytes) in split(body) {
        view.put_chunk(Chunk { tree: TreeId::of(event), key: keys::part(&key, number), bytes });
    }
}

/// Reads a body.
pub(super) fn read(look: &dyn Look, tenant: &TenantName, event: EventId, tag: u64) -> Result<Bytes, ReadError> {
    join(look, TreeId::of(event), &keys::body(tenant, event, tag))
}

/// Cuts bytes into numbered parts, each as long as a value may be, save the last.
pub(super) fn split(bytes: &Bytes) -> impl Iterator<Item = (u32, Bytes)> {
    let mut rest = bytes.clone();
    (0..).map_while(move |number| {
        let part = rest.split_to(rest.len().min(VALUE_BYTES_MAX));
        (!part.is_empty()).then_some((number, part))
    })
}

/// Puts the parts under `whole` together again.
pub(super) fn join(look: &dyn Look, tree: TreeId, whole: &Key) -> Result<Bytes, ReadError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    for (number, entry) in (0..).zip(look.scan(tree, &whole.clone().prefix(), Order::Ascending)) {
        let (key, bytes) = entry?;
        if key != keys::part(whole, number).as_bytes() {
            let (tree, key) = (tree.to_string(), key.escape_ascii().to_string());
            return Err(ReadError::Record { tree, key, why: format!("part {number} before it is missing") });
        }
        if number == 0 {
            first = bytes;
            continue;
        }
        if number == 1 {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&bytes);
    }
    // Most bodies are one chunk: that one needs no copy.
    Ok(if all.is_empty() { first } else { all.freeze() })
}
