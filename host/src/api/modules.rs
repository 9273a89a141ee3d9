//! Modules over HTTP: the body of a PUT is the wasm itself, a component or a core module with WIT metadata. Each upload is a version;
//! what versions do is changed by POSTs. One set of handlers for both scopes, a tenant's and the operator's.

use super::Api;
use super::audit::By;
use super::body::{Path, Whole, parse_json, read};
use super::change::{ChangeError, Changed, Configuration};
use super::resources::{PageQuery, Params, document, list_kind, list_of, name, not_found, page_of, tenant_id};
use super::uploads::{broken_down, scope_of};
use crate::config::{Kind, ModuleOptions, ModuleRecord, ModuleVersion, ResourceId, Spec, VersionError, VersionRef};
use crate::model::{Actor, Digest, ModuleName, TenantName};
use crate::pipeline::ModuleId;
use crate::problem::Problem;
use crate::runtime::Module;
use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};

pub(super) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(page): Params<PageQuery>,
) -> Result<Response, Problem> {
    let tenant = name(&tenant)?;
    let snapshot = api.parts().configuration.snapshot();
    let found = snapshot.tenant(&tenant).ok_or_else(|| not_found(&tenant_id(&tenant)))?;
    let of_kind = found.records.keys().filter(|(kind, _)| *kind == Kind::Module);
    page_of_modules(&api, &Some(tenant), of_kind.map(|(_, name)| name.clone()).collect(), &page)
}

pub(super) async fn list_operator(
    State(api): State<Api>,
    Params(page): Params<PageQuery>,
) -> Result<Response, Problem> {
    let snapshot = api.parts().configuration.snapshot();
    page_of_modules(&api, &None, snapshot.operator_modules().keys().map(ModuleName::to_string).collect(), &page)
}

/// A page of a scope's modules, with those that are not ready yet.
fn page_of_modules(
    api: &Api,
    tenant: &Option<TenantName>,
    names: Vec<String>,
    page: &PageQuery,
) -> Result<Response, Problem> {
    let mut all: BTreeSet<String> = api.parts().uploads.not_ready(tenant);
    all.extend(names);
    let list = list_of(Kind::Module, tenant.as_ref());
    page_of(&list, all.into_iter().map(|name| (name, ())).collect(), page, |name, ()| {
        shown_or_awaited(api, &ResourceId { tenant: tenant.clone(), kind: Kind::Module, name: name.to_owned() })
    })
}

/// The quarantined versions of a tenant's modules, the operator's among them.
pub(super) async fn list_quarantined(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(page): Params<PageQuery>,
) -> Result<Response, Problem> {
    list_kind(&api, &name(&tenant)?, Kind::Quarantine, &page)
}

/// The module that a path names, in a scope that is there.
pub(super) struct At {
    pub(super) id: ResourceId,
    pub(super) module: ModuleId,
}

impl FromRequestParts<Api> for At {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut http::request::Parts, api: &Api) -> Result<Self, Problem> {
        let Path(named) = Path::<HashMap<String, String>>::from_request_parts(parts, api).await?;
        let tenant = named.get("tenant").map(|tenant| name::<TenantName>(tenant)).transpose()?;
        let module: ModuleName = name(named.get("name").map_or("", String::as_str))?;
        if let Some(tenant) =
            tenant.as_ref().filter(|tenant| api.parts().configuration.snapshot().tenant(tenant).is_none())
        {
            return Err(not_found(&tenant_id(tenant)));
        }
        let id = ResourceId { tenant: tenant.clone(), kind: Kind::Module, name: module.to_string() };
        Ok(Self { id, module: (tenant, module) })
    }
}

/// What an upload may say beside the bytes. What it does not say stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadQuery {
    /// `false` for an answer as soon as the upload is durable: it is compiled later, and a GET tells what came of it.
    wait: Option<bool>,
    activate: Option<bool>,
    max_time_ms: Option<u64>,
    quarantine_after: Option<u32>,
    rollback_on_quarantine: Option<bool>,
}

impl UploadQuery {
    /// Whether the answer comes before it is compiled.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.wait == Some(false)
    }
}

pub(super) async fn upload(
    State(api): State<Api>,
    At { id, .. }: At,
    By(by): By,
    Params(query): Params<UploadQuery>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let (library, uploads) = (&api.parts().library, &api.parts().uploads);
    // Before its body is read: uploads are large, and compiling them is work.
    let turn = library.line_up_to_upload(&scope_of(&id)).turn().await;
    let bytes_max = library.module_bytes_max();
    let what = "the module (runtime.module_bytes_max)";
    let wasm = read(&api, request.into_body(), what, "module_too_large", bytes_max).await?;
    let (digest, is_acknowledged) = (Digest::of(&wasm), query.is_acknowledged());
    let done = uploads.take(by, id.clone(), query, wasm).await?;
    drop(turn);
    if is_acknowledged {
        // However far it is by now: a GET tells.
        let mut document = shown_or_awaited(&api, &id)?;
        document.extend([("state".to_owned(), json!("compiling")), ("upload".to_owned(), json!({ "digest": digest }))]);
        return Ok((StatusCode::ACCEPTED, Json(document)).into_response());
    }
    let (changed, record) = done.await.unwrap_or_else(|error| Err(broken_down(&error)))?;
    let mut document = shown(&api, &id, &record)?;
    document.insert("changed".to_owned(), Value::Bool(changed != Changed::Nothing));
    document.insert("version".to_owned(), version(&record, record.find(&digest))?);
    let status = if changed == Changed::Created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(document)).into_response())
}

/// Makes an upload, which has been compiled, a version of its module.
pub(super) async fn add_version(
    configuration: &Configuration,
    by: &Actor,
    id: &ResourceId,
    query: &UploadQuery,
    module: &Module,
    bytes: u64,
    now_ms: u64,
) -> Result<(Changed, ModuleRecord), ChangeError> {
    let (digest, world) = (module.digest(), module.world());
    let options = ModuleOptions {
        max_time_ms: query.max_time_ms,
        quarantine_after: query.quarantine_after,
        rollback_on_quarantine: query.rollback_on_quarantine,
    };
    let change = |old: Option<ModuleRecord>| {
        let mut record = old.unwrap_or_else(|| ModuleRecord::new(digest, world, bytes, now_ms));
        record.upload(digest, world, bytes, now_ms);
        if query.activate != Some(false) {
            record.activate(VersionRef::Digest(digest))?;
        }
        record.set_options(&options);
        Ok(record)
    };
    configuration.change_module(by, id, change).await
}

pub(super) async fn show(State(api): State<Api>, At { id, .. }: At) -> Result<Response, Problem> {
    if !api.parts().uploads.is_not_ready(&id) {
        record(&api, &id)?;
    }
    Ok(Json(shown_or_awaited(&api, &id)?).into_response())
}

/// A module as it is, or one whose first version is still on its way.
fn shown_or_awaited(api: &Api, id: &ResourceId) -> Result<Map<String, Value>, Problem> {
    if let Some(record) = api.parts().configuration.snapshot().module(id) {
        return shown(api, id, record);
    }
    let mut awaited = Map::from_iter([("name".to_owned(), json!(id.name))]);
    api.parts().uploads.show(id, &mut awaited);
    Ok(awaited)
}

pub(super) async fn remove(State(api): State<Api>, At { id, module }: At, By(by): By) -> Result<Response, Problem> {
    let missing = not_found(&id);
    let removed = api.parts().uploads.remove(&by, id).await?;
    api.parts().shadows.forget(&module);
    if removed { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(missing) }
}

/// A version in a body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichBody {
    pub(super) digest: Option<Digest>,
    pub(super) number: Option<u32>,
}

pub(super) fn which(digest: Option<Digest>, number: Option<u32>) -> Result<VersionRef, Problem> {
    match (digest, number) {
        (Some(digest), None) => Ok(VersionRef::Digest(digest)),
        (None, Some(number)) => Ok(VersionRef::Number(number)),
        _ => {
            let detail = "say which version: {\"number\": 3} or {\"digest\": \"…\"}";
            Err(Problem::new(StatusCode::BAD_REQUEST, "body_invalid", detail))
        }
    }
}

pub(super) async fn activate(
    State(api): State<Api>,
    At { id, .. }: At,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let WhichBody { digest, number } = parse_json(&body)?;
    let which = which(digest, number)?;
    change(&api, &by, &id, |record| record.activate(which)).await
}

pub(super) async fn roll_back(State(api): State<Api>, At { id, .. }: At, By(by): By) -> Result<Response, Problem> {
    change(&api, &by, &id, ModuleRecord::roll_back).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CanaryBody {
    digest: Option<Digest>,
    number: Option<u32>,
    percent: u32,
}

pub(super) async fn set_canary(
    State(api): State<Api>,
    At { id, .. }: At,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let CanaryBody { digest, number, percent } = parse_json(&body)?;
    let which = if percent == 0 { None } else { Some(which(digest, number)?) };
    change(&api, &by, &id, |record| record.set_canary(which, percent)).await
}

/// The shadow is compiled before it is one.
pub(super) async fn set_shadow(
    State(api): State<Api>,
    At { id, .. }: At,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let body: Option<WhichBody> = parse_json(&body)?;
    let which = body.map(|WhichBody { digest, number }| which(digest, number)).transpose()?;
    if let Some(which) = which {
        let digest = record(&api, &id)?.version(which).map_err(ChangeError::from)?.digest;
        api.parts().library.load(&digest).await.map_err(ChangeError::from)?;
    }
    change(&api, &by, &id, |record| record.set_shadow(which)).await
}

pub(super) async fn shadow_report(State(api): State<Api>, At { id, module }: At) -> Result<Response, Problem> {
    let shadow = record(&api, &id)?.shadow;
    let report = shadow.map(|shadow| api.parts().shadows.report(&module, shadow)).unwrap_or_default();
    let report = serde_json::to_value(report).map_err(|_| Problem::internal())?;
    let mut document = Map::from_iter([("name".to_owned(), json!(id.name)), ("digest".to_owned(), json!(shadow))]);
    document.extend(report.as_object().cloned().unwrap_or_default());
    Ok(Json(document).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    digest: Option<Digest>,
    number: Option<u32>,
    /// Only there, for one of the operator's; by itself everywhere.
    tenant: Option<TenantName>,
}

pub(super) async fn release(
    State(api): State<Api>,
    At { id, .. }: At,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let ReleaseBody { digest, number, tenant } = parse_json(&body)?;
    let digest = record(&api, &id)?.version(which(digest, number)?).map_err(ChangeError::from)?.digest;
    let released = api.parts().configuration.release(&by, &id, &digest, tenant.as_ref()).await?;
    Ok(Json(json!({ "name": id.name, "digest": digest, "released": released })).into_response())
}

async fn change(
    api: &Api,
    by: &Actor,
    id: &ResourceId,
    how: impl FnOnce(&mut ModuleRecord) -> Result<(), VersionError>,
) -> Result<Response, Problem> {
    let change = |old: Option<ModuleRecord>| {
        let mut record = old.ok_or_else(|| ChangeError::Missing(id.clone()))?;
        how(&mut record)?;
        Ok(record)
    };
    let (changed, record) = api.parts().configuration.change_module(by, id, change).await?;
    let mut document = shown(api, id, &record)?;
    document.insert("changed".to_owned(), Value::Bool(changed != Changed::Nothing));
    Ok(Json(document).into_response())
}

pub(super) fn record(api: &Api, id: &ResourceId) -> Result<ModuleRecord, Problem> {
    api.parts().configuration.snapshot().module(id).cloned().ok_or_else(|| not_found(id))
}

/// A module with what each of its versions does, and where it is quarantined.
fn shown(api: &Api, id: &ResourceId, record: &ModuleRecord) -> Result<Map<String, Value>, Problem> {
    let snapshot = api.parts().configuration.snapshot();
    let mut document = document(&id.name, &Spec::Module(record.clone()))?;
    let mut versions = Vec::with_capacity(record.versions.len());
    for one in &record.versions {
        let mut shown = version(record, Some(one))?;
        let quarantined = snapshot.quarantines(id).filter(|(_, spec)| spec.digest == one.digest);
        let quarantined: Vec<Value> = quarantined
            .map(|(at, spec)| {
                let (tenant, code, message) = (at.tenant, &spec.code, &spec.message);
                json!({ "tenant": tenant, "since_ms": spec.since_ms, "failures": spec.failures, "code": code, "message": message })
            })
            .collect();
        if let Some(members) = shown.as_object_mut().filter(|_| !quarantined.is_empty()) {
            members.insert("quarantined".to_owned(), Value::from(quarantined));
        }
        versions.push(shown);
    }
    document.insert("versions".to_owned(), Value::from(versions));
    api.parts().uploads.show(id, &mut document);
    Ok(document)
}

fn version(record: &ModuleRecord, version: Option<&ModuleVersion>) -> Result<Value, Problem> {
    let version = version.ok_or_else(Problem::internal)?;
    let mut shown = serde_json::to_value(version).map_err(|_| Problem::internal())?;
    if let Some(members) = shown.as_object_mut() {
        members.insert("state".to_owned(), json!(record.role(&version.digest)));
    }
    Ok(shown)
}

/// What is in memory, and what that took since the start.
pub(super) async fn report(State(api): State<Api>) -> Response {
    let report = api.parts().library.report();
    let shown = json!({
        "loaded": report.loaded,
        "loaded_bytes": report.loaded_bytes,
        "loads": report.loads,
        "compiles": report.compiles,
    });
    Json(shown).into_response()
}
