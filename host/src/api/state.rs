//! What the modules of a route keep from one event to the next: to look at, and to take away.

use super::Api;
use super::audit::By;
use super::body::Path;
use super::change::ChangeError;
use super::data::read;
use super::resources::{PageQuery, Params, bad_query, name, not_found};
use crate::config::{Kind, ResourceId};
use crate::model::{RouteName, StepKey, TenantName};
use crate::problem::Problem;
use crate::store::{Outcome, StateEntry, StateHead, Transition};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

/// How much of a value is shown, in bytes.
const VALUE_SHOWN_BYTES_MAX: usize = 4096;

/// Which part of a route's state.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateQuery {
    step: Option<String>,
    prefix: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Which state to take away.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForgetQuery {
    step: Option<String>,
}

/// Without `step` the states of the route's steps; with it that one's entries.
pub(super) async fn get(
    State(api): State<Api>,
    Path((tenant, route)): Path<(String, String)>,
    Params(query): Params<StateQuery>,
) -> Result<Response, Problem> {
    let route = known_route(&api, &tenant, &route)?;
    let StateQuery { step, prefix, limit, cursor } = query;
    let Some(step) = step.as_deref().map(step_key).transpose()? else {
        if prefix.is_some() || limit.is_some() || cursor.is_some() {
            return Err(bad_query("`prefix`, `limit` and `cursor` are for the entries of one `step`".to_owned()));
        }
        let states = read(&api, &tenant, move |reader, tenant| reader.states_of(tenant, &route)).await?;
        let states: Vec<Value> = states.iter().map(|(step, head)| of_step(step, head)).collect();
        return Ok(Json(json!({ "items": states, "next": null })).into_response());
    };
    let limit = PageQuery::limit(limit)?;
    let page = read(&api, &tenant, move |reader, tenant| {
        reader.list_state(tenant, &route, &step, prefix.as_deref().unwrap_or_default(), cursor.as_deref(), limit)
    });
    let page = page.await?;
    let items: Vec<Value> = page.items.iter().map(|(key, entry)| of_entry(key, entry)).collect();
    Ok(Json(json!({ "items": items, "next": page.next })).into_response())
}

/// Takes the state of a step away, or that of all steps.
pub(super) async fn delete(
    State(api): State<Api>,
    Path((tenant, route)): Path<(String, String)>,
    By(by): By,
    Params(query): Params<ForgetQuery>,
) -> Result<Response, Problem> {
    let route = known_route(&api, &tenant, &route)?;
    let step = query.step.as_deref().map(step_key).transpose()?;
    let (tenant, target): (TenantName, String) = (name(&tenant)?, format!("{tenant}/route/{route}"));
    let forget = Transition::ForgetState { tenant: tenant.clone(), route, step };
    match api.commit_by(&by, &tenant, ("forget_state", &target), forget).await? {
        Outcome::Done => Ok(StatusCode::NO_CONTENT.into_response()),
        Outcome::NotFound => {
            let detail = "nothing is kept there; GET the same path to see which steps have state";
            Err(Problem::new(StatusCode::NOT_FOUND, "not_found", detail))
        }
        other => Err(ChangeError::Answer(other).into()),
    }
}

fn known_route(api: &Api, tenant: &str, route: &str) -> Result<RouteName, Problem> {
    let (tenant, route): (TenantName, RouteName) = (name(tenant)?, name(route)?);
    let snapshot = api.parts().configuration.snapshot();
    if snapshot.tenant(&tenant).is_some_and(|tenant| tenant.routes.contains_key(&route)) {
        return Ok(route);
    }
    Err(not_found(&ResourceId { tenant: Some(tenant), kind: Kind::Route, name: route.to_string() }))
}

fn step_key(text: &str) -> Result<StepKey, Problem> {
    text.parse().map_err(|error: crate::model::InvalidStepKey| bad_query(error.to_string()))
}

fn of_step(step: &StepKey, head: &StateHead) -> Value {
    json!({ "step": step.as_str(), "keys": head.keys, "bytes": head.bytes, "writes": head.revision, "time_ms": head.time_ms })
}

/// A value is text where it is, and base64 otherwise; a long one is shown by its beginning.
fn of_entry(key: &str, entry: &StateEntry) -> Value {
    let mut shown = json!({ "key": key, "bytes": entry.value.len(), "expires_ms": entry.expires_ms });
    let beginning = entry.value.get(..VALUE_SHOWN_BYTES_MAX).unwrap_or(&entry.value);
    let (member, value) = match str::from_utf8(beginning) {
        Ok(text) => ("value", text.to_owned()),
        Err(_) => ("value_base64", STANDARD.encode(beginning)),
    };
    if let Some(members) = shown.as_object_mut() {
        members.insert(member.to_owned(), value.into());
        members.insert("value_cut".to_owned(), (beginning.len() < entry.value.len()).into());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_as_text_where_it_is_text_and_by_its_beginning_where_it_is_long() {
        let shown = |value: &[u8]| {
            of_entry("k", &StateEntry { value: bytes::Bytes::copy_from_slice(value), expires_ms: Some(7) })
        };
        let text = json!({ "key": "k", "bytes": 2, "expires_ms": 7, "value": "42", "value_cut": false });
        assert_eq!(shown(b"42"), text);
        assert_eq!(shown(&[0xff])["value_base64"], "/w==");
        let long = shown(&[b'x'; VALUE_SHOWN_BYTES_MAX + 1]);
        assert_eq!((long["value"].as_str().unwrap().len(), &long["value_cut"]), (VALUE_SHOWN_BYTES_MAX, &json!(true)));
        assert_eq!(long["bytes"], VALUE_SHOWN_BYTES_MAX + 1);
    }
}
