//! What people write, as JSON over HTTP or as TOML in files: one struct a kind of resource, but for modules, which uploads make. Reading
//! checks the form; whether the parts fit together is for `snapshot` to say.

use super::pattern::EventTypePattern;
use super::plan::{ModuleRef, OnFailure, Target};
use super::secrets::{SecretSpec, object, objects, signing_secrets};
use super::{AuthSpec, CloudEventsSpec, QuotaSpec, SignatureSpec, TlsSpec, UnknownEventTypes, VerificationSpec};
use crate::model::{Digest, EventId, RunId, SourceName, is_credential};
use crate::signing::KeyScheme;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantSpec {
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// How long one call of a module may take for this tenant, in milliseconds: 1 to 60,000. By itself as long as the module and the
    /// host allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_time_ms_max: Option<u64>,
    /// What it may use of the host.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quotas: QuotaSpec,
    /// Whose operational events it is told: its own, or `all`, those of every tenant and the host's. By itself `own`. At most 10 tenants may
    /// have `all`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub operational_events: OperationalEvents,
    /// What becomes of an event whose type is not among the tenant's event types: `accept` or `refuse`. By itself `accept`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unknown_event_types: UnknownEventTypes,
}

/// Whose operational events a tenant is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationalEvents {
    /// Its own.
    #[default]
    Own,
    /// Every tenant's, and the host's.
    All,
}

/// A version of a module that failed too often in a row for this tenant: it is not run there until it is released. Made by the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuarantineSpec {
    /// The module, as the tenant's routes name it.
    pub module: ModuleRef,
    /// The version.
    pub digest: Digest,
    /// Since when, in milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: u64,
    /// How often it failed in a row.
    pub failures: u32,
    /// The run that failed last.
    pub run: RunId,
    /// The code of that failure.
    pub code: String,
    /// Its message.
    pub message: String,
    /// The version that the tenant's routes use instead, where the module is rolled back for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<Digest>,
    /// The event that says so, of the source `hookswitch`.
    pub event: EventId,
}

impl QuarantineSpec {
    /// The resource's name: a version is quarantined once.
    #[must_use]
    pub fn name_of(module: &ModuleRef, digest: &Digest) -> String {
        format!("{module}@{digest}")
    }
}

/// A way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSpec {
    /// `http://` or `https://`, without user information. Whole segments of its path may be `{event_type}`, `{event_id}`, `{delivery_id}`,
    /// `{source}`, `{route}` or `{ordering_key}`, filled in for each delivery.
    pub url: String,
    /// By itself `POST`; `PUT` and `PATCH` are the others.
    #[serde(default = "default_method")]
    pub method: String,
    /// The media type that every delivery says, in place of its message's own: at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Deliveries as CloudEvents 1.0. By itself they are the payload alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloudevents: Option<CloudEventsSpec>,
    /// Whether the receiver is asked first if it allows deliveries, by the handshake of CloudEvents' HTTP Web Hooks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub handshake: bool,
    /// Whether the receiver has to repeat a challenge before it gets anything else: `challenge`. By itself `none`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub verification: VerificationSpec,
    /// Sent with every delivery. At most 32, each value at most 16 KiB, names and values together 64 KiB. A value whose name says `auth`,
    /// `token`, `secret`, `key`, `password`, `cookie` or `signature` is kept and shown like a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `whsec_…` (v1) and `whsk_…` (v1a), each of which signs, if need be until a set time; at most 10. By itself the host makes one when
    /// the endpoint is made, answers it once, and keeps it; `[]` means unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "signing_secrets")]
    pub secrets: Option<Vec<SecretSpec>>,
    /// What kind of secret the host makes where it makes one: `v1` (`whsec_…`) or `v1a` (`whsk_…`). By itself `v1`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub secret_scheme: KeyScheme,
    /// Signatures in other headers. At most 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "objects")]
    pub signatures: Vec<SignatureSpec>,
    /// Credentials that the receiver wants to see.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "object")]
    pub auth: Option<Box<AuthSpec>>,
    /// A client certificate, and authorities to trust.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "object")]
    pub tls: Option<Box<TlsSpec>>,
    /// What it wants when a route selects by labels. By itself everything.
    #[serde(default = "EventTypePattern::any")]
    pub event_types: Vec<EventTypePattern>,
    /// What routes select by. At most 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySpec>,
    /// How long one attempt may take, in milliseconds, from connecting to the last byte of the answer: 100 to 120,000. By itself 15,000.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// How long name resolution, connecting and TLS may take together, in milliseconds: 100 to `timeout_ms`. By itself, and at most, as long
    /// as the host's own `transport.connect_timeout_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout_ms: Option<u64>,
    /// How long the answer may take to begin, in milliseconds, connecting included: 100 to `timeout_ms`. By itself as long as the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_timeout_ms: Option<u64>,
    /// How many attempts may begin each second: 1 to 10,000, and a tenth of it, or 1, beside it in a burst. By itself as many as the
    /// receiver takes: it is slowed down by answers of 429, 502 and 504, and by `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<u32>,
    /// How many attempts may be under way at once: 1 to 1,000. By itself 16.
    #[serde(default = "default_concurrency_max")]
    pub concurrency_max: u32,
    /// Whether deliveries with the same ordering key go one after the other, in the order of their events: each when the one before it is delivered
    /// or dead. By itself `none`. A change counts for deliveries that are made after it.
    #[serde(default, skip_serializing_if = "OrderingSpec::is_none")]
    pub ordering: OrderingSpec,
    /// After how many failing deliveries in a row the endpoint is held: its deliveries wait, and one is tried from time to time. 0 to 100; 0 is
    /// never. By itself 10.
    #[serde(default = "default_hold_after")]
    pub hold_after: u32,
    /// After how long of nothing but failure the endpoint is disabled, until somebody enables it, in seconds: 60 to 2,592,000 (30 days), or 0
    /// for never. By itself 432,000 (5 days).
    #[serde(default = "default_disable_after_s")]
    pub disable_after_s: u64,
    /// Whether deliveries wait for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

impl EndpointSpec {
    /// What signs and what proves, and the headers that look like credentials.
    pub(super) fn secrets_mut(&mut self) -> Vec<(String, &mut String)> {
        let Self { secrets, headers, signatures, auth, tls, .. } = self;
        let secrets = secrets.iter_mut().flatten().map(|spec| &mut spec.secret);
        let mut all = numbered("/secrets", secrets);
        for (index, signature) in signatures.iter_mut().enumerate() {
            all.extend(numbered(&format!("/signatures/{index}/secrets"), signature.secrets_mut()));
        }
        all.extend(auth.iter_mut().map(|auth| auth.secret_mut()));
        let keys = tls.iter_mut().filter_map(|tls| tls.key_pem.as_mut());
        all.extend(keys.map(|key| ("/tls/key_pem".to_owned(), key)));
        let credentials = headers.iter_mut().filter(|(name, _)| is_secret_header(name));
        all.extend(credentials.map(|(name, value)| (format!("/headers/{name}"), value)));
        all
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What is kept in order at an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderingSpec {
    /// Nothing.
    #[default]
    None,
    /// Deliveries with the same ordering key; those without one go as they come.
    Key,
}

impl OrderingSpec {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

fn default_method() -> String {
    "POST".to_owned()
}

const fn default_timeout_ms() -> u64 {
    15_000
}

const fn default_concurrency_max() -> u32 {
    16
}

const fn default_hold_after() -> u32 {
    10
}

const fn default_disable_after_s() -> u64 {
    432_000
}

/// When to try again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    /// The waits before attempt 1, 2, 3, … in seconds: 1 to 32 of them, each at most 7 days.
    pub schedule_s: Vec<u32>,
}

/// From a source to endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// The source whose events it takes.
    pub source: SourceName,
    /// Which of them. By itself all.
    #[serde(default = "EventTypePattern::any")]
    pub event_types: Vec<EventTypePattern>,
    /// The modules to call, in order. At most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepSpec>,
    /// Where messages go after the last step. Left out where the last step is a router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Target>,
    /// What becomes of a run whose module fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether events go through one at a time, in the order they came in, and a held run blocks the route. A route with a step
    /// that keeps state goes one at a time by itself; a held run lets those behind it pass, unless this is set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
    /// Whether events pass it by for now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
}

/// One module of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// `name` or `operator/name`.
    pub module: ModuleRef,
    /// What the module is told: any JSON value. By itself `{}`.
    #[serde(default = "default_settings")]
    pub settings: Value,
    /// Whether the module may keep state here. The route then takes its events one at a time, after they are acknowledged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub state: bool,
}

fn default_settings() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Each with its place in a list.
pub(super) fn numbered<'a>(
    pointer: &str,
    secrets: impl IntoIterator<Item = &'a mut String>,
) -> Vec<(String, &'a mut String)> {
    secrets.into_iter().enumerate().map(|(index, secret)| (format!("{pointer}/{index}"), secret)).collect()
}

/// Whether a header's value is to be kept like a secret, by the header's name: rather one too many, as it is sent all the same.
pub(super) fn is_secret_header(name: &str) -> bool {
    is_credential(name) || ["auth", "key"].iter().any(|word| name.to_ascii_lowercase().contains(word))
}
