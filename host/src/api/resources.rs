//! Tenants, sources, endpoints and routes over HTTP: PUT, GET, list, DELETE. The same resources as in files.

use super::Api;
use super::access::Caller;
use super::audit::By;
use super::body::{Path, Whole};
use super::change::{Besides, ChangeError, Changed, masked};
use super::data::answer_page;
use super::endpoints;
use super::secrets;
use crate::config::{Kind, ResourceId, Snapshot, SourceSpec, Spec, parse};
use crate::model::{Actor, EndpointName, InvalidName, PUBLISHED_SOURCE, RouteName, SourceName, TenantName};
use crate::problem::Problem;
use crate::store::{Binding, PAGE_BYTES_MAX, Page, ReadError};
use axum::extract::{FromRequestParts, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};

/// The longest page of a list, and the length of one where the request does not say.
pub(super) const PAGE_MAX: usize = 500;
pub(super) const PAGE: usize = 100;

/// Which page of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl PageQuery {
    /// How many items the page has.
    pub(super) fn checked_limit(&self) -> Result<usize, Problem> {
        Self::limit(self.limit)
    }

    /// Where the page before ended, in the list that the cursor has to be of.
    pub(super) fn position(&self, list: &Binding) -> Result<Option<String>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let position = String::from_utf8(list.decode(cursor)?).map_err(|_| ReadError::Cursor)?;
        Ok(Some(position))
    }

    pub(super) fn limit(limit: Option<usize>) -> Result<usize, Problem> {
        match limit.unwrap_or(PAGE) {
            limit @ 1..=PAGE_MAX => Ok(limit),
            other => Err(bad_query(format!("`limit` is {other}; it is 1 to {PAGE_MAX}"))),
        }
    }
}

pub(super) fn bad_query(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "query_invalid", detail)
}

/// Query parameters, refused with a problem where they are wrong.
pub(super) struct Params<T>(pub(super) T);

impl<T: for<'de> Deserialize<'de>> FromRequestParts<Api> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut http::request::Parts, api: &Api) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, api).await;
        query
            .map(|Query(params)| Self(params))
            .map_err(|rejection| bad_query(format!("the query: {}", innermost(&rejection))))
    }
}

/// The text of the innermost cause: those around it speak of the library's own business.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

pub(super) async fn list_tenants(State(api): State<Api>, Params(page): Params<PageQuery>) -> Result<Response, Problem> {
    let snapshot = api.parts().configuration.snapshot();
    let tenants = snapshot.tenant_names().filter_map(|name| {
        let spec = snapshot.record(&tenant_id(name))?;
        Some((name.to_string(), masked(spec)))
    });
    page_of(&Binding::new("tenants", None), tenants.collect(), &page, |name, spec| document(name, &spec))
}

/// What a PUT of a tenant may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenantQuery {
    former: Option<String>,
}

pub(super) async fn put_tenant(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(query): Params<TenantQuery>,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let keeps_former = match query.former.as_deref() {
        None => false,
        Some("keep") => true,
        Some(_) => return Err(bad_query("`former` is `keep`, or not there".to_owned())),
    };
    put_spec(&api, &by, tenant_id(&name(&tenant)?), &body, Besides { keeps_former, ..Besides::default() }).await
}

pub(super) async fn get_tenant(State(api): State<Api>, Path(tenant): Path<String>) -> Result<Response, Problem> {
    get_spec(&api, &tenant_id(&name(&tenant)?))
}

pub(super) async fn delete_tenant(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    By(by): By,
) -> Result<Response, Problem> {
    delete_spec(&api, &by, tenant_id(&name(&tenant)?)).await
}

pub(super) async fn list(
    State(api): State<Api>,
    Path((tenant, kind)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    Params(page): Params<PageQuery>,
) -> Result<Response, Problem> {
    let (tenant, kind) = (name(&tenant)?, kind_of(&kind)?);
    let snapshot = api.parts().configuration.snapshot();
    let mut specs = of_kind(&snapshot, &tenant, kind)?;
    specs.retain(|(_, spec)| !matches!(spec, Spec::Endpoint(endpoint) if !caller.covers(&endpoint.labels)));
    match kind {
        Kind::Endpoint => endpoints::list(&api, &tenant, specs, &page).await,
        _ => page_of_specs(&list_of(kind, &tenant), specs, &page),
    }
}

pub(super) async fn put(
    State(api): State<Api>,
    Path((tenant, kind, resource)): Path<(String, String, String)>,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    put_spec(&api, &by, resource_id(&tenant, &kind, &resource)?, &body, Besides::default()).await
}

pub(super) async fn get(
    State(api): State<Api>,
    Path((tenant, kind, resource)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let id = resource_id(&tenant, &kind, &resource)?;
    match id.kind {
        Kind::Endpoint => endpoints::get(&api, &id, &spec_of(&api, &id)?).await,
        Kind::Source => {
            let document = with_facts(&api, &id, &spec_of(&api, &id)?)?;
            Ok(Json(with_ticks(&api, &id, document).await?).into_response())
        }
        _ => get_spec(&api, &id),
    }
}

/// What a DELETE may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteQuery {
    pending: Option<String>,
}

pub(super) async fn delete(
    State(api): State<Api>,
    Path((tenant, kind, resource)): Path<(String, String, String)>,
    By(by): By,
    Params(query): Params<DeleteQuery>,
) -> Result<Response, Problem> {
    let id = resource_id(&tenant, &kind, &resource)?;
    let cancel = match query.pending.as_deref() {
        None => false,
        Some("cancel") if id.kind == Kind::Endpoint => true,
        Some(_) => return Err(bad_query("`pending` is `cancel`, and for endpoints only".to_owned())),
    };
    remove(&api, &by, id, cancel).await
}

async fn put_spec(api: &Api, by: &Actor, id: ResourceId, body: &[u8], besides: Besides) -> Result<Response, Problem> {
    let spec = parse(id.kind, body).map_err(ChangeError::Invalid)?;
    if let Spec::Source(source) = &spec {
        source.check_put(&id.name, api.parts().ingest.body_bytes_max_of_all()).map_err(ChangeError::Invalid)?;
    }
    let (changed, shown) = api.parts().configuration.put(by, id.clone(), spec, besides).await?;
    if let (Kind::Source, Some(tenant)) = (id.kind, &id.tenant) {
        api.parts().ingest.begin_schedule(tenant, &name(&id.name)?).await?;
        let document = with_ticks(api, &id, with_facts(api, &id, &shown)?).await?;
        return Ok(answer_with(changed, document));
    }
    answer(api, changed, &id, &shown)
}

pub(super) fn answer(api: &Api, changed: Changed, id: &ResourceId, shown: &Spec) -> Result<Response, Problem> {
    with_facts(api, id, shown).map(|document| answer_with(changed, document))
}

fn answer_with(changed: Changed, mut document: Map<String, Value>) -> Response {
    let status = if changed == Changed::Created { StatusCode::CREATED } else { StatusCode::OK };
    document.insert("changed".to_owned(), Value::Bool(changed != Changed::Nothing));
    (status, Json(document)).into_response()
}

/// What is shown of a source, with where its schedule stands, if it has one.
async fn with_ticks(
    api: &Api,
    id: &ResourceId,
    mut document: Map<String, Value>,
) -> Result<Map<String, Value>, Problem> {
    let Some(tenant) = &id.tenant else { return Ok(document) };
    if let Some(ticks) = api.parts().ingest.ticks(tenant, &name(&id.name)?).await? {
        document.insert("status".to_owned(), serde_json::to_value(ticks).map_err(|_| Problem::internal())?);
    }
    Ok(document)
}

pub(super) fn get_spec(api: &Api, id: &ResourceId) -> Result<Response, Problem> {
    Ok(Json(with_facts(api, id, &spec_of(api, id)?)?).into_response())
}

/// A resource as it is shown, with what the host knows of it beside.
pub(super) fn with_facts(api: &Api, id: &ResourceId, shown: &Spec) -> Result<Map<String, Value>, Problem> {
    let mut document = document(&id.name, shown)?;
    if id.kind == Kind::Endpoint {
        secrets::add_facts(api, id, &mut document);
    }
    Ok(document)
}

/// A resource as it is shown.
fn spec_of(api: &Api, id: &ResourceId) -> Result<Spec, Problem> {
    let snapshot = api.parts().configuration.snapshot();
    let built_in = || {
        let is_there = id.tenant.as_ref().is_some_and(|tenant| snapshot.tenant(tenant).is_some());
        let is_meant = is_there && id.kind == Kind::Source && id.name == PUBLISHED_SOURCE;
        is_meant.then(|| Spec::Source(SourceSpec::published()))
    };
    snapshot.record(id).map(masked).or_else(built_in).ok_or_else(|| not_found(id))
}

/// Whether there is a source of this name: one that was made, or the one that every tenant has.
pub(super) fn check_source(api: &Api, tenant: &TenantName, source: &SourceName) -> Result<(), Problem> {
    let id = ResourceId { tenant: Some(tenant.clone()), kind: Kind::Source, name: source.to_string() };
    spec_of(api, &id).map(drop)
}

pub(super) async fn delete_spec(api: &Api, by: &Actor, id: ResourceId) -> Result<Response, Problem> {
    remove(api, by, id, false).await
}

async fn remove(api: &Api, by: &Actor, id: ResourceId, cancel: bool) -> Result<Response, Problem> {
    let missing = not_found(&id);
    let removed = match id.kind {
        Kind::Tenant => api.parts().uploads.remove_tenant(by, id).await?,
        _ => api.parts().configuration.remove(by, id, cancel).await?,
    };
    api.parts().ingest.forget_what_gone_sources_refused();
    if removed { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(missing) }
}

pub(super) fn list_kind(api: &Api, tenant: &TenantName, kind: Kind, page: &PageQuery) -> Result<Response, Problem> {
    page_of_specs(&list_of(kind, tenant), of_kind(&api.parts().configuration.snapshot(), tenant, kind)?, page)
}

/// A tenant's resources of a kind, with their secrets.
fn of_kind<'a>(snapshot: &'a Snapshot, tenant: &TenantName, kind: Kind) -> Result<Vec<(String, &'a Spec)>, Problem> {
    let found = snapshot.tenant(tenant).ok_or_else(|| not_found(&tenant_id(tenant)))?;
    let of_kind = found.records.iter().filter(|((of, _), _)| *of == kind);
    Ok(of_kind.map(|((_, name), spec)| (name.clone(), spec)).collect())
}

/// The list of a tenant's resources of a kind.
pub(super) fn list_of<'a>(kind: Kind, tenant: impl Into<Option<&'a TenantName>>) -> Binding {
    Binding::new(kind.as_str(), tenant)
}

fn page_of_specs(list: &Binding, all: Vec<(String, &Spec)>, page: &PageQuery) -> Result<Response, Problem> {
    page_of(list, all, page, |name, spec| document(name, &masked(spec.clone())))
}

/// A page of resources by name; the cursor has the last name of the page before. It ends early where they are long.
pub(super) fn page_of<T>(
    list: &Binding,
    mut all: Vec<(String, T)>,
    page: &PageQuery,
    document: impl Fn(&str, T) -> Result<Map<String, Value>, Problem>,
) -> Result<Response, Problem> {
    let limit = PageQuery::limit(page.limit)?;
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    let after = page.position(list)?.unwrap_or_default();
    let mut rest = all.into_iter().filter(|(name, _)| *name > after);
    let (mut items, mut bytes, mut last) = (Vec::new(), 0, None);
    while items.len() < limit && bytes < PAGE_BYTES_MAX {
        let Some((name, found)) = rest.next() else { break };
        let item = to_raw_value(&document(&name, found)?).map_err(|_| Problem::internal())?;
        bytes += item.get().len();
        items.push(item);
        last = Some(name);
    }
    let next = rest.next().and(last.map(|name| list.encode(name.as_bytes())));
    let looked_at = items.len();
    answer_page(Page { items, next, looked_at }, limit)
}

pub(super) fn document(name: &str, spec: &Spec) -> Result<Map<String, Value>, Problem> {
    let mut document = Map::from_iter([("name".to_owned(), Value::from(name))]);
    match spec.to_json() {
        Ok(Value::Object(members)) => document.extend(members),
        _ => return Err(Problem::internal()),
    }
    Ok(document)
}

pub(super) fn tenant_id(tenant: &TenantName) -> ResourceId {
    ResourceId { tenant: Some(tenant.clone()), kind: Kind::Tenant, name: tenant.to_string() }
}

fn resource_id(tenant: &str, kind: &str, resource: &str) -> Result<ResourceId, Problem> {
    let tenant = name(tenant)?;
    let kind = kind_of(kind)?;
    match kind {
        // What it may be is checked with the rest of it.
        Kind::EventType => {}
        Kind::Source => name::<SourceName>(resource).map(drop)?,
        Kind::Endpoint => name::<EndpointName>(resource).map(drop)?,
        _ => name::<RouteName>(resource).map(drop)?,
    }
    Ok(ResourceId { tenant: Some(tenant), kind, name: resource.to_owned() })
}

pub(super) fn endpoint_id(tenant: &str, endpoint: &str) -> Result<ResourceId, Problem> {
    resource_id(tenant, "endpoints", endpoint)
}

fn kind_of(text: &str) -> Result<Kind, Problem> {
    match text {
        "event-types" => Ok(Kind::EventType),
        "sources" => Ok(Kind::Source),
        "endpoints" => Ok(Kind::Endpoint),
        "routes" => Ok(Kind::Route),
        other => {
            let detail = format!(
                "`{other}` is nothing that a tenant has: sources, event-types, modules, endpoints, routes, keys, tokens, events, runs, \
                 deliveries, jobs, statistics, usage, quarantine and audit are"
            );
            Err(Problem::new(StatusCode::NOT_FOUND, "path_unknown", detail))
        }
    }
}

/// A name out of a path.
pub(super) fn name<T: std::str::FromStr<Err = InvalidName>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|e: InvalidName| Problem::new(StatusCode::BAD_REQUEST, "name_invalid", e.to_string()))
}

pub(super) fn not_found(id: &ResourceId) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {}", id.words()))
}
