//! Jobs over HTTP: one is made, looked at, and ended before its end. What they do is done by the worker of `crate::jobs`.

use super::Api;
use super::audit::By;
use super::body::{Path, Whole, parse_json};
use super::change::ChangeError;
use super::data::{commit, missing, parse_id, read};
use super::replay::idempotency_key;
use super::resources::name;
use crate::jobs::{RATE_PER_S, RATE_PER_S_MAX};
use crate::model::{DeliveryStatus, Job, JobAction, JobFilter, JobId, JobState, PlanChoice, TenantName};
use crate::problem::Problem;
use crate::store::{Outcome, Transition};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a job is to do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobRequest {
    #[serde(rename = "do")]
    action: JobAction,
    #[serde(default)]
    filter: JobFilter,
    plan: Option<PlanChoice>,
    rate_per_s: Option<u32>,
}

/// `POST …/jobs`: 202 with the job.
pub(super) async fn create(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    By(by): By,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let request: JobRequest = parse_json(&body)?;
    check(&request).map_err(|(pointer, detail)| {
        Problem::new(StatusCode::BAD_REQUEST, "body_invalid", format!("the body: {detail}")).at(pointer)
    })?;
    let asked = idempotency_key(&headers)?;
    // The tenant is there.
    read(&api, &tenant, |_, _| Ok(())).await?;
    let tenant: TenantName = name(&tenant)?;
    let now_ms = api.parts().clock.now_ms();
    let job = Job {
        id: api.parts().ids.job(now_ms).map_err(ChangeError::from)?,
        action: request.action,
        filter: request.filter,
        plan: request.plan.unwrap_or_default(),
        rate_per_s: request.rate_per_s.unwrap_or(RATE_PER_S),
        asked,
        created_at_ms: now_ms,
        seq_max: 0,
        state: JobState::Running,
        reason: None,
        updated_at_ms: now_ms,
        steps: 0,
        cursor: None,
        reached_ms: None,
        looked_at: 0,
        done: 0,
        skipped: 0,
    };
    let create = Transition::CreateJob { tenant: tenant.clone(), job: Box::new(job.clone()) };
    let id = match api.commit_by(&by, &tenant, ("create_job", &job.id.to_string()), create).await? {
        Outcome::JobIs { job } => job,
        Outcome::TooMany { max } => {
            let detail =
                format!("{max} jobs of this tenant are at work, which is the most; wait for one, or cancel it");
            return Err(Problem::new(StatusCode::CONFLICT, "jobs_limit", detail));
        }
        other => return Err(ChangeError::Answer(other).into()),
    };
    let stored = find(&api, tenant.as_str(), id).await?;
    let same = |job: &Job| (job.action, job.filter.clone(), job.plan, job.rate_per_s);
    if same(&stored) != same(&job) {
        let detail = format!("the job `{id}` was made with this `Idempotency-Key`, and another body: take another key");
        return Err(Problem::new(StatusCode::CONFLICT, "idempotency_key_reused", detail));
    }
    Ok((StatusCode::ACCEPTED, Json(shown(&api, &stored))).into_response())
}

/// `GET …/jobs`: all that are kept, the newest first.
pub(super) async fn list(State(api): State<Api>, Path(tenant): Path<String>) -> Result<Response, Problem> {
    let jobs = read(&api, &tenant, |reader, tenant| reader.jobs(tenant)).await?;
    let items: Vec<Value> = jobs.iter().map(|job| shown(&api, job)).collect();
    Ok(Json(json!({ "items": items, "next": null })).into_response())
}

/// `GET …/jobs/{job}`.
pub(super) async fn get(
    State(api): State<Api>,
    Path((tenant, job)): Path<(String, String)>,
) -> Result<Response, Problem> {
    Ok(Json(shown(&api, &find(&api, &tenant, parse_id(&job)?).await?)).into_response())
}

/// `POST …/jobs/{job}/cancel`: when this is answered it does nothing more.
pub(super) async fn cancel(
    State(api): State<Api>,
    Path((tenant, job)): Path<(String, String)>,
    By(by): By,
) -> Result<Response, Problem> {
    let id: JobId = parse_id(&job)?;
    let tenant: TenantName = name(&tenant)?;
    let cancel = Transition::CancelJob { tenant: tenant.clone(), job: id, now_ms: api.parts().clock.now_ms() };
    commit(&api, &by, &tenant, ("cancel_job", "job", &job), cancel).await
}

async fn find(api: &Api, tenant: &str, id: JobId) -> Result<Job, Problem> {
    let found = read(api, tenant, move |reader, tenant| reader.job(tenant, id)).await?;
    found.ok_or_else(|| missing("job", &id.to_string()))
}

fn shown(api: &Api, job: &Job) -> Value {
    json!({
        "id": job.id,
        "do": job.action,
        "filter": job.filter,
        "plan": (job.action != JobAction::Retry).then_some(job.plan),
        "rate_per_s": job.rate_per_s,
        "state": job.state,
        "reason": job.reason,
        "waits_for": api.parts().jobs.waits_for(job.id),
        "created_at_ms": job.created_at_ms,
        "updated_at_ms": job.updated_at_ms,
        "reached_ms": job.reached_ms,
        "looked_at": job.looked_at,
        "done": job.done,
        "skipped": job.skipped,
    })
}

/// Whether the parts of a request fit together; otherwise where it does not, and why.
fn check(request: &JobRequest) -> Result<(), (&'static str, String)> {
    let JobFilter { endpoint, status, run_status, code, since_ms, until_ms, .. } = &request.filter;
    let not = |given: bool, pointer, why: &str| if given { Err((pointer, why.to_owned())) } else { Ok(()) };
    match request.action {
        JobAction::Retry => {
            not(run_status.is_some(), "/filter/run_status", "a retry is of deliveries; say `status`")?;
            not(code.is_some(), "/filter/code", "a failure code is one of held runs; a retry is of deliveries")?;
            not(request.plan.is_some(), "/plan", "a retry sends what is there and makes no runs")?;
            not(
                *status == Some(DeliveryStatus::Pending),
                "/filter/status",
                "what is pending is tried by itself; say `dead`, `held` or `delivered`",
            )?;
        }
        JobAction::Rerun => {
            not(endpoint.is_some(), "/filter/endpoint", "a held run has no deliveries yet; say `route`")?;
            not(status.is_some(), "/filter/status", "a rerun is of held runs, and of no others")?;
            not(run_status.is_some(), "/filter/run_status", "a rerun is of held runs, and of no others")?;
        }
        JobAction::Replay => {
            not(endpoint.is_some(), "/filter/endpoint", "a replay is of events; say `route`")?;
            not(status.is_some(), "/filter/status", "a replay is of events; say `run_status`")?;
            not(code.is_some(), "/filter/code", "a failure code is one of held runs, which `rerun` runs again")?;
            not(since_ms.is_none(), "/filter/since_ms", "say from when on; 0 replays all that is kept")?;
        }
    }
    let empty = since_ms.zip(*until_ms).is_some_and(|(since_ms, until_ms)| until_ms <= since_ms);
    not(empty, "/filter/until_ms", "nothing is before `until_ms` and not before `since_ms`")?;
    let rate = request.rate_per_s.unwrap_or(RATE_PER_S);
    let why = format!("it is {rate}; it is 1 to {RATE_PER_S_MAX}");
    not(!(1..=RATE_PER_S_MAX).contains(&rate), "/rate_per_s", &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_together_is_refused_at_its_place() {
        let pointer = |body: Value| {
            let request: JobRequest = serde_json::from_value(body).unwrap();
            check(&request).err().map(|(pointer, _)| pointer)
        };
        for good in [
            json!({ "do": "retry" }),
            json!({ "do": "retry", "filter": { "endpoint": "e", "status": "delivered", "source": "s", "route": "r" } }),
            json!({ "do": "rerun", "filter": { "code": "trap", "route": "r" }, "plan": "pinned", "rate_per_s": 1 }),
            json!({ "do": "replay", "filter": { "since_ms": 0, "run_status": "filtered" }, "rate_per_s": 1000 }),
        ] {
            assert_eq!(pointer(good), None);
        }
        for (wrong, at) in [
            (json!({ "do": "retry", "filter": { "status": "pending" } }), "/filter/status"),
            (json!({ "do": "retry", "filter": { "code": "trap" } }), "/filter/code"),
            (json!({ "do": "retry", "plan": "today" }), "/plan"),
            (json!({ "do": "rerun", "filter": { "endpoint": "e" } }), "/filter/endpoint"),
            (json!({ "do": "replay" }), "/filter/since_ms"),
            (json!({ "do": "replay", "filter": { "since_ms": 5, "until_ms": 5 } }), "/filter/until_ms"),
            (json!({ "do": "retry", "rate_per_s": 0 }), "/rate_per_s"),
            (json!({ "do": "retry", "rate_per_s": 1001 }), "/rate_per_s"),
        ] {
            assert_eq!(pointer(wrong), Some(at));
        }
    }
}
