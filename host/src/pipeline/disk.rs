//! Looks from time to time whether the disk has little room left, and has that told: once when it begins, once when it ends.

use crate::clock::Clock;
use crate::shutdown::Shutdown;
use crate::store::{CommitError, HostFact, ReadError, Store, Transition};
use std::time::Duration;
use tokio::time::sleep;

/// How long between two looks.
const REST: Duration = Duration::from_secs(1);

/// Why the worker stopped; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// What was told last could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store takes no more.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Looks until the signal is given.
///
/// # Errors
/// Where the store fails it.
pub async fn work(store: Store, clock: Clock, mut shutdown: Shutdown) -> Result<(), DiskError> {
    let mut low_since_ms = store.read(|reader| reader.disk_low_since_ms()).await?;
    loop {
        if let Some(fact) = store.little_room(low_since_ms) {
            let now_ms = clock.now_ms();
            low_since_ms = matches!(fact, HostFact::DiskLow { .. }).then_some(now_ms);
            tracing::warn!(?fact, "the room on the disk of the data directory");
            store.commit(Transition::Happened { fact, now_ms }).await?;
        }
        tokio::select! {
            () = shutdown.wait() => return Ok(()),
            () = sleep(REST) => {}
        }
    }
}
