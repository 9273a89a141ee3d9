//! Sends what is due: takes deliveries from the store, makes one attempt of each, stores the outcome.
//!
//! One scheduler decides (`planner`: `lanes` and the `gate` before each of them, pure); each attempt runs as a task of its own (`send`). What must hold: no delivery is in flight twice; a
//! slow or dead endpoint delays no other; nothing in memory grows with the backlog; a delivery leaves this layer only by a stored outcome, so
//! whatever happens to the process, it is still in the store and goes again at once after the next start. While the store takes no outcomes
//! nothing is sent.
//!
//! Due times are wall-clock times, waiting is not: the scheduler looks at the clock at least once a second, so a clock that is set
//! forwards or back delays nothing by more than that.

mod asking;
mod breaker;
mod cloudevent;
mod config;
mod counted;
#[cfg(test)]
mod fixture;
mod gate;
mod handshake;
mod lane;
mod lanes;
mod outcome;
mod pace;
mod planner;
mod request;
mod schedule;
mod send;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod tokens;
mod verification;

pub use config::{Config, ConfigError};
pub use pace::Throttle;

use crate::clock::Clock;
use crate::config::{Endpoint, Snapshot};
use crate::model::TenantName;
use crate::shutdown::Shutdown;
use crate::statistics::Recorder;
use crate::store::{CommitError, ReadError, Store};
use crate::transport::Transport;
use gate::Gates;
use schedule::Scheduler;
use send::Sender;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokens::Tokens;
use tokio::sync::watch;

/// The worker that delivers. Clones are the same worker, to be run again after it failed; only one may run at a time.
#[derive(Clone)]
pub struct Deliverer {
    sender: Sender,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    config: Config,
}

/// What bounds the sends to each endpoint, for who wants to know. It is in memory: after a start nothing is known. Clones are the same.
#[derive(Clone)]
pub struct Throttles(Gates);

impl Throttles {
    /// What bounds the sends to this endpoint now, beyond its own `rate_per_s`.
    #[must_use]
    pub fn of(&self, tenant: &TenantName, endpoint: &Endpoint, now_ms: u64) -> Throttle {
        self.0.throttle(&(tenant.clone(), endpoint.name.clone()), endpoint, now_ms)
    }
}

/// Why the deliverer stopped by itself. It can be run again: it then reads everything anew from the store.
#[derive(Debug, thiserror::Error)]
pub enum DelivererError {
    /// The store takes no more outcomes.
    #[error("outcomes cannot be stored: {0}")]
    Commit(#[from] CommitError),
    /// The store does not tell which endpoints have deliveries.
    #[error("cannot read what is pending: {0}")]
    Read(#[from] ReadError),
    /// The store is closed.
    #[error("the store is closed")]
    StoreClosed,
    /// An attempt's task was cancelled by somebody else.
    #[error("a task of the deliverer was lost: {0}")]
    TaskLost(String),
}

impl Deliverer {
    /// A deliverer; nothing happens until it runs.
    #[must_use]
    pub fn new(
        store: Store,
        transport: Transport,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        recorder: Recorder,
        clock: Clock,
        config: Config,
    ) -> Self {
        let gates = Gates::new(config.probes());
        let (tokens, panics, origin) = (Tokens::default(), Arc::default(), config.origin());
        let seen = snapshots.clone();
        let sender = Sender { store, transport, recorder, clock, gates, tokens, snapshots: seen, panics, origin };
        Self { sender, snapshots, config }
    }

    /// What bounds the sends to each endpoint.
    #[must_use]
    pub fn throttles(&self) -> Throttles {
        Throttles(self.sender.gates.clone())
    }

    /// How many attempts panicked since the deliverer was made, over all its runs. More than 0 is a bug.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.sender.panics.load(Ordering::Relaxed)
    }

    /// Delivers until the signal is given; then lets what is in flight end, for at most `drain_ms`.
    ///
    /// # Errors
    /// Where the store fails it. What was in flight is let to its end then too.
    pub async fn run(self, mut shutdown: Shutdown) -> Result<(), DelivererError> {
        let drain_ms = self.config.drain_ms;
        let mut scheduler = Scheduler::start(self).await?;
        let ended = tokio::select! {
            () = shutdown.wait() => Ok(()),
            failed = scheduler.work() => failed,
        };
        scheduler.drain(drain_ms).await;
        ended
    }
}
