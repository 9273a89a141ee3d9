//! The audit log: every change is told of in the commit that makes it, by whom and with what stood there before.

use super::Api;
use super::access::Caller;
use super::change::{Change, ChangeError, MASK, masked};
use super::data::answer_page;
use super::keys::InScope;
use super::resources::{PageQuery, Params};
use crate::config::{Kind, ResourceId, Snapshot, Spec};
use crate::model::{Actor, AuditChange, AuditEntry, AuditId, Digest, TenantName};
use crate::problem::Problem;
use crate::server::{Peer, RequestId};
use crate::store::{AuditFilter, Audited, Outcome, Transition};
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::convert::Infallible;

/// The longest value that is kept of what stood somewhere, in bytes of JSON. Of a longer one length and hash are kept.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// How many of the resources are named that went along with a change.
const ALONG_MAX: usize = 100;

/// Who makes a request, for the log.
pub(super) struct By(pub(super) Actor);

impl FromRequestParts<Api> for By {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut http::request::Parts, _: &Api) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<Caller>().map_or_else(Actor::host, Caller::actor);
        let address = parts.extensions.get::<Peer>().map(|peer| peer.address);
        let request = parts.extensions.get::<RequestId>().map(RequestId::to_string);
        Ok(Self(Actor { address, request, ..caller }))
    }
}

/// What a request for the log may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    target: Option<String>,
    action: Option<String>,
    key: Option<String>,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
}

/// `GET …/audit`: the newest first.
pub(super) async fn list(
    State(api): State<Api>,
    InScope(scope): InScope,
    Params(query): Params<AuditQuery>,
) -> Result<Response, Problem> {
    let AuditQuery { limit, cursor, target, action, key, since_ms, until_ms } = query;
    let limit = PageQuery::limit(limit)?;
    let filter = AuditFilter { target, action, key, since_ms, until_ms };
    let page = api.parts().store.read(move |reader| reader.audit(scope.as_ref(), &filter, cursor.as_deref(), limit));
    answer_page(page.await?, limit)
}

impl Api {
    /// Tells of what is written nowhere else.
    pub(super) async fn tell(&self, by: &Actor, tenant: &TenantName, what: (&str, &str)) -> Result<(), ChangeError> {
        self.commit_by(by, tenant, what, Transition::KeysUsed(Vec::new())).await.map(drop)
    }

    /// Commits what was asked for, and tells of it.
    pub(super) async fn commit_by(
        &self,
        by: &Actor,
        tenant: &TenantName,
        (action, target): (&str, &str),
        change: Transition,
    ) -> Result<Outcome, ChangeError> {
        let entry = entry(by, self.parts().clock.now_ms(), action, target);
        let audited = Audited { scope: Some(tenant.clone()), entry, change };
        Ok(self.parts().store.commit(Transition::Audited(Box::new(audited))).await?)
    }
}

pub(super) fn entry(by: &Actor, now_ms: u64, action: &str, target: &str) -> AuditEntry {
    AuditEntry {
        // The committer gives it.
        id: AuditId::new(now_ms, 0),
        at_ms: now_ms,
        by: by.clone(),
        action: action.to_owned(),
        target: target.to_owned(),
        changes: Vec::new(),
        along: Vec::new(),
        along_more: 0,
    }
}

/// A change of configuration, with what is told of it. A tenant's own making and end stand in the operator's log: the tenant's goes with it.
pub(super) fn of_configuration(
    by: &Actor,
    now_ms: u64,
    before: &Snapshot,
    id: &ResourceId,
    changes: &[Change],
    change: Transition,
) -> Audited {
    let mut entry = entry(by, now_ms, "configure", &id.to_string());
    let (asked, along): (Vec<&Change>, Vec<&Change>) = changes.iter().partition(|(at, _)| at == id);
    entry.changes = asked.into_iter().map(|(id, after)| changed(id, before.record(id), after.clone())).collect();
    // What goes along may be something in every tenant: the entry must not grow with that.
    entry.along_more = along.len().saturating_sub(ALONG_MAX);
    entry.along = along.into_iter().take(ALONG_MAX).map(|(id, _)| id.to_string()).collect();
    let scope = id.tenant.clone().filter(|_| id.kind != Kind::Tenant);
    Audited { scope, entry, change }
}

fn changed(id: &ResourceId, before: Option<Spec>, after: Option<Spec>) -> AuditChange {
    let secrets = |spec: &Option<Spec>| -> Vec<(String, String)> {
        let mut spec = spec.clone();
        let found = spec.iter_mut().flat_map(Spec::secrets_mut);
        found.map(|(pointer, sealed)| (pointer, sealed.clone())).collect()
    };
    let (old, new) = (secrets(&before), secrets(&after));
    // A secret that stays is sealed as it was.
    let secrets_changed = new.into_iter().filter(|secret| !old.contains(secret)).map(|(pointer, _)| pointer).collect();
    AuditChange {
        resource: id.to_string(),
        before: before.and_then(shown),
        after: after.and_then(shown),
        secrets_changed,
    }
}

/// A resource as it may be kept: without secrets, and not too long.
fn shown(spec: Spec) -> Option<Box<RawValue>> {
    let is_key = spec.kind() == Kind::Key;
    let mut value = masked(spec).to_json().ok()?;
    if let Some(digest) = value.get_mut("digest").filter(|_| is_key) {
        *digest = json!(MASK);
    }
    let text = value.to_string();
    let text = match text.len() {
        0..=VALUE_BYTES_MAX => text,
        bytes => json!({ "bytes": bytes, "sha256": Digest::of(text.as_bytes()) }).to_string(),
    };
    RawValue::from_string(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MasterKey;

    #[test]
    fn an_entry_does_not_grow_with_what_goes_along() {
        let before = Snapshot::build(1, [], &MasterKey::new([1; 32])).unwrap();
        let id = |number: usize| {
            let tenant = Some(format!("t{number}").parse().unwrap());
            ResourceId { tenant, kind: Kind::Quarantine, name: "operator/m@1".to_owned() }
        };
        let module = ResourceId { tenant: None, kind: Kind::Module, name: "m".to_owned() };
        let told = |changes: Vec<Change>| {
            let change = Transition::KeysUsed(Vec::new());
            of_configuration(&Actor::host(), 5, &before, &module, &changes, change).entry
        };
        let entry =
            told(std::iter::once((module.clone(), None)).chain((0..ALONG_MAX + 7).map(|n| (id(n), None))).collect());
        let asked: Vec<&str> = entry.changes.iter().map(|change| change.resource.as_str()).collect();
        assert_eq!((asked, entry.along.len(), entry.along_more), (vec!["operator/module/m"], ALONG_MAX, 7));
        assert_eq!(entry.along[0], "t0/quarantine/operator/m@1");
        let alone = told(vec![(module.clone(), None)]);
        assert_eq!((alone.along.len(), alone.along_more), (0, 0));
    }

    #[test]
    fn what_is_too_long_to_be_kept_is_told_by_its_length_and_hash() {
        let spec = |bytes: usize| {
            let schema = json!({ "schema": { "description": "x".repeat(bytes) } }).to_string();
            crate::config::parse(Kind::EventType, schema.as_bytes()).unwrap()
        };
        let short = shown(spec(10)).unwrap();
        assert!(short.get().contains("xxxxxxxxxx"), "{short}");
        let whole = spec(VALUE_BYTES_MAX).to_json().unwrap().to_string();
        let long: serde_json::Value = serde_json::from_str(shown(spec(VALUE_BYTES_MAX)).unwrap().get()).unwrap();
        assert_eq!(long, json!({ "bytes": whole.len(), "sha256": Digest::of(whole.as_bytes()) }));
    }
}
