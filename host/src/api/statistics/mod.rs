//! What was counted, over HTTP: of one source, module or endpoint, of all that a tenant has, and of all tenants.
//!
//! An answer is of one moment: while a minute goes from memory to the store nobody looks.

mod document;
mod gather;

use super::Api;
use super::body::Path;
use super::data::read;
use super::resources::{PageQuery, Params, name, not_found};
use crate::config::{self, ResourceId};
use crate::model::{EndpointName, ModuleName, PUBLISHED_SOURCE, SourceName, TenantName};
use crate::problem::Problem;
use crate::statistics::Kind;
use crate::store::{Binding, ReadError};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use document::{pending, series, windows};
use gather::{Gathered, gather, gather_totals, names};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a request for one subject may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectQuery {
    series: Option<Series>,
}

/// What a request for a module may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModuleQuery {
    series: Option<Series>,
    scope: Option<Scope>,
}

/// Whether the periods are to be listed that a window is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Series {
    /// Those of the last hour.
    Minute,
    /// Those of the last day.
    Hour,
}

/// Whose module it is that the tenant runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    /// Its own.
    Tenant,
    /// The operator's.
    Operator,
}

pub(super) async fn of_source(
    State(api): State<Api>,
    Path((tenant, source)): Path<(String, String)>,
    Params(query): Params<SubjectQuery>,
) -> Result<Response, Problem> {
    let (tenant, source): (TenantName, SourceName) = (name(&tenant)?, name(&source)?);
    // That one is there without being a resource.
    let (kind, named) = match source.as_str() {
        PUBLISHED_SOURCE => (config::Kind::Tenant, tenant.as_str()),
        name => (config::Kind::Source, name),
    };
    known(&api, Some(&tenant), kind, named)?;
    let gathered = gather(&api, &tenant, Kind::Source, source.as_str()).await?;
    Ok(Json(of_subject(Kind::Source, source.as_str(), &gathered, query.series)).into_response())
}

pub(super) async fn of_endpoint(
    State(api): State<Api>,
    Path((tenant, endpoint)): Path<(String, String)>,
    Params(query): Params<SubjectQuery>,
) -> Result<Response, Problem> {
    let (tenant, endpoint): (TenantName, EndpointName) = (name(&tenant)?, name(&endpoint)?);
    known(&api, Some(&tenant), config::Kind::Endpoint, endpoint.as_str())?;
    let gathered = gather(&api, &tenant, Kind::Endpoint, endpoint.as_str()).await?;
    let mut document = of_subject(Kind::Endpoint, endpoint.as_str(), &gathered, query.series);
    let queue = read(&api, tenant.as_str(), move |reader, tenant| reader.queue(tenant, &endpoint)).await?;
    document.insert("queue".to_owned(), pending(&queue, gathered.now_ms));
    Ok(Json(document).into_response())
}

/// A module, all versions together and each by itself.
pub(super) async fn of_module(
    State(api): State<Api>,
    Path((tenant, module)): Path<(String, String)>,
    Params(query): Params<ModuleQuery>,
) -> Result<Response, Problem> {
    let (tenant, module): (TenantName, ModuleName) = (name(&tenant)?, name(&module)?);
    let operator = query.scope == Some(Scope::Operator);
    let scope = (!operator).then_some(&tenant);
    known(&api, scope, config::Kind::Module, module.as_str())?;
    let named = if operator { format!("operator/{module}") } else { module.to_string() };
    let gathered = gather(&api, &tenant, Kind::Module, &named).await?;
    let mut document = of_subject(Kind::Module, &named, &gathered, query.series);
    let versions = gathered.versions().into_iter().map(|(version, found)| {
        let mut document = Map::from_iter([("version".to_owned(), Value::from(version.to_string()))]);
        document.extend(windows(Kind::Module, &found));
        document
    });
    document.insert("versions".to_owned(), versions.collect());
    Ok(Json(document).into_response())
}

/// All that a tenant has, source by source, module by module and endpoint by endpoint; on the first page with the totals.
pub(super) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(page): Params<PageQuery>,
) -> Result<Response, Problem> {
    let tenant: TenantName = name(&tenant)?;
    let limit = page.checked_limit()?;
    let all = Binding::new("statistics", &tenant);
    let after = page.position(&all)?.map(|position| parse_position(&position)).transpose()?;
    let first = after.is_none();
    let mut found = names(&api, &tenant, after, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next =
        found.last().filter(|_| more).map(|(kind, name)| all.encode(format!("{}:{name}", kind.as_str()).as_bytes()));
    let mut items = Vec::with_capacity(found.len());
    for (kind, name) in found {
        items.push(of_subject(kind, &name, &gather(&api, &tenant, kind, &name).await?, None));
    }
    let mut document = json!({ "items": items, "next": next });
    if let (true, Some(members)) = (first, document.as_object_mut()) {
        members.insert("totals".to_owned(), totals(&api, &tenant).await?.into());
    }
    Ok(Json(document).into_response())
}

/// The totals of each tenant, and until when what was counted survives a crash.
pub(super) async fn by_tenant(State(api): State<Api>, Params(page): Params<PageQuery>) -> Result<Response, Problem> {
    let snapshot = api.parts().configuration.snapshot();
    let mut all: Vec<TenantName> = snapshot.tenant_names().cloned().collect();
    all.sort();
    let list = Binding::new("statistics", None);
    let after = page.position(&list)?.unwrap_or_default();
    let mut rest = all.into_iter().filter(|tenant| tenant.as_str() > after.as_str());
    let on_page: Vec<TenantName> = rest.by_ref().take(page.checked_limit()?).collect();
    let next = rest.next().and(on_page.last().map(|last| list.encode(last.as_str().as_bytes())));
    let mut items = Vec::with_capacity(on_page.len());
    for tenant in on_page {
        let mut document = totals(&api, &tenant).await?;
        document.insert("tenant".to_owned(), tenant.to_string().into());
        items.push(document);
    }
    let kept_until_ms = api.parts().recorder.kept_until_ms();
    Ok(Json(json!({ "items": items, "next": next, "kept_until_ms": kept_until_ms })).into_response())
}

/// The totals of a tenant, by kind.
async fn totals(api: &Api, tenant: &TenantName) -> Result<Map<String, Value>, Problem> {
    let mut all = Map::new();
    for kind in Kind::ALL {
        let found = gather_totals(api, tenant, kind).await?;
        all.insert(format!("{}s", kind.as_str()), windows(kind, &found).into());
    }
    Ok(all)
}

fn of_subject(kind: Kind, name: &str, found: &Gathered, wanted: Option<Series>) -> Map<String, Value> {
    let mut document = Map::from_iter([
        ("kind".to_owned(), Value::from(kind.as_str())),
        ("name".to_owned(), Value::from(name)),
        ("now_ms".to_owned(), Value::from(found.now_ms)),
    ]);
    document.extend(windows(kind, found));
    document.extend(wanted.map(|wanted| ("series".to_owned(), series(kind, found, wanted))));
    document
}

/// Refuses where there is no such resource.
fn known(api: &Api, tenant: Option<&TenantName>, kind: config::Kind, name: &str) -> Result<(), Problem> {
    let snapshot = api.parts().configuration.snapshot();
    let id = ResourceId { tenant: tenant.cloned(), kind, name: name.to_owned() };
    if snapshot.record(&id).is_some() { Ok(()) } else { Err(not_found(&id)) }
}

/// A position is the kind and the name of the last item of the page before.
fn parse_position(position: &str) -> Result<(Kind, String), ReadError> {
    let (kind, name) = position.split_once(':').ok_or(ReadError::Cursor)?;
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(ReadError::Cursor)?;
    Ok((kind, name.to_owned()))
}
