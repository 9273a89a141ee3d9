//! What one step of a job does to what it has found. Pure: the configuration of that moment and the time come in.

use super::replay::runs_of;
use crate::config::Tenant;
use crate::model::{Job, PlanChoice, RouteName, RunStatus, TenantName};
use crate::store::{JobEnd, JobFound, JobItem, JobStep, Page};

/// The step. What cannot be done, or is on its way already, is skipped.
pub(super) fn step(name: &TenantName, job: &Job, tenant: &Tenant, page: Page<JobFound>, now_ms: u64) -> JobStep {
    let found = page.items.len();
    let reached_ms = page.items.last().map(|found| found.event().received_at_ms());
    let items: Vec<JobItem> = page.items.into_iter().filter_map(|found| item(job, tenant, found)).collect();
    JobStep {
        tenant: name.clone(),
        job: job.id,
        step: job.steps,
        skipped: (found - items.len()) as u64,
        items,
        end: page.next.is_none().then_some(JobEnd::Done),
        cursor: page.next,
        reached_ms,
        looked_at: page.looked_at as u64,
        now_ms,
    }
}

fn item(job: &Job, tenant: &Tenant, found: JobFound) -> Option<JobItem> {
    match found {
        // It must not wait for an endpoint that is not there, nor for another one that gets its name later.
        JobFound::Delivery(delivery) => {
            tenant.endpoints.contains_key(&delivery.endpoint).then_some(JobItem::Retry(delivery.id))
        }
        JobFound::Run(run) => {
            let plan = match job.plan {
                PlanChoice::Pinned => None,
                PlanChoice::Today => Some(tenant.routes.get(&run.route)?.plan_digest),
            };
            Some(JobItem::Rerun { run: run.id, plan })
        }
        // What is pending will run; once is enough.
        JobFound::Event(_, runs) if runs.iter().any(|run| run.status == RunStatus::Pending) => None,
        JobFound::Event(event, runs) => {
            let routes: Vec<RouteName> = job.filter.route.iter().cloned().collect();
            let runs = runs_of(job.plan, &routes, tenant, &event, &runs).ok()?;
            Some(JobItem::Replay { event: event.id, runs })
        }
    }
}
