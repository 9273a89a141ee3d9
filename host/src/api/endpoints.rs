//! Endpoints over HTTP, beyond what all resources have: how each is doing, the request that enables one, and the one that tests it.

use super::Api;
use super::audit::{self, By};
use super::body::{Path, Whole, parse_json};
use super::change::{ChangeError, masked};
use super::data::{commit, read};
use super::resources::{PageQuery, list_of, name, not_found, page_of, with_facts};
use crate::config::{Kind, ResourceId, Spec};
use crate::deliverer::Throttle;
use crate::model::{EndpointHealth, EndpointName, EndpointState, TenantName};
use crate::pipeline::{AcceptError, EndpointTest, EndpointTestError};
use crate::problem::Problem;
use crate::store::Transition;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
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
    specs: Vec<(String, &Spec)>,
    page: &PageQuery,
) -> Result<Response, Problem> {
    let healths = read(api, tenant.as_str(), |reader, tenant| reader.healths(Some(tenant))).await?;
    let healths: BTreeMap<String, EndpointHealth> =
        healths.into_iter().map(|(_, endpoint, health)| (endpoint.to_string(), health)).collect();
    let unknown = EndpointHealth::unknown();
    page_of(&list_of(Kind::Endpoint, tenant), specs, page, |name, spec| {
        let id = ResourceId { tenant: Some(tenant.clone()), kind: Kind::Endpoint, name: name.to_owned() };
        with_status(api, &id, &masked(spec.clone()), healths.get(name).unwrap_or(&unknown))
    })
}

/// `POST …/endpoints/{name}/enable`: one that is held or disabled is sent to again.
pub(super) async fn enable(
    State(api): State<Api>,
    Path((tenant, endpoint)): Path<(String, String)>,
    By(by): By,
) -> Result<Response, Problem> {
    let (tenant, endpoint): (TenantName, EndpointName) = (name(&tenant)?, name(&endpoint)?);
    let id = ResourceId { tenant: Some(tenant.clone()), kind: Kind::Endpoint, name: endpoint.to_string() };
    let still = api.parts().configuration.still().await;
    let found = still.snapshot.endpoint(&tenant, &endpoint).ok_or_else(|| not_found(&id))?;
    if !by.may_change(Some(&found.labels), None) {
        // It became another customer's meanwhile.
        return Err(ChangeError::NotOwn.into());
    }
    if found.disabled {
        let detail = "its configuration disables it: put it without `disabled`";
        return Err(Problem::new(StatusCode::CONFLICT, "state_conflict", detail));
    }
    let given = endpoint.to_string();
    let enable = Transition::Enable { tenant: tenant.clone(), endpoint, now_ms: api.parts().clock.now_ms() };
    commit(&api, &by, &tenant, ("enable", "endpoint", &given), enable).await
}

/// What a test sends, where the request does not say.
const TEST_EVENT_TYPE: &str = "endpoint.test";
/// The longest event type, and the longest media type, in bytes.
const TYPE_BYTES_MAX: usize = 128;

/// The body of a test; all of it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TestRequest {
    event_type: Option<String>,
    content_type: Option<String>,
    payload: Option<Box<RawValue>>,
}

/// `POST …/endpoints/{name}/test`: 202 with the ids of an event that goes to this endpoint alone, and of its delivery.
pub(super) async fn test(
    State(api): State<Api>,
    Path((tenant, endpoint)): Path<(String, String)>,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let (tenant, endpoint): (TenantName, EndpointName) = (name(&tenant)?, name(&endpoint)?);
    let request: TestRequest = if body.is_empty() { TestRequest::default() } else { parse_json(&body)? };
    let event_type = request.event_type.unwrap_or_else(|| TEST_EVENT_TYPE.to_owned());
    let content_type = request.content_type.unwrap_or_else(|| "application/json".to_owned());
    for (text, pointer, also) in [(&event_type, "/event_type", ""), (&content_type, "/content_type", " ")] {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic() || also.as_bytes().contains(&byte));
        if text.is_empty() || text.len() > TYPE_BYTES_MAX || !visible {
            let detail = format!("the body: it is 1 to {TYPE_BYTES_MAX} bytes of visible ASCII");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "body_invalid", detail).at(pointer));
        }
    }
    let id = ResourceId { tenant: Some(tenant.clone()), kind: Kind::Endpoint, name: endpoint.to_string() };
    let snapshot = api.parts().configuration.snapshot();
    if !by.may_change(snapshot.endpoint(&tenant, &endpoint).map(|found| &found.labels), None) {
        // It became another customer's while the body came.
        return Err(ChangeError::NotOwn.into());
    }
    api.parts().ingest.check_tenant(&tenant).await?;
    let now_ms = api.parts().clock.now_ms();
    let event = api.parts().ids.event(now_ms).map_err(ChangeError::from)?;
    let own = || json!({ "test": true, "tenant": tenant, "endpoint": endpoint, "sent_at_ms": now_ms }).to_string();
    let body = Bytes::from(request.payload.map_or_else(own, |payload| payload.get().to_owned()));
    let told = audit::entry(&by, now_ms, "test", endpoint.as_str());
    let test = EndpointTest { tenant, endpoint, event, event_type, content_type, body, told };
    match api.parts().pipeline.test_endpoint(test).await {
        Ok(delivery) => {
            let answer = json!({ "event": event, "delivery": delivery });
            Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
        }
        Err(EndpointTestError::EndpointGone | EndpointTestError::Accept(AcceptError::TenantGone)) => {
            Err(not_found(&id))
        }
        Err(EndpointTestError::Accept(AcceptError::Commit(error))) => Err(ChangeError::from(error).into()),
        Err(error) => {
            tracing::error!(%error, "a test event was not stored");
            Err(Problem::internal())
        }
    }
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
