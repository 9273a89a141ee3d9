//! Routes what was committed pending: runs that did not fit the inline budget, runs of routes that go in order, reruns, and whatever a
//! crash left. A route that is `ordered`, or keeps state, has one run under way at a time, in order; a held one blocks a route that is
//! `ordered`.
//!
//! `lanes` (pure) says which run is next, `route` routes one, `series` those of a route that keeps state. A run leaves here by a stored outcome only; one at which the host itself
//! fails rests and is tried again, and holds up no other route.

mod lanes;
mod route;
mod series;

use super::Pipeline;
use crate::config::{Route, Snapshot};
use crate::shutdown::Shutdown;
use crate::store::{CommitError, Hint, ReadError, Reader};
use lanes::{Key, Lanes, Place, Step};
use route::Fate;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

/// How many runs are under way at once. The executor decides how many of them run: these wait for their threads, and for the store.
const IN_FLIGHT_MAX: usize = 32;
/// How long a run rests at which the host itself failed.
const FAILURE_REST: Duration = Duration::from_secs(5);

/// Why the worker stopped; it is started again, and then reads everything anew.
#[derive(Debug, thiserror::Error)]
pub enum PendingError {
    /// The store cannot be read.
    #[error("cannot read what is pending: {0}")]
    Read(#[from] ReadError),
    /// The store takes no more outcomes.
    #[error("outcomes cannot be stored: {0}")]
    Commit(#[from] CommitError),
}

/// One worker over one pipeline.
struct Worker {
    pipeline: Pipeline,
    shutdown: Shutdown,
    lanes: Lanes,
    tasks: JoinSet<Fate>,
    /// What each task is about: a task that panics cannot say.
    about: HashMap<Id, (Key, Place)>,
}

/// Works until the signal is given, then finishes the calls under way: a run that is not through by then stays pending.
///
/// # Errors
/// Where the store fails it.
pub async fn work(pipeline: Pipeline, mut shutdown: Shutdown) -> Result<(), PendingError> {
    let mut snapshots = pipeline.published.subscribe();
    // Subscribed before the routes are read: what comes in between is told twice, not never.
    let mut hints = pipeline.store.subscribe();
    let mut worker = Worker {
        pipeline,
        shutdown: shutdown.clone(),
        lanes: Lanes::default(),
        tasks: JoinSet::new(),
        about: HashMap::new(),
    };
    // What comes of a run could not be stored.
    worker.pipeline.store.check()?;
    worker.reread().await?;
    while !shutdown.fired() {
        worker.lanes.wake(Instant::now());
        worker.claim_all().await?;
        let wake_at = worker.lanes.wake_at();
        tokio::select! {
            () = shutdown.wait() => {}
            Some(done) = worker.tasks.join_next_with_id() => worker.release(done)?,
            heard = hints.recv() => match heard {
                Ok(hints) => worker.heed(&hints),
                Err(broadcast::error::RecvError::Lagged(_)) => worker.reread().await?,
                Err(broadcast::error::RecvError::Closed) => return Err(CommitError::Closed.into()),
            },
            // The pipeline has the sender, so it is there. A route that a held run blocked may be ordered no more.
            Ok(()) = snapshots.changed() => worker.reread().await?,
            () = tokio::time::sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
        }
    }
    while let Some(done) = worker.tasks.join_next_with_id().await {
        worker.release(done)?;
    }
    Ok(())
}

impl Worker {
    async fn reread(&mut self) -> Result<(), PendingError> {
        for key in self.pipeline.store.read(Reader::pending_routes).await? {
            self.lanes.reread(key);
        }
        Ok(())
    }

    fn heed(&mut self, hints: &[Hint]) {
        for hint in hints {
            if let Hint::Pending { tenant, route, seq, run } = hint {
                self.lanes.hint((tenant.clone(), route.clone()), (*seq, *run));
            }
        }
    }

    /// Begins runs while there is room and something to begin.
    async fn claim_all(&mut self) -> Result<(), PendingError> {
        while self.tasks.len() < IN_FLIGHT_MAX {
            let snapshot = self.pipeline.published.snapshot();
            match self.lanes.next(|key| route_of(&snapshot, key).is_some_and(Route::in_order)) {
                None => break,
                Some(Step::Read { key, after, limit }) => {
                    let ordered = route_of(&snapshot, &key).is_some_and(|route| route.ordered);
                    let (tenant, route) = key.clone();
                    let look = move |reader: &Reader| {
                        if ordered && reader.has_held(&tenant, &route)? {
                            return Ok(Vec::new());
                        }
                        reader.pending_of(&tenant, &route, after, limit)
                    };
                    let found = self.pipeline.store.read(look).await?;
                    let found: Vec<Place> = found.iter().map(|pending| (pending.seq, pending.run)).collect();
                    self.lanes.read(&key, &found, limit);
                }
                Some(Step::Run { key, place }) => {
                    let (pipeline, told) = (self.pipeline.clone(), self.shutdown.clone());
                    let task = self.tasks.spawn(pipeline.route_series(key.clone(), place, told));
                    self.about.insert(task.id(), (key, place));
                }
            }
        }
        Ok(())
    }

    fn release(&mut self, done: Result<(Id, Fate), JoinError>) -> Result<(), PendingError> {
        let (id, fate) = match done {
            Ok(done) => done,
            Err(error) => (error.id(), Fate::Failed(error.to_string())),
        };
        let Some((key, place)) = self.about.remove(&id) else { return Ok(()) };
        match fate {
            Fate::Over => self.lanes.release(&key, place, None),
            Fate::StateChanged => {
                tracing::info!(run = %place.1, "the state that a run read was written to meanwhile; it is made again");
                self.lanes.release(&key, place, Some(Instant::now()));
            }
            Fate::Failed(error) => {
                let ((tenant, route), (_, run)) = (&key, place);
                tracing::error!(%tenant, %route, %run, error, "a run failed inside the host; it is tried again");
                self.lanes.release(&key, place, Some(Instant::now() + FAILURE_REST));
            }
            Fate::StoreGone(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The route as it is configured now.
fn route_of<'a>(snapshot: &'a Snapshot, (tenant, route): &Key) -> Option<&'a Route> {
    snapshot.tenant(tenant)?.routes.get(route).map(AsRef::as_ref)
}
