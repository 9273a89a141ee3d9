//! Routes what was committed pending: runs that did not fit the inline budget, runs of ordered routes, reruns, and whatever a crash
//! left. A route that is `ordered` has one run under way at a time, in order; a held one blocks it.

use super::Pipeline;
use super::run::{Job, execute};
use crate::config::{Plan, Snapshot};
use crate::model::{Event, RouteName, Run, RunFailure, RunId, RunStatus, TenantName};
use crate::runtime::{Lane as ThreadLane, Module};
use crate::shutdown::Shutdown;
use crate::store::{Hint, Outcome, PendingRun, ReadError, RouteRun, RoutedRun, Transition};
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinSet;

/// How many runs are looked at ahead in one route.
const LOOK_AHEAD_MAX: usize = 64;
/// How many runs are under way at once. The executor decides how many of them run: these wait for their threads, and for the store.
const IN_FLIGHT_MAX: usize = 32;
/// How long the worker rests at most: what a lost hint costs.
const REST_MAX: Duration = Duration::from_secs(1);

/// Why the worker stopped; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum PendingError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A route of a tenant.
type Lane = (TenantName, RouteName);

/// One worker over one pipeline.
struct Worker {
    pipeline: Pipeline,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Runs under way; none is ever there twice.
    claimed: HashSet<RunId>,
    /// How many of them each route has.
    busy: BTreeMap<Lane, usize>,
    tasks: JoinSet<(Lane, RunId)>,
}

/// Works until the signal is given, then finishes what is under way.
///
/// # Errors
/// Where the store cannot be read.
pub async fn work(
    pipeline: Pipeline,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    mut shutdown: Shutdown,
) -> Result<(), PendingError> {
    let mut hints = pipeline.store.subscribe();
    let mut worker =
        Worker { pipeline, snapshots, claimed: HashSet::new(), busy: BTreeMap::new(), tasks: JoinSet::new() };
    while !shutdown.fired() {
        worker.claim_all().await?;
        tokio::select! {
            () = shutdown.wait() => {}
            Some(done) = worker.tasks.join_next() => worker.release(done),
            () = pending_hint(&mut hints), if worker.tasks.len() < IN_FLIGHT_MAX => {}
            () = tokio::time::sleep(REST_MAX) => {}
        }
    }
    while let Some(done) = worker.tasks.join_next().await {
        worker.release(done);
    }
    Ok(())
}

/// Ends when there may be pending runs that were not there before.
async fn pending_hint(hints: &mut broadcast::Receiver<Arc<[Hint]>>) {
    loop {
        match hints.recv().await {
            Ok(hints) if !hints.iter().any(|hint| matches!(hint, Hint::Pending { .. })) => {}
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            // The store is closing: there is nothing more to hear.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Worker {
    /// Begins runs, one route after the other, while there is room.
    async fn claim_all(&mut self) -> Result<(), PendingError> {
        while self.tasks.len() < IN_FLIGHT_MAX {
            let lanes = self.pipeline.store.read(|reader| reader.pending_routes()).await?;
            let mut claimed = false;
            for lane in lanes {
                if self.tasks.len() == IN_FLIGHT_MAX {
                    break;
                }
                claimed |= self.claim_one(lane).await?;
            }
            if !claimed {
                break;
            }
        }
        Ok(())
    }

    async fn claim_one(&mut self, lane: Lane) -> Result<bool, PendingError> {
        let snapshot = self.snapshots.borrow().clone();
        let ordered =
            snapshot.tenant(&lane.0).and_then(|tenant| tenant.routes.get(&lane.1)).is_some_and(|route| route.ordered);
        let under_way = self.busy.get(&lane).copied().unwrap_or(0);
        if ordered && under_way > 0 {
            return Ok(false);
        }
        let (tenant, route) = lane.clone();
        let look = move |reader: &crate::store::Reader| {
            if ordered && reader.has_held(&tenant, &route)? {
                return Ok(Vec::new());
            }
            reader.pending_of(&tenant, &route, None, LOOK_AHEAD_MAX)
        };
        let waiting = self.pipeline.store.read(look).await?;
        let Some(next) = waiting.into_iter().find(|pending| !self.claimed.contains(&pending.run)) else {
            return Ok(false);
        };
        self.claimed.insert(next.run);
        *self.busy.entry(lane.clone()).or_default() += 1;
        let pipeline = self.pipeline.clone();
        self.tasks.spawn(async move {
            let run = next.run;
            pipeline.route_pending(snapshot, &lane.0, next).await;
            (lane, run)
        });
        Ok(true)
    }

    fn release(&mut self, done: Result<(Lane, RunId), tokio::task::JoinError>) {
        match done {
            Ok((lane, run)) => {
                self.claimed.remove(&run);
                if let Some(count) = self.busy.get_mut(&lane) {
                    *count -= 1;
                    if *count == 0 {
                        self.busy.remove(&lane);
                    }
                }
            }
            // The run stays claimed until the worker is restarted: it must not spin on a run that makes the host panic.
            Err(error) => tracing::error!(%error, "routing a pending run broke down"),
        }
    }
}

/// Everything about a pending run, read from the store.
struct Loaded {
    run: Run,
    event: Event,
    body: Bytes,
    plan: Plan,
}

/// Why a pending run cannot be taken up.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("its plan cannot be read: {0}")]
    Plan(#[from] serde_json::Error),
}

impl Pipeline {
    /// Routes one pending run and commits the outcome. A failure to do so leaves it pending.
    async fn route_pending(&self, snapshot: Arc<Snapshot>, tenant: &TenantName, pending: PendingRun) {
        let loaded = match self.load_run(tenant, pending.run).await {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return,
            Err(error) => return tracing::error!(%error, run = %pending.run, "a pending run cannot be read"),
        };
        // Without an outcome it stays pending, and the next start takes it up.
        let Some(routed) = self.execute_loaded(&snapshot, tenant, loaded).await else { return };
        let transition = Transition::Route(Box::new(RouteRun { tenant: tenant.clone(), routed }));
        match self.store.commit(transition).await {
            Ok(Outcome::Done) => {}
            Ok(other) => tracing::debug!(?other, run = %pending.run, "the outcome of a run came late"),
            Err(error) => tracing::warn!(%error, run = %pending.run, "the outcome of a run was not stored"),
        }
    }

    async fn load_run(&self, tenant: &TenantName, id: RunId) -> Result<Option<Loaded>, LoadError> {
        let tenant = tenant.clone();
        let load = move |reader: &crate::store::Reader| {
            let (Some(run), Some(event)) = (reader.run(&tenant, id)?, reader.event(&tenant, id.event())?) else {
                return Ok(None);
            };
            let Some(plan) = reader.plan(run.plan)? else { return Ok(None) };
            let body = reader.body(&tenant, id.event())?;
            Ok(Some((run, event, body, plan)))
        };
        let Some((run, event, body, plan)) = self.store.read(load).await? else { return Ok(None) };
        Ok(Some(Loaded { run, event, body, plan: Plan::from_bytes(&plan)? }))
    }

    /// The outcome; none where the host is shutting down.
    async fn execute_loaded(&self, snapshot: &Snapshot, tenant: &TenantName, loaded: Loaded) -> Option<RoutedRun> {
        let Loaded { run, event, body, plan } = loaded;
        let Some(tenant) = snapshot.tenant(tenant).cloned() else {
            return Some(self.held(run, 0, "tenant_missing", "the tenant was removed".to_owned()));
        };
        let mut modules: Vec<Module> = Vec::with_capacity(plan.steps.len());
        for (step, planned) in plan.steps.iter().enumerate() {
            match self.library.load(&planned.digest).await {
                Ok(module) => modules.push(module),
                Err(error) => {
                    let step = u32::try_from(step).unwrap_or(u32::MAX);
                    return Some(self.held(run, step, "module_unavailable", format!("`{}`: {error}", planned.module)));
                }
            }
        }
        let (sender, receiver) = oneshot::channel();
        let (config, call_time_max, now_ms) = (self.config.clone(), self.call_time_max, self.clock.now_ms());
        let for_job = run.clone();
        let job = move || {
            let job = Job {
                event: &event,
                body: &body,
                tenant: &tenant,
                plan: &plan,
                modules: &modules,
                config: &config,
                call_time_max,
                deadline: None,
                now_ms,
            };
            let _ = sender.send(execute(&job, for_job));
        };
        self.executor.submit(ThreadLane::Background, Box::new(job)).await.ok()?;
        match receiver.await {
            Ok(Ok(routed)) => Some(routed),
            _ => Some(self.held(run, 0, "internal", "the host broke down while it routed this run".to_owned())),
        }
    }

    fn held(&self, mut run: Run, step: u32, code: &str, message: String) -> RoutedRun {
        run.status = RunStatus::Held;
        run.updated_at_ms = self.clock.now_ms();
        run.failure = Some(RunFailure { step, code: code.to_owned(), message });
        RoutedRun { run, deliveries: Vec::new() }
    }
}
