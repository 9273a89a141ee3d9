//! What routers may know of a tenant's endpoints: names and labels, nothing else.

use super::bindings::types;
use crate::model::EndpointName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One endpoint, as routers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointInfo {
    /// Its name.
    pub name: EndpointName,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A tenant's endpoints, in the order of their names. Made once for each config revision; cheap to clone.
#[derive(Clone, Debug)]
pub struct Directory(Arc<[EndpointInfo]>);

impl Default for Directory {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Directory {
    /// The directory of these endpoints. Of two with one name either may be found.
    #[must_use]
    pub fn new(mut endpoints: Vec<EndpointInfo>) -> Self {
        endpoints.sort_by(|a, b| a.name.cmp(&b.name));
        Self(endpoints.into())
    }

    /// The endpoint of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&EndpointInfo> {
        let at = self.0.binary_search_by(|endpoint| endpoint.name.as_str().cmp(name)).ok()?;
        self.0.get(at)
    }

    /// The endpoints that have all these labels, by name.
    pub fn find(&self, labels: &[(String, String)]) -> impl Iterator<Item = &EndpointInfo> {
        self.0.iter().filter(|endpoint| labels.iter().all(|(name, value)| endpoint.labels.get(name) == Some(value)))
    }
}

impl From<&EndpointInfo> for types::Endpoint {
    fn from(endpoint: &EndpointInfo) -> Self {
        let labels = endpoint.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { name: endpoint.name.as_str().to_owned(), labels }
    }
}
