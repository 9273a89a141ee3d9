//! Who may use the admin interface: whoever has a key that allows it, and comes by a name that is the host's.
//!
//! A refusal is 401 or 403, comes before anything is looked up, and speaks of the key alone: it tells nothing of what there is.

use super::Api;
use super::tokens::{self, Token, TokenKey};
use crate::config::{KeyRole, Permission, scope_of_key};
use crate::model::{Actor, ActorKind, Digest, KeyName, TenantName};
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, header};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;
use subtle::ConstantTimeEq;

/// The shortest key, in bytes.
const KEY_BYTES_MIN: usize = 16;

/// The operator's key, of which only a hash is kept.
#[derive(Clone)]
pub struct OperatorKey([u8; 32]);

/// A text that is no operator key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operator key is shorter than {KEY_BYTES_MIN} bytes or has other characters than visible ASCII")]
pub struct InvalidOperatorKey;

impl OperatorKey {
    /// Takes a key.
    ///
    /// # Errors
    /// Where it is too short, or cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, InvalidOperatorKey> {
        if text.len() < KEY_BYTES_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidOperatorKey);
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    fn is(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.0.ct_eq(&given).into()
    }
}

/// Who may come in.
pub struct Access {
    /// The operator's key.
    pub operator: OperatorKey,
    /// What signs the tokens of tenants' customers.
    pub tokens: TokenKey,
    /// Names that `Host` may have, beside `localhost` and addresses.
    pub hosts: Vec<String>,
}

/// Who makes a request, and what that may do. Every handler has it among the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Who.
    who: Who,
    /// The tenant that all must be of; none for all tenants and the operator's scope.
    tenant: Option<TenantName>,
    role: KeyRole,
    /// The labels that an endpoint must have; none for all endpoints, and all else.
    labels: Option<BTreeMap<String, String>>,
}

/// Whose key it was.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    /// The operator's own.
    Operator,
    /// An API key, by its name.
    Key(KeyName),
    /// A token, by the name of the key that made it.
    Token(KeyName),
}

/// What an operation needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    /// Whether it is the operator's alone.
    pub(super) operator: bool,
    /// Whether it is for tokens, too.
    pub(super) customers: bool,
    /// What the key has to allow.
    pub(super) permission: Permission,
}

impl Caller {
    /// Whether it may do this to that tenant, or, where the path names none, to the host.
    fn may(&self, needs: Needs, tenant: Option<&str>) -> bool {
        let at_home = match &self.tenant {
            None => true,
            Some(own) => !needs.operator && tenant == Some(own.as_str()),
        };
        at_home && self.role.may(needs.permission) && (needs.customers || self.labels.is_none())
    }

    /// Whether an endpoint with these labels is its business.
    pub(super) fn covers(&self, labels: &BTreeMap<String, String>) -> bool {
        let wanted = self.labels.iter().flatten();
        wanted.into_iter().all(|(name, value)| labels.get(name) == Some(value))
    }

    /// Whether it speaks for one of the tenant's customers.
    pub(super) fn is_customer(&self) -> bool {
        self.labels.is_some()
    }

    /// The API key, where it is one of this tenant.
    pub(super) fn key_of(&self, tenant: &TenantName) -> Option<&KeyName> {
        match &self.who {
            Who::Key(name) if self.tenant.as_ref() == Some(tenant) => Some(name),
            _ => None,
        }
    }

    /// As the audit log tells of it.
    pub(super) fn actor(&self) -> Actor {
        let (kind, key) = match &self.who {
            Who::Operator => (ActorKind::Operator, None),
            Who::Key(name) => (ActorKind::Key, Some(name.to_string())),
            Who::Token(name) => (ActorKind::Token, Some(name.to_string())),
        };
        Actor { kind, tenant: self.tenant.clone(), key, labels: self.labels.clone(), address: None, request: None }
    }

    /// What is told to who may not: of the key itself, and of nothing else.
    pub(super) fn refused(&self) -> Problem {
        let role = self.role.as_str();
        let detail = match &self.tenant {
            Some(tenant) => {
                format!("this key is for the tenant `{tenant}`, with the role `{role}`: it does not allow that")
            }
            None => format!("this key has the role `{role}`: it does not allow that"),
        };
        Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }
}

/// Lets a request through whose key allows it. Nothing is looked up before that.
pub(super) async fn require(
    State((api, needs)): State<(Api, Needs)>,
    request: Request<Body>,
    next: Next,
) -> Result<Response, Problem> {
    let caller = identify(&api, request.headers())?;
    let (mut parts, body) = request.into_parts();
    // What cannot be read names no tenant; the handler says what is wrong with it.
    let path = RawPathParams::from_request_parts(&mut parts, &api).await.ok();
    let tenant = path.as_ref().and_then(|path| segment(path, "tenant"));
    if !caller.may(needs, tenant) || !path.as_ref().is_none_or(|path| is_own(&api, &caller, path, &parts)) {
        return Err(caller.refused());
    }
    // The use of a token is one of its key, with which it would end.
    if let Who::Key(name) | Who::Token(name) = &caller.who {
        api.parts().key_uses.note(caller.tenant.as_ref(), name, api.parts().clock.now_ms());
    }
    parts.extensions.insert(caller);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

fn segment<'a>(path: &'a RawPathParams, wanted: &str) -> Option<&'a str> {
    path.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
}

/// Whether what a path names is the business of who asks: for a customer it is endpoints, and those that are there are its own. What of others
/// is refused is refused like what is not there.
fn is_own(api: &Api, caller: &Caller, path: &RawPathParams, parts: &Parts) -> bool {
    if !caller.is_customer() || segment(path, "delivery").is_some() {
        // Whose a delivery is the store has to say.
        return true;
    }
    let named_kind = segment(path, "kind").is_none_or(|kind| kind == "endpoints");
    let (Some(tenant), Some(name)) = (&caller.tenant, segment(path, "name")) else { return named_kind };
    let snapshot = api.parts().configuration.snapshot();
    let endpoint = name.parse().ok().and_then(|name| snapshot.endpoint(tenant, &name).cloned());
    let makes_one = parts.method == Method::PUT;
    named_kind && endpoint.map_or(makes_one, |endpoint| caller.covers(&endpoint.labels))
}

/// Whose key a request has.
pub(super) fn identify(api: &Api, headers: &HeaderMap) -> Result<Caller, Problem> {
    let Some(text) = bearer(headers) else {
        let detail = "send `Authorization: Bearer KEY`, with an API key or the operator's key; that one is in the file operator.key of the \
                      data directory";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "key_required", detail));
    };
    if api.parts().access.operator.is(text) {
        return Ok(Caller { who: Who::Operator, tenant: None, role: KeyRole::Admin, labels: None });
    }
    // The same for one that never was, one that is gone and one that has expired.
    found(api, text).ok_or_else(|| {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "key_invalid",
            "this key opens nothing here: it is wrong, removed or expired",
        )
    })
}

fn found(api: &Api, text: &str) -> Option<Caller> {
    if let Some(Token { tenant, labels, role, key, .. }) = tokens::found(api, text) {
        return Some(Caller { who: Who::Token(key), tenant: Some(tenant), role, labels: Some(labels) });
    }
    let tenant = scope_of_key(text)?;
    let snapshot = api.parts().configuration.snapshot();
    let (name, key) = snapshot.key(tenant.as_ref(), &Digest::of(text.as_bytes()))?;
    let is_valid = key.is_valid_at(api.parts().clock.now_ms());
    is_valid.then(|| Caller { who: Who::Key(name.clone()), tenant, role: key.role, labels: None })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Lets a request through whose `Host` is the host's own.
pub(super) async fn require_host(
    State(api): State<Api>,
    request: Request<Body>,
    next: Next,
) -> Result<Response, Problem> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if host_allowed(host, &api.parts().access.hosts) {
        return Ok(next.run(request).await);
    }
    let detail =
        format!("the admin interface is not reached by the name `{host}`; add it to `admin.hosts` if it should be");
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host_unknown", detail))
}

fn host_allowed(host: &str, allowed: &[String]) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_opens() {
        let key = OperatorKey::new("0123456789abcdef").unwrap();
        assert!(key.is("0123456789abcdef"));
        assert!(!key.is("0123456789abcdeF") && !key.is("") && !key.is("0123456789abcdef0"));
        assert!(OperatorKey::new("short").is_err());
        assert!(OperatorKey::new("0123456789 abcdef").is_err());
    }

    #[test]
    fn a_key_is_for_its_tenant_and_its_role() {
        let caller = |tenant: Option<&str>, role| Caller {
            who: Who::Operator,
            tenant: tenant.map(|name| name.parse().unwrap()),
            role,
            labels: None,
        };
        let needs = |operator, permission| Needs { operator, permission, customers: false };
        let acme = caller(Some("acme"), KeyRole::Deploy);
        assert!(acme.may(needs(false, Permission::Deploy), Some("acme")));
        assert!(!acme.may(needs(false, Permission::Admin), Some("acme")));
        assert!(!acme.may(needs(false, Permission::Read), Some("other")));
        assert!(
            !acme.may(needs(true, Permission::Read), Some("acme")) && !acme.may(needs(true, Permission::Read), None)
        );
        let all = caller(None, KeyRole::Read);
        assert!(all.may(needs(true, Permission::Read), None) && all.may(needs(false, Permission::Read), Some("acme")));
        assert!(!all.may(needs(true, Permission::Deploy), None));
        assert_eq!(acme.refused(), caller(Some("acme"), KeyRole::Deploy).refused());
    }

    #[test]
    fn a_foreign_name_is_refused() {
        let own = ["hooks.example.com".to_owned()];
        for good in ["127.0.0.1:8081", "[::1]:8081", "localhost", "LOCALHOST:1", "10.0.0.7", "Hooks.example.com:443"] {
            assert!(host_allowed(good, &own), "{good}");
        }
        for bad in ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8081", "a b"] {
            assert!(!host_allowed(bad, &own), "{bad}");
        }
    }
}
