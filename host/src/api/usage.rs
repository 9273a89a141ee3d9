//! What a tenant uses, beside what its quotas let it use.

use super::Api;
use super::body::Path;
use super::data::read;
use super::resources::{name, not_found, tenant_id};
use crate::config::Kind;
use crate::model::TenantName;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// `GET …/usage`: `max` is null where there is no quota.
pub(super) async fn get(State(api): State<Api>, Path(tenant): Path<String>) -> Result<Response, Problem> {
    let stored = read(&api, &tenant, |reader, tenant| reader.usage(tenant)).await?;
    let tenant: TenantName = name(&tenant)?;
    let snapshot = api.parts().configuration.snapshot();
    let found = snapshot.tenant(&tenant).ok_or_else(|| not_found(&tenant_id(&tenant)))?;
    let modules = found.records.keys().filter(|(kind, _)| *kind == Kind::Module).count();
    let module_time_ms = api.parts().pipeline.module_times().of(&tenant);
    let quotas = &found.quotas;
    let answer = json!({
        "waiting_deliveries": { "used": stored.waiting_deliveries, "max": quotas.waiting_deliveries_max },
        "stored_bytes": { "used": stored.stored_bytes, "max": quotas.stored_bytes_max },
        "modules": { "used": modules, "max": quotas.modules_max },
        "module_time_ms_per_min": { "used": module_time_ms, "max": quotas.module_time_ms_per_min },
        "events_per_s": { "max": quotas.events.map(|rate| rate.per_s) },
    });
    Ok(Json(answer).into_response())
}
