//! What the tests share: a host in a process of its own, receivers, a client, the guests.

mod client;
mod guests;
mod host;
pub(crate) mod languages;
mod receiver;
pub(crate) mod sign;
mod wat;

pub(crate) use client::{Answer, Client};
pub(crate) use guests::guest;
pub(crate) use host::{Host, OPERATOR_KEY, hookswitch};
pub(crate) use receiver::{Received, Receiver, Reply};
pub(crate) use wat::{slow_filter, small_filter};

use std::time::Duration;

/// How long a test waits for something that should happen at once. A bound for failures, not a pace: nothing waits this long on purpose.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the clock says, in milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_millis().try_into().unwrap()
}

/// Looks until `look` finds something.
///
/// # Panics
/// Where it does not within [`PATIENCE`].
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    // Looking is a request to the host: not so often that it slows down what is waited for.
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    loop {
        looks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
    }
}
