//! What is held runs again: one run, or page by page all that were held for one reason.

use super::Api;
use super::body::{Path, Whole, parse_json};
use super::change::ChangeError;
use super::data::{commit, missing, parse_id, read};
use super::resources::{PageQuery, Params, name};
use crate::config::Snapshot;
use crate::model::{Digest, RouteName, Run, RunId, TenantName};
use crate::problem::Problem;
use crate::store::{Outcome, Transition};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::task::JoinSet;

/// With which plan a held run goes again.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PlanChoice {
    /// The one it was pinned to.
    Pinned,
    /// The one its route has now.
    #[default]
    Today,
}

/// A run's route is not there any more.
struct RouteGone;

impl PlanChoice {
    /// The plan to use; none keeps the pinned one.
    fn of(self, snapshot: &Snapshot, tenant: &TenantName, route: &RouteName) -> Result<Option<Digest>, RouteGone> {
        if matches!(self, Self::Pinned) {
            return Ok(None);
        }
        let route = snapshot.tenant(tenant).and_then(|tenant| tenant.routes.get(route));
        Ok(Some(route.ok_or(RouteGone)?.plan_digest))
    }
}

/// The body of a rerun; `{}` and nothing at all mean today's plan, which is what a person wants who has just mended a module.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RerunRequest {
    plan: PlanChoice,
}

pub(super) async fn rerun(
    State(api): State<Api>,
    Path((tenant, run)): Path<(String, String)>,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let id: RunId = parse_id(&run)?;
    let request: RerunRequest = if body.is_empty() { RerunRequest::default() } else { parse_json(&body)? };
    let found = read(&api, &tenant, move |reader, tenant| reader.run(tenant, id)).await?;
    let found = found.ok_or_else(|| missing("run", &run))?;
    let tenant: TenantName = name(&tenant)?;
    let plan = request.plan.of(&api.parts().configuration.snapshot(), &tenant, &found.route).map_err(|RouteGone| {
        let detail = format!("the route `{}` is gone; ask with {{\"plan\": \"pinned\"}}", found.route);
        Problem::new(StatusCode::CONFLICT, "route_missing", detail)
    })?;
    let now_ms = api.parts().clock.now_ms();
    commit(&api, Transition::Rerun { tenant, run: id, plan, now_ms }, "run", &run).await
}

/// Which held runs go again.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeldQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    route: Option<String>,
    code: Option<String>,
}

/// Runs again what is held, of one route and with one failure code where the request says so: a page of the hold at a time, in its
/// order, as `limit` says. What is left is behind the cursor `next`; where that is null the whole hold was looked at.
pub(super) async fn rerun_held(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(query): Params<HeldQuery>,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let limit = PageQuery::limit(query.limit)?;
    let request: RerunRequest = if body.is_empty() { RerunRequest::default() } else { parse_json(&body)? };
    let route = query.route.as_deref().map(name::<RouteName>).transpose()?;
    let (runs, next) = read(&api, &tenant, move |reader, tenant| {
        let page = reader.list_held(tenant, route.as_ref(), query.cursor.as_deref(), limit)?;
        let runs = page.items.iter().map(|held| reader.run(tenant, held.run)).collect::<Result<Vec<_>, _>>()?;
        Ok((runs, page.next))
    })
    .await?;
    let wanted = |run: &Run| {
        let code = run.failure.as_ref().map(|failure| failure.code.as_str());
        query.code.is_none() || query.code.as_deref() == code
    };
    let runs: Vec<Run> = runs.into_iter().flatten().filter(wanted).collect();
    let (rerun, skipped) = rerun_all(&api, &name(&tenant)?, request.plan, runs).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "rerun": rerun, "skipped": skipped, "next": next }))).into_response())
}

/// How many go again, and how many do not: they are held no more, or their route is gone.
async fn rerun_all(
    api: &Api,
    tenant: &TenantName,
    choice: PlanChoice,
    runs: Vec<Run>,
) -> Result<(usize, usize), Problem> {
    let (snapshot, now_ms) = (api.parts().configuration.snapshot(), api.parts().clock.now_ms());
    let (all, mut rerun) = (runs.len(), 0);
    // Together, so that they share a sync of the disk.
    let mut commits = JoinSet::new();
    for run in runs {
        let Ok(plan) = choice.of(&snapshot, tenant, &run.route) else { continue };
        let transition = Transition::Rerun { tenant: tenant.clone(), run: run.id, plan, now_ms };
        let store = api.parts().store.clone();
        commits.spawn(async move { store.commit(transition).await });
    }
    for outcome in commits.join_all().await {
        match outcome.map_err(ChangeError::from)? {
            Outcome::Done => rerun += 1,
            Outcome::Stale { .. } | Outcome::NotFound => {}
            other => return Err(ChangeError::Answer(other).into()),
        }
    }
    Ok((rerun, all - rerun))
}
