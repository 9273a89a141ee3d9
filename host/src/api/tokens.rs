//! Tokens: short-lived leave for a tenant's own customers, to look at and change their endpoints and deliveries and nothing else. A tenant's
//! server makes one with an admin key and hands it to a browser.
//!
//! A token is signed, not stored: it says whose it is, for which endpoints (by their labels) and until when. It ends with its time, or with the key
//! that made it.

use super::Api;
use super::access::Caller;
use super::audit::By;
use super::body::{Path, Whole, parse_json};
use super::resources::name;
use crate::config::{KeyRole, Permission, check_labels};
use crate::model::{Digest, KeyName, TenantName};
use crate::problem::Problem;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::Sha256;
use std::collections::BTreeMap;

/// What begins the text of a token.
const PREFIX: &str = "hst_";
/// How long a token is good for by itself, and at most, in seconds: an hour, a day.
const EXPIRES_IN_S: u64 = 3_600;
const EXPIRES_IN_S_MAX: u64 = 86_400;
/// The longest token, in bytes. Labels of what JSON has to escape can come to more.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// What signs tokens.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// Whose endpoints it is for.
    pub(super) tenant: TenantName,
    /// The labels that they have.
    pub(super) labels: BTreeMap<String, String>,
    /// What it may do to them: `read` or `deploy`.
    pub(super) role: KeyRole,
    /// From when on it is refused, in milliseconds since 1970-01-01T00:00:00Z.
    pub(super) expires_at_ms: u64,
    /// The key that made it, by name and hash: another one of its name does not do.
    pub(super) key: KeyName,
    pub(super) key_digest: Digest,
}

impl TokenKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        // A key shorter than the hash's block is filled up with zeros.
        let block: [u8; 64] = std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default());
        Self(Hmac::new(&block.into()))
    }

    fn sign(&self, token: &Token) -> Result<String, serde_json::Error> {
        let said = URL_SAFE_NO_PAD.encode(serde_json::to_vec(token)?);
        let proof = URL_SAFE_NO_PAD.encode(self.of(&said).finalize().into_bytes());
        Ok(format!("{PREFIX}{said}.{proof}"))
    }

    /// What a text says that this key signed; none where it did not.
    pub(super) fn read(&self, text: &str) -> Option<Token> {
        let text = Some(text).filter(|text| text.len() <= TOKEN_BYTES_MAX)?;
        let (said, proof) = text.strip_prefix(PREFIX)?.split_once('.')?;
        self.of(said).verify_slice(&URL_SAFE_NO_PAD.decode(proof).ok()?).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).ok()?).ok()
    }

    fn of(&self, said: &str) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(said.as_bytes());
        mac
    }
}

/// What a request for a token says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenRequest {
    labels: BTreeMap<String, String>,
    #[serde(default = "read")]
    role: KeyRole,
    #[serde(default = "expires_in_s")]
    expires_in_s: u64,
}

const fn read() -> KeyRole {
    KeyRole::Read
}

const fn expires_in_s() -> u64 {
    EXPIRES_IN_S
}

/// `POST …/tokens`: 201 with the token.
pub(super) async fn make(
    State(api): State<Api>,
    Path(tenant): Path<String>,
    By(by): By,
    Extension(caller): Extension<Caller>,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let request: TokenRequest = parse_json(&body)?;
    let tenant: TenantName = name(&tenant)?;
    let wrong = |pointer: &str, detail: String| {
        Problem::new(StatusCode::BAD_REQUEST, "body_invalid", format!("the body: {detail}")).at(pointer)
    };
    if !matches!(request.role, KeyRole::Read | KeyRole::Deploy) {
        return Err(wrong("/role", "it is `read` or `deploy`".to_owned()));
    }
    if !(1..=EXPIRES_IN_S_MAX).contains(&request.expires_in_s) {
        return Err(wrong("/expires_in_s", format!("it is 1 to {EXPIRES_IN_S_MAX} (a day)")));
    }
    if request.labels.is_empty() {
        return Err(wrong("/labels", "say by which labels the endpoints are the customer's".to_owned()));
    }
    check_labels("/labels", &request.labels).map_err(|invalid| wrong(&invalid.pointer, invalid.message))?;
    let snapshot = api.parts().configuration.snapshot();
    let made_by = caller.key_of(&tenant).and_then(|key| {
        let mut keys = snapshot.keys(Some(&tenant));
        keys.find(|(name, _)| *name == key)
    });
    let Some((key, record)) = made_by else {
        let detail =
            "tokens are made with an admin key of the tenant itself, and end with it: make one at …/keys first";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    };
    let now_ms = api.parts().clock.now_ms();
    let token = Token {
        tenant: tenant.clone(),
        labels: request.labels,
        role: request.role,
        expires_at_ms: now_ms.saturating_add(request.expires_in_s * 1000),
        key: key.clone(),
        key_digest: record.digest,
    };
    let text = api.parts().access.tokens.sign(&token).map_err(|_| Problem::internal())?;
    if text.len() > TOKEN_BYTES_MAX {
        let detail =
            format!("with these the token would have {} bytes; at most {TOKEN_BYTES_MAX} are taken", text.len());
        return Err(wrong("/labels", detail));
    }
    api.tell(&by, &tenant, ("make_token", &serde_json::to_string(&token.labels).unwrap_or_default())).await?;
    let answer = json!({
        "token": text,
        "labels": token.labels,
        "role": token.role,
        "expires_at_ms": token.expires_at_ms,
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Whoever a token speaks for, where it and the key that made it are good at this time.
pub(super) fn found(api: &Api, text: &str) -> Option<Token> {
    let token = api.parts().access.tokens.read(text)?;
    let now_ms = api.parts().clock.now_ms();
    let snapshot = api.parts().configuration.snapshot();
    let (name, key) = snapshot.key(Some(&token.tenant), &token.key_digest)?;
    let is_good = now_ms < token.expires_at_ms
        && *name == token.key
        && key.is_valid_at(now_ms)
        && key.role.may(Permission::Admin);
    is_good.then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_no_byte_of_it_can_be_another() {
        let key = TokenKey::new(&[7; 32]);
        let token = Token {
            tenant: "acme".parse().unwrap(),
            labels: BTreeMap::from([("customer".to_owned(), "42".to_owned())]),
            role: KeyRole::Read,
            expires_at_ms: 5,
            key: "k".parse().unwrap(),
            key_digest: Digest::of(b"k"),
        };
        let text = key.sign(&token).unwrap();
        assert_eq!(key.read(&text), Some(token));
        assert_eq!(TokenKey::new(&[8; 32]).read(&text), None);
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(key.read(str::from_utf8(&altered).unwrap()), None, "byte {at}");
        }
        for cut in ["", "hst_", "hst_.", &text[..text.len() - 1], &format!("{text}A"), &format!("{text}.")] {
            assert_eq!(key.read(cut), None, "{cut}");
        }
    }
}
