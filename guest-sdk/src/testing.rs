//! Stands in for the host in native tests: [`Host::install`] says what `context`, `endpoints` and `state` answer on this thread.
//! State is kept in memory where [`Host::state`] asks for it; its time stands still until [`set_time_ms`] moves it.
//!
//! ```
//! use hookswitch_guest::{context, endpoints, state, testing, testing::Host};
//!
//! Host::default().event_body("as received").endpoint("crm", &[("team", "sales")]).state().install();
//! assert_eq!(context::event_body(), b"as received");
//! assert_eq!(endpoints::find(&[("team", "sales")]).len(), 1);
//!
//! testing::set_time_ms(1_000);
//! assert_eq!(state::increment("seen", 1, 60), Ok(1));
//! testing::set_time_ms(61_000);
//! assert_eq!(state::get("seen"), Ok(None));
//! ```

mod state;

use std::cell::RefCell;

use crate::{Endpoint, Failure};
use state::{Kept, State};

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// What the host would answer.
#[derive(Debug, Clone)]
pub struct Host {
    event_body: Vec<u8>,
    origin: String,
    endpoints: Vec<Endpoint>,
    state: State,
}

impl Default for Host {
    /// An empty event body, the origin `test`, no endpoint, and no state: it answers `denied`.
    fn default() -> Self {
        Self { event_body: Vec::new(), origin: "test".to_owned(), endpoints: Vec::new(), state: State::default() }
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

    /// Gives the module state, empty so far; the time is 0.
    #[must_use]
    pub fn state(mut self) -> Self {
        self.state = State::Kept(Kept::default());
        self
    }

    /// Answers every call of state with this failure, such as `Failure::limit("…")`.
    #[must_use]
    pub fn state_fails(mut self, failure: Failure) -> Self {
        self.state = State::Fails(failure);
        self
    }

    /// Stands in from now on, on this thread.
    pub fn install(mut self) {
        self.endpoints.sort_by(|a, b| a.name.cmp(&b.name));
        HOST.set(self);
    }
}

/// Sets the time by which state expires, in milliseconds since 1970. The host takes the event's `received_at_ms`.
pub fn set_time_ms(now_ms: u64) {
    HOST.with_borrow_mut(|host| host.state.set_time_ms(now_ms));
}

/// The keys that are in state now, in order.
#[must_use]
pub fn state_keys() -> Vec<String> {
    HOST.with_borrow(|host| host.state.keys())
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

        pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
            super::HOST.with_borrow_mut(|host| host.state.get(key))
        }

        pub(crate) fn set(key: &str, value: &[u8], ttl_s: u32) -> Result<(), Failure> {
            super::HOST.with_borrow_mut(|host| host.state.set(key, value, ttl_s))
        }

        pub(crate) fn remove(key: &str) -> Result<(), Failure> {
            super::HOST.with_borrow_mut(|host| host.state.remove(key))
        }

        pub(crate) fn increment(key: &str, by: i64, ttl_s: u32) -> Result<i64, Failure> {
            super::HOST.with_borrow_mut(|host| host.state.increment(key, by, ttl_s))
        }
    }
}
