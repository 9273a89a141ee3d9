//! What is particular to endpoints: what the host shows of them beside what people wrote, and how their signing secrets change.
//!
//! A rotation puts a new secret first and gives the older ones of its scheme an end, which the deliverer keeps to by itself. It touches no
//! secret of the other scheme: receivers of `v1` need not follow those of `v1a`.

use super::Api;
use super::audit::By;
use super::body::{Path, Whole, parse_json};
use super::change::{Besides, ChangeError, Configuration, made_secret, shown_with};
use super::resources::{endpoint_id, with_facts};
use crate::config::{EndpointKey, Invalid, ResourceId, SECRETS_MAX, SecretSpec, Spec};
use crate::model::Actor;
use crate::problem::Problem;
use crate::signing::KeyScheme;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

/// How long older secrets go on signing where a rotation does not say, in seconds: a day.
const GRACE_S: u64 = 86_400;
/// The longest that they may, in seconds: 30 days.
const GRACE_S_MAX: u64 = 2_592_000;

/// What a rotation may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// How long older secrets go on signing, in seconds.
    #[serde(default = "default_grace_s")]
    grace_s: u64,
    /// What kind of secret to make. By itself that of the endpoint's `secret_scheme`.
    #[serde(default)]
    scheme: Option<KeyScheme>,
}

const fn default_grace_s() -> u64 {
    GRACE_S
}

pub(super) async fn rotate_secret(
    State(api): State<Api>,
    Path((tenant, endpoint)): Path<(String, String)>,
    By(by): By,
    Whole(body): Whole,
) -> Result<Response, Problem> {
    let id = endpoint_id(&tenant, &endpoint)?;
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let rotation: Rotation = parse_json(body)?;
    if rotation.grace_s > GRACE_S_MAX {
        let detail = format!("`grace_s` is {}; it is 0 to {GRACE_S_MAX} (30 days)", rotation.grace_s);
        return Err(Problem::new(StatusCode::BAD_REQUEST, "body_invalid", detail).at("/grace_s".to_owned()));
    }
    let now_ms = api.parts().clock.now_ms();
    let shown = api.parts().configuration.rotate_secret(&by, &id, &rotation, now_ms).await?;
    Ok(Json(with_facts(&api, &id, &shown)?).into_response())
}

impl Configuration {
    /// Makes a new signing secret, which signs first, and gives the older ones of its scheme an end. Answers the endpoint as it is to be
    /// shown: with the new secret, this once.
    async fn rotate_secret(
        &self,
        by: &Actor,
        id: &ResourceId,
        rotation: &Rotation,
        now_ms: u64,
    ) -> Result<Spec, ChangeError> {
        let _turn = self.turn().await;
        let before = self.snapshot();
        let missing = || ChangeError::Missing(id.clone());
        let old = before.record(id).ok_or_else(missing)?;
        let Spec::Endpoint(mut endpoint) = old.clone() else { return Err(missing()) };
        let resolved = id.tenant.as_ref().and_then(|tenant| before.endpoint(tenant, &id.name.parse().ok()?));
        let keys = &resolved.ok_or_else(missing)?.keys;

        let scheme = rotation.scheme.unwrap_or(endpoint.secret_scheme);
        let end_ms = now_ms.saturating_add(rotation.grace_s.saturating_mul(1000));
        let made = made_secret(scheme)?;
        let older = ending(endpoint.secrets.take().unwrap_or_default(), keys, scheme, end_ms);
        let mut secrets = vec![SecretSpec::lasting(made.clone())];
        secrets.extend(older.into_iter().filter(|secret| secret.until_ms.is_none_or(|until_ms| now_ms < until_ms)));
        if secrets.len() > SECRETS_MAX {
            let message = format!(
                "has {SECRETS_MAX} secrets that sign, and no more are allowed: wait for the end of one, see `until_ms`, or put the endpoint \
                 with fewer"
            );
            return Err(ChangeError::Invalid(Invalid { pointer: "/secrets".to_owned(), message }));
        }
        endpoint.secrets = Some(secrets);
        let spec = self.seal(id, Spec::Endpoint(endpoint), Some(&old))?;
        let shown = shown_with(&spec, made);
        self.commit(by, &before, id, vec![(id.clone(), Some(spec))], Besides::default()).await?;
        Ok(shown)
    }
}

/// The secrets, those of one scheme with an end. An end that comes sooner stays.
fn ending(secrets: Vec<SecretSpec>, keys: &[EndpointKey], scheme: KeyScheme, end_ms: u64) -> Vec<SecretSpec> {
    let with_keys = secrets.into_iter().zip(keys);
    let ended = with_keys.map(|(secret, key)| match key.key.scheme() == scheme {
        true => SecretSpec { until_ms: Some(secret.until_ms.map_or(end_ms, |sooner| sooner.min(end_ms))), ..secret },
        false => secret,
    });
    ended.collect()
}

/// Adds the public keys that verify what is signed now, in the order of the private ones.
pub(super) fn add_facts(api: &Api, id: &ResourceId, document: &mut Map<String, Value>) {
    let snapshot = api.parts().configuration.snapshot();
    let endpoint = id.tenant.as_ref().and_then(|tenant| snapshot.endpoint(tenant, &id.name.parse().ok()?));
    let keys = endpoint.into_iter().flat_map(|endpoint| endpoint.keys_at(api.parts().clock.now_ms()));
    let public: Vec<Value> = keys.filter_map(|key| key.public()).map(|key| key.to_string().into()).collect();
    if !public.is_empty() {
        document.insert("public_keys".to_owned(), public.into());
    }
}
