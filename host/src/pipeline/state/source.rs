//! Where a run's state begins, and what one step has of it.

use crate::model::{RouteName, StepKey, TenantName};
use crate::store::{ReadError, Reader, StateEntry, StateHead};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a run's state begins.
pub(super) enum Source {
    /// In the store.
    Store { reader: Reader, tenant: TenantName, route: RouteName },
    /// With nothing.
    Empty,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store { tenant, route, .. } => write!(f, "the state of {tenant}/{route}"),
            Self::Empty => f.write_str("no state"),
        }
    }
}

/// What the run wrote: an entry, or none where it removed one.
pub(super) type Writes = BTreeMap<String, Option<StateEntry>>;

/// The state of one step.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) seen: Option<StateHead>,
    pub(super) time_ms: u64,
    pub(super) size: Size,
    /// What was carried from earlier runs.
    pub(super) carried: Arc<Writes>,
    /// What this run wrote.
    pub(super) writes: Writes,
    /// See [`super::CarriedStep`].
    pub(super) swept: Option<(u64, String)>,
}

impl Step {
    /// What earlier runs of the series wrote and is expired by now, unless something was written under its key since.
    pub(super) fn expired_of_series(&self) -> Vec<(String, StateEntry)> {
        let left = self.carried.iter().filter(|(name, _)| !self.writes.contains_key(*name));
        let entries = left.filter_map(|(name, entry)| Some((name.clone(), entry.clone()?)));
        entries.filter(|(_, entry)| entry.expired(self.time_ms)).collect()
    }
}

/// What a state holds, the run's own writes included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) keys: u64,
    pub(super) bytes: u64,
}

impl Source {
    pub(super) fn head(&self, key: &StepKey) -> Result<Option<StateHead>, ReadError> {
        match self {
            Self::Store { reader, tenant, route } => reader.state(tenant, route, key),
            Self::Empty => Ok(None),
        }
    }

    /// What is stored under a key of a step.
    pub(super) fn entry(&self, step: &Step, key: &str) -> Result<Option<StateEntry>, ReadError> {
        match (self, &step.seen) {
            (Self::Store { reader, .. }, Some(head)) => reader.state_entry(head, key),
            _ => Ok(None),
        }
    }

    /// The stored entries of a step that are expired, the earliest first.
    pub(super) fn expired(
        &self,
        step: &Step,
        after: Option<&(u64, String)>,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, ReadError> {
        match (self, &step.seen) {
            (Self::Store { reader, .. }, Some(head)) => reader.state_expired(head, after, step.time_ms, limit),
            _ => Ok(Vec::new()),
        }
    }

    /// Removes a stored entry that is expired, unless something was written under its key since. Answers what it frees.
    pub(super) fn sweep(&self, step: &mut Step, name: String) -> Result<Size, ReadError> {
        if step.writes.contains_key(&name) || step.carried.contains_key(&name) {
            return Ok(Size::default());
        }
        let gone = Size::of(&name, self.entry(step, &name)?.as_ref());
        step.size = step.size.less(gone);
        step.writes.insert(name, None);
        Ok(gone)
    }
}

impl Size {
    pub(super) fn of(key: &str, entry: Option<&StateEntry>) -> Self {
        entry.map_or(Self::default(), |entry| Self { keys: 1, bytes: (key.len() + entry.value.len()) as u64 })
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self { keys: self.keys.saturating_add(other.keys), bytes: self.bytes.saturating_add(other.bytes) }
    }

    pub(super) const fn less(self, other: Self) -> Self {
        Self { keys: self.keys.saturating_sub(other.keys), bytes: self.bytes.saturating_sub(other.bytes) }
    }
}
