//! Sources that make their events by themselves. The worker knows the next tick of each, asks the clock once a second, and makes what is due;
//! where a source has come to is in the store, written with the tick's event. When a tick is due is decided by `config::Schedule` (pure).
//!
//! A clock that goes back makes nothing again; until it is where it was, nothing is made. One that goes forward misses ticks, which are made up
//! for as the schedule says.

use super::Ingest;
use super::quotas;
use super::take::{Item, Taker, Way, event_of};
use crate::config::{Maker, Schedule, Snapshot};
use crate::model::{Digest, SourceName, TenantName};
use crate::pipeline::{AcceptError, Accepted};
use crate::problem::Problem;
use crate::shutdown::Shutdown;
use crate::store::{CommitError, Outcome, ReadError, Store, Tick, TickMark, Transition};
use http::StatusCode;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, VecDeque};
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
    /// What is due was not found.
    #[error("looking for what is due broke down")]
    BrokeDown,
}

/// Where a schedule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ticks {
    /// The last tick that was made, in milliseconds since 1970-01-01T00:00:00Z; none where none was since it began.
    pub last_ms: Option<u64>,
    /// The next one; none while the source is disabled.
    pub next_ms: Option<u64>,
}

impl Ingest {
    /// Where the schedule of a source stands; none where it has none.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn ticks(&self, tenant: &TenantName, source: &SourceName) -> Result<Option<Ticks>, ReadError> {
        let way = Way::to(&self.inner.snapshots.borrow(), tenant.clone(), source.clone());
        let Some(way) = way else { return Ok(None) };
        let Maker::Clock(schedule) = &way.source.maker else { return Ok(None) };
        let (tenant, source) = (tenant.clone(), source.clone());
        let mark = self.inner.store.read(move |reader| reader.tick(&tenant, &source)).await?;
        let at_ms = mark.filter(|mark| mark.schedule == schedule.digest).map(|mark| mark.at_ms);
        let now_ms = self.inner.taker.clock.now_ms();
        let next_ms = schedule.next(at_ms.unwrap_or_default().max(now_ms)).filter(|_| !way.source.disabled);
        // Before the first tick the mark is when the ticks began to count.
        Ok(Some(Ticks { last_ms: at_ms.filter(|at_ms| schedule.is_tick(*at_ms)), next_ms }))
    }

    /// Has the ticks of a source counted from now on, where it has a schedule that is new, and those of a schedule that it had no longer: before
    /// anybody is told that it is there.
    ///
    /// # Errors
    /// Where the store does not take that.
    pub async fn begin_schedule(&self, tenant: &TenantName, source: &SourceName) -> Result<(), Problem> {
        let way = Way::to(&self.inner.snapshots.borrow(), tenant.clone(), source.clone());
        let Some(way) = way else { return Ok(()) };
        let (store, now_ms) = (&self.inner.store, self.inner.taker.clock.now_ms());
        let (begun, otherwise) = match &way.source.maker {
            Maker::Clock(schedule) => (
                come_to(store, &way, schedule, now_ms).await.map(drop),
                "its schedule begins within seconds: what was to be made in these is not made",
            ),
            _ => (
                end(store, &way, now_ms).await,
                "the schedule that it had may make up for this time if it is put again: put the source once more",
            ),
        };
        begun.map_err(|error| {
            tracing::error!(%error, "a schedule did not begin, or end");
            let detail = format!("the source is there, and {otherwise}");
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
    /// What is to be made of what was due at that time, in its order; empty where that was not looked at yet.
    due: VecDeque<u64>,
    due_until_ms: u64,
    /// Whether the store has come to another place than this: somebody changed the source.
    is_lost: bool,
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
    let mut is_more_due = false;
    loop {
        let changed = tokio::select! {
            biased;
            () = shutdown.wait() => return Ok(()),
            changed = snapshots.changed() => changed.is_ok(),
            _ = looks.tick(), if !is_more_due => false,
            () = std::future::ready(()), if is_more_due => false,
        };
        // What the store has come to without this worker is read anew.
        let is_any_lost = known.iter().any(|one: &Known| one.is_lost);
        known.retain(|one| !one.is_lost);
        if changed || is_any_lost {
            let snapshot = snapshots.borrow_and_update().clone();
            known = find(&store, &snapshot, known, taker.clock.now_ms()).await?;
        }
        is_more_due = look(&taker, &store, &mut known).await?;
    }
}

/// Makes what is due, for a second at most, so that what becomes due meanwhile is seen: of each tenant in turn the next tick of the source that
/// waits longest. Answers whether there is more.
async fn look(taker: &Taker, store: &Store, known: &mut [Known]) -> Result<bool, ScheduleError> {
    let (began, now_ms) = (Instant::now(), taker.clock.now_ms());
    let mut waiting: Vec<(u64, &mut Known)> =
        known.iter_mut().filter_map(|one| Some((one.next_ms.filter(|next_ms| *next_ms <= now_ms)?, one))).collect();
    waiting.sort_by_key(|(next_ms, _)| *next_ms);
    let mut by_tenant: BTreeMap<TenantName, VecDeque<&mut Known>> = BTreeMap::new();
    for (_, one) in waiting {
        by_tenant.entry(one.way.tenant_name.clone()).or_default().push_back(one);
    }
    while !by_tenant.is_empty() {
        for waiting in by_tenant.values_mut() {
            let Some(one) = waiting.pop_front() else { continue };
            if make_next(taker, store, one).await? {
                waiting.push_front(one);
            }
        }
        if began.elapsed() >= LOOK_EVERY {
            return Ok(true);
        }
        by_tenant.retain(|_, waiting| !waiting.is_empty());
    }
    Ok(false)
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
            known.push(Known {
                way,
                schedule: Arc::clone(schedule),
                last_ms,
                next_ms,
                due: VecDeque::new(),
                due_until_ms: 0,
                is_lost: false,
            });
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

/// Ends the schedule that a source had: if it has the same again, that begins anew.
async fn end(store: &Store, way: &Way, now_ms: u64) -> Result<(), ScheduleError> {
    let (tenant, source) = (way.tenant_name.clone(), way.source_name.clone());
    let (of, at, none) = (tenant.clone(), source.clone(), Digest::of(b"no schedule"));
    let mark = store.read(move |reader| reader.tick(&of, &at)).await?;
    if mark.is_some_and(|mark| mark.schedule != none) {
        let mark = TickMark { schedule: none, at_ms: now_ms };
        store.commit(Transition::Tick(Box::new(Tick { tenant, source, mark, accept: None }))).await?;
    }
    Ok(())
}

/// Makes the next tick of a source that has something due. Answers whether it has more.
async fn make_next(taker: &Taker, store: &Store, known: &mut Known) -> Result<bool, ScheduleError> {
    let now_ms = taker.clock.now_ms();
    if taker.pipeline.room().is_err() || quotas::check(&known.way, &taker.pipeline, store, now_ms).await.is_err() {
        // The disk is full, or a quota is used up. It is due, and when there is room the schedule says what becomes of it.
        known.due.clear();
        return Ok(false);
    }
    if known.due.is_empty() {
        let (schedule, last_ms) = (Arc::clone(&known.schedule), known.last_ms);
        // Of a line with many times, what a year has missed is some work.
        let due = tokio::task::spawn_blocking(move || schedule.due(last_ms, now_ms)).await;
        known.due = due.map_err(|_| ScheduleError::BrokeDown)?.into();
        known.due_until_ms = now_ms;
    }
    if let Some(tick_ms) = known.due.pop_front() {
        if !make(taker, known, tick_ms, now_ms).await? {
            (known.is_lost, known.next_ms) = (true, None);
            return Ok(false);
        }
        known.last_ms = tick_ms;
    }
    if !known.due.is_empty() {
        return Ok(true);
    }
    // What was passed over is not looked at again. At the next start it is, and passed over again.
    known.last_ms = known.last_ms.max(known.due_until_ms);
    known.next_ms = known.schedule.next(known.last_ms);
    Ok(known.next_ms.is_some_and(|next_ms| next_ms <= now_ms))
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
