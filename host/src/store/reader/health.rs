//! How endpoints are doing, and what is still to be told.

use super::Reader;
use crate::model::{EndpointHealth, EndpointName, TenantName};
use crate::store::backend::Order;
use crate::store::key::{Key, KeyReader};
use crate::store::notice::Notice;
use crate::store::tree::TreeId;
use crate::store::{ReadError, keys, record};

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

    /// What is still to be told, tenant by tenant; at most `limit`.
    pub fn notices(&self, limit: usize) -> Result<Vec<(TenantName, Notice)>, ReadError> {
        let entries = self.backend.scan(TreeId::Hot, &keys::notices().prefix(), Order::Ascending).take(limit);
        let decode = |entry: Result<(bytes::Bytes, bytes::Bytes), _>| {
            let (key, value) = entry?;
            let notice = record::decode(&*self.backend, TreeId::Hot, &Key::from(&key[..]), value)?;
            Ok((KeyReader::new(TreeId::Hot, &key).name()?, notice))
        };
        entries.map(decode).collect()
    }
}
