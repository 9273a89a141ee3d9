//! Questions about events, runs and deliveries, and the retry of a delivery.

use super::Api;
use super::access::Caller;
use super::audit::By;
use super::body::Path;
use super::change::ChangeError;
use super::resources::{PageQuery, Params, bad_query, name, not_found, tenant_id};
use super::room::HasRoom;
use crate::model::{
    Actor, DeliveryId, DeliveryStatus, EndpointName, Erased, EventId, InvalidId, RouteName, RunsAsked, SourceName,
    TenantName,
};
use crate::problem::Problem;
use crate::store::{DeliveryFilter, EventFilter, Outcome, Page, ReadError, Reader, Transition};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Why an event has no runs.
const UNROUTED: &str =
    "no route took it: none that was there when it came has its source and its event type, and is enabled";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    source: Option<String>,
    event_type: Option<String>,
    route: Option<String>,
    run_status: Option<RunsAsked>,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
}

pub(super) async fn list_events(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(query): Params<EventsQuery>,
) -> Result<Response, Problem> {
    let limit = PageQuery::limit(query.limit)?;
    let filter = EventFilter {
        source: query.source.as_deref().map(name::<SourceName>).transpose()?,
        event_type: query.event_type,
        route: query.route.as_deref().map(name::<RouteName>).transpose()?,
        run_status: query.run_status,
        since_ms: query.since_ms,
        until_ms: query.until_ms,
    };
    let cursor = query.cursor;
    let page = read(&api, &tenant, move |reader, tenant| reader.list_events(tenant, &filter, cursor.as_deref(), limit));
    answer_page(page.await?, limit)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunsQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    status: Option<String>,
    route: Option<String>,
}

/// The runs that wait for a rerun. Others are found by their events.
pub(super) async fn list_runs(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(query): Params<RunsQuery>,
) -> Result<Response, Problem> {
    let limit = PageQuery::limit(query.limit)?;
    if query.status.as_deref() != Some("held") {
        return Err(bad_query("say `status=held`; other runs are found by their events".to_owned()));
    }
    let route = query.route.as_deref().map(name::<RouteName>).transpose()?;
    let cursor = query.cursor;
    let page = read(&api, &tenant, move |reader, tenant| {
        reader.list_held_runs(tenant, route.as_ref(), cursor.as_deref(), limit)
    });
    answer_page(page.await?, limit)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveriesQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    endpoint: Option<String>,
    status: Option<DeliveryStatus>,
    event_type: Option<String>,
    source: Option<String>,
    route: Option<String>,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
}

pub(super) async fn list_deliveries(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<DeliveriesQuery>,
) -> Result<Response, Problem> {
    let limit = PageQuery::limit(query.limit)?;
    let endpoint = query.endpoint.as_deref().map(name::<EndpointName>).transpose()?;
    let own = match (caller.is_customer(), &endpoint) {
        (false, _) => None,
        (true, Some(endpoint)) => Some((name(&tenant)?, endpoint.clone())),
        (true, None) => {
            return Err(bad_query("say `endpoint`: a token shows the deliveries of one endpoint".to_owned()));
        }
    };
    check_still_own(&api, &caller, own.as_ref())?;
    let mut filter = DeliveryFilter {
        endpoint,
        status: query.status,
        event_type: query.event_type,
        source: query.source.as_deref().map(name::<SourceName>).transpose()?,
        route: query.route.as_deref().map(name::<RouteName>).transpose()?,
        since_ms: query.since_ms,
        until_ms: query.until_ms,
        after_seq: None,
    };
    let (cursor, of_owner) = (query.cursor, own.clone());
    let page = read(&api, &tenant, move |reader, tenant| {
        if let Some((_, endpoint)) = of_owner {
            filter.after_seq = Some(reader.owner_since_seq(tenant, &endpoint)?);
        }
        reader.list_deliveries(tenant, &filter, cursor.as_deref(), limit)
    });
    let page = page.await?;
    // It may have become another customer's while it was read.
    check_still_own(&api, &caller, own.as_ref())?;
    answer_page(page, limit)
}

pub(super) async fn get_event(
    State(api): State<Api>,
    Path((tenant, event)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id: EventId = parse_id(&event)?;
    let found = read(&api, &tenant, move |reader, tenant| {
        let Some(event) = reader.event(tenant, id)? else { return reader.erased(tenant, id).map(Err) };
        Ok(Ok((event, reader.runs(tenant, id)?)))
    });
    match found.await? {
        Ok((event, runs)) => {
            let mut document = object(&event)?;
            if runs.is_empty() {
                document.insert("unrouted".to_owned(), Value::from(UNROUTED));
            }
            document.insert("runs".to_owned(), serde_json::to_value(&runs).map_err(|_| Problem::internal())?);
            Ok(Json(document).into_response())
        }
        Err(Some(erased)) => Ok(Json(erased).into_response()),
        Err(None) => Err(missing("event", &event)),
    }
}

/// Erases an event with all that came of it, and shows what is left.
pub(super) async fn erase_event(
    State(api): State<Api>,
    Path((tenant, event)): Path<(String, String)>,
    By(by): By,
) -> Result<Response, Problem> {
    let id: EventId = parse_id(&event)?;
    let known = read(&api, &tenant, |_, tenant| Ok(tenant.clone())).await?;
    let now_ms = api.parts().clock.now_ms();
    let erase = || Transition::Erase { tenant: known.clone(), event: id, now_ms };
    // Told of once, by the first part of it: from then on it goes on by itself.
    let mut outcome = api.commit_by(&by, &known, ("erase", &event), erase()).await?;
    loop {
        match outcome {
            Outcome::More => outcome = api.parts().store.commit(erase()).await.map_err(ChangeError::from)?,
            Outcome::Done => return get_event(State(api), Path((tenant, event))).await,
            Outcome::NotFound => return Err(missing("event", &event)),
            other => return Err(ChangeError::Answer(other).into()),
        }
    }
}

pub(super) async fn get_event_body(
    State(api): State<Api>,
    Path((tenant, event)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id: EventId = parse_id(&event)?;
    let room = api.parts().rooms.answers.clone();
    let body = read(&api, &tenant, move |reader, tenant| {
        let known = reader.event(tenant, id)?.is_some();
        // Where it is read: what waits for whoever asked has its room already.
        if known {
            Ok(Ok(room.keep(Some(tenant.as_str()), reader.body(tenant, id)?)))
        } else {
            reader.erased(tenant, id).map(Err)
        }
    });
    match body.await? {
        Ok(body) => Ok(raw(body?)),
        Err(Some(erased)) => Err(gone(&erased)),
        Err(None) => Err(missing("event", &event)),
    }
}

pub(super) async fn get_delivery(
    State(api): State<Api>,
    Path((tenant, delivery)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let id: DeliveryId = parse_id(&delivery)?;
    let found = read(&api, &tenant, move |reader, tenant| {
        let Some(delivery) = reader.delivery(tenant, id)? else { return Ok(None) };
        Ok(Some((delivery, reader.attempts(tenant, id)?)))
    });
    let (found, attempts) = found.await?.ok_or_else(|| missing("delivery", &delivery))?;
    check_own(&api, &caller, &tenant, (id, &found.endpoint)).await?;
    let mut document = object(&found)?;
    document.insert("attempts_made".to_owned(), Value::from(found.attempts));
    document.insert("attempts".to_owned(), serde_json::to_value(&attempts).map_err(|_| Problem::internal())?);
    Ok(Json(document).into_response())
}

pub(super) async fn get_delivery_body(
    State(api): State<Api>,
    Path((tenant, delivery)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let id: DeliveryId = parse_id(&delivery)?;
    let room = api.parts().rooms.answers.clone();
    let body = read(&api, &tenant, move |reader, tenant| {
        let Some(delivery) = reader.delivery(tenant, id)? else { return Ok(None) };
        Ok(reader
            .delivery_body(tenant, &delivery)?
            .map(|body| (delivery.endpoint, room.keep(Some(tenant.as_str()), body))))
    });
    let (endpoint, body) = body.await?.ok_or_else(|| missing("delivery", &delivery))?;
    check_own(&api, &caller, &tenant, (id, &endpoint)).await?;
    Ok(raw(body?))
}

pub(super) async fn retry(
    State(api): State<Api>,
    Path((tenant, delivery)): Path<(String, String)>,
    By(by): By,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let id: DeliveryId = parse_id(&delivery)?;
    let found = read(&api, &tenant, move |reader, tenant| reader.delivery(tenant, id)).await?;
    let endpoint = found.ok_or_else(|| missing("delivery", &delivery))?.endpoint;
    check_own(&api, &caller, &tenant, (id, &endpoint)).await?;
    let tenant: TenantName = name(&tenant)?;
    // A delivery must not wait for an endpoint that is not there, nor for another one that gets its name later.
    let still = api.parts().configuration.still().await;
    if !by.may_change(still.snapshot.endpoint(&tenant, &endpoint).map(|found| &found.labels), None) {
        return Err(missing("delivery", &delivery));
    }
    if still.snapshot.endpoint(&tenant, &endpoint).is_none() {
        let detail = format!("the endpoint `{endpoint}` is gone; make it again first");
        return Err(Problem::new(StatusCode::CONFLICT, "endpoint_missing", detail));
    }
    let due_ms = api.parts().clock.now_ms();
    let retry = Transition::Retry { tenant: tenant.clone(), delivery: id, due_ms };
    commit(&api, &by, &tenant, ("retry", "delivery", &delivery), retry).await
}

/// Commits what was asked for with the thing of this kind and id, and tells of it.
pub(super) async fn commit(
    api: &Api,
    by: &Actor,
    tenant: &TenantName,
    (action, what, given): (&str, &'static str, &str),
    transition: Transition,
) -> Result<Response, Problem> {
    match api.commit_by(by, tenant, (action, given), transition).await? {
        Outcome::Done => Ok((StatusCode::ACCEPTED, Json(json!({ "id": given }))).into_response()),
        Outcome::NotFound => Err(missing(what, given)),
        Outcome::Stale { why } => Err(Problem::new(StatusCode::CONFLICT, "state_conflict", why)),
        other => Err(ChangeError::Answer(other).into()),
    }
}

/// Whether an endpoint is the business of who asks.
fn is_own(api: &Api, caller: &Caller, tenant: &TenantName, endpoint: &EndpointName) -> bool {
    let snapshot = api.parts().configuration.snapshot();
    // What is left of an endpoint that is gone is the tenant's.
    snapshot.endpoint(tenant, endpoint).map_or(!caller.is_customer(), |endpoint| caller.covers(&endpoint.labels))
}

/// Refuses a customer whose endpoint that is not, or not any more.
fn check_still_own(api: &Api, caller: &Caller, own: Option<&(TenantName, EndpointName)>) -> Result<(), Problem> {
    let is_own = own.is_none_or(|(tenant, endpoint)| is_own(api, caller, tenant, endpoint));
    if is_own { Ok(()) } else { Err(caller.refused()) }
}

/// Whether a delivery is the business of who asks; otherwise it is as if it were not there. What was for those whose endpoint it was before is theirs.
async fn check_own(
    api: &Api,
    caller: &Caller,
    tenant: &str,
    (id, endpoint): (DeliveryId, &EndpointName),
) -> Result<(), Problem> {
    if !caller.is_customer() {
        return Ok(());
    }
    let tenant: TenantName = name(tenant)?;
    let (of, at) = (tenant.clone(), endpoint.clone());
    // Before the look and behind it: it may become another customer's meanwhile, and either must not see what is the other's.
    let is_own = is_own(api, caller, &tenant, endpoint)
        && api.parts().store.read(move |reader| reader.is_of_owner(&of, &at, id.event())).await?
        && is_own(api, caller, &tenant, endpoint);
    if is_own { Ok(()) } else { Err(missing("delivery", &id.to_string())) }
}

/// Reads from the store, for a tenant that is there.
pub(super) async fn read<T: Send + 'static>(
    api: &Api,
    tenant: &str,
    look: impl FnOnce(&Reader, &TenantName) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Problem> {
    let tenant: TenantName = name(tenant)?;
    if api.parts().configuration.snapshot().tenant(&tenant).is_none() {
        return Err(not_found(&tenant_id(&tenant)));
    }
    Ok(api.parts().store.read(move |reader| look(reader, &tenant)).await?)
}

/// A page, as it is shown.
#[derive(Serialize)]
struct Shown<T> {
    items: Vec<T>,
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// A page. One that ended before it was full, because enough was looked at, or what was found is long, says so.
pub(super) fn answer_page<T: Serialize>(page: Page<T>, limit: usize) -> Result<Response, Problem> {
    let Page { items, next, looked_at } = page;
    let is_short = next.is_some() && items.len() < limit;
    let note =
        is_short.then(|| format!("this page ends after a look at {looked_at} records; `next` goes on from there"));
    Ok(Json(Shown { items, next, note }).into_response())
}

fn object(value: &impl Serialize) -> Result<serde_json::Map<String, Value>, Problem> {
    match serde_json::to_value(value) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Problem::internal()),
    }
}

/// A body that has its room, as it is, which a browser must not take for a page.
fn raw(body: Bytes) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (Extension(HasRoom), headers, body).into_response()
}

pub(super) fn parse_id<T: std::str::FromStr<Err = InvalidId>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|e: InvalidId| Problem::new(StatusCode::BAD_REQUEST, "id_invalid", e.to_string()))
}

fn gone(erased: &Erased) -> Problem {
    let detail = format!("the event `{}` was erased; what is left of it says when", erased.id);
    Problem::new(StatusCode::GONE, "event_erased", detail).with("erased_at_ms", erased.erased_at_ms)
}

pub(super) fn missing(what: &str, given: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what} `{given}`"))
}
