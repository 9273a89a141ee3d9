//! Removes from the disk, little by little, what modules kept in states that are nobody's any more: of routes that were removed, and
//! those that somebody took away. Where it was cut short it goes on after the next start.

use crate::shutdown::Shutdown;
use crate::store::{CommitError, Hint, Outcome, Store, Transition};
use tokio::sync::broadcast;

/// Works until the signal is given.
///
/// # Errors
/// Where the store takes no more writes.
pub async fn work(store: Store, mut shutdown: Shutdown) -> Result<(), CommitError> {
    // Subscribed before the first look: what comes in between is told, not missed.
    let mut hints = store.subscribe();
    loop {
        while !shutdown.fired() && store.commit(Transition::SweepState).await? == Outcome::Done {}
        let mut told = false;
        while !told {
            tokio::select! {
                () = shutdown.wait() => return Ok(()),
                heard = hints.recv() => told = match heard {
                    Ok(hints) => hints.contains(&Hint::StateForgotten),
                    Err(broadcast::error::RecvError::Lagged(_)) => true,
                    Err(broadcast::error::RecvError::Closed) => return Err(CommitError::Closed),
                },
            }
        }
    }
}
