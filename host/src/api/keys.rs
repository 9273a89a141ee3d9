//! API keys over HTTP. PUT makes one and shows its text, once; PUT again changes what it may do and leaves the text alone. To change a key
//! without a gap, make another one, and remove the first when nobody uses it any more: `last_used_at_ms` says so.

use super::Api;
use super::audit::By;
use super::body::{Path, Whole, parse_json};
use super::change::{Besides, ChangeError, Changed, Configuration, random};
use super::resources::{PageQuery, Params, list_of, name, not_found, page_of, tenant_id};
use crate::config::{KeyRecord, KeySpec, Kind, ResourceId, Spec, key_text};
use crate::model::{Actor, KeyName, TenantName};
use crate::problem::Problem;
use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// The scope that a path names: a tenant that is there, or the operator's.
pub(super) struct InScope(pub(super) Option<TenantName>);

impl FromRequestParts<Api> for InScope {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut http::request::Parts, api: &Api) -> Result<Self, Problem> {
        let Path(named) = Path::<HashMap<String, String>>::from_request_parts(parts, api).await?;
        let Some(tenant) = named.get("tenant") else { return Ok(Self(None)) };
        let tenant: TenantName = name(tenant)?;
        match api.parts().configuration.snapshot().tenant(&tenant) {
            Some(_) => Ok(Self(Some(tenant))),
            None => Err(not_found(&tenant_id(&tenant))),
        }
    }
}

/// The key that a path names.
pub(super) struct At(ResourceId);

impl FromRequestParts<Api> for At {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut http::request::Parts, api: &Api) -> Result<Self, Problem> {
        let InScope(tenant) = InScope::from_request_parts(parts, api).await?;
        let Path(named) = Path::<HashMap<String, String>>::from_request_parts(parts, api).await?;
        let key: KeyName = name(named.get("name").map_or("", String::as_str))?;
        Ok(Self(ResourceId { tenant, kind: Kind::Key, name: key.to_string() }))
    }
}

pub(super) async fn list(
    State(api): State<Api>,
    InScope(tenant): InScope,
    Params(page): Params<PageQuery>,
) -> Result<Response, Problem> {
    let snapshot = api.parts().configuration.snapshot();
    let keys = snapshot.keys(tenant.as_ref()).map(|(name, key)| (name.to_string(), key.clone()));
    page_of(&list_of(Kind::Key, tenant.as_ref()), keys.collect(), &page, |name, key| {
        let id = ResourceId { tenant: tenant.clone(), kind: Kind::Key, name: name.to_owned() };
        Ok(shown(&api, &id, &key))
    })
}

pub(super) async fn get(State(api): State<Api>, At(id): At) -> Result<Response, Problem> {
    match api.parts().configuration.snapshot().record(&id) {
        Some(Spec::Key(key)) => Ok(Json(shown(&api, &id, &key)).into_response()),
        _ => Err(not_found(&id)),
    }
}

/// 201 with the key's text, this once; 200 where it is there already.
pub(super) async fn put(
    State(api): State<Api>,
    At(id): At,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let spec: KeySpec = parse_json(&body)?;
    let text = key_text(id.tenant.as_ref(), random()?);
    let now_ms = api.parts().clock.now_ms();
    let made = KeyRecord::new(spec.clone(), &text, now_ms);
    let (changed, key) = api.parts().configuration.put_key(&by, &id, spec, made).await?;
    let mut document = shown(&api, &id, &key);
    document.insert("changed".to_owned(), json!(changed != Changed::Nothing));
    let status = match changed {
        Changed::Created => {
            // Whatever was known of another one of its name, which may have gone with its tenant.
            api.parts().key_uses.forget(&id);
            document.insert("last_used_at_ms".to_owned(), Value::Null);
            document.insert("key".to_owned(), json!(text));
            StatusCode::CREATED
        }
        _ => StatusCode::OK,
    };
    Ok((status, Json(document)).into_response())
}

pub(super) async fn delete(State(api): State<Api>, At(id): At, By(by): By) -> Result<Response, Problem> {
    let missing = not_found(&id);
    let removed = api.parts().configuration.remove(&by, id.clone(), false).await?;
    api.parts().key_uses.forget(&id);
    if removed { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(missing) }
}

/// A key as it is shown: without its hash, which is of no use to anybody.
fn shown(api: &Api, id: &ResourceId, key: &KeyRecord) -> Map<String, Value> {
    let KeyRecord { title, role, expires_at_ms, created_at_ms, digest: _ } = key;
    let mut document = Map::from_iter([
        ("name".to_owned(), json!(id.name)),
        ("title".to_owned(), json!(title)),
        ("role".to_owned(), json!(role)),
        ("created_at_ms".to_owned(), json!(created_at_ms)),
        ("expires_at_ms".to_owned(), json!(expires_at_ms)),
        ("last_used_at_ms".to_owned(), json!(api.parts().key_uses.last(id))),
    ]);
    if !key.is_valid_at(api.parts().clock.now_ms()) {
        document.insert("expired".to_owned(), json!(true));
    }
    document
}

impl Configuration {
    /// Puts a key: `made` where none of its name is there, and otherwise the one that is there, as `spec` says.
    async fn put_key(
        &self,
        by: &Actor,
        id: &ResourceId,
        spec: KeySpec,
        made: KeyRecord,
    ) -> Result<(Changed, KeyRecord), ChangeError> {
        let _turn = self.turn().await;
        let (before, now_ms) = (self.snapshot(), made.created_at_ms);
        let (changed, key) = match before.record(id) {
            Some(Spec::Key(old)) => {
                let key = old.with(spec);
                (if key == old { Changed::Nothing } else { Changed::Replaced }, key)
            }
            _ => (Changed::Created, made),
        };
        let had = match before.record(id) {
            Some(Spec::Key(old)) => old.expires_at_ms,
            _ => None,
        };
        if key.expires_at_ms != had {
            key.check_end(now_ms).map_err(ChangeError::Invalid)?;
        }
        if changed != Changed::Nothing {
            self.commit(by, &before, id, vec![(id.clone(), Some(Spec::Key(key.clone())))], Besides::default()).await?;
        }
        Ok((changed, key))
    }
}
