//! The state that modules keep: what is known of one step's, its entries, and how both are stored.
//!
//! A step's state has a head, and entries under an id of its own. Who writes says which head was read: what has changed since is
//! not overwritten. Taking a state away takes its head and leaves a note of the id, by which the entries go little by little; a state
//! that begins under the same name meanwhile has another id.

use super::backend::{Look, Order};
use super::key::{Key, KeyReader};
use super::tree::TreeId;
use super::{ReadError, keys, record};
use crate::model::{RouteName, StepKey, TenantName};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What is known of a step's state without looking at its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateHead {
    /// Under which id its entries stand. No two states ever have the same.
    pub id: u64,
    /// How often it was written.
    pub revision: u64,
    /// How many entries there are, expired ones included.
    pub keys: u64,
    /// How many bytes their keys and values have.
    pub bytes: u64,
    /// Its time, in milliseconds since 1970-01-01T00:00:00Z: the latest of the events that wrote. What expires, expires by it.
    pub time_ms: u64,
}

impl StateHead {
    /// What changes with every write.
    pub(super) const fn stamp(&self) -> StateStamp {
        StateStamp { id: self.id, revision: self.revision }
    }
}

/// One moment of one state: equal stamps, equal entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateStamp {
    id: u64,
    revision: u64,
}

/// What stands under a key of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// The module's bytes.
    pub value: Bytes,
    /// When it is gone, in milliseconds since 1970-01-01T00:00:00Z; none for one that stays.
    pub expires_ms: Option<u64>,
}

impl StateEntry {
    /// Whether it is gone at this time.
    #[must_use]
    pub fn expired(&self, time_ms: u64) -> bool {
        self.expires_ms.is_some_and(|expires_ms| expires_ms <= time_ms)
    }
}

/// What a run saw of a step's state, and wrote there.
#[derive(Clone, Debug)]
pub struct StateChange {
    /// Which step.
    pub step: StepKey,
    /// The state it read, of which `id` and `revision` count here; none where there was none.
    pub seen: Option<StateHead>,
    /// The state's time after it. Not before what it was.
    pub time_ms: u64,
    /// Entries to put, or to remove where there is none: each key once, of 1 byte or more and without a 0 byte.
    pub writes: Vec<(String, Option<StateEntry>)>,
}

/// The head of a step's state.
pub(super) fn head(
    look: &dyn Look,
    tenant: &TenantName,
    route: &RouteName,
    step: &StepKey,
) -> Result<Option<StateHead>, ReadError> {
    record::get(look, TreeId::Hot, &keys::state(tenant, route, step))
}

/// The heads of a route's states, by step.
pub(super) fn heads(
    look: &dyn Look,
    tenant: &TenantName,
    route: &RouteName,
) -> Result<Vec<(StepKey, StateHead)>, ReadError> {
    let all = keys::states_of(tenant, route);
    let named = all.as_bytes().len();
    let mut heads = Vec::new();
    for found in look.scan(TreeId::Hot, &all.prefix(), Order::Ascending) {
        let (key, value) = found?;
        let mut reader = KeyReader::new(TreeId::Hot, &key);
        reader.skip(named - 1)?;
        heads.push((reader.name()?, record::decode(look, TreeId::Hot, &Key::from(&key[..]), value)?));
    }
    Ok(heads)
}

/// An entry, expired or not.
pub(super) fn entry(look: &dyn Look, id: u64, name: &str) -> Result<Option<StateEntry>, ReadError> {
    let key = keys::state_entry(id, name);
    look.get(TreeId::Hot, &key)?.map(|value| decode(look, &key, value)).transpose()
}

/// Puts an entry where there is none.
pub(super) fn put_entry(view: &mut super::View<'_>, id: u64, name: &str, entry: &StateEntry) {
    let mut value = record::begin(8 + entry.value.len());
    // No entry expires at the beginning of time: 0 stands for one that stays.
    value.extend_from_slice(&entry.expires_ms.unwrap_or(0).to_be_bytes());
    value.extend_from_slice(&entry.value);
    record::finish(view, TreeId::Hot, keys::state_entry(id, name), value);
}

/// Reads an entry from the value that stands under its key.
pub(super) fn decode(look: &dyn Look, key: &Key, value: Bytes) -> Result<StateEntry, ReadError> {
    let mut content = record::content(look, TreeId::Hot, key, value)?;
    let Some(expires_ms) = content.first_chunk().copied().map(u64::from_be_bytes) else {
        return Err(record::unreadable(TreeId::Hot, key, "it is too short for an entry of a state".to_owned()));
    };
    Ok(StateEntry { value: content.split_off(8), expires_ms: Some(expires_ms).filter(|ms| *ms > 0) })
}
