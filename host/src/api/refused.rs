//! `GET …/sources/{name}/refused`: the last requests that a source refused, for whoever wonders why.

use super::Api;
use super::body::Path;
use super::resources::{check_source, name};
use crate::model::{SourceName, TenantName};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub(super) async fn list(
    State(api): State<Api>,
    Path((tenant, source)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (tenant, source): (TenantName, SourceName) = (name(&tenant)?, name(&source)?);
    check_source(&api, &tenant, &source)?;
    Ok(Json(json!({ "items": api.parts().ingest.refused(&tenant, &source) })).into_response())
}
