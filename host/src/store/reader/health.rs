//! How endpoints are doing, and what is still to be told.

use super::Reader;
use crate::model::{EndpointHealth, EndpointName, TenantName};
use crate::store::backend::Order;
use crate::store::key::{Key, KeyReader};
use crate::store::notice::Notice;
use crate::store::tree::TreeId;
use crate::store::{ReadError, keys, meta, record};

/// Each method's error is a [`ReadError`]: the database failed, or holds what cannot be read.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl Reader {
    /// How an endpoint is doing.
    pub fn health(&self, tenant: &TenantName, endpoint: &EndpointName) -> Result<EndpointHealth, ReadError> {
        let stored = record::get(&*self.backend, TreeId::Hot, &keys::health(tenant, endpoint))?;
        Ok(stored.unwrap_or_else(EndpointHealth::unknown))
    }

    /// How endpoints are doing of which something is known: of one tenant, or of all.
    pub fn healths(
        &self,
        tenant: Option<&TenantName>,
    ) -> Result<Vec<(TenantName, EndpointName, EndpointHealth)>, ReadError> {
        let range = tenant.map_or_else(keys::healths, keys::healths_of).prefix();
        let mut found = Vec::new();
        for entry in self.backend.scan(TreeId::Hot, &range, Order::Ascending) {
            let (key, value) = entry?;
            let health = record::decode(&*self.backend, TreeId::Hot, &Key::from(&key[..]), value)?;
            let mut key = KeyReader::new(TreeId::Hot, &key);
            found.push((key.name()?, key.name()?, health));
        }
        Ok(found)
    }

    /// What is still to be told, the host's own first (none), then tenant by tenant, of each the first: at most `each_max`, and at most
    /// `limit` in all.
    pub fn notices(&self, each_max: usize, limit: usize) -> Result<Vec<(Option<TenantName>, Notice)>, ReadError> {
        let mut range = keys::notices().prefix();
        let mut found = Vec::new();
        while found.len() < limit && !range.is_empty() {
            let mut scope = None;
            for entry in
                self.backend.scan(TreeId::Hot, &range, Order::Ascending).take(each_max.min(limit - found.len()))
            {
                let (key, value) = entry?;
                let text = KeyReader::new(TreeId::Hot, &key).text()?.to_owned();
                if *scope.get_or_insert_with(|| text.clone()) != text {
                    break;
                }
                let tenant = match text.as_str() {
                    "" => None,
                    _ => Some(KeyReader::new(TreeId::Hot, &key).name()?),
                };
                found.push((tenant, record::decode(&*self.backend, TreeId::Hot, &Key::from(&key[..]), value)?));
            }
            let Some(scope) = scope else { break };
            range = range.past(keys::notices().name(&scope));
        }
        Ok(found)
    }

    /// Since when the disk is low, as far as was told, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn disk_low_since_ms(&self) -> Result<Option<u64>, ReadError> {
        meta::disk_low_since_ms(&*self.backend)
    }
}
