//! The state that modules keep: written with the outcome of the run that wrote it, taken away with its route or when somebody says so.

use super::{Applied, Refusal};
use crate::model::{RouteName, StepKey, TenantName};
use crate::store::backend::{Look as _, Order};
use crate::store::key::{Key, KeyReader};
use crate::store::state::{self, StateChange, StateHead};
use crate::store::tree::TreeId;
use crate::store::{Hint, Outcome, ReadError, ResourceKey, View, keys, meta, record};

/// How many entries of a state that was taken away go at once.
const SWEPT_MAX: usize = 256;

/// Whether every state that a run read is still as it saw it. Of a route that is gone nothing is: nothing is kept either.
pub(super) fn still_so(
    view: &View<'_>,
    tenant: &TenantName,
    route: &RouteName,
    changes: &[StateChange],
) -> Result<bool, ReadError> {
    if !changes.is_empty() && is_gone(view, tenant, route)? {
        return Ok(true);
    }
    for StateChange { step, seen, .. } in changes {
        let now = state::head(view, tenant, route, step)?;
        if now.as_ref().map(StateHead::stamp) != seen.as_ref().map(StateHead::stamp) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes what a run wrote.
pub(super) fn write(
    view: &mut View<'_>,
    tenant: &TenantName,
    route: &RouteName,
    changes: Vec<StateChange>,
) -> Result<(), ReadError> {
    if !changes.is_empty() && is_gone(view, tenant, route)? {
        return Ok(());
    }
    for change in changes.into_iter().filter(|change| !change.writes.is_empty()) {
        let mut head = match state::head(view, tenant, route, &change.step)? {
            Some(head) => head,
            None => StateHead { id: meta::next_state(view)?, revision: 0, keys: 0, bytes: 0, time_ms: 0 },
        };
        for (name, entry) in change.writes {
            remove_entry(view, &mut head, &name)?;
            let Some(entry) = entry else { continue };
            head.keys += 1;
            head.bytes += bytes_of(&name, &entry.value);
            if let Some(expires_ms) = entry.expires_ms {
                view.put(TreeId::Hot, keys::state_expiry(head.id, expires_ms, &name), "");
            }
            state::put_entry(view, head.id, &name, &entry);
        }
        head.revision += 1;
        head.time_ms = head.time_ms.max(change.time_ms);
        record::put(view, TreeId::Hot, keys::state(tenant, route, &change.step), &head)?;
    }
    Ok(())
}

/// Takes away the state of a step, or of all steps of a route. Its entries go later, by [`sweep`].
pub(super) fn forget(
    view: &mut View<'_>,
    tenant: &TenantName,
    route: &RouteName,
    step: Option<&StepKey>,
) -> Result<Applied, ReadError> {
    let mut hints = Vec::new();
    for (found, head) in state::heads(view, tenant, route)? {
        if step.is_none_or(|step| *step == found) {
            record::remove(view, TreeId::Hot, keys::state(tenant, route, &found))?;
            view.put(TreeId::Hot, keys::forgotten_state(head.id), "");
            hints.push(Hint::StateForgotten);
        }
    }
    let outcome = if hints.is_empty() { Outcome::NotFound } else { Outcome::Done };
    Ok(Applied { outcome, hints })
}

/// Removes some entries of a state that was taken away.
pub(super) fn sweep(view: &mut View<'_>) -> Result<Applied, Refusal> {
    let first = view.scan(TreeId::Hot, &keys::forgotten_states().prefix(), Order::Ascending).next();
    let Some((note, _)) = first.transpose()? else { return Ok(Applied::quietly(Outcome::NotFound)) };
    let id = KeyReader::new(TreeId::Hot, &note).number()?;
    let mut found = Vec::new();
    for all in [keys::state_expiries(id), keys::state_entries(id)] {
        let left = SWEPT_MAX - found.len();
        for entry in view.scan(TreeId::Hot, &all.prefix(), Order::Ascending).take(left) {
            found.push(Key::from(&entry?.0[..]));
        }
    }
    if found.len() < SWEPT_MAX {
        view.remove(TreeId::Hot, Key::from(&note[..]));
    }
    for key in found {
        record::remove(view, TreeId::Hot, key)?;
    }
    Ok(Applied::quietly(Outcome::Done))
}

fn is_gone(view: &View<'_>, tenant: &TenantName, route: &RouteName) -> Result<bool, ReadError> {
    let route = ResourceKey { tenant: Some(tenant.clone()), kind: "route", name: route.to_string() };
    Ok(view.get(TreeId::Hot, &keys::resource(&route))?.is_none())
}

fn remove_entry(view: &mut View<'_>, head: &mut StateHead, name: &str) -> Result<(), ReadError> {
    let Some(entry) = state::entry(view, head.id, name)? else { return Ok(()) };
    head.keys = head.keys.saturating_sub(1);
    head.bytes = head.bytes.saturating_sub(bytes_of(name, &entry.value));
    if let Some(expires_ms) = entry.expires_ms {
        view.remove(TreeId::Hot, keys::state_expiry(head.id, expires_ms, name));
    }
    record::remove(view, TreeId::Hot, keys::state_entry(head.id, name))
}

fn bytes_of(name: &str, value: &[u8]) -> u64 {
    (name.len() + value.len()) as u64
}
