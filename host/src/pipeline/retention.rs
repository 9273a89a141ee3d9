//! Takes away what is past its time: events that are finished, with their runs, deliveries, attempts and bodies; and the rest of a day when
//! nothing of it is left but dedup keys. It also goes on with erasures that were cut short, and looks for what nothing needs (`unused`).
//!
//! A part at a time: the sweep is looked at by a thread that may wait for the disk, then committed, and the committer finds in memory
//! what it has to look at again. Each part is followed by a rest as long as it took, so that what comes in goes first; who has fallen behind
//! does not rest, and one part at a time in the committer's queue is fast enough for a host that takes all it can. Where it was cut
//! short it goes on after the next start.

use super::Pipeline;
use crate::clock::Clock;
use crate::model::TenantName;
use crate::shutdown::Shutdown;
use crate::store::{CommitError, Day, Outcome, ReadError, Reader, Store, Sweep, Swept, Transition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long things are kept.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    /// How long an event and all that came of it are kept, in seconds from when it was received, and after that until it is
    /// finished: 1 to 315,360,000, which are ten years. By itself 30 days.
    pub events_s: u64,
    /// How long an entry of an audit log is kept, in seconds: 1 to 315,360,000, which are ten years. By itself a year.
    pub audit_s: u64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { events_s: 30 * 24 * 60 * 60, audit_s: 365 * 24 * 60 * 60 }
    }
}

/// How often something may be past its time is looked for: a hundred times while an event is kept, within these bounds.
const ROUND_MIN: Duration = Duration::from_millis(100);
const ROUND_MAX: Duration = Duration::from_secs(60);
/// What is not finished is looked at ten times while an event is kept, within these bounds.
const AGAIN_MIN_MS: u64 = 1_000;
const AGAIN_MAX_MS: u64 = 60 * 60 * 1000;
/// Whoever is further behind than this does not rest, in milliseconds.
const BEHIND_MS: u64 = 5_000;
/// Whoever is further behind than this says so in the log, in milliseconds.
const BEHIND_TOLD_MS: u64 = 10 * 60 * 1000;

/// How many erasures that were cut short are read at once.
const ERASURES_AT_ONCE: usize = 64;

/// Why the worker stopped; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store takes no more.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl RetentionError {
    /// Whether it is about one record: all others can be swept.
    const fn is_of_one_record(&self) -> bool {
        match self {
            Self::Read(error) | Self::Commit(CommitError::Unreadable(error)) => error.is_of_one_record(),
            Self::Commit(_) => false,
        }
    }
}

/// What is kept for how long, and how far the sweeps have come. Clones share it.
#[derive(Clone, Debug)]
pub struct Retention {
    config: RetentionConfig,
    clock: Clock,
    progress: Arc<Mutex<Progress>>,
}

#[derive(Debug, Default)]
struct Progress {
    swept_before_ms: Option<u64>,
    events_swept: u64,
    told: bool,
}

/// How far the sweeps have come, as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub struct RetentionReport {
    /// How long an event is kept, in seconds.
    pub events_s: u64,
    /// Whatever is finished and was received before this is gone: milliseconds since 1970-01-01T00:00:00Z. None before the first round is
    /// through.
    pub swept_before_ms: Option<u64>,
    /// By how much longer than that things are there, in milliseconds.
    pub behind_ms: Option<u64>,
    /// How many events went since the start.
    pub events_swept: u64,
}

impl Retention {
    /// Keeps events as long as `config` says, by this clock.
    #[must_use]
    pub fn new(config: RetentionConfig, clock: Clock) -> Self {
        Self { config, clock, progress: Arc::default() }
    }

    /// How far the sweeps have come.
    #[must_use]
    pub fn report(&self) -> RetentionReport {
        let before_ms = self.before_ms(self.clock.now_ms());
        let Progress { swept_before_ms, events_swept, .. } = *self.progress();
        RetentionReport {
            events_s: self.config.events_s,
            swept_before_ms,
            behind_ms: swept_before_ms.map(|swept_ms| before_ms.saturating_sub(swept_ms)),
            events_swept,
        }
    }

    /// What was received before this is past its time.
    const fn before_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.config.events_s.saturating_mul(1000))
    }

    fn again_ms(&self) -> u64 {
        (self.config.events_s.saturating_mul(100)).clamp(AGAIN_MIN_MS, AGAIN_MAX_MS)
    }

    fn round(&self) -> Duration {
        Duration::from_millis(self.config.events_s.saturating_mul(10)).clamp(ROUND_MIN, ROUND_MAX)
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was received before this and is finished is gone.
    fn through(&self, before_ms: u64) {
        let mut progress = self.progress();
        progress.swept_before_ms = Some(before_ms);
        if std::mem::take(&mut progress.told) {
            tracing::info!("the sweeps have caught up");
        }
    }

    /// A part of the sweep is done, and what is past its time is there up to `behind_ms` too long.
    fn part(&self, events: u64, behind_ms: u64) {
        let mut progress = self.progress();
        progress.events_swept += events;
        if behind_ms >= BEHIND_TOLD_MS && !std::mem::replace(&mut progress.told, true) {
            tracing::warn!(
                behind_s = behind_ms / 1000,
                "the sweeps are behind: events are kept longer than they should be"
            );
        }
    }
}

/// Works until the signal is given.
///
/// # Errors
/// Where the store fails it.
pub async fn work(pipeline: Pipeline, retention: Retention, shutdown: Shutdown) -> Result<(), RetentionError> {
    let store = pipeline.store.clone();
    let (days, unused) = (BTreeMap::new(), Instant::now());
    let mut sweeper = Sweeper { pipeline, store, retention, shutdown, days, unused };
    while !sweeper.shutdown.fired() {
        sweeper.round().await?;
        let rest = sweeper.retention.round();
        tokio::select! {
            () = sweeper.shutdown.wait() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
    Ok(())
}

struct Sweeper {
    pipeline: Pipeline,
    store: Store,
    retention: Retention,
    shutdown: Shutdown,
    /// When days are to be looked at again whose events are all past their time: what is left of them is not finished.
    days: BTreeMap<Day, Instant>,
    /// When plans and modules that nothing needs are to be looked for again.
    unused: Instant,
}

impl Sweeper {
    /// Looks once at everything that may be past its time.
    async fn round(&mut self) -> Result<(), RetentionError> {
        let mut is_whole = self.passed(self.erasures().await)?.is_some();
        let now_ms = self.retention.clock.now_ms();
        let before_ms = self.retention.before_ms(now_ms);
        let days = self.store.read(|reader| Ok(reader.days())).await?;
        self.days.retain(|day, _| days.contains(day));
        for day in days.into_iter().take_while(|day| day.begin_ms() < before_ms) {
            let over = day.end_ms() <= before_ms;
            if over && self.days.get(&day).is_some_and(|again| Instant::now() < *again) {
                continue;
            }
            for tenant in self.store.read(move |reader| reader.tenants_of(day)).await? {
                match self.passed(self.events(&tenant, day).await)? {
                    Some(true) => {}
                    Some(false) => return Ok(()),
                    None => is_whole = false,
                }
            }
            if over {
                is_whole &= self.passed(self.rest_of(day, now_ms).await)?.is_some();
                self.days.insert(day, self.again());
            }
        }
        if is_whole {
            self.retention.through(before_ms);
        }
        if self.unused <= Instant::now() {
            self.passed(super::unused::sweep(&self.pipeline, now_ms, now_ms - before_ms).await)?;
            self.unused = self.again();
        }
        Ok(())
    }

    fn again(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.retention.again_ms())
    }

    /// What came of a part; none where a record of it cannot be read, which is told, and keeps nothing else from going.
    fn passed<T>(&self, part: Result<T, RetentionError>) -> Result<Option<T>, RetentionError> {
        match part {
            Err(error) if error.is_of_one_record() => {
                tracing::error!(%error, "what cannot be read is not swept, nor what is behind it");
                Ok(None)
            }
            part => part.map(Some),
        }
    }

    /// Sweeps a tenant's events of one day. Answers whether it is through: not where the signal came.
    async fn events(&self, tenant: &TenantName, day: Day) -> Result<bool, RetentionError> {
        let mut more = true;
        while more {
            if self.shutdown.fired() {
                return Ok(false);
            }
            let began = Instant::now();
            let now_ms = self.retention.clock.now_ms();
            let sweep = Sweep {
                tenant: tenant.clone(),
                day,
                before_ms: self.retention.before_ms(now_ms),
                now_ms,
                again_ms: self.retention.again_ms(),
            };
            let looked_at = sweep.clone();
            if !self.store.read(move |reader| reader.anything_to_sweep(&looked_at)).await? {
                break;
            }
            let outcome = self.store.commit(Transition::Sweep(Box::new(sweep.clone()))).await?;
            let Outcome::Swept(Swept { events, until_ms, more: still, .. }) = outcome else { break };
            let behind_ms = sweep.before_ms.saturating_sub(until_ms);
            self.retention.part(events, behind_ms);
            if still && behind_ms < BEHIND_MS {
                tokio::time::sleep(began.elapsed()).await;
            }
            more = still;
        }
        Ok(true)
    }

    /// Goes on with erasures that were cut short.
    async fn erasures(&self) -> Result<(), RetentionError> {
        for (tenant, event) in self.store.read(|reader| reader.erasures(ERASURES_AT_ONCE)).await? {
            let now_ms = self.retention.clock.now_ms();
            let step = || Transition::Erase { tenant: tenant.clone(), event, now_ms };
            while !self.shutdown.fired() && self.store.commit(step()).await? == Outcome::More {}
        }
        Ok(())
    }

    /// Sweeps the dedup keys of a day that is over, and the day where nothing else is left.
    async fn rest_of(&self, day: Day, now_ms: u64) -> Result<(), RetentionError> {
        let mut after = None;
        while !self.shutdown.fired() {
            let began = Instant::now();
            let from = after.clone();
            let look = move |reader: &Reader| reader.anything_expired(day, from.as_ref(), now_ms);
            let (any, next) = self.store.read(look).await?;
            if any || next.is_none() {
                self.store.commit(Transition::SweepDay { day, after: after.take(), now_ms }).await?;
            }
            if next.is_none() {
                break;
            }
            after = next;
            tokio::time::sleep(began.elapsed()).await;
        }
        Ok(())
    }
}
