//! What the store tells workers after a commit, so that they need not ask all the time.

use crate::model::{DeliveryId, EndpointHealth, EndpointName, JobId, RouteName, RunId, TenantName};

/// Something new to do. It is durable when the hint comes. Hints are lost on the way to a subscriber that lags, and at a restart:
/// then the subscriber reads its lanes anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// A delivery entered its endpoint's lane.
    Due {
        /// Whose.
        tenant: TenantName,
        /// Where it goes.
        endpoint: EndpointName,
        /// When: milliseconds since 1970-01-01T00:00:00Z.
        due_ms: u64,
        /// Which.
        delivery: DeliveryId,
    },
    /// A run of this route is to be routed.
    Pending {
        /// Whose.
        tenant: TenantName,
        /// Which route.
        route: RouteName,
        /// Its event's place in the order. A rerun has an earlier one than what was told before it.
        seq: u64,
        /// Which.
        run: RunId,
    },
    /// A module's state was taken away: its entries are to be removed.
    StateForgotten,
    /// Somebody else than the deliverer has changed how an endpoint is doing.
    Endpoint {
        /// Whose.
        tenant: TenantName,
        /// Which.
        endpoint: EndpointName,
        /// How it is doing now; none where it was removed.
        health: Option<EndpointHealth>,
    },
    /// A job has begun.
    Job {
        /// Whose.
        tenant: TenantName,
        /// Which.
        job: JobId,
    },
    /// There is a notice to tell.
    Notice,
    /// The configuration changed.
    Configured {
        /// What it is now.
        revision: u64,
    },
}
