//! Sources that make their events by themselves. The worker knows the next tick of each, asks the clock once a second, and makes what is due;
//! where a source has come to is in the store, written with the tick's event. When a tick is due is decided by `config::Schedule` (pure).
//!
//! A clock that goes back makes nothing again; until it is where it was, nothing is made. One that goes forward misses ticks, which are made up
//! for as the schedule says.

use super::Ingest;
use super::quotas;
use super::take::{Item, Taker, Way, event_of};
use crate::config::{Maker, Schedule, Snapshot};
use crate::model::{SourceName, TenantName};
use crate::pipeline::{AcceptError, Accepted};
use crate::problem::Problem;
use crate::shutdown::Shutdown;
use crate::store::{CommitError, Outcome, ReadError, Store, Tick, TickMark, Transition};
use http::StatusCode;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// How often the clock is asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the worker stopped; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// Where a source has come to cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store takes no more.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// An event was not taken.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl Ingest {
    /// Has the ticks of a source counted from now on, where it has a schedule that is new: before anybody is told that it is there.
    ///
    /// # Errors
    /// Where the store does not take that.
    pub async fn begin_schedule(&self, tenant: &TenantName, source: &SourceName) -> Result<(), Problem> {
        let way = Way::to(&self.inner.snapshots.borrow(), tenant.clone(), source.clone());
        let Some(way) = way else { return Ok(()) };
        let Maker::Clock(schedule) = &way.source.maker else { return Ok(()) };
        let begun = come_to(&self.inner.store, &way, schedule, self.inner.taker.clock.now_ms()).await;
        begun.map(drop).map_err(|error| {
            tracing::error!(%error, "a schedule did not begin");
            let detail =
                "the source is there, and its schedule begins within seconds: what was to be made in these is not made";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after_s(5)
        })
    }
}

/// A source, and where it has come to.
struct Known {
    way: Way,
    schedule: Arc<Schedule>,
    last_ms: u64,
    next_ms: Option<u64>,
}

/// Makes ticks until the signal is given.
pub(super) async fn work(
    taker: Arc<Taker>,
    store: Store,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    mut shutdown: Shutdown,
) -> Result<(), ScheduleError> {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = Vec::new();
    snapshots.mark_changed();
    loop {
        let changed = tokio::select! {
            () = shutdown.wait() => return Ok(()),
            changed = snapshots.changed() => changed.is_ok(),
            _ = looks.tick() => false,
        };
        let now_ms = taker.clock.now_ms();
        if changed {
            let snapshot = snapshots.borrow_and_update().clone();
            known = find(&store, &snapshot, known, now_ms).await?;
        }
        look(&taker, &store, &mut known, now_ms).await?;
    }
}

/// Makes what is due.
async fn look(taker: &Taker, store: &Store, known: &mut [Known], now_ms: u64) -> Result<(), ScheduleError> {
    for source in known {
        if source.next_ms.is_some_and(|next_ms| next_ms <= now_ms) {
            make_due(taker, store, source, now_ms).await?;
        }
    }
    Ok(())
}

/// The sources with a schedule, each with where it has come to: now, for one that is new or was changed.
async fn find(
    store: &Store,
    snapshot: &Snapshot,
    before: Vec<Known>,
    now_ms: u64,
) -> Result<Vec<Known>, ScheduleError> {
    let before =
        before.into_iter().map(|one| ((one.way.tenant_name, one.way.source_name, one.schedule.digest), one.last_ms));
    let before: HashMap<_, u64> = before.collect();
    let mut known = Vec::new();
    for tenant_name in snapshot.tenant_names() {
        let Some(tenant) = snapshot.tenant(tenant_name) else { continue };
        for (source_name, source) in &tenant.sources {
            let Maker::Clock(schedule) = &source.maker else { continue };
            let Some(way) = Way::to(snapshot, tenant_name.clone(), source_name.clone()) else { continue };
            let last_ms = match before.get(&(tenant_name.clone(), source_name.clone(), schedule.digest)) {
                Some(last_ms) => *last_ms,
                None => come_to(store, &way, schedule, now_ms).await?,
            };
            let next_ms = schedule.next(last_ms).filter(|_| !source.disabled);
            known.push(Known { way, schedule: Arc::clone(schedule), last_ms, next_ms });
        }
    }
    Ok(known)
}

async fn come_to(store: &Store, way: &Way, schedule: &Schedule, now_ms: u64) -> Result<u64, ScheduleError> {
    let (tenant, source) = (way.tenant_name.clone(), way.source_name.clone());
    let (of, at) = (tenant.clone(), source.clone());
    let mark = store.read(move |reader| reader.tick(&of, &at)).await?;
    if let Some(mark) = mark.filter(|mark| mark.schedule == schedule.digest) {
        return Ok(mark.at_ms);
    }
    let mark = TickMark { schedule: schedule.digest, at_ms: now_ms };
    // A source that is gone by now goes from this list, too, when the configuration is looked at next.
    store.commit(Transition::Tick(Box::new(Tick { tenant, source, mark, accept: None }))).await?;
    Ok(now_ms)
}

/// Makes what is due of a source.
async fn make_due(taker: &Taker, store: &Store, known: &mut Known, now_ms: u64) -> Result<(), ScheduleError> {
    for tick_ms in known.schedule.due(known.last_ms, now_ms) {
        if taker.pipeline.room().is_err() || quotas::check(&known.way, &taker.pipeline, store, now_ms).await.is_err() {
            // The disk is full, or a quota is used up. It is due, and when there is room the schedule says what becomes of it.
            return Ok(());
        }
        if !make(taker, known, tick_ms, now_ms).await? {
            // Somebody changed the source: where it has come to is for the store to say.
            known.last_ms = come_to(store, &known.way, &known.schedule, now_ms).await?;
            break;
        }
        known.last_ms = tick_ms;
    }
    // What was passed over is not looked at again. At the next start it is, and passed over again.
    known.last_ms = known.last_ms.max(now_ms);
    known.next_ms = known.schedule.next(known.last_ms);
    Ok(())
}

/// Makes one tick; `false` where it is not to be made.
async fn make(taker: &Taker, known: &Known, tick_ms: u64, now_ms: u64) -> Result<bool, ScheduleError> {
    let began = Instant::now();
    let item = Item {
        event_type: known.schedule.event_type.clone(),
        content_type: "application/json".to_owned(),
        headers: Vec::new(),
        body: known.schedule.body(tick_ms),
        dedup_key: None,
    };
    let body_bytes = item.body.len() as u64;
    let (event, body, _) = event_of(&known.way, item, None, taker.ids.event(now_ms)?);
    let mark = TickMark { schedule: known.schedule.digest, at_ms: tick_ms };
    match taker.pipeline.accept_tick(event, body, mark).await {
        Ok(accepted) => {
            taker.count_taken(&known.way, began, body_bytes, &Ok(accepted));
            Ok(matches!(accepted, Accepted::New(_)))
        }
        Err(AcceptError::TenantGone | AcceptError::Answer(Outcome::Stale { .. } | Outcome::NotFound)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
