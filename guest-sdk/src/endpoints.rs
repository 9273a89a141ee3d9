//! The tenant's endpoints, for routers: a filter or transform that calls these is refused by the host when it is uploaded. In
//! a native test, [`crate::testing`] gives them.

use crate::Endpoint;
#[cfg(target_arch = "wasm32")]
use crate::bindings::router::hookswitch::module::endpoints as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::host::endpoints as host;

impl Endpoint {
    /// The value of this label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// The endpoint of this name, or none.
#[must_use]
pub fn get(name: &str) -> Option<Endpoint> {
    host::get(name)
}

/// The endpoints that have all these labels (name, value), by name. An empty list finds all.
#[must_use]
pub fn find(labels: &[(&str, &str)]) -> Vec<Endpoint> {
    let labels: Vec<_> = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    host::find(&labels)
}
