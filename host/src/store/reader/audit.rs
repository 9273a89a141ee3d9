//! The audit log, when keys were used, and what tenants have.

use super::Reader;
use super::cursor::Binding;
use super::list::{Page, found, json_bytes, page};
use crate::model::{AuditEntry, AuditId, EndpointName, EventId, KeyName, TenantName};
use crate::store::backend::Order;
use crate::store::key::KeyReader;
use crate::store::tree::TreeId;
use crate::store::{ReadError, Usage, keys, owner, record, usage};

/// How many entries are read for one page, whether they pass the filter or not.
const PAGE_RECORDS_MAX: usize = 5000;

/// Which entries to list. An empty filter lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only of this target.
    pub target: Option<String>,
    /// Only this that was done.
    pub action: Option<String>,
    /// Only by this key.
    pub key: Option<String>,
    /// Only of this time or later: milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: Option<u64>,
    /// Only before this time.
    pub until_ms: Option<u64>,
}

impl AuditFilter {
    fn lets_pass(&self, entry: &AuditEntry) -> bool {
        self.target.as_ref().is_none_or(|target| *target == entry.target)
            && self.action.as_ref().is_none_or(|action| *action == entry.action)
            && self.key.as_ref().is_none_or(|key| Some(key) == entry.by.key.as_ref())
            && self.since_ms.is_none_or(|since_ms| since_ms <= entry.at_ms)
            && self.until_ms.is_none_or(|until_ms| entry.at_ms < until_ms)
    }
}

/// Each method's error is a [`ReadError`]: [`ReadError::Cursor`], or the database failed, or holds what cannot be read.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl Reader {
    /// The audit log of a tenant, or the operator's, newest first; at most `limit`, and about [`super::PAGE_BYTES_MAX`] of them.
    pub fn audit(
        &self,
        scope: Option<&TenantName>,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditEntry>, ReadError> {
        let binding = Binding::new("audit", scope);
        let page_end = cursor.map(|cursor| binding.decode(cursor)).transpose()?;
        let all = keys::audited_of(scope);
        let named = all.as_bytes().len();
        let mut range = all.clone().prefix();
        if let Some(place) = page_end {
            range = range.before(&all.bytes(&place));
        }
        let entries = found(self.backend.scan(TreeId::Hot, &range, Order::Descending), TreeId::Hot, named);
        page(entries, &binding, limit, PAGE_RECORDS_MAX, json_bytes, |id| {
            let key = keys::audited(scope, AuditId::from_bytes(id.event()?.to_bytes()));
            let entry: Option<AuditEntry> = record::get(&*self.backend, TreeId::Hot, &key)?;
            Ok(entry.filter(|entry| filter.lets_pass(entry)))
        })
    }

    /// The logs that have entries older than `before_ms`; none stands for the operator's.
    pub fn old_audits(&self, before_ms: u64) -> Result<Vec<Option<TenantName>>, ReadError> {
        let mut range = keys::audits().prefix();
        let mut old = Vec::new();
        while let Some(first) = self.backend.scan(TreeId::Hot, &range, Order::Ascending).next() {
            let (key, _) = first?;
            let mut reader = KeyReader::new(TreeId::Hot, &key);
            let scope = Some(reader.text()?).filter(|scope| !scope.is_empty());
            let scope: Option<TenantName> =
                scope.map(|scope| scope.parse().map_err(|_| reader.broken())).transpose()?;
            range = range.past(keys::audited_of(scope.as_ref()));
            if reader.event()?.received_at_ms() < before_ms {
                old.push(scope);
            }
        }
        Ok(old)
    }

    /// The place in the order of the last event whose deliveries are no business of those whose endpoint it is now.
    pub fn owner_since_seq(&self, tenant: &TenantName, endpoint: &EndpointName) -> Result<u64, ReadError> {
        owner::since_seq(&*self.backend, tenant, endpoint)
    }

    /// Whether what came of an event was for those whose endpoint it is now.
    pub fn is_of_owner(&self, tenant: &TenantName, endpoint: &EndpointName, event: EventId) -> Result<bool, ReadError> {
        owner::is_of(&*self.backend, tenant, endpoint, event)
    }

    /// What a tenant has in the store.
    pub fn usage(&self, tenant: &TenantName) -> Result<Usage, ReadError> {
        usage::of(&*self.backend, tenant)
    }

    /// When each key was used last, as far as that was written down.
    pub fn key_uses(&self) -> Result<Vec<(Option<TenantName>, KeyName, u64)>, ReadError> {
        let mut uses = Vec::new();
        for entry in self.backend.scan(TreeId::Hot, &keys::key_uses().prefix(), Order::Ascending) {
            let (key, value) = entry?;
            let mut reader = KeyReader::new(TreeId::Hot, &key);
            let scope = Some(reader.text()?).filter(|scope| !scope.is_empty());
            let scope = scope.map(|scope| scope.parse().map_err(|_| reader.broken())).transpose()?;
            let name = reader.name()?;
            let at_ms = value.first_chunk().map_or(0, |ms| u64::from_be_bytes(*ms));
            uses.push((scope, name, at_ms));
        }
        Ok(uses)
    }
}
