//! Modules over HTTP: the body of a PUT is the wasm itself, a component or a core module with WIT metadata.

use super::Api;
use super::body::{Path, read};
use super::change::ChangeError;
use super::resources::{
    PageQuery, Params, answer, delete_spec, get_spec, list_kind, name, not_found, page_of, tenant_id,
};
use crate::config::{Kind, ModuleRecord, ResourceId, Spec};
use crate::model::{Digest, ModuleName, TenantName};
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::Request;

pub(super) async fn list(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    Params(page): Params<PageQuery>,
) -> Result<Response, Problem> {
    list_kind(&api, &name(&tenant)?, Kind::Module, &page)
}

pub(super) async fn list_operator(
    State(api): State<Api>,
    Params(page): Params<PageQuery>,
) -> Result<Response, Problem> {
    let snapshot = api.parts().configuration.snapshot();
    let all = snapshot.operator_modules().iter();
    page_of(all.map(|(name, record)| (name.to_string(), Spec::Module(record.clone()))).collect(), &page)
}

pub(super) async fn put(
    State(api): State<Api>,
    Path((tenant, module)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let tenant: TenantName = name(&tenant)?;
    // Compiling is work: not for a tenant that is not there.
    if api.parts().configuration.snapshot().tenant(&tenant).is_none() {
        return Err(not_found(&tenant_id(&tenant)));
    }
    upload(&api, Some(tenant), &module, request).await
}

pub(super) async fn put_operator(
    State(api): State<Api>,
    Path(module): Path<String>,
    request: Request<Body>,
) -> Result<Response, Problem> {
    upload(&api, None, &module, request).await
}

pub(super) async fn get(
    State(api): State<Api>,
    Path((tenant, module)): Path<(String, String)>,
) -> Result<Response, Problem> {
    get_spec(&api, &module_id(Some(name(&tenant)?), &module)?)
}

pub(super) async fn get_operator(State(api): State<Api>, Path(module): Path<String>) -> Result<Response, Problem> {
    get_spec(&api, &module_id(None, &module)?)
}

pub(super) async fn delete(
    State(api): State<Api>,
    Path((tenant, module)): Path<(String, String)>,
) -> Result<Response, Problem> {
    delete_spec(&api, module_id(Some(name(&tenant)?), &module)?).await
}

pub(super) async fn delete_operator(State(api): State<Api>, Path(module): Path<String>) -> Result<Response, Problem> {
    delete_spec(&api, module_id(None, &module)?).await
}

fn module_id(tenant: Option<TenantName>, module: &str) -> Result<ResourceId, Problem> {
    let module: ModuleName = name(module)?;
    Ok(ResourceId { tenant, kind: Kind::Module, name: module.to_string() })
}

async fn upload(
    api: &Api,
    tenant: Option<TenantName>,
    module: &str,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let id = module_id(tenant, module)?;
    let library = &api.parts().library;
    // Before its body is read: uploads are large, and compiling them is work.
    let _turn = library.turn().await;
    let bytes_max = library.module_bytes_max();
    let what = "the module (runtime.module_bytes_max)";
    let wasm = read(api, request.into_body(), what, "module_too_large", bytes_max).await?;
    let (digest, bytes) = (Digest::of(&wasm), wasm.len() as u64);
    let compiled = library.install(wasm).await.map_err(ChangeError::from)?;
    let spec = Spec::Module(ModuleRecord { digest, world: compiled.world(), bytes });
    let (changed, shown) = api.parts().configuration.put(id.clone(), spec).await?;
    answer(changed, &id, &shown)
}
