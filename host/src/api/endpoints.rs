//! Endpoints over HTTP, beyond what all resources have: how each is doing, and the request that enables one.

use super::Api;
use super::body::Path;
use super::data::{commit, read};
use super::resources::{PageQuery, name, not_found, page_of, with_facts};
use crate::config::{Kind, ResourceId, Spec};
use crate::deliverer::Throttle;
use crate::model::{EndpointHealth, EndpointName, EndpointState, TenantName};
use crate::problem::Problem;
use crate::store::Transition;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An endpoint's document, with its `status`.
pub(super) async fn get(api: &Api, id: &ResourceId, spec: &Spec) -> Result<Response, Problem> {
    let tenant = id.tenant.as_ref().map_or("", TenantName::as_str);
    let endpoint: EndpointName = name(&id.name)?;
    let health = read(api, tenant, move |reader, tenant| reader.health(tenant, &endpoint)).await?;
    Ok(Json(with_status(api, id, spec, &health)?).into_response())
}

/// A page of endpoints, each with its `status`.
pub(super) async fn list(
    api: &Api,
    tenant: &TenantName,
    specs: Vec<(String, Spec)>,
    page: &PageQuery,
) -> Result<Response, Problem> {
    let healths = read(api, tenant.as_str(), |reader, tenant| reader.healths(Some(tenant))).await?;
    let healths: BTreeMap<String, EndpointHealth> =
        healths.into_iter().map(|(_, endpoint, health)| (endpoint.to_string(), health)).collect();
    let unknown = EndpointHealth::unknown();
    page_of(specs, page, |name, spec| {
        let id = ResourceId { tenant: Some(tenant.clone()), kind: Kind::Endpoint, name: name.to_owned() };
        with_status(api, &id, &spec, healths.get(name).unwrap_or(&unknown))
    })
}

/// `POST …/endpoints/{name}/enable`: one that is held or disabled is sent to again.
pub(super) async fn enable(
    State(api): State<Api>,
    Path((tenant, endpoint)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (tenant, endpoint): (TenantName, EndpointName) = (name(&tenant)?, name(&endpoint)?);
    let id = ResourceId { tenant: Some(tenant.clone()), kind: Kind::Endpoint, name: endpoint.to_string() };
    let snapshot = api.parts().configuration.snapshot();
    let found = snapshot.endpoint(&tenant, &endpoint).ok_or_else(|| not_found(&id))?;
    if found.disabled {
        let detail = "its configuration disables it: put it without `disabled`";
        return Err(Problem::new(StatusCode::CONFLICT, "state_conflict", detail));
    }
    let given = endpoint.to_string();
    let enable = Transition::Enable { tenant, endpoint, now_ms: api.parts().clock.now_ms() };
    commit(&api, enable, "endpoint", &given).await
}

fn with_status(
    api: &Api,
    id: &ResourceId,
    spec: &Spec,
    health: &EndpointHealth,
) -> Result<Map<String, Value>, Problem> {
    let configured = matches!(spec, Spec::Endpoint(spec) if spec.disabled);
    let status = match configured {
        true => json!({ "state": EndpointState::Disabled, "reason": "its configuration disables it" }),
        false => json!({
            "state": health.state,
            "since_ms": Some(health.since_ms).filter(|since_ms| *since_ms > 0),
            "failing_since_ms": health.failing_since_ms,
            "reason": health.reason,
            "throttle": throttle_of(api, id),
        }),
    };
    let mut document = with_facts(api, id, spec)?;
    document.insert("status".to_owned(), status);
    Ok(document)
}

/// What bounds the sends to an endpoint beyond its own `rate_per_s`; null where nothing does.
fn throttle_of(api: &Api, id: &ResourceId) -> Value {
    let parts = api.parts();
    let (Some(tenant), Ok(name)) = (&id.tenant, id.name.parse()) else { return Value::Null };
    let snapshot = parts.configuration.snapshot();
    let Some(endpoint) = snapshot.endpoint(tenant, &name) else { return Value::Null };
    let throttle = parts.throttles.of(tenant, endpoint, parts.clock.now_ms());
    if throttle == Throttle::default() {
        return Value::Null;
    }
    let Throttle { rate_per_1000_s, not_before_ms } = throttle;
    #[expect(clippy::cast_precision_loss, reason = "no rate is near 2^52")]
    let rate_per_s = rate_per_1000_s.map(|rate| rate as f64 / 1000.0);
    json!({ "rate_per_s": rate_per_s, "not_before_ms": not_before_ms })
}
