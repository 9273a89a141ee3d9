//! The audit log: who changed what, and when, with what stood there before and after.

use super::{AuditId, TenantName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::net::IpAddr;

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its id, which has the time.
    pub id: AuditId,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// Who.
    pub by: Actor,
    /// What was done: `configure`, `retry`, `rerun`, `replay`, `erase`, `enable`, `forget_state`, `create_job`, `cancel_job`, `make_token`.
    pub action: String,
    /// What it was done to: a resource as `scope/kind/name`, or an id.
    pub target: String,
    /// What it changed of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<AuditChange>,
}

/// A change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditChange {
    /// Which, as `scope/kind/name`.
    pub resource: String,
    /// What stood there, secrets masked; none where it was made.
    pub before: Option<Value>,
    /// What stands there now, secrets masked; none where it was removed.
    pub after: Option<Value>,
    /// The JSON pointers of the secrets that are others than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets_changed: Vec<String>,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What proved it.
    pub kind: ActorKind,
    /// The tenant that the key is for; none for one of the operator's scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    /// The key's name; of a token, that of the key that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The request's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// What proved who it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// The operator's key.
    Operator,
    /// An API key.
    Key,
    /// A token that a key made.
    Token,
    /// Nothing: the host did it by itself.
    Host,
}

impl Actor {
    /// The host itself.
    #[must_use]
    pub const fn host() -> Self {
        Self { kind: ActorKind::Host, tenant: None, key: None, address: None, request: None }
    }
}
