//! The way of an event from ingest to its acknowledgement: route what can be routed within the budget, commit everything.

use super::failures::Note;
use super::run::{Job, execute, lost_endpoint, unrouted};
use super::shadow::Observed;
use super::statistics::Said;
use super::{Config, Failures, Library, ModuleTimes, Published, Shadows, Still};
use crate::clock::Clock;
use crate::config::{Kind, ResourceId, Route, Tenant};
use crate::model::{Event, EventId, OPERATIONAL_SOURCE, Run, SourceName, TenantName};
use crate::runtime::{Executor, Lane, Module};
use crate::statistics::Recorder;
use crate::store::{Accept, CommitError, DiskFull, Outcome, RoutedRun, Store, Tick, TickMark, Transition};
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

/// Routes events and commits them. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    pub(super) store: Store,
    pub(super) published: Published,
    pub(super) executor: Arc<Executor>,
    pub(super) library: Library,
    pub(super) clock: Clock,
    pub(super) config: Arc<Config>,
    /// The longest one call of a module may take.
    pub(super) call_time_max: Duration,
    pub(super) failures: Failures,
    pub(super) shadows: Shadows,
    pub(super) recorder: Recorder,
    pub(super) module_times: ModuleTimes,
}

/// What became of an event that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable.
    New(EventId),
    /// Its dedup key was taken by this event before; nothing was written.
    Duplicate(EventId),
}

/// Why an event was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcceptError {
    /// The store did not make it durable, or cannot say whether it did.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The store answered what it must not.
    #[error("the store answered {0:?} to an event")]
    Answer(Outcome),
    /// The tenant was removed while the event came in.
    #[error("the tenant was removed")]
    TenantGone,
}

/// An event that is routed, as far as the budget went, and not durable yet.
pub struct Prepared {
    event: Event,
    body: Bytes,
    dedup_until_ms: Option<u64>,
    /// Where its source has come to by it, if it is a tick.
    tick: Option<TickMark>,
    /// Its tenant, as it was when the event was routed.
    tenant: Arc<Tenant>,
    runs: Vec<RoutedRun>,
    observed: Vec<Observed>,
}

/// What is to follow from runs once they are committed.
pub(super) struct Follows {
    /// What they say of versions that fail.
    notes: Vec<Note>,
    /// What is to be compared.
    observed: Vec<Observed>,
    /// What they count.
    said: Said,
}

/// A run on its way: its modules are known and compiled.
struct Ready {
    run: Run,
    route: Arc<Route>,
    modules: Vec<Module>,
}

impl Pipeline {
    /// A pipeline over these parts.
    #[must_use]
    pub fn new(
        store: Store,
        published: Published,
        executor: Arc<Executor>,
        library: Library,
        recorder: Recorder,
        clock: Clock,
        config: Config,
    ) -> Self {
        let call_time_max = library.call_time_max();
        let (config, failures, shadows) = (Arc::new(config), Failures::default(), Shadows::default());
        let module_times = ModuleTimes::new(clock.clone());
        Self {
            store,
            published,
            executor,
            library,
            clock,
            config,
            call_time_max,
            failures,
            shadows,
            recorder,
            module_times,
        }
    }

    /// Whether the disk has room for another event.
    ///
    /// # Errors
    /// As [`Store::room`].
    pub fn room(&self) -> Result<(), DiskFull> {
        self.store.room()
    }

    /// How often in a row versions of modules have failed.
    #[must_use]
    pub const fn failures(&self) -> &Failures {
        &self.failures
    }

    /// How long the modules of each tenant ran in this minute.
    #[must_use]
    pub const fn module_times(&self) -> &ModuleTimes {
        &self.module_times
    }

    /// What the shadows of modules have said.
    #[must_use]
    pub const fn shadows(&self) -> &Shadows {
        &self.shadows
    }

    /// What is to follow from these runs.
    pub(super) fn follows<'a>(&self, runs: impl Iterator<Item = &'a Run> + Clone, observed: Vec<Observed>) -> Follows {
        Follows { notes: self.failures.notes(runs.clone()), observed, said: Said::of(runs) }
    }

    /// What follows from runs of an event that are committed now.
    pub(super) fn committed(&self, tenant: &TenantName, source: &SourceName, follows: Follows) {
        let Follows { notes, observed, said } = follows;
        self.shadows.push(observed);
        let now_ms = self.clock.now_ms();
        said.count(&self.recorder, (tenant, source), now_ms);
        if source.as_str() == OPERATIONAL_SOURCE || notes.is_empty() {
            return;
        }
        let snapshot = self.published.snapshot();
        self.failures.note(tenant, notes, |module| {
            let tenant = Some(tenant.clone()).filter(|_| !module.operator);
            let id = ResourceId { tenant, kind: Kind::Module, name: module.name.to_string() };
            snapshot.module(&id).map_or(0, |record| record.quarantine_after)
        });
    }

    /// Routes an event as far as the budget goes, and makes it durable with its runs and deliveries.
    ///
    /// # Errors
    /// Where the store does not make it durable, or its tenant is gone: it must then not be acknowledged.
    pub async fn accept(
        &self,
        event: Event,
        body: Bytes,
        dedup_until_ms: Option<u64>,
    ) -> Result<Accepted, AcceptError> {
        let prepared = self.prepare_with(event, body, dedup_until_ms, false).await?;
        let still = self.published.still().await;
        self.submit(&still, prepared).await?.await
    }

    /// The same, for an event that is a tick of its source.
    ///
    /// # Errors
    /// As [`Pipeline::accept`]; with the answers [`Outcome::Stale`] and [`Outcome::NotFound`] where the tick is not to be made.
    pub async fn accept_tick(&self, event: Event, body: Bytes, mark: TickMark) -> Result<Accepted, AcceptError> {
        let prepared = self.prepare_with(event, body, None, false).await?;
        let still = self.published.still().await;
        self.submit(&still, Prepared { tick: Some(mark), ..prepared }).await?.await
    }

    /// Makes events durable that were prepared, each by itself, and gives each its place in the order as they stand here.
    pub async fn accept_all(&self, prepared: Vec<Prepared>) -> Vec<Result<Accepted, AcceptError>> {
        let still = self.published.still().await;
        let mut waiting = Vec::with_capacity(prepared.len());
        for one in prepared {
            waiting.push(self.submit(&still, one).await);
        }
        let mut accepted = Vec::with_capacity(waiting.len());
        for one in waiting {
            accepted.push(match one {
                Ok(outcome) => outcome.await,
                Err(error) => Err(error),
            });
        }
        accepted
    }

    /// Routes an event as far as the budget goes, for [`Pipeline::accept_all`]. Where one of its routes is in order nothing is routed yet: what
    /// comes of it might be too long for one write, and the event would lose its place to those behind it.
    ///
    /// # Errors
    /// Where its tenant is gone.
    pub async fn prepare(
        &self,
        event: Event,
        body: Bytes,
        dedup_until_ms: Option<u64>,
    ) -> Result<Prepared, AcceptError> {
        self.prepare_with(event, body, dedup_until_ms, true).await
    }

    async fn prepare_with(
        &self,
        event: Event,
        body: Bytes,
        dedup_until_ms: Option<u64>,
        keeps_place: bool,
    ) -> Result<Prepared, AcceptError> {
        let tenant = self.published.snapshot().tenant(&event.tenant).cloned().ok_or(AcceptError::TenantGone)?;
        let mut takers = tenant.routes.values().filter(|route| route.takes(&event.source, &event.event_type));
        let waits = keeps_place && takers.any(|route| route.in_order());
        let (runs, observed) = self.route(&tenant, &event, &body, waits).await;
        Ok(Prepared { event, body, dedup_until_ms, tick: None, tenant, runs, observed })
    }

    /// Queues an event for its commit, and answers what waits for that. The configuration has to be held still until then.
    async fn submit(
        &self,
        still: &Still,
        prepared: Prepared,
    ) -> Result<impl Future<Output = Result<Accepted, AcceptError>> + Send + use<>, AcceptError> {
        let Prepared { event, body, dedup_until_ms, tick, tenant, mut runs, mut observed } = prepared;
        // Endpoints may have gone meanwhile, or be somebody else's: a run that has one of these is routed again, with what is there now.
        let now = still.snapshot.tenant(&event.tenant).ok_or(AcceptError::TenantGone)?;
        if !Arc::ptr_eq(now, &tenant) {
            for routed in runs.iter_mut().filter(|routed| lost_endpoint(&tenant, now, routed).is_some()) {
                *routed = pending(unrouted(&routed.run));
                observed.retain(|call| call.run != routed.run.id);
            }
        }
        // Should what came of it be too long for one write, the event is taken all the same, and each run gets a write of its own.
        let as_pending = runs.iter().map(|routed| pending(unrouted(&routed.run))).collect();
        let all = runs.iter().map(|routed| &routed.run);
        let follows = Follows { said: Said::of_event(all.clone()), ..self.follows(all, observed) };
        let (id, of_tenant, of_source) = (event.id, event.tenant.clone(), event.source.clone());
        let spare = Accept { event: event.clone(), body: body.clone(), dedup_until_ms, runs: as_pending };
        let accept = Accept { event, body, dedup_until_ms, runs };
        let outcome = self.store.submit(taking(accept, tick.clone())).await?;
        let pipeline = self.clone();
        Ok(async move {
            let mut outcome = outcome.await;
            if let Ok(Outcome::Accepted { .. }) = outcome {
                pipeline.committed(&of_tenant, &of_source, follows);
            }
            if let Err(CommitError::TooLong { .. }) = outcome {
                outcome = pipeline.store.commit(taking(spare, tick)).await;
            }
            match outcome? {
                Outcome::Accepted { .. } => Ok(Accepted::New(id)),
                Outcome::Duplicate { first } => Ok(Accepted::Duplicate(first)),
                other => Err(AcceptError::Answer(other)),
            }
        })
    }

    async fn route(
        &self,
        tenant: &Arc<Tenant>,
        event: &Event,
        body: &Bytes,
        all_wait: bool,
    ) -> (Vec<RoutedRun>, Vec<Observed>) {
        let now_ms = self.clock.now_ms();
        let (mut inline, mut runs) = (Vec::new(), Vec::new());
        for route in tenant.routes.values().filter(|route| route.takes(&event.source, &event.event_type)) {
            let run = Run::new(event.id, &route.name, 0, route.plan_digest, now_ms);
            let modules = if all_wait || route.in_order() { None } else { self.modules_if_ready(route, event.id) };
            match modules {
                Some(modules) => inline.push(Ready { run, route: route.clone(), modules }),
                None => runs.push(pending(run)),
            }
        }
        let without_modules = inline.iter().all(|ready| ready.modules.is_empty());
        if without_modules {
            // Nothing untrusted to run: no thread to wait for, no time to bound.
            let work = self.work(tenant, event, body, inline, now_ms);
            runs.extend(work.run(&self.config, Duration::MAX, None).0);
            return (runs, Vec::new());
        }
        let (routed, observed) = self.route_on_threads(tenant, event, body, inline, now_ms).await;
        runs.extend(routed);
        (runs, observed)
    }

    async fn route_on_threads(
        &self,
        tenant: &Arc<Tenant>,
        event: &Event,
        body: &Bytes,
        inline: Vec<Ready>,
        now_ms: u64,
    ) -> (Vec<RoutedRun>, Vec<Observed>) {
        let as_pending: Vec<Run> = inline.iter().map(|ready| ready.run.clone()).collect();
        let deadline = Instant::now() + Duration::from_millis(self.config.inline_budget_ms);
        let work = self.work(tenant, event, body, inline, now_ms);
        let (sender, mut receiver) = oneshot::channel();
        let (config, call_time_max) = (self.config.clone(), self.call_time_max);
        // Whoever sets it first: the thread that begins, or the event that waits for one no longer.
        let decided = Arc::new(AtomicBool::new(false));
        let begins = decided.clone();
        let job = move || {
            if !begins.swap(true, Ordering::Relaxed) {
                let _ = sender.send(work.run(&config, call_time_max, Some(deadline)));
            }
        };
        if self.executor.try_submit(Lane::Inline, Some(&event.tenant), Box::new(job)).is_ok() {
            let done = match timeout_at(deadline.into(), &mut receiver).await {
                Ok(done) => done.ok(),
                Err(_) if decided.swap(true, Ordering::Relaxed) => receiver.await.ok(),
                Err(_) => None,
            };
            // A job that panics drops its sender: the runs then go the pending way, like those that found no room, or no thread in time.
            if let Some(done) = done {
                return done;
            }
        }
        (as_pending.into_iter().map(pending).collect(), Vec::new())
    }

    fn work(&self, tenant: &Arc<Tenant>, event: &Event, body: &Bytes, inline: Vec<Ready>, now_ms: u64) -> Work {
        let (event, body, tenant, times) = (event.clone(), body.clone(), tenant.clone(), self.module_times.clone());
        Work { event, body, tenant, times, now_ms, inline }
    }

    fn modules_if_ready(&self, route: &Route, event: EventId) -> Option<Vec<Module>> {
        route.plan.steps.iter().map(|step| self.library.ready(&step.version(event))).collect()
    }
}

/// The runs of one event that go inline, to be done on one thread.
struct Work {
    event: Event,
    body: Bytes,
    tenant: Arc<Tenant>,
    times: ModuleTimes,
    now_ms: u64,
    inline: Vec<Ready>,
}

impl Work {
    /// The runs, and what is to be compared of those that are through.
    fn run(
        self,
        config: &Config,
        call_time_max: Duration,
        deadline: Option<Instant>,
    ) -> (Vec<RoutedRun>, Vec<Observed>) {
        let Self { event, body, tenant, times, now_ms, inline } = self;
        let mut all_observed = Vec::new();
        let each = inline.into_iter().map(|Ready { run, route, modules }| {
            let observed = RefCell::default();
            let job = Job {
                event: &event,
                body: &body,
                tenant: &tenant,
                plan: &route.plan,
                modules: &modules,
                config,
                call_time_max,
                inline_deadline: deadline,
                run_deadline: None,
                observed: &observed,
                times: &times,
                told: None,
                now_ms,
                // A route with state is never inline.
                state: None,
            };
            match execute(&job, run.clone()) {
                Ok(routed) => {
                    all_observed.extend(observed.take());
                    routed
                }
                Err(_) => pending(run),
            }
        });
        let runs = each.collect();
        (runs, all_observed)
    }
}

/// The transition that takes an event.
fn taking(accept: Accept, tick: Option<TickMark>) -> Transition {
    match tick {
        None => Transition::Accept(Box::new(accept)),
        Some(mark) => {
            let (tenant, source) = (accept.event.tenant.clone(), accept.event.source.clone());
            Transition::Tick(Box::new(Tick { tenant, source, mark, accept: Some(accept) }))
        }
    }
}

fn pending(run: Run) -> RoutedRun {
    RoutedRun { run, deliveries: Vec::new() }
}
