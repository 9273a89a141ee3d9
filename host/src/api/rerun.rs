//! A held run goes again, by itself. Many do by a job.

use super::Api;
use super::audit::By;
use super::body::{Path, Whole, parse_json};
use super::data::{commit, missing, parse_id, read};
use super::resources::name;
use crate::model::{PlanChoice, RouteName, RunId, TenantName};
use crate::problem::Problem;
use crate::store::Transition;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

/// The body of a rerun; `{}` and nothing at all mean today's plan, which is what a person wants who has just mended a module.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RerunRequest {
    plan: PlanChoice,
}

pub(super) async fn rerun(
    State(api): State<Api>,
    Path((tenant, run)): Path<(String, String)>,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let id: RunId = parse_id(&run)?;
    let request: RerunRequest = if body.is_empty() { RerunRequest::default() } else { parse_json(&body)? };
    let found = read(&api, &tenant, move |reader, tenant| reader.run(tenant, id)).await?;
    let found = found.ok_or_else(|| missing("run", &run))?;
    let tenant: TenantName = name(&tenant)?;
    let plan = match request.plan {
        PlanChoice::Pinned => None,
        PlanChoice::Today => {
            let snapshot = api.parts().configuration.snapshot();
            let route = snapshot.tenant(&tenant).and_then(|tenant| tenant.routes.get(&found.route));
            Some(route.ok_or_else(|| route_missing(&found.route))?.plan_digest)
        }
    };
    let now_ms = api.parts().clock.now_ms();
    let rerun = Transition::Rerun { tenant: tenant.clone(), run: id, plan, now_ms };
    commit(&api, &by, &tenant, ("rerun", "run", &run), rerun).await
}

fn route_missing(route: &RouteName) -> Problem {
    let detail = format!("the route `{route}` is gone; ask with {{\"plan\": \"pinned\"}}");
    Problem::new(StatusCode::CONFLICT, "route_missing", detail)
}
