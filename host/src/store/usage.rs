//! What each tenant has in the store: how many deliveries wait, and how many bytes its payloads have. Counted by the commits that change it, so it is
//! exact, and a question costs one look.

use super::backend::{Look, Order};
use super::key::{Key, KeyReader};
use super::tree::TreeId;
use super::{ReadError, View, keys, stored};
use crate::model::{DeliveryStatus, TenantName};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a tenant has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Deliveries that are pending or held.
    pub waiting_deliveries: u64,
    /// The bytes of the bodies of its events, and of those deliveries that have bodies of their own.
    pub stored_bytes: u64,
}

/// What there is more of, or less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) waiting_deliveries: i64,
    pub(super) stored_bytes: i64,
}

impl Change {
    /// So many bytes more.
    pub(super) fn more_bytes(bytes: usize) -> Self {
        Self { stored_bytes: i64::try_from(bytes).unwrap_or(i64::MAX), ..Self::default() }
    }

    /// So many bytes fewer.
    pub(super) fn fewer_bytes(bytes: usize) -> Self {
        Self { stored_bytes: -Self::more_bytes(bytes).stored_bytes, ..Self::default() }
    }

    /// A delivery goes from one status to another; none for before it was there, or after it went.
    pub(super) fn of_status(before: Option<DeliveryStatus>, after: Option<DeliveryStatus>) -> Self {
        let waits = |status: Option<DeliveryStatus>| {
            i64::from(matches!(status, Some(DeliveryStatus::Pending | DeliveryStatus::Held)))
        };
        Self { waiting_deliveries: waits(after) - waits(before), ..Self::default() }
    }
}

/// Counts a change.
pub(super) fn change(view: &mut View<'_>, tenant: &TenantName, change: Change) -> Result<(), ReadError> {
    if change == Change::default() {
        return Ok(());
    }
    let Usage { waiting_deliveries, stored_bytes } = of(view, tenant)?;
    let usage = Usage {
        waiting_deliveries: waiting_deliveries.saturating_add_signed(change.waiting_deliveries),
        stored_bytes: stored_bytes.saturating_add_signed(change.stored_bytes),
    };
    put(view, tenant, usage);
    Ok(())
}

/// What a tenant has.
pub(super) fn of(look: &dyn Look, tenant: &TenantName) -> Result<Usage, ReadError> {
    let value = look.get(TreeId::Hot, &keys::usage(tenant))?.unwrap_or_default();
    let number = |part: Option<&[u8; 8]>| part.map_or(0, |part| u64::from_be_bytes(*part));
    let rest = value.get(8..).unwrap_or_default();
    Ok(Usage { waiting_deliveries: number(value.first_chunk()), stored_bytes: number(rest.first_chunk()) })
}

fn put(view: &mut View<'_>, tenant: &TenantName, usage: Usage) {
    let key = keys::usage(tenant);
    if usage == Usage::default() {
        return view.remove(TreeId::Hot, key);
    }
    let value = [usage.waiting_deliveries.to_be_bytes(), usage.stored_bytes.to_be_bytes()].concat();
    view.put(TreeId::Hot, key, value);
}

/// Counts everything anew: for a store of which an earlier version did not count. All of it is read.
pub(super) fn count(view: &mut View<'_>) -> Result<(), ReadError> {
    let mut all: BTreeMap<TenantName, Usage> = BTreeMap::new();
    for tree in view.trees() {
        let (waiting, bodies) = match tree {
            TreeId::Hot => (vec![keys::lanes(), keys::all_lines()], None),
            TreeId::Day(_) => (vec![keys::all_stopped()], Some([keys::all_bodies(), keys::all_events()])),
        };
        for range in waiting {
            for entry in view.scan(tree, &range.clone().prefix(), Order::Ascending) {
                let (key, value) = entry?;
                let mut reader = KeyReader::new(tree, &key);
                let tenant = reader.name()?;
                // Whose turn it is stands in the lane, too; and what is dead waits for nothing.
                let counts = match key.first() {
                    Some(b'L') => !value.is_empty(),
                    Some(b'F') => reader.byte()? == keys::HELD,
                    _ => true,
                };
                all.entry(tenant).or_default().waiting_deliveries += u64::from(counts);
            }
        }
        for range in bodies.into_iter().flatten() {
            for entry in view.scan(tree, &range.clone().prefix(), Order::Ascending) {
                let (key, value) = entry?;
                let tenant = KeyReader::new(tree, &key).name()?;
                let bytes = match keys::is_event(&key) {
                    true => stored::inline_body(view, tree, &Key::from(&key[..]), value)?.len(),
                    false => value.len(),
                };
                all.entry(tenant).or_default().stored_bytes += bytes as u64;
            }
        }
    }
    for (tenant, usage) in all {
        put(view, &tenant, usage);
    }
    view.put(TreeId::Hot, keys::usage_counted(), Vec::new());
    Ok(())
}

/// Whether it was ever counted.
pub(super) fn is_counted(look: &dyn Look) -> Result<bool, ReadError> {
    Ok(look.get(TreeId::Hot, &keys::usage_counted())?.is_some())
}
