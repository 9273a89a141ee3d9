//! The audit log: who changed what, and when, with what stood there before and after.

use super::{AuditId, TenantName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
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
    /// What was done: `configure`, `retry`, `rerun`, `replay`, `erase`, `enable`, `test`, `forget_state`, `create_job`, `cancel_job`, `make_token`.
    pub action: String,
    /// What it was done to: a resource as `scope/kind/name`, or an id.
    pub target: String,
    /// What it changed of the configuration: the resource that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<AuditChange>,
    /// The resources that changed or went along with it, as `scope/kind/name`: the first ones. There may be one for each tenant of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<String>,
    /// How many more of them there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub along_more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A change of one resource. What stood there is JSON as it is written: it is kept and shown, and nobody looks into it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditChange {
    /// Which, as `scope/kind/name`.
    pub resource: String,
    /// What stood there, secrets masked; none where it was made.
    pub before: Option<Box<RawValue>>,
    /// What stands there now, secrets masked; none where it was removed.
    pub after: Option<Box<RawValue>>,
    /// The JSON pointers of the secrets that are others than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets_changed: Vec<String>,
}

impl PartialEq for AuditChange {
    fn eq(&self, other: &Self) -> bool {
        let Self { resource, before, after, secrets_changed } = self;
        let text = |value: &Option<Box<RawValue>>| value.as_ref().map(|value| value.get().to_owned());
        *resource == other.resource
            && text(before) == text(&other.before)
            && text(after) == text(&other.after)
            && *secrets_changed == other.secrets_changed
    }
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
    /// Of a token, the labels of the endpoints that it is for: they say which customer it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
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
    /// Whether it may change an endpoint with the labels `before` to one with `after`; none where there is none. A customer changes its own alone. Labels
    /// select what is sent to an endpoint, so they are not the customer's to choose: a new one has those of the token, and another keeps its own.
    #[must_use]
    pub fn may_change(
        &self,
        before: Option<&BTreeMap<String, String>>,
        after: Option<&BTreeMap<String, String>>,
    ) -> bool {
        let Some(own) = &self.labels else { return true };
        let is_own =
            |labels: &BTreeMap<String, String>| own.iter().all(|(name, value)| labels.get(name) == Some(value));
        match (before, after) {
            (Some(before), Some(after)) => is_own(before) && before == after,
            (Some(before), None) => is_own(before),
            (None, Some(after)) => own == after,
            (None, None) => true,
        }
    }

    /// The host itself.
    #[must_use]
    pub const fn host() -> Self {
        Self { kind: ActorKind::Host, tenant: None, key: None, labels: None, address: None, request: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_changes_what_is_its_own_and_no_labels() {
        let labels = |text: &str| -> BTreeMap<String, String> {
            text.split_whitespace()
                .filter_map(|one| one.split_once('='))
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .collect()
        };
        let customer = Actor { labels: Some(labels("customer=1")), ..Actor::host() };
        let may = |before: Option<&str>, after: Option<&str>| {
            customer.may_change(before.map(labels).as_ref(), after.map(labels).as_ref())
        };
        assert!(
            may(None, Some("customer=1"))
                && may(Some("customer=1"), Some("customer=1"))
                && may(Some("customer=1"), None)
        );
        assert!(may(Some("customer=1 tier=gold"), Some("customer=1 tier=gold")));
        assert!(!may(None, Some("customer=1 tier=gold")) && !may(None, Some("")));
        assert!(
            !may(Some("customer=1"), Some("customer=1 tier=gold"))
                && !may(Some("customer=1 tier=gold"), Some("customer=1"))
        );
        for others in ["customer=2", ""] {
            assert!(
                !may(Some(others), Some(others)) && !may(Some(others), Some("customer=1")) && !may(Some(others), None)
            );
        }
        assert!(Actor::host().may_change(Some(&labels("customer=2")), None));
    }
}
