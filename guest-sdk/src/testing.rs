//! Stands in for the host in native tests: [`Host::install`] says what `context` and `endpoints` answer on this thread. State
//! answers `denied`.
//!
//! ```
//! use hookswitch_guest::{context, endpoints, testing::Host};
//!
//! Host::default().event_body("as received").endpoint("crm", &[("team", "sales")]).install();
//! assert_eq!(context::event_body(), b"as received");
//! assert_eq!(endpoints::find(&[("team", "sales")]).len(), 1);
//! ```

use std::cell::RefCell;

use crate::Endpoint;

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// What the host would answer.
#[derive(Debug, Clone)]
pub struct Host {
    event_body: Vec<u8>,
    origin: String,
    endpoints: Vec<Endpoint>,
}

impl Default for Host {
    /// An empty event body, the origin `test`, and no endpoint.
    fn default() -> Self {
        Self { event_body: Vec::new(), origin: "test".to_owned(), endpoints: Vec::new() }
    }
}

impl Host {
    /// What [`crate::context::event_body`] answers.
    #[must_use]
    pub fn event_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.event_body = body.into();
        self
    }

    /// What [`crate::context::origin`] answers.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = origin.into();
        self
    }

    /// One endpoint more, with these labels (name, value).
    #[must_use]
    pub fn endpoint(mut self, name: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.endpoints.push(Endpoint { name: name.to_owned(), labels });
        self
    }

    /// Stands in from now on, on this thread.
    pub fn install(mut self) {
        self.endpoints.sort_by(|a, b| a.name.cmp(&b.name));
        HOST.set(self);
    }
}

/// The functions of the generated imports, answered here.
pub(crate) mod host {
    use super::HOST;

    pub(crate) mod context {
        pub(crate) fn event_body() -> Vec<u8> {
            super::HOST.with_borrow(|host| host.event_body.clone())
        }

        pub(crate) fn origin() -> String {
            super::HOST.with_borrow(|host| host.origin.clone())
        }
    }

    pub(crate) mod endpoints {
        use crate::Endpoint;

        pub(crate) fn get(name: &str) -> Option<Endpoint> {
            super::HOST.with_borrow(|host| host.endpoints.iter().find(|endpoint| endpoint.name == name).cloned())
        }

        pub(crate) fn find(labels: &[(String, String)]) -> Vec<Endpoint> {
            let has_all = |endpoint: &&Endpoint| labels.iter().all(|label| endpoint.labels.contains(label));
            super::HOST.with_borrow(|host| host.endpoints.iter().filter(has_all).cloned().collect())
        }
    }

    pub(crate) mod state {
        use crate::Failure;

        fn denied<T>() -> Result<T, Failure> {
            Err(Failure::denied("there is no state in a native test"))
        }

        pub(crate) fn get(_: &str) -> Result<Option<Vec<u8>>, Failure> {
            denied()
        }

        pub(crate) fn set(_: &str, _: &[u8], _: u32) -> Result<(), Failure> {
            denied()
        }

        pub(crate) fn remove(_: &str) -> Result<(), Failure> {
            denied()
        }

        pub(crate) fn increment(_: &str, _: i64, _: u32) -> Result<i64, Failure> {
            denied()
        }
    }
}
