//! The durable queue: closed transitions in, projections out.
//!
//! One committer thread applies transitions in groups and makes each group durable before it answers. Reads look at the same
//! trees from other threads. Nothing outside this layer knows about sled.

mod transition;

pub use transition::{
    Accept, Configure, NewDelivery, Next, Outcome, ResourceKey, RouteRun, RoutedRun, Settle, Transition,
};
