//! One run: an event through the steps of a plan. Synchronous, on a module thread; it writes nothing, it says what to write.

use super::shadow::Observed;
use super::{Config, ModuleTimes, RunState};
use crate::config::{Endpoint, OnFailure, Plan, PlanStep, Tenant, TimeBound};
use crate::model::{
    BodyRef, Delivery, EndpointName, Event, Message, Run, RunFailure, RunStatus, StepTrace, Turn, Verdict, World,
};
use crate::runtime::{self, Call, CallError, Directory, EndpointInfo, Module};
use crate::shutdown::Shutdown;
use crate::store::{NewDelivery, RoutedRun};
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The code of a failure that is no call: the version is quarantined.
pub(super) const MODULE_QUARANTINED: &str = "module_quarantined";

/// What a run needs to know.
pub(super) struct Job<'a> {
    pub(super) event: &'a Event,
    pub(super) body: &'a Bytes,
    pub(super) tenant: &'a Arc<Tenant>,
    pub(super) plan: &'a Plan,
    /// One compiled module for each step.
    pub(super) modules: &'a [Module],
    pub(super) config: &'a Config,
    /// The longest one call of a module may take.
    pub(super) call_time_max: Duration,
    /// When the run must have ended, for an inline run; otherwise it is done again without this.
    pub(super) inline_deadline: Option<Instant>,
    /// When the run must have ended at all; otherwise it has failed.
    pub(super) run_deadline: Option<Instant>,
    /// What is to be run again beside it, when the run is committed: the calls of modules that have a shadow.
    pub(super) observed: &'a RefCell<Vec<Observed>>,
    /// Where it counts how long its calls take, whatever becomes of the run.
    pub(super) times: &'a ModuleTimes,
    /// Cuts the run short between two calls, for one that can be done again after the next start.
    pub(super) told: Option<&'a Shutdown>,
    pub(super) now_ms: u64,
    /// The states of the steps that keep one.
    pub(super) state: Option<&'a RunState>,
}

/// The run did not come to an end: it is to be done again, from the beginning.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfinished {
    /// It did not fit its inline deadline, or the host is shutting down.
    CutShort,
    /// The host itself failed at it.
    HostFailed(String),
}

/// A run as it was before it was routed.
pub(super) fn unrouted(run: &Run) -> Run {
    Run {
        status: RunStatus::Pending,
        updated_at_ms: run.created_at_ms,
        trace: Vec::new(),
        failure: None,
        deliveries: Vec::new(),
        route: run.route.clone(),
        ..*run
    }
}

/// The first endpoint of its deliveries that is not any more what it was when the run was routed: it is gone, or has other labels, by which it is
/// somebody else's.
pub(super) fn lost_endpoint<'a>(then: &Tenant, now: &Tenant, routed: &'a RoutedRun) -> Option<&'a EndpointName> {
    let mut named = routed.deliveries.iter().map(|new| &new.delivery.endpoint);
    named.find(|name| {
        now.endpoints
            .get(*name)
            .is_none_or(|now| then.endpoints.get(*name).is_some_and(|then| then.labels != now.labels))
    })
}

/// Why a run ends before its last step.
enum Stop {
    Unfinished(Unfinished),
    Failed(RunFailure),
}

/// Routes `run`.
///
/// # Errors
/// [`Unfinished`]: what was done so far is to be forgotten.
pub(super) fn execute(job: &Job<'_>, mut run: Run) -> Result<RoutedRun, Unfinished> {
    run.trace.clear();
    run.failure = None;
    run.updated_at_ms = job.now_ms;
    let outcome = steps(job, &mut run).and_then(|leaving| deliveries(job, &run, leaving).map_err(Stop::Failed));
    let deliveries = match outcome {
        Ok((Leaving::Nothing, _)) => {
            run.status = RunStatus::Filtered;
            Vec::new()
        }
        Ok((Leaving::Messages, deliveries)) => {
            run.status = RunStatus::Routed;
            deliveries
        }
        Err(Stop::Unfinished(unfinished)) => return Err(unfinished),
        Err(Stop::Failed(failure)) => {
            run.status = match job.plan.on_failure {
                // What is held for a quarantine was not even tried: that is no reason to lose it.
                OnFailure::Drop if failure.code != MODULE_QUARANTINED => RunStatus::Dropped,
                // What could pass has passed already: this failure leaves nothing to go on with.
                _ => RunStatus::Held,
            };
            run.failure = Some(failure);
            Vec::new()
        }
    };
    run.deliveries = deliveries.iter().map(|new| new.delivery.id).collect();
    Ok(RoutedRun { run, deliveries })
}

/// Whether anything left the last step.
enum Leaving {
    Nothing,
    Messages,
}

/// What left the last step.
enum Left {
    /// Messages for the plan's target.
    Messages(Vec<Message>),
    /// Messages for endpoints that a router named.
    Dispatches(Vec<(EndpointName, Message)>),
}

fn steps(job: &Job<'_>, run: &mut Run) -> Result<Left, Stop> {
    let mut messages = vec![Message::of_event(job.event, job.body)];
    for (step, module) in job.modules.iter().enumerate() {
        let mut next = Vec::with_capacity(messages.len());
        let mut dispatches = Vec::new();
        for (ordinal, message) in messages.into_iter().enumerate() {
            let position = Position { step: count(step), message: count(ordinal) };
            match call(job, run, module, position, &message)? {
                runtime::Verdict::Accept => next.push(message),
                runtime::Verdict::Reject(_) => {}
                runtime::Verdict::Messages(made) => next.extend(made),
                runtime::Verdict::Dispatches(made) => dispatches.extend(made),
            }
            let most = job.config.messages_per_run_max as usize;
            if next.len() > most || dispatches.len() > most {
                let message = format!("the run holds more than messages_per_run_max = {most} messages after this step");
                return Err(position.failed("messages_limit", message));
            }
        }
        if module.world() == World::Router {
            return Ok(Left::Dispatches(dispatches));
        }
        if next.is_empty() {
            return Ok(Left::Messages(next));
        }
        messages = next;
    }
    Ok(Left::Messages(messages))
}

/// Which call of a module it is.
#[derive(Clone, Copy)]
struct Position {
    step: u32,
    message: u32,
}

impl Position {
    fn failed(self, code: &str, message: String) -> Stop {
        Stop::Failed(RunFailure { step: self.step, code: code.to_owned(), message })
    }
}

fn call(
    job: &Job<'_>,
    run: &mut Run,
    module: &Module,
    position: Position,
    message: &Message,
) -> Result<runtime::Verdict, Stop> {
    let Some(step) = job.plan.steps.get(position.step as usize) else {
        return Err(position.failed("plan_invalid", "the plan has fewer steps than modules".to_owned()));
    };
    let digest = module.digest();
    if job.tenant.is_quarantined(&step.module, &digest) {
        return quarantined(job, step, run, module, position, message);
    }
    let now = Instant::now();
    let (time_max, set_by) = match step.max_time {
        Some(bound) if Duration::from_millis(bound.ms) < job.call_time_max => {
            (Duration::from_millis(bound.ms), bound.set_by)
        }
        _ => (job.call_time_max, TimeBound::Host),
    };
    let late = || job.inline_deadline.is_some_and(|deadline| deadline <= Instant::now());
    if late() || job.told.is_some_and(Shutdown::fired) {
        return Err(Stop::Unfinished(Unfinished::CutShort));
    }
    if job.run_deadline.is_some_and(|deadline| deadline <= now) {
        let most = job.config.run_time_max_ms;
        let message = format!("the run took longer than run_time_max_ms = {most}, {} calls so far", run.trace.len());
        return Err(position.failed("run_time_limit", message));
    }
    let settings = step.settings.to_string();
    let endpoints = if module.world() == World::Router { directory(job.tenant) } else { Directory::default() };
    let shadow = job.tenant.shadow_of(&step.module).filter(|shadow| *shadow != digest);
    let state =
        job.state.filter(|_| step.state).and_then(|state| Some((state, job.plan.step_key(position.step as usize)?)));
    let handle = state.as_ref().map(|(state, key)| state.begin(key.clone()));
    if let (Some((state, _)), Some(_)) = (&state, &shadow) {
        state.note_found();
    }
    let report = module.call(&Call {
        event: job.event,
        event_body: job.body,
        message,
        settings: &settings,
        origin: run.origin,
        time: time_max,
        time_set_by: set_by,
        until: job.inline_deadline,
        endpoints: endpoints.clone(),
        state: handle,
    });
    job.times.note(&job.event.tenant, report.duration_us);
    // For the shadow, before what the call wrote is there.
    let found = state.as_ref().filter(|_| shadow.is_some()).map(|(state, key)| (state.as_found(), key.clone()));
    if let Some((state, _)) = state {
        state.end(report.result.is_ok());
    }
    if let Err(error @ CallError::StateUnavailable(_)) = &report.result {
        return Err(Stop::Unfinished(Unfinished::HostFailed(error.to_string())));
    }
    let cut_short = matches!(&report.result, Err(CallError::TimeLimit { .. })) && late();
    if cut_short {
        return Err(Stop::Unfinished(Unfinished::CutShort));
    }
    job.observed.borrow_mut().extend(shadow.map(|shadow| Observed {
        tenant: job.event.tenant.clone(),
        module: step.module.clone(),
        shadow,
        run: run.id,
        event: job.event.clone(),
        event_body: job.body.clone(),
        message: message.clone(),
        settings: settings.clone(),
        origin: run.origin,
        time: (time_max, set_by),
        endpoints,
        state: found,
        result: report.result.clone(),
    }));
    run.trace.push(StepTrace {
        duration_us: report.duration_us,
        logs: report.logs,
        logs_cut: report.logs_cut,
        ..traced(step, module, position, verdict_of(&report.result))
    });
    match report.result {
        Ok(verdict) => Ok(verdict),
        Err(error) => failed(job, module, position, message, (error.code(), error.to_string())),
    }
}

fn traced(step: &PlanStep, module: &Module, position: Position, verdict: Verdict) -> StepTrace {
    StepTrace {
        step: position.step,
        message: position.message,
        module: step.module.to_string(),
        digest: module.digest(),
        verdict,
        duration_us: 0,
        logs: Vec::new(),
        logs_cut: false,
    }
}

/// What a failed call leaves: the message as it was, where the route says so, or the end of the run.
fn failed(
    job: &Job<'_>,
    module: &Module,
    position: Position,
    message: &Message,
    (code, words): (&str, String),
) -> Result<runtime::Verdict, Stop> {
    if job.plan.on_failure == OnFailure::Pass && module.world() != World::Router {
        return Ok(runtime::Verdict::Messages(vec![message.clone()]));
    }
    Err(position.failed(code, words))
}

/// A call that is not made: the version failed too often in a row.
fn quarantined(
    job: &Job<'_>,
    step: &PlanStep,
    run: &mut Run,
    module: &Module,
    position: Position,
    message: &Message,
) -> Result<runtime::Verdict, Stop> {
    let words = format!(
        "the version {} of `{}` is quarantined: it failed too often in a row and is not run. Activate another version, or release \
         this one, then rerun what is held",
        module.digest(),
        step.module,
    );
    let verdict = Verdict::Failed { code: MODULE_QUARANTINED.to_owned(), module_code: None, message: words.clone() };
    run.trace.push(traced(step, module, position, verdict));
    failed(job, module, position, message, (MODULE_QUARANTINED, words))
}

fn verdict_of(result: &Result<runtime::Verdict, CallError>) -> Verdict {
    match result {
        Ok(runtime::Verdict::Accept) => Verdict::Accepted,
        Ok(runtime::Verdict::Reject(reason)) => Verdict::Rejected { reason: reason.clone() },
        Ok(runtime::Verdict::Messages(made)) => Verdict::Produced { messages: count(made.len()) },
        Ok(runtime::Verdict::Dispatches(made)) => Verdict::Dispatched { messages: count(made.len()) },
        Err(error) => Verdict::Failed {
            code: error.code().to_owned(),
            module_code: error.module_code().map(str::to_owned),
            message: error.to_string(),
        },
    }
}

/// The deliveries for what left the last step, and whether anything did.
fn deliveries(job: &Job<'_>, run: &Run, left: Left) -> Result<(Leaving, Vec<NewDelivery>), RunFailure> {
    let step = count(job.plan.steps.len());
    let failed = |code: &str, message: String| RunFailure { step, code: code.to_owned(), message };
    let mut made = Vec::new();
    let mut add = |ordinal: usize, endpoint: &Endpoint, message: &Message| {
        if made.len() == job.config.deliveries_per_run_max as usize {
            let most = job.config.deliveries_per_run_max;
            return Err(failed("deliveries_limit", format!("the run makes more than deliveries_per_run_max = {most}")));
        }
        made.push(delivery(job, run, step, count(ordinal), endpoint, message));
        Ok(())
    };
    let missing = |name: &EndpointName| failed("endpoint_missing", format!("the tenant has no endpoint `{name}`"));
    let nothing = match &left {
        Left::Messages(messages) => messages.is_empty(),
        Left::Dispatches(dispatches) => dispatches.is_empty(),
    };
    match (&left, &job.plan.to) {
        (Left::Messages(messages), Some(target)) => {
            if let crate::config::Target::Endpoints(names) = target {
                let gone = names.iter().find(|name| !job.tenant.endpoints.contains_key(*name));
                gone.map_or(Ok(()), |name| Err(missing(name)))?;
            }
            for (ordinal, message) in messages.iter().enumerate() {
                for endpoint in job.tenant.select(target, &message.event_type) {
                    add(ordinal, endpoint, message)?;
                }
            }
        }
        (Left::Messages(_), None) => {}
        (Left::Dispatches(dispatches), _) => {
            for (ordinal, (name, message)) in dispatches.iter().enumerate() {
                let endpoint = job.tenant.endpoints.get(name).ok_or_else(|| missing(name))?;
                add(ordinal, endpoint, message)?;
            }
        }
    }
    Ok((if nothing { Leaving::Nothing } else { Leaving::Messages }, made))
}

fn delivery(job: &Job<'_>, run: &Run, step: u32, ordinal: u32, endpoint: &Endpoint, message: &Message) -> NewDelivery {
    let own = !message.body_is_event;
    let not_before_ms = job.now_ms.saturating_add(message.delay_ms);
    // A schedule has at least one wait.
    let due_ms = endpoint.retry.next(0, not_before_ms, 0).unwrap_or(not_before_ms);
    let delivery = Delivery {
        event_type: message.event_type.clone(),
        content_type: message.content_type.clone(),
        headers: message.headers.clone(),
        ordering_key: message.ordering_key.clone(),
        turn: (endpoint.in_order && message.ordering_key.is_some()).then_some(Turn { seq: 0, ordinal }),
        operational: job.event.is_operational(),
        body: if own { BodyRef::Own } else { BodyRef::Event },
        due_ms,
        ..Delivery::new(run, step, ordinal, &endpoint.name, job.now_ms)
    };
    NewDelivery { delivery, body: own.then(|| message.body.clone()) }
}

/// What a router may know of the tenant's endpoints.
fn directory(tenant: &Tenant) -> Directory {
    let known = tenant.endpoints.values();
    Directory::new(known.map(|known| EndpointInfo { name: known.name.clone(), labels: known.labels.clone() }).collect())
}

/// A length as it is stored. Every list here is bounded far below 2^32.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
