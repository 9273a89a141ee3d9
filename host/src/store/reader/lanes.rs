//! What workers ask: which deliveries are due, which runs are pending.
//!
//! A lane that much has gone through begins with emptied pages, which the database steps over one by one. So a worker keeps the
//! place it has reached and asks for what comes after; it asks from the beginning at its start, and when it was told that
//! something is due earlier.

use super::Reader;
use super::cursor::Binding;
use super::list::{PAGE_ITEMS_MAX, Page, found, json_bytes, page};
use crate::model::{DeliveryId, EndpointName, RouteName, Run, RunId, TenantName};
use crate::store::ReadError;
use crate::store::backend::Order;
use crate::store::key::{Key, KeyRange, KeyReader};
use crate::store::keys;
use crate::store::tree::TreeId;
use std::str::FromStr;

/// What is due in a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Deliveries with their due times, the earliest first.
    pub items: Vec<(u64, DeliveryId)>,
    /// The due time of the first delivery behind them. It lies in the past where `limit` cut the answer short.
    pub next_due_ms: Option<u64>,
}

/// A run that is to be routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRun {
    /// Whose.
    pub tenant: TenantName,
    /// Through which route.
    pub route: RouteName,
    /// Its event's place in the order.
    pub seq: u64,
    /// Which.
    pub run: RunId,
}

/// A run that waits for a rerun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRun {
    /// Its route.
    pub route: RouteName,
    /// Its event's place in the order.
    pub seq: u64,
    /// Which.
    pub run: RunId,
}

/// Each method's error is a [`ReadError`]: the database failed, or holds what cannot be read.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl Reader {
    /// Deliveries of a lane that are due at `up_to_ms`, behind `after` where it is given; at most `limit`.
    pub fn due(
        &self,
        tenant: &TenantName,
        endpoint: &EndpointName,
        after: Option<(u64, DeliveryId)>,
        up_to_ms: u64,
        limit: usize,
    ) -> Result<Due, ReadError> {
        let lane = keys::lane(tenant, endpoint);
        let named = lane.as_bytes().len();
        let mut range = lane.prefix();
        if let Some((due_ms, delivery)) = after {
            range = range.after(&keys::due(tenant, endpoint, due_ms, delivery));
        }
        let mut due = Due::default();
        for entry in self.backend.scan(TreeId::Hot, &range, Order::Ascending) {
            let (key, _) = entry?;
            let mut key = KeyReader::new(TreeId::Hot, &key);
            key.skip(named - 1)?;
            let due_ms = key.number()?;
            if due_ms > up_to_ms || due.items.len() >= limit {
                due.next_due_ms = Some(due_ms);
                break;
            }
            due.items.push((due_ms, key.delivery()?));
        }
        Ok(due)
    }

    /// Every lane with a pending delivery.
    pub fn lanes(&self) -> Result<Vec<(TenantName, EndpointName)>, ReadError> {
        self.named_pairs(keys::lanes(), keys::lane)
    }

    /// Every route with a pending run.
    pub fn pending_routes(&self) -> Result<Vec<(TenantName, RouteName)>, ReadError> {
        self.named_pairs(keys::all_pending(), keys::pending_of)
    }

    /// The pending runs of a route in the order of their events, behind `after` where it is given; at most `limit`.
    pub fn pending_of(
        &self,
        tenant: &TenantName,
        route: &RouteName,
        after: Option<(u64, RunId)>,
        limit: usize,
    ) -> Result<Vec<PendingRun>, ReadError> {
        let mut range = keys::pending_of(tenant, route).prefix();
        if let Some((seq, run)) = after {
            range = range.after(&keys::pending(tenant, route, seq, run));
        }
        self.pending_in(&range, limit)
    }

    /// Pending runs of all tenants, route by route, behind `after` where it is given; at most `limit`.
    pub fn pending_runs(&self, after: Option<&PendingRun>, limit: usize) -> Result<Vec<PendingRun>, ReadError> {
        let mut range = keys::all_pending().prefix();
        if let Some(PendingRun { tenant, route, seq, run }) = after {
            range = range.after(&keys::pending(tenant, route, *seq, *run));
        }
        self.pending_in(&range, limit)
    }

    fn pending_in(&self, range: &KeyRange, limit: usize) -> Result<Vec<PendingRun>, ReadError> {
        let entries = self.backend.scan(TreeId::Hot, range, Order::Ascending).take(limit);
        let decode = |entry: Result<(bytes::Bytes, _), _>| {
            let (key, _) = entry?;
            let mut key = KeyReader::new(TreeId::Hot, &key);
            Ok(PendingRun { tenant: key.name()?, route: key.name()?, seq: key.number()?, run: key.run()? })
        };
        entries.map(decode).collect()
    }

    /// Whether a route has a held run: then, if it is ordered, it waits.
    pub fn has_held(&self, tenant: &TenantName, route: &RouteName) -> Result<bool, ReadError> {
        let first = self.backend.scan(TreeId::Hot, &keys::held_of(tenant, route).prefix(), Order::Ascending).next();
        Ok(first.transpose()?.is_some())
    }

    /// The held runs of a tenant, or of one route, in the order of route and event; at most `limit`, and never more than
    /// [`PAGE_ITEMS_MAX`].
    pub fn list_held(
        &self,
        tenant: &TenantName,
        route: Option<&RouteName>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<HeldRun>, ReadError> {
        self.held_page(&Binding::new("held", tenant), tenant, route, cursor, limit, (PAGE_ITEMS_MAX, |_| 0), |held| {
            Ok(Some(held))
        })
    }

    /// The same, each as it stands there, and no more of them than one answer should show.
    pub fn list_held_runs(
        &self,
        tenant: &TenantName,
        route: Option<&RouteName>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Run>, ReadError> {
        let bounds = (PAGE_ITEMS_MAX, json_bytes);
        self.held_page(&Binding::new("held", tenant), tenant, route, cursor, limit, bounds, |held| {
            self.run(tenant, held.run)
        })
    }

    /// Those of the held runs that `load` takes, in the order of [`Reader::list_held`], from a look at `records_max` at most, and as long as `page` lets them be.
    #[expect(clippy::too_many_arguments, reason = "a page of a list is asked for by all of these")]
    pub(super) fn held_page<T>(
        &self,
        binding: &Binding,
        tenant: &TenantName,
        route: Option<&RouteName>,
        cursor: Option<&str>,
        limit: usize,
        (records_max, bytes_of): (usize, impl Fn(&T) -> usize),
        load: impl Fn(HeldRun) -> Result<Option<T>, ReadError>,
    ) -> Result<Page<T>, ReadError> {
        let all = keys::held_by(tenant);
        let mut range = route.map_or_else(|| all.clone(), |route| keys::held_of(tenant, route)).prefix();
        if let Some(cursor) = cursor {
            let position = binding.decode(cursor)?;
            range = range.after(&Key::from(&[all.as_bytes(), &position].concat()[..]));
        }
        let entries = self.backend.scan(TreeId::Hot, &range, Order::Ascending);
        page(found(entries, TreeId::Hot, all.as_bytes().len()), binding, limit, records_max, bytes_of, |key| {
            load(HeldRun { route: key.name()?, seq: key.number()?, run: key.run()? })
        })
    }

    /// The pairs of names that keys under `all` begin with; `one` makes the prefix of such a pair. Leaps from pair to pair.
    fn named_pairs<B: FromStr>(
        &self,
        all: Key,
        one: impl Fn(&TenantName, &B) -> Key,
    ) -> Result<Vec<(TenantName, B)>, ReadError> {
        let mut range = all.prefix();
        let mut pairs = Vec::new();
        while let Some(entry) = self.backend.scan(TreeId::Hot, &range, Order::Ascending).next() {
            let (key, _) = entry?;
            let mut key = KeyReader::new(TreeId::Hot, &key);
            let pair: (TenantName, B) = (key.name()?, key.name()?);
            range = range.past(one(&pair.0, &pair.1));
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
