//! Jobs: one thing done to all that a filter finds. A job is a record in the store; this worker takes it step by step. A step reads a page of
//! what the filter finds, and commits what is to be done to it together with the place from which the next step goes on: so a crash loses
//! nothing of a job, and does nothing twice.
//!
//! `board` (pure) says which job is next, and when; `step` (pure) what a step does to what was found; `replay` (pure) by which routes an
//! event goes again.

mod board;
mod replay;
mod step;
#[cfg(test)]
mod tests;

pub use replay::{NotReplayed, runs_of};

use crate::clock::Clock;
use crate::model::{Job, JobId, TenantName};
use crate::pipeline::Published;
use crate::shutdown::Shutdown;
use crate::store::{
    CommitError, Hint, JobEnd, JobFound, JobStep, Outcome, Page, ReadError, Reader, Store, Transition, Waiting,
};
use board::{Board, Key};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::Instant;

/// The highest rate of a job.
pub const RATE_PER_S_MAX: u32 = 1_000;
/// The rate of a job that says nothing of it.
pub const RATE_PER_S: u32 = 100;

/// How many things one step does at most.
const STEP_ITEMS_MAX: usize = 64;
/// How many records one step looks at.
const STEP_RECORDS_MAX: usize = 1_000;
/// How long a job rests that waits for room.
const ROOM_REST: Duration = Duration::from_millis(500);

/// The bounds of jobs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// With so many runs of a tenant pending its jobs wait: 1 to 100,000. By itself 1,000.
    pub pending_runs_max: u32,
    /// With so many deliveries of a tenant pending its jobs wait; of a line the first counts: 1 to 1,000,000. By itself 10,000.
    pub pending_deliveries_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { pending_runs_max: 1_000, pending_deliveries_max: 10_000 }
    }
}

/// Why the worker stopped; it is started again, and goes on with every job.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// The store cannot be read.
    #[error("cannot read jobs: {0}")]
    Read(#[from] ReadError),
    /// The store takes no more.
    #[error("a step of a job cannot be stored: {0}")]
    Commit(#[from] CommitError),
}

/// What the worker works with. Clones are the same.
#[derive(Clone)]
pub struct Jobs {
    store: Store,
    published: Published,
    clock: Clock,
    config: Arc<Config>,
    waits: Arc<Mutex<HashMap<JobId, String>>>,
}

/// What a look for the next step found.
enum Found {
    /// The job is over, or gone.
    Over,
    /// It has to wait, for this.
    NoRoom(String),
    /// Something to do.
    Page(Box<Job>, Page<JobFound>),
}

impl Jobs {
    /// Over these parts.
    #[must_use]
    pub fn new(store: Store, published: Published, clock: Clock, config: Config) -> Self {
        Self { store, published, clock, config: Arc::new(config), waits: Arc::default() }
    }

    /// What a job waits for, where it does.
    #[must_use]
    pub fn waits_for(&self, job: JobId) -> Option<String> {
        self.lock().get(&job).cloned()
    }

    /// Takes jobs step by step until the signal is given.
    ///
    /// # Errors
    /// Where the store fails it.
    pub async fn work(self, mut shutdown: Shutdown) -> Result<(), JobsError> {
        // Subscribed before the first look: what comes in between is told, not missed.
        let mut hints = self.store.subscribe();
        self.store.check()?;
        let mut board = Board::default();
        self.read_all(&mut board).await?;
        while !shutdown.fired() {
            // It hears of new jobs also while the ones that it has keep it busy.
            let wake_at = board.wake_at().map(|at| at.max(Instant::now()));
            tokio::select! {
                biased;
                () = shutdown.wait() => break,
                told = hints.recv() => match told {
                    Ok(hints) if !hints.iter().any(|hint| matches!(hint, Hint::Job { .. })) => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.read_all(&mut board).await?,
                    Err(broadcast::error::RecvError::Closed) => return Err(CommitError::Closed.into()),
                },
                () = tokio::time::sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {
                    if let Some(key) = board.next(Instant::now()) {
                        self.advance(&mut board, &key).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn read_all(&self, board: &mut Board) -> Result<(), ReadError> {
        for (tenant, job) in self.store.read(Reader::jobs_at_work).await? {
            board.add((tenant, job.id), job.rate_per_s, Instant::now());
        }
        Ok(())
    }

    /// Makes a job's next step, where there is room for it.
    async fn advance(&self, board: &mut Board, key: &Key) -> Result<(), JobsError> {
        let Some(items_max) = board.allowance(key, Instant::now()) else { return Ok(()) };
        let look = self.look(key, items_max).await;
        self.lock().remove(&key.1);
        match look {
            Ok(Found::Over) => board.over(key),
            Ok(Found::NoRoom(words)) => {
                self.lock().insert(key.1, words);
                board.rest(key, Instant::now() + ROOM_REST);
            }
            Ok(Found::Page(job, page)) => self.commit(board, key, &job, page).await?,
            Err(error) if !error.is_of_one_record() => return Err(error.into()),
            // No later look reads it either.
            Err(error) => self.fail(board, key, error.to_string()).await?,
        }
        Ok(())
    }

    async fn look(&self, (tenant, job): &Key, items_max: usize) -> Result<Found, ReadError> {
        if let Err(full) = self.store.room() {
            return Ok(Found::NoRoom(full.to_string()));
        }
        let (tenant, job, config) = (tenant.clone(), *job, Arc::clone(&self.config));
        let look = move |reader: &Reader| {
            let Some(job) = reader.job(&tenant, job)?.filter(|job| !job.state.is_over()) else {
                return Ok(Found::Over);
            };
            let most =
                Waiting { runs: config.pending_runs_max as usize, deliveries: config.pending_deliveries_max as usize };
            let waiting = reader.waiting(&tenant, most)?;
            let room = (most.runs - waiting.runs).min(most.deliveries - waiting.deliveries);
            if room == 0 {
                let Waiting { runs, deliveries } = waiting;
                let bounds = "jobs.pending_runs_max, jobs.pending_deliveries_max";
                let words = format!("{runs} runs and {deliveries} deliveries of the tenant are pending ({bounds})");
                return Ok(Found::NoRoom(words));
            }
            let page = reader.job_page(&tenant, &job, items_max.min(room), STEP_RECORDS_MAX)?;
            Ok(Found::Page(Box::new(job), page))
        };
        self.store.read(look).await
    }

    async fn commit(&self, board: &mut Board, key: &Key, job: &Job, page: Page<JobFound>) -> Result<(), JobsError> {
        // No delivery must wait for an endpoint that is gone.
        let still = self.published.still().await;
        let Some(tenant) = still.snapshot.tenant(&key.0) else {
            drop(still);
            return self.fail(board, key, "the tenant was removed".to_owned()).await;
        };
        let step = step::step(&key.0, job, tenant, page, self.clock.now_ms());
        let (items, over) = (step.items.len(), step.end.is_some());
        let outcome = self.store.commit(Transition::Job(Box::new(step.clone()))).await;
        let outcome = match outcome {
            Err(CommitError::TooLong { .. }) if items > 1 => {
                board.halve(key, items);
                return Ok(());
            }
            Err(CommitError::TooLong { .. }) => {
                let without = JobStep { items: Vec::new(), skipped: step.skipped + items as u64, ..step };
                self.store.commit(Transition::Job(Box::new(without))).await
            }
            outcome => outcome,
        };
        drop(still);
        match outcome {
            Ok(Outcome::Done) if over => board.over(key),
            Ok(Outcome::Done) => board.spent(key, items, Instant::now()),
            // Somebody ended it; the next look tells.
            Ok(Outcome::Stale { .. }) => board.spent(key, 0, Instant::now()),
            Ok(_) => board.over(key),
            Err(error @ (CommitError::Poisoned { .. } | CommitError::Unknown { .. } | CommitError::Closed)) => {
                return Err(error.into());
            }
            Err(error) => self.fail(board, key, error.to_string()).await?,
        }
        Ok(())
    }

    /// Ends a job that cannot go on.
    async fn fail(&self, board: &mut Board, key: &Key, reason: String) -> Result<(), JobsError> {
        let (tenant, id) = key.clone();
        tracing::error!(%tenant, job = %id, reason, "a job cannot go on");
        board.over(key);
        let for_read = tenant.clone();
        let Some(job) = self.store.read(move |reader| reader.job(&for_read, id)).await? else { return Ok(()) };
        let step = JobStep {
            tenant,
            job: id,
            step: job.steps,
            items: Vec::new(),
            cursor: None,
            reached_ms: None,
            looked_at: 0,
            skipped: 0,
            end: Some(JobEnd::Failed(reason)),
            now_ms: self.clock.now_ms(),
        };
        self.store.commit(Transition::Job(Box::new(step))).await?;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, String>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
