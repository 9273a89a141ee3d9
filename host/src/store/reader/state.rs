//! What modules, and people who look after them, ask of states.

use super::Reader;
use super::cursor::Binding;
use super::list::{PAGE_ITEMS_MAX, Page};
use crate::model::{RouteName, StepKey, TenantName};
use crate::store::backend::Order;
use crate::store::key::{Key, KeyReader};
use crate::store::state::{self, StateEntry, StateHead};
use crate::store::tree::TreeId;
use crate::store::{ReadError, keys};

/// Each method's error is a [`ReadError`]: [`ReadError::Cursor`], or the database failed, or holds what cannot be read.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl Reader {
    /// The state of a step; none where nothing was ever written there.
    pub fn state(
        &self,
        tenant: &TenantName,
        route: &RouteName,
        step: &StepKey,
    ) -> Result<Option<StateHead>, ReadError> {
        state::head(&*self.backend, tenant, route, step)
    }

    /// The states of a route's steps, also of those that the route has no longer.
    pub fn states_of(&self, tenant: &TenantName, route: &RouteName) -> Result<Vec<(StepKey, StateHead)>, ReadError> {
        state::heads(&*self.backend, tenant, route)
    }

    /// What stands under a key, expired or not.
    pub fn state_entry(&self, state: &StateHead, key: &str) -> Result<Option<StateEntry>, ReadError> {
        state::entry(&*self.backend, state.id, key)
    }

    /// The keys of entries that are expired at `time_ms`, with the time at which each did: the earliest first, behind `after` where
    /// it is given; at most `limit`.
    pub fn state_expired(
        &self,
        state: &StateHead,
        after: Option<&(u64, String)>,
        time_ms: u64,
        limit: usize,
    ) -> Result<Vec<(u64, String)>, ReadError> {
        let mut range = keys::state_expiries(state.id).prefix();
        if let Some((expires_ms, key)) = after {
            range = range.after(&keys::state_expiry(state.id, *expires_ms, key));
        }
        let mut expired = Vec::new();
        for entry in self.backend.scan(TreeId::Hot, &range, Order::Ascending).take(limit) {
            let (key, _) = entry?;
            let mut key = KeyReader::new(TreeId::Hot, &key);
            key.skip(8)?;
            let expires_ms = key.number()?;
            if expires_ms > time_ms {
                break;
            }
            expired.push((expires_ms, key.text()?.to_owned()));
        }
        Ok(expired)
    }

    /// The entries of a step's state whose keys begin with `prefix`, by key, but for those that are expired; at most `limit`, and never
    /// more than [`PAGE_ITEMS_MAX`].
    pub fn list_state(
        &self,
        tenant: &TenantName,
        route: &RouteName,
        step: &StepKey,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, StateEntry)>, ReadError> {
        let mut page = Page { items: Vec::new(), next: None, looked_at: 0 };
        let Some(head) = self.state(tenant, route, step)? else { return Ok(page) };
        let binding = Binding::new(&format!("state {} {prefix}", head.id), tenant);
        let mut range = keys::state_entries(head.id).bytes(prefix.as_bytes()).prefix();
        if let Some(cursor) = cursor {
            range = range.after(&Key::from(&binding.decode(cursor)?[..]));
        }
        let limit = limit.clamp(1, PAGE_ITEMS_MAX);
        let mut last = Vec::new();
        for entry in self.backend.scan(TreeId::Hot, &range, Order::Ascending) {
            let (key, value) = entry?;
            if page.items.len() == limit {
                page.next = Some(binding.encode(&last));
                break;
            }
            page.looked_at += 1;
            last = key.to_vec();
            let entry = state::decode(&*self.backend, &Key::from(&key[..]), value)?;
            let mut key = KeyReader::new(TreeId::Hot, &key);
            key.skip(8)?;
            if !entry.expired(head.time_ms) {
                page.items.push((key.text()?.to_owned(), entry));
            }
        }
        Ok(page)
    }
}
