//! One pending run: read whole from the store, routed with the plan it is pinned to, its outcome committed.

use crate::config::{Plan, Tenant};
use crate::model::{Event, Run, RunFailure, RunId, RunStatus, TenantName};
use crate::pipeline::Pipeline;
use crate::pipeline::run::{Job, execute, missing_endpoint};
use crate::pipeline::shadow::Observed;
use crate::runtime::{Lane, Module};
use crate::shutdown::Shutdown;
use crate::store::{CommitError, ReadError, Reader, RouteRun, RoutedRun, Transition};
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often a run is routed anew because its endpoints went while it was routed.
const ROUTINGS_MAX: u32 = 3;

/// How it went.
#[derive(Debug)]
pub(super) enum Fate {
    /// There is nothing more to do now: its outcome is stored, or it is to stay pending because the host is shutting down.
    Over,
    /// The host itself failed at it; it is still pending.
    Failed(String),
    /// The store takes no more.
    StoreGone(CommitError),
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
    /// Routes one pending run and commits the outcome.
    pub(super) async fn route_pending(&self, tenant: &TenantName, run: RunId, told: Shutdown) -> Fate {
        let loaded = match self.load_run(tenant, run).await {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return Fate::Failed("it is listed as pending, but it or its event is not there".to_owned()),
            Err(error) => return Fate::Failed(format!("it cannot be read: {error}")),
        };
        if loaded.run.status != RunStatus::Pending {
            return Fate::Over;
        }
        let mut routings = 0;
        loop {
            let routed = match self.published.snapshot().tenant(tenant).cloned() {
                Some(found) => self.execute_loaded(found, loaded.clone(), told.clone()).await,
                None => Some((self.tenant_missing(loaded.run.clone()), Vec::new())),
            };
            let Some((routed, observed)) = routed else { return Fate::Over };
            routings += 1;
            let still = self.published.still().await;
            let missing = match still.snapshot.tenant(tenant) {
                Some(now) => missing_endpoint(now, &routed).cloned(),
                None => return self.store_outcome(tenant, self.tenant_missing(routed.run)).await,
            };
            match missing {
                None => {
                    let notes = self.failures.notes([&routed.run]);
                    let fate = self.store_outcome(tenant, routed).await;
                    if matches!(fate, Fate::Over) {
                        self.committed(&loaded.event, notes, observed);
                    }
                    return fate;
                }
                Some(_) if routings < ROUTINGS_MAX => {}
                Some(name) => {
                    let message = format!("the endpoint `{name}` was removed while the run was routed");
                    let step = u32::try_from(routed.run.trace.len()).unwrap_or(u32::MAX);
                    return self.store_outcome(tenant, self.held(routed.run, step, "endpoint_missing", message)).await;
                }
            }
        }
    }

    async fn store_outcome(&self, tenant: &TenantName, routed: RoutedRun) -> Fate {
        let run = routed.run.clone();
        // An outcome that is too long for one write can never be stored: what is left is to say so. The logs are what is longest in a trace.
        let without_logs = |mut run: Run| {
            for step in &mut run.trace {
                step.logs_cut |= !step.logs.is_empty();
                step.logs.clear();
            }
            run
        };
        let without_trace = |run: Run| Run { trace: Vec::new(), ..run };
        let mut next = Some(routed);
        let mut shorter = [without_logs(run.clone()), without_trace(run)].into_iter();
        while let Some(routed) = next.take() {
            let transition =
                Transition::Route(Box::new(RouteRun { tenant: tenant.clone(), routed, states: Vec::new() }));
            match self.store.commit(transition).await {
                Ok(_) => return Fate::Over,
                Err(error @ (CommitError::Poisoned { .. } | CommitError::Unknown { .. } | CommitError::Closed)) => {
                    return Fate::StoreGone(error);
                }
                Err(error @ CommitError::TooLong { .. }) => {
                    next = shorter.next().map(|run| {
                        let step = u32::try_from(run.trace.len()).unwrap_or(u32::MAX);
                        self.held(run, step, "outcome_too_long", error.to_string())
                    });
                }
                Err(error) => return Fate::Failed(format!("its outcome cannot be stored: {error}")),
            }
        }
        Fate::Failed("even the shortest word on its outcome is too long to be stored".to_owned())
    }

    async fn load_run(&self, tenant: &TenantName, id: RunId) -> Result<Option<Loaded>, ReadError> {
        let tenant = tenant.clone();
        let load = move |reader: &Reader| {
            let (Some(run), Some(event)) = (reader.run(&tenant, id)?, reader.event(&tenant, id.event())?) else {
                return Ok(None);
            };
            let (body, plan) = (reader.body(&tenant, id.event())?, reader.plan(run.plan)?);
            Ok(Some(Loaded { run, event, body, plan }))
        };
        self.store.read(load).await
    }

    /// The outcome, and what is to be compared of it; none where the host is shutting down.
    async fn execute_loaded(
        &self,
        tenant: Arc<Tenant>,
        loaded: Loaded,
        told: Shutdown,
    ) -> Option<(RoutedRun, Vec<Observed>)> {
        let alone = |routed| Some((routed, Vec::new()));
        let Loaded { run, event, body, plan } = loaded;
        let plan = match plan.as_deref().map(Plan::from_bytes) {
            Some(Ok(plan)) => plan,
            unusable => {
                let why = unusable.and_then(Result::err).map_or_else(|| "is not stored".to_owned(), |e| e.to_string());
                let message = format!("the plan {} cannot be used: {why}; rerun it with today's plan", run.plan);
                return alone(self.held(run, 0, "plan_missing", message));
            }
        };
        let mut modules: Vec<Module> = Vec::with_capacity(plan.steps.len());
        for (step, planned) in plan.steps.iter().enumerate() {
            match self.library.load(&planned.version(event.id)).await {
                Ok(module) => modules.push(module),
                Err(error) => {
                    let step = u32::try_from(step).unwrap_or(u32::MAX);
                    return alone(self.held(run, step, "module_unavailable", format!("`{}`: {error}", planned.module)));
                }
            }
        }
        let (sender, receiver) = oneshot::channel();
        let (config, call_time_max, now_ms) = (self.config.clone(), self.call_time_max, self.clock.now_ms());
        let (for_job, mut waiting) = (run.clone(), told.clone());
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
                told: Some(&told),
                now_ms,
            };
            let routed = execute(&job, for_job);
            let _ = sender.send(routed.map(|routed| (routed, observed.take())));
        };
        tokio::select! {
            submitted = self.executor.submit(Lane::Background, Box::new(job)) => submitted.ok()?,
            () = waiting.wait() => return None,
        }
        match receiver.await {
            Ok(Ok(routed)) => Some(routed),
            // Cut short by the shutdown: the next start takes it up.
            Ok(Err(_)) => None,
            Err(_) => alone(self.held(run, 0, "internal", "the host broke down while it routed this run".to_owned())),
        }
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
