//! What each transition changes: the one place where writes are decided, for every backend.
//!
//! Pure: a transition and the trees as it sees them go in, writes to the same trees and an outcome come out. No time, no
//! randomness, no thread. An outcome that says "nothing was written" has written nothing; after a refusal the caller takes
//! back what was.

mod accept;
mod audit;
mod check;
mod configure;
mod deliver;
mod erase;
mod former;
mod health;
mod host;
mod index;
mod job;
mod line;
mod replay;
mod route;
mod state;
mod statistics;
mod sweep;
mod tick;

use super::backend::BackendError;
use super::{Hint, Outcome, ReadError, Transition, View, usage};

/// What came of a transition.
#[derive(Debug)]
pub(super) struct Applied {
    /// The answer.
    pub(super) outcome: Outcome,
    /// What workers will want to know, once it is durable.
    pub(super) hints: Vec<Hint>,
}

impl Applied {
    fn quietly(outcome: Outcome) -> Self {
        Self { outcome, hints: Vec::new() }
    }
}

/// Why a transition could not be applied.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It contradicts itself.
    Invalid(&'static str),
    /// What it builds on cannot be read.
    Read(ReadError),
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<BackendError> for Refusal {
    fn from(error: BackendError) -> Self {
        Self::Read(error.into())
    }
}

/// Applies a transition.
pub(super) fn apply(view: &mut View<'_>, transition: Transition) -> Result<Applied, Refusal> {
    match transition {
        Transition::Accept(accept) => accept::accept(view, *accept),
        Transition::Tick(made) => tick::tick(view, *made),
        Transition::Route(route) => route::route(view, *route),
        Transition::Rerun { tenant, run, plan, now_ms } => route::rerun(view, &tenant, run, plan, now_ms),
        Transition::Settle(settle) => deliver::settle(view, &settle),
        Transition::Retry { tenant, delivery, due_ms } => deliver::retry(view, &tenant, delivery, due_ms),
        Transition::Cancel { tenant, delivery, reason } => deliver::cancel(view, &tenant, delivery, reason),
        Transition::Health { tenant, endpoint, health } => health::change(view, &tenant, &endpoint, &health),
        Transition::Enable { tenant, endpoint, now_ms } => health::enable(view, &tenant, &endpoint, now_ms),
        Transition::ForgetState { tenant, route, step } => Ok(state::forget(view, &tenant, &route, step.as_ref())?),
        Transition::SweepState => state::sweep(view),
        Transition::Happened { fact, now_ms } => host::happened(view, &fact, now_ms),
        Transition::Told { scope, event } => host::told(view, scope.as_ref(), event),
        Transition::KeepStatistics(counted) => statistics::keep(view, counted),
        Transition::SweepStatistics { subjects, now_ms } => statistics::sweep(view, &subjects, now_ms),
        Transition::Replay(replay) => replay::replay(view, &replay),
        Transition::CreateJob { tenant, job } => job::create(view, tenant, *job),
        Transition::Job(step) => job::step(view, *step),
        Transition::CancelJob { tenant, job, now_ms } => job::cancel(view, &tenant, job, now_ms),
        Transition::Sweep(sweep) => sweep::events(view, &sweep),
        Transition::Erase { tenant, event, now_ms } => erase::erase(view, &tenant, event, now_ms),
        Transition::SweepPlans { expected_revision, unused, now_ms, marked_by_ms } => {
            configure::sweep_plans(view, expected_revision, unused, now_ms, marked_by_ms)
        }
        Transition::SweepDay { day, after, now_ms } => sweep::day(view, day, after.as_ref(), now_ms),
        Transition::Configure(configure) => configure::configure(view, configure),
        Transition::Reseal { expected_revision, puts } => configure::reseal(view, expected_revision, &puts),
        Transition::Audited(audited) => audit::audited(view, *audited),
        Transition::SweepAudit { scope, before_ms } => audit::sweep(view, scope.as_ref(), before_ms),
        Transition::CountUsage => {
            if !usage::is_counted(view)? {
                usage::count(view)?;
            }
            Ok(Applied::quietly(Outcome::Done))
        }
        Transition::KeysUsed(uses) => audit::keys_used(view, &uses),
    }
}
