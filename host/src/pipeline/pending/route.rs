//! One pending run: read whole from the store, routed with the plan it is pinned to, its outcome committed.

use crate::config::{Plan, Tenant};
use crate::model::{Event, Run, RunFailure, RunId, RunStatus, TenantName};
use crate::pipeline::run::{Job, Unfinished, execute, lost_endpoint};
use crate::pipeline::shadow::Observed;
use crate::pipeline::state::Carried;
use crate::pipeline::{Pipeline, RunState, Still};
use crate::runtime::{Lane, Module};
use crate::shutdown::Shutdown;
use crate::store::{CommitError, Outcome, ReadError, Reader, RouteRun, RoutedRun, StateChange, Transition};
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How often a run is routed anew because its endpoints went while it was routed.
const ROUTINGS_MAX: u32 = 3;

/// How it went.
#[derive(Debug)]
pub(super) enum Fate {
    /// There is nothing more to do now: its outcome is stored, or it is to stay pending because the host is shutting down.
    Over,
    /// The host itself failed at it; it is still pending.
    Failed(String),
    /// The state that it read was written to meanwhile; it is still pending.
    StateChanged,
    /// The store takes no more.
    StoreGone(CommitError),
}

/// A run that is routed, its outcome in the store's queue.
pub(super) struct Routed {
    /// How it goes there.
    pub(super) stored: JoinHandle<Fate>,
    /// What the next run of the route has to know, if it begins before that.
    pub(super) carried: Option<Carried>,
}

/// What routing made of a run.
struct Made {
    routed: RoutedRun,
    /// What to store of its steps' states along with it.
    states: Vec<StateChange>,
    carried: Option<Carried>,
    observed: Vec<Observed>,
}

impl Made {
    /// A run that is held or dropped changes no state.
    fn new(routed: RoutedRun, state: &RunState, observed: Vec<Observed>) -> Self {
        let done = matches!(routed.run.status, RunStatus::Routed | RunStatus::Filtered);
        let (states, carried) = state.finish(done);
        Self { routed, states, carried, observed }
    }
}

impl From<RoutedRun> for Made {
    fn from(routed: RoutedRun) -> Self {
        Self { routed, states: Vec::new(), carried: None, observed: Vec::new() }
    }
}

/// Everything about a pending run, read from the store.
#[derive(Clone)]
struct Loaded {
    run: Run,
    event: Event,
    body: Bytes,
    plan: Option<Bytes>,
}

impl Pipeline {
    /// Routes one pending run and has the outcome stored. `carried` is what runs before it left that may not be stored yet.
    pub(super) async fn route_pending(
        &self,
        tenant: &TenantName,
        run: RunId,
        carried: Carried,
        told: &Shutdown,
    ) -> Result<Routed, Fate> {
        let loaded = match self.load_run(tenant, run).await {
            Ok(Some(loaded)) => loaded,
            // It was erased since it was listed.
            Ok(None) => return Err(Fate::Over),
            Err(error) => return Err(Fate::Failed(format!("it cannot be read: {error}"))),
        };
        if loaded.run.status != RunStatus::Pending {
            return Err(Fate::Over);
        }
        let mut routings = 0;
        loop {
            let then = self.published.snapshot().tenant(tenant).cloned();
            let made = match then.clone() {
                Some(found) => self.execute_loaded(found, loaded.clone(), carried.clone(), told.clone()).await,
                None => Ok(self.tenant_missing(loaded.run.clone()).into()),
            };
            let made = match made {
                Ok(made) => made,
                // Cut short by the shutdown: the next start takes it up.
                Err(Unfinished::CutShort) => return Err(Fate::Over),
                Err(Unfinished::HostFailed(error)) => return Err(Fate::Failed(error)),
            };
            routings += 1;
            let still = self.published.still().await;
            let lost = match still.snapshot.tenant(tenant) {
                Some(now) => then.and_then(|then| lost_endpoint(&then, now, &made.routed).cloned()),
                None => {
                    let held = self.tenant_missing(made.routed.run).into();
                    return self.store_outcome(still, &loaded.event, held).await;
                }
            };
            match lost {
                None => return self.store_outcome(still, &loaded.event, made).await,
                Some(_) if routings < ROUTINGS_MAX => {}
                Some(name) => {
                    let message =
                        format!("the endpoint `{name}` was removed, or got other labels, while the run was routed");
                    let step = u32::try_from(made.routed.run.trace.len()).unwrap_or(u32::MAX);
                    let held = self.held(made.routed.run, step, "endpoint_missing", message);
                    return self.store_outcome(still, &loaded.event, held.into()).await;
                }
            }
        }
    }

    /// Puts the outcome in the store's queue. The configuration is held still until it is stored; then follows what is to follow.
    async fn store_outcome(&self, still: Still, event: &Event, made: Made) -> Result<Routed, Fate> {
        let Made { routed, states, carried, observed } = made;
        let follows = self.follows(std::iter::once(&routed.run), observed);
        let (pipeline, tenant, source) = (self.clone(), event.tenant.clone(), event.source.clone());
        let run = routed.run.clone();
        let transition = Transition::Route(Box::new(RouteRun { tenant: tenant.clone(), routed, states }));
        let outcome = self.store.submit(transition).await.map_err(Fate::StoreGone)?;
        let stored = tokio::spawn(async move {
            let fate = pipeline.until_stored(&tenant, run, outcome.await).await;
            drop(still);
            if matches!(fate, Fate::Over) {
                pipeline.committed(&tenant, &source, follows);
            }
            fate
        });
        Ok(Routed { stored, carried })
    }

    /// An outcome that is too long for one write can never be stored: what is left is to say so. The logs are what is longest in a trace.
    async fn until_stored(&self, tenant: &TenantName, run: Run, mut outcome: Result<Outcome, CommitError>) -> Fate {
        let without_logs = |mut run: Run| {
            for step in &mut run.trace {
                step.logs_cut |= !step.logs.is_empty();
                step.logs.clear();
            }
            run
        };
        let without_trace = |run: Run| Run { trace: Vec::new(), ..run };
        let mut shorter = [without_logs(run.clone()), without_trace(run)].into_iter();
        loop {
            let too_long = match outcome {
                Ok(Outcome::StateChanged) => return Fate::StateChanged,
                Ok(_) => return Fate::Over,
                Err(error @ (CommitError::Poisoned { .. } | CommitError::Unknown { .. } | CommitError::Closed)) => {
                    return Fate::StoreGone(error);
                }
                Err(error @ CommitError::TooLong { .. }) => error.to_string(),
                Err(error) => return Fate::Failed(format!("its outcome cannot be stored: {error}")),
            };
            let Some(run) = shorter.next() else {
                return Fate::Failed("even the shortest word on its outcome is too long to be stored".to_owned());
            };
            let step = u32::try_from(run.trace.len()).unwrap_or(u32::MAX);
            let routed = self.held(run, step, "outcome_too_long", too_long);
            let route = RouteRun { tenant: tenant.clone(), routed, states: Vec::new() };
            outcome = self.store.commit(Transition::Route(Box::new(route))).await;
        }
    }

    async fn load_run(&self, tenant: &TenantName, id: RunId) -> Result<Option<Loaded>, ReadError> {
        let tenant = tenant.clone();
        let load = move |reader: &Reader| {
            // In this order: an event is erased with its runs.
            let Some(event) = reader.event(&tenant, id.event())? else { return Ok(None) };
            let Some(run) = reader.run(&tenant, id)? else { return Ok(None) };
            let (body, plan) = (reader.body(&tenant, id.event())?, reader.plan(run.plan)?);
            Ok(Some(Loaded { run, event, body, plan }))
        };
        self.store.read(load).await
    }

    /// The outcome, and what is to be compared of it.
    async fn execute_loaded(
        &self,
        tenant: Arc<Tenant>,
        loaded: Loaded,
        carried: Carried,
        told: Shutdown,
    ) -> Result<Made, Unfinished> {
        let Loaded { run, event, body, plan } = loaded;
        let plan = match plan.as_deref().map(Plan::from_bytes) {
            Some(Ok(plan)) => plan,
            unusable => {
                let why = unusable.and_then(Result::err).map_or_else(|| "is not stored".to_owned(), |e| e.to_string());
                let message = format!("the plan {} cannot be used: {why}; rerun it with today's plan", run.plan);
                return Ok(self.held(run, 0, "plan_missing", message).into());
            }
        };
        let mut modules: Vec<Module> = Vec::with_capacity(plan.steps.len());
        for (step, planned) in plan.steps.iter().enumerate() {
            match self.library.load(&planned.version(event.id)).await {
                Ok(module) => modules.push(module),
                Err(error) => {
                    let step = u32::try_from(step).unwrap_or(u32::MAX);
                    let message = format!("`{}`: {error}", planned.module);
                    return Ok(self.held(run, step, "module_unavailable", message).into());
                }
            }
        }
        let (sender, receiver) = oneshot::channel();
        let (config, call_time_max, now_ms) = (self.config.clone(), self.call_time_max, self.clock.now_ms());
        let (for_job, mut waiting, account) = (run.clone(), told.clone(), event.tenant.clone());
        let (state, times) = (self.state_for(&tenant, &event, &run).after(carried), self.module_times.clone());
        let job = move || {
            let observed = RefCell::default();
            let job = Job {
                event: &event,
                body: &body,
                tenant: &tenant,
                plan: &plan,
                modules: &modules,
                config: &config,
                call_time_max,
                inline_deadline: None,
                run_deadline: Some(Instant::now() + Duration::from_millis(config.run_time_max_ms)),
                observed: &observed,
                times: &times,
                told: Some(&told),
                now_ms,
                state: Some(&state),
            };
            let made = execute(&job, for_job).map(|routed| Made::new(routed, &state, observed.take()));
            let _ = sender.send(made);
        };
        tokio::select! {
            submitted = self.executor.submit(Lane::Background, Some(&account), Box::new(job)) => submitted.map_err(|_| Unfinished::CutShort)?,
            () = waiting.wait() => return Err(Unfinished::CutShort),
        }
        let broken = || self.held(run, 0, "internal", "the host broke down while it routed this run".to_owned());
        receiver.await.unwrap_or_else(|_| Ok(broken().into()))
    }

    /// What the run's steps find of what they kept. Of a route that is gone nothing is left, and nothing is kept any more.
    fn state_for(&self, tenant: &Tenant, event: &Event, run: &Run) -> RunState {
        let bounds = self.config.state.clone();
        if !tenant.routes.contains_key(&run.route) {
            return RunState::empty(event, bounds);
        }
        let (reader, route) = (self.store.reader(), run.route.clone());
        RunState::stored(reader, route, event, run.origin, bounds)
    }

    fn tenant_missing(&self, run: Run) -> RoutedRun {
        self.held(run, 0, "tenant_missing", "the tenant was removed".to_owned())
    }

    fn held(&self, mut run: Run, step: u32, code: &str, message: String) -> RoutedRun {
        run.status = RunStatus::Held;
        run.updated_at_ms = self.clock.now_ms();
        run.failure = Some(RunFailure { step, code: code.to_owned(), message });
        run.deliveries = Vec::new();
        RoutedRun { run, deliveries: Vec::new() }
    }
}
