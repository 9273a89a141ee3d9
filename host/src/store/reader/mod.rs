//! What can be asked of the store. Every answer comes from one key or one range of keys; lists that have to look further do so
//! under a budget.
//!
//! Answers show what is committed, and may show a commit some milliseconds before it is durable. So nobody may acknowledge on
//! the ground of a read: an outcome of `Store::commit` is the acknowledgement.

mod audit;
mod copy;
mod cursor;
mod health;
mod jobs;
mod lanes;
mod list;
mod span;
mod state;
mod statistics;
mod sweep;

pub use audit::AuditFilter;
pub use cursor::Binding;
pub use jobs::{JobFound, Waiting};
pub use lanes::{Due, HeldRun, PendingRun};
pub use list::{DeliveryFilter, EventFilter, PAGE_BYTES_MAX, PAGE_ITEMS_MAX, Page};
pub use statistics::{KeptPeriod, OverSubjects, QUEUE_COUNTED_MAX, Queue};

use super::backend::{Backend, Kept, Order};
use super::key::{Key, KeyReader};
use super::keys;
use super::stored::{self, StoredDelivery, ToSend};
use super::tree::TreeId;
use super::{DEDUP_MS_MAX, ReadError, ResourceKey, TickMark, dedup, meta, record};
use crate::model::{Attempt, Delivery, DeliveryId, Digest, Erased, Event, EventId, Run, RunId, SourceName, TenantName};
use bytes::Bytes;
use std::sync::Arc;

/// How often the configuration is read again where it changes under the reader.
const CONFIG_READS_MAX: u32 = 10;

/// Reads from the store. Cheap to clone; each method blocks its thread for as long as the disk takes.
#[derive(Clone)]
pub struct Reader {
    backend: Arc<dyn Backend>,
}

/// The configuration at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// 0 where nothing was ever configured.
    pub revision: u64,
    /// All resources: the operator's first, then by tenant, kind and name.
    pub resources: Vec<(ResourceKey, Bytes)>,
}

/// Each method's error is a [`ReadError`]: the database failed, or holds what cannot be read.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl Reader {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// An event.
    pub fn event(&self, tenant: &TenantName, event: EventId) -> Result<Option<Event>, ReadError> {
        stored::event(&*self.backend, tenant, event)
    }

    /// What is left of an event, if it was erased.
    pub fn erased(&self, tenant: &TenantName, event: EventId) -> Result<Option<Erased>, ReadError> {
        stored::erased(&*self.backend, tenant, event)
    }

    /// Where a source with a schedule has come to.
    pub fn tick(&self, tenant: &TenantName, source: &SourceName) -> Result<Option<TickMark>, ReadError> {
        record::get(&*self.backend, TreeId::Hot, &keys::tick(tenant, source))
    }

    /// The body of an event; empty where there is no such event.
    pub fn body(&self, tenant: &TenantName, event: EventId) -> Result<Bytes, ReadError> {
        Ok(stored::event_body(&*self.backend, tenant, event)?.unwrap_or_default())
    }

    /// The runs of an event: those that were done when it was accepted, as they were given, then the others.
    pub fn runs(&self, tenant: &TenantName, event: EventId) -> Result<Vec<Run>, ReadError> {
        stored::runs(&*self.backend, tenant, event)
    }

    /// A run.
    pub fn run(&self, tenant: &TenantName, run: RunId) -> Result<Option<Run>, ReadError> {
        stored::run(&*self.backend, tenant, run)
    }

    /// A delivery.
    pub fn delivery(&self, tenant: &TenantName, delivery: DeliveryId) -> Result<Option<Delivery>, ReadError> {
        Ok(StoredDelivery::get(&*self.backend, tenant, delivery)?.map(|stored| stored.delivery))
    }

    /// What a delivery carries: its own body, or its event's. None where the event is gone.
    pub fn delivery_body(&self, tenant: &TenantName, delivery: &Delivery) -> Result<Option<Bytes>, ReadError> {
        stored::delivery_body(&*self.backend, tenant, delivery)
    }

    /// A delivery and what it carries, if it is pending.
    pub(super) fn to_send(&self, tenant: &TenantName, delivery: DeliveryId) -> Result<Option<ToSend>, ReadError> {
        stored::to_send(&*self.backend, tenant, delivery)
    }

    /// The same, where it can be had without waiting for a disk.
    pub(super) fn to_send_at_once(
        &self,
        tenant: &TenantName,
        delivery: DeliveryId,
    ) -> Option<Result<Option<ToSend>, ReadError>> {
        Kept::find(&*self.backend, |kept| stored::to_send(kept, tenant, delivery))
    }

    /// The attempts of a delivery, the first one first.
    pub fn attempts(&self, tenant: &TenantName, delivery: DeliveryId) -> Result<Vec<Attempt>, ReadError> {
        stored::attempts(&*self.backend, tenant, delivery)
    }

    /// A plan.
    pub fn plan(&self, digest: Digest) -> Result<Option<Bytes>, ReadError> {
        self.content(&keys::plan(&digest))
    }

    /// The event that took this dedup key at `since_ms` or later and has it still at `now_ms`, as an Accept would find it. It may
    /// not be durable yet: only [`super::Outcome::Duplicate`] says that.
    pub fn dedup(
        &self,
        tenant: &TenantName,
        source: &SourceName,
        key: &str,
        since_ms: u64,
        now_ms: u64,
    ) -> Result<Option<EventId>, ReadError> {
        dedup::taken(&*self.backend, tenant, source, key, since_ms.max(now_ms.saturating_sub(DEDUP_MS_MAX)), now_ms)
    }

    /// The whole configuration.
    pub fn config(&self) -> Result<Configuration, ReadError> {
        for _ in 0..CONFIG_READS_MAX {
            let revision = meta::revision(&*self.backend)?;
            let resources = self.resources()?;
            // No commit came in between, or the resources may be of two revisions.
            if meta::revision(&*self.backend)? == revision {
                return Ok(Configuration { revision, resources });
            }
        }
        Err(ReadError::Unsteady(CONFIG_READS_MAX))
    }

    fn resources(&self) -> Result<Vec<(ResourceKey, Bytes)>, ReadError> {
        let tree = TreeId::Hot;
        let mut resources = Vec::new();
        for entry in self.backend.scan(tree, &keys::resources(), Order::Ascending) {
            let (key, value) = entry?;
            let value = record::content(&*self.backend, tree, &Key::from(&key[..]), value)?;
            let mut key = KeyReader::new(tree, &key);
            let tenant = Some(key.text()?).filter(|scope| !scope.is_empty());
            let tenant = tenant.map(|scope| scope.parse().map_err(|_| key.broken())).transpose()?;
            let kind = key.text()?;
            let kind = ResourceKey::KINDS.into_iter().find(|known| *known == kind).ok_or_else(|| key.broken())?;
            resources.push((ResourceKey { tenant, kind, name: key.text()?.to_owned() }, value));
        }
        Ok(resources)
    }

    fn content(&self, key: &Key) -> Result<Option<Bytes>, ReadError> {
        let value = self.backend.get(TreeId::Hot, key)?;
        value.map(|value| record::content(&*self.backend, TreeId::Hot, key, value)).transpose()
    }
}
