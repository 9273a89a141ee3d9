//! An event goes again, by itself. Many do by a job.

use super::Api;
use super::audit::By;
use super::body::{Path, Whole, parse_json};
use super::change::ChangeError;
use super::data::{missing, parse_id, read};
use super::resources::name;
use crate::jobs::{NotReplayed, runs_of};
use crate::model::{Digest, EventId, PlanChoice, RouteName, TenantName};
use crate::problem::Problem;
use crate::store::{Outcome, Replay, Transition};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

/// The longest `Idempotency-Key`, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// The body of a replay; `{}` and nothing at all mean the routes that take the event today, with their plans.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReplayRequest {
    plan: PlanChoice,
    routes: Vec<RouteName>,
}

/// `POST …/events/{event}/replay`: 202 with the ids of the new runs.
pub(super) async fn replay(
    State(api): State<Api>,
    Path((tenant, event)): Path<(String, String)>,
    By(by): By,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let id: EventId = parse_id(&event)?;
    let asked = idempotency_key(&headers)?;
    api.parts().store.room().map_err(Problem::from)?;
    let ReplayRequest { plan, routes } = if body.is_empty() { ReplayRequest::default() } else { parse_json(&body)? };
    let found = read(&api, &tenant, move |reader, tenant| {
        let Some(event) = reader.event(tenant, id)? else { return Ok(None) };
        Ok(Some((event, reader.runs(tenant, id)?)))
    });
    let (found, runs) = found.await?.ok_or_else(|| missing("event", &event))?;
    let tenant: TenantName = name(&tenant)?;
    let snapshot = api.parts().configuration.snapshot();
    let of_tenant = snapshot.tenant(&tenant).ok_or_else(|| missing("tenant", tenant.as_str()))?;
    let runs = runs_of(plan, &routes, of_tenant, &found, &runs).map_err(|error| not_replayed(&error, plan))?;
    let replay = Replay { tenant: tenant.clone(), event: id, runs, asked, now_ms: api.parts().clock.now_ms() };
    let replay = Transition::Replay(Box::new(replay));
    match api.commit_by(&by, &tenant, ("replay", &event), replay).await? {
        Outcome::Replayed { runs } => {
            Ok((StatusCode::ACCEPTED, Json(json!({ "id": event, "runs": runs }))).into_response())
        }
        Outcome::NotFound => Err(missing("event", &event)),
        Outcome::TooMany { max } => {
            let detail = format!("an event is replayed {max} times at most");
            Err(Problem::new(StatusCode::CONFLICT, "replays_limit", detail))
        }
        other => Err(ChangeError::Answer(other).into()),
    }
}

/// What tells a request from others, hashed; a request with the same key does nothing more.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<Digest>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        let detail = format!("`Idempotency-Key` has {} bytes; it is 1 to {KEY_BYTES_MAX}", key.len());
        return Err(Problem::new(StatusCode::BAD_REQUEST, "header_invalid", detail));
    }
    Ok(Some(Digest::of(&[b"key\n", key.as_bytes()].concat())))
}

fn not_replayed(error: &NotReplayed, plan: PlanChoice) -> Problem {
    let (code, what) = match (error, plan) {
        (NotReplayed::NotThrough(_), PlanChoice::Today) => {
            ("route_missing", "today; leave it out, or ask with {\"plan\": \"pinned\"}")
        }
        (NotReplayed::NotThrough(_), PlanChoice::Pinned) => {
            ("route_missing", "when it came; leave it out, or ask with {\"plan\": \"today\"}")
        }
        (NotReplayed::NoRoute, PlanChoice::Today) => {
            ("no_route", "today; make one first, or ask with {\"plan\": \"pinned\"}")
        }
        (NotReplayed::NoRoute, PlanChoice::Pinned) => ("no_route", "when it came; ask with {\"plan\": \"today\"}"),
    };
    Problem::new(StatusCode::CONFLICT, code, format!("{error} {what}"))
}
