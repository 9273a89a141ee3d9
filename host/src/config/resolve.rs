//! From one resource as people write it to the one that the road uses: every bound and every reference is checked here, and each
//! error points at its place.

use super::pattern::EVENT_TYPE_BYTES_MAX;
use super::resource::within;
use super::snapshot::{Invalid, Tenant};
use super::spec::is_secret_header;
use super::{
    DedupSpec, EndpointSpec, EventTypePattern, EventTypeRule, Kind, MasterKey, ModuleRecord, ModuleRef, OrderingSpec,
    Plan, PlanStep, ResourceId, RouteSpec, SourceSpec, Spec, Target, VerifySpec,
};
use crate::model::{
    Digest, EndpointName, Header, ModuleName, OPERATIONAL_SOURCE, RouteName, SourceName, UrlTemplate, World,
    is_header_of_the_host,
};
use crate::retry::Schedule;
use crate::signing::Secret;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

const STEPS_MAX: usize = 16;
const SECRETS_MAX: usize = 10;
const HEADERS_MAX: usize = 32;
const LABELS_MAX: usize = 32;
const LABEL_BYTES_MAX: usize = 128;
const PATTERNS_MAX: usize = 100;
const DEDUP_WINDOW_S_MAX: u64 = 604_800;
const RATE_PER_S_MAX: u32 = 10_000;
const HOLD_AFTER_MAX: u64 = 100;
const DISABLE_AFTER_S_MAX: u64 = 30 * 24 * 60 * 60;

/// A way in, ready for use.
#[derive(Debug)]
pub struct Source {
    /// How requests prove where they come from.
    pub verify: Verify,
    /// Where the event type is read from.
    pub event_type: EventTypeRule,
    /// The header that holds the dedup key.
    pub dedup_header: Option<HeaderName>,
    /// How long a dedup key is remembered; 0 for not at all.
    pub dedup_window_s: u64,
    /// The largest body, where the source sets a bound.
    pub body_bytes_max: Option<u64>,
    /// Whether requests are refused for now.
    pub disabled: bool,
}

/// How requests prove where they come from.
#[derive(Debug)]
pub enum Verify {
    /// Not at all.
    None,
    /// As GitHub signs: any of these secrets.
    Github(Vec<String>),
    /// As Standard Webhooks says.
    StandardWebhooks {
        /// Any of these.
        secrets: Vec<Secret>,
        /// How far the time stamp may be from now.
        tolerance_s: u64,
    },
}

/// A way out, ready for use.
#[derive(Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: EndpointName,
    /// Where deliveries go.
    pub url: UrlTemplate,
    /// `POST`, `PUT` or `PATCH`.
    pub method: Method,
    /// Sent with every delivery.
    pub headers: Vec<Header>,
    /// Each signs; none means unsigned.
    pub secrets: Vec<Secret>,
    /// What it subscribes to.
    pub event_types: Vec<EventTypePattern>,
    /// What routes select by.
    pub labels: BTreeMap<String, String>,
    /// When to try again.
    pub retry: Schedule,
    /// How long one attempt may take.
    pub timeout_ms: u64,
    /// How long an answer may take to begin, where that is less.
    pub first_byte_timeout_ms: Option<u64>,
    /// How many attempts may begin each second; none for no limit.
    pub rate_per_s: Option<u32>,
    /// How many attempts may be under way at once.
    pub concurrency_max: u32,
    /// Whether deliveries with the same ordering key go one after the other.
    pub in_order: bool,
    /// After how many failing deliveries in a row it is held; 0 for never.
    pub hold_after: usize,
    /// After how long of nothing but failure it is disabled, in milliseconds; 0 for never.
    pub disable_after_ms: u64,
    /// Whether deliveries wait for now.
    pub disabled: bool,
}

/// From a source to endpoints, ready for use.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: RouteName,
    /// The source whose events it takes.
    pub source: SourceName,
    /// Which of them.
    pub event_types: Vec<EventTypePattern>,
    /// What a run of it does.
    pub plan: Arc<Plan>,
    /// The digest of `plan_bytes`.
    pub plan_digest: Digest,
    /// The plan as it is stored.
    pub plan_bytes: Bytes,
    /// Whether a held run blocks those behind it. See also [`Route::in_order`].
    pub ordered: bool,
    /// Whether events pass it by for now.
    pub disabled: bool,
}

/// The modules that a tenant's routes may name.
pub(super) struct Modules<'a> {
    pub(super) own: &'a BTreeMap<(Kind, String), Spec>,
    pub(super) operator: &'a BTreeMap<ModuleName, ModuleRecord>,
}

impl Modules<'_> {
    fn find(&self, reference: &ModuleRef) -> Option<&ModuleRecord> {
        if reference.operator {
            return self.operator.get(&reference.name);
        }
        match self.own.get(&(Kind::Module, reference.name.to_string())) {
            Some(Spec::Module(record)) => Some(record),
            _ => None,
        }
    }
}

impl Source {
    pub(super) fn resolve(id: &ResourceId, spec: &SourceSpec, key: &MasterKey) -> Result<Self, Invalid> {
        let (verify, type_header, dedup_header) = match &spec.verify {
            VerifySpec::None {} => (Verify::None, "x-event-type", "idempotency-key"),
            VerifySpec::Github { secrets } => {
                let secrets = open_all(id, secrets, "/verify/secrets", key)?;
                (Verify::Github(secrets), "x-github-event", "x-github-delivery")
            }
            VerifySpec::StandardWebhooks { secrets, tolerance_s } => {
                let secrets = standard_secrets(id, secrets, "/verify/secrets", key)?;
                within("/verify/tolerance_s", *tolerance_s, 1, 86_400)?;
                (Verify::StandardWebhooks { secrets, tolerance_s: *tolerance_s }, "", "webhook-id")
            }
        };
        if !matches!(verify, Verify::None) {
            let secrets = spec_secrets(&spec.verify);
            if secrets == 0 || secrets > SECRETS_MAX {
                return Err(Invalid::new(
                    "/verify/secrets",
                    format!("needs 1 to {SECRETS_MAX} secrets, not {secrets}"),
                ));
            }
        }
        let event_type = match &spec.event_type {
            Some(rule) => checked_rule(rule)?,
            None if type_header.is_empty() => EventTypeRule::Pointer("/type".to_owned()),
            None => EventTypeRule::Header(type_header.to_owned()),
        };
        let dedup = spec.dedup.clone().unwrap_or(DedupSpec { header: None, window_s: super::spec::default_window_s() });
        within("/dedup/window_s", dedup.window_s, 0, DEDUP_WINDOW_S_MAX)?;
        if let Some(bytes) = spec.body_bytes_max {
            within("/body_bytes_max", bytes, 1, u64::MAX)?;
        }
        let dedup_header = dedup.header.as_deref().unwrap_or(dedup_header);
        Ok(Self {
            verify,
            event_type,
            dedup_header: Some(header_name("/dedup/header", dedup_header)?),
            dedup_window_s: dedup.window_s,
            body_bytes_max: spec.body_bytes_max,
            disabled: spec.disabled,
        })
    }
}

fn spec_secrets(verify: &VerifySpec) -> usize {
    match verify {
        VerifySpec::None {} => 0,
        VerifySpec::Github { secrets } | VerifySpec::StandardWebhooks { secrets, .. } => secrets.len(),
    }
}

fn checked_rule(rule: &EventTypeRule) -> Result<EventTypeRule, Invalid> {
    match rule {
        EventTypeRule::Header(name) => {
            Ok(EventTypeRule::Header(header_name("/event_type/header", name)?.as_str().to_owned()))
        }
        EventTypeRule::Pointer(pointer) if !pointer.starts_with('/') => {
            Err(Invalid::new("/event_type/pointer", "is not a JSON pointer: begin it with `/`"))
        }
        EventTypeRule::Constant(text)
            if text.len() > EVENT_TYPE_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            let message =
                format!("is longer than {EVENT_TYPE_BYTES_MAX} bytes or has other characters than visible ASCII");
            Err(Invalid::new("/event_type/constant", message))
        }
        rule => Ok(rule.clone()),
    }
}

impl Endpoint {
    pub(super) fn resolve(id: &ResourceId, spec: &EndpointSpec, key: &MasterKey) -> Result<Self, Invalid> {
        let url = UrlTemplate::parse(&spec.url).map_err(|error| Invalid::new("/url", error.to_string()))?;
        let method = match spec.method.as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            other => return Err(Invalid::new("/method", format!("`{other}` is not one of POST, PUT, PATCH"))),
        };
        let secrets = spec.secrets.as_deref().unwrap_or_default();
        at_most("/secrets", secrets.len(), SECRETS_MAX)?;
        at_most("/event_types", spec.event_types.len(), PATTERNS_MAX)?;
        check_labels("/labels", &spec.labels)?;
        within("/timeout_ms", spec.timeout_ms, 100, 120_000)?;
        if let Some(ms) = spec.first_byte_timeout_ms {
            within("/first_byte_timeout_ms", ms, 100, spec.timeout_ms)?;
        }
        if let Some(rate) = spec.rate_per_s {
            within("/rate_per_s", u64::from(rate), 1, u64::from(RATE_PER_S_MAX))?;
        }
        within("/hold_after", u64::from(spec.hold_after), 0, HOLD_AFTER_MAX)?;
        if spec.disable_after_s != 0 {
            within("/disable_after_s", spec.disable_after_s, 60, DISABLE_AFTER_S_MAX)?;
        }
        within("/concurrency_max", u64::from(spec.concurrency_max), 1, 1_000)?;
        let retry = match &spec.retry {
            None => Schedule::default(),
            Some(retry) => Schedule::new(retry.schedule_s.clone())
                .map_err(|error| Invalid::new("/retry/schedule_s", error.to_string()))?,
        };
        Ok(Self {
            name: name_of(id)?,
            url,
            method,
            headers: endpoint_headers(id, &spec.headers, key)?,
            secrets: standard_secrets(id, secrets, "/secrets", key)?,
            event_types: spec.event_types.clone(),
            labels: spec.labels.clone(),
            retry,
            timeout_ms: spec.timeout_ms,
            first_byte_timeout_ms: spec.first_byte_timeout_ms,
            rate_per_s: spec.rate_per_s,
            concurrency_max: spec.concurrency_max,
            in_order: spec.ordering == OrderingSpec::Key,
            hold_after: usize::try_from(spec.hold_after).unwrap_or(usize::MAX),
            disable_after_ms: spec.disable_after_s * 1000,
            disabled: spec.disabled,
        })
    }

    /// Whether it has all these labels.
    pub fn has_labels<'a>(&self, wanted: impl IntoIterator<Item = (&'a String, &'a String)>) -> bool {
        wanted.into_iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }
}

fn endpoint_headers(
    id: &ResourceId,
    headers: &BTreeMap<String, String>,
    key: &MasterKey,
) -> Result<Vec<Header>, Invalid> {
    let place = id.to_string();
    at_most("/headers", headers.len(), HEADERS_MAX)?;
    let checked = headers.iter().map(|(name, value)| {
        let pointer = format!("/headers/{}", escaped(name));
        let name = header_name(&pointer, name)?.as_str().to_owned();
        if is_header_of_the_host(&name) {
            return Err(Invalid::new(pointer, "is a header that the host sets itself"));
        }
        let value = match is_secret_header(&name) {
            true => key.open(&place, value).map_err(|error| Invalid::new(&pointer, error.to_string()))?,
            false => value.clone(),
        };
        HeaderValue::from_str(&value)
            .map_err(|_| Invalid::new(pointer, "is not a header value: visible ASCII only"))?;
        Ok(Header { name, value })
    });
    checked.collect()
}

/// A name as a JSON pointer has it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl Route {
    pub(super) fn resolve(
        id: &ResourceId,
        spec: &RouteSpec,
        tenant: &Tenant,
        modules: &Modules<'_>,
    ) -> Result<Self, Invalid> {
        if !tenant.sources.contains_key(&spec.source) && spec.source.as_str() != OPERATIONAL_SOURCE {
            return Err(Invalid::new("/source", format!("the tenant has no source `{}`: make it first", spec.source)));
        }
        at_most("/steps", spec.steps.len(), STEPS_MAX)?;
        at_most("/event_types", spec.event_types.len(), PATTERNS_MAX)?;
        let mut steps = Vec::with_capacity(spec.steps.len());
        for (index, step) in spec.steps.iter().enumerate() {
            let pointer = format!("/steps/{index}/module");
            let Some(record) = modules.find(&step.module) else {
                return Err(Invalid::new(pointer, format!("there is no module `{}`: upload it first", step.module)));
            };
            if record.world == World::Router && index + 1 != spec.steps.len() {
                return Err(Invalid::new(
                    pointer,
                    format!("`{}` is a router: it can only be the last step", step.module),
                ));
            }
            steps.push(PlanStep {
                module: step.module.clone(),
                digest: tenant.active(&step.module, record),
                world: record.world,
                settings: step.settings.clone(),
                state: step.state,
                canary: record.canary.filter(|canary| !tenant.is_quarantined(&step.module, &canary.digest)),
                max_time: tenant.max_time(record),
            });
        }
        let routes_itself = steps.last().is_some_and(|step| step.world == World::Router);
        check_target(spec.to.as_ref(), routes_itself, tenant)?;
        let plan = Plan { steps, to: spec.to.clone(), on_failure: spec.on_failure };
        let bytes = plan.to_bytes().map_err(|error| Invalid::new("/steps", error.to_string()))?;
        Ok(Self {
            name: name_of(id)?,
            source: spec.source.clone(),
            event_types: spec.event_types.clone(),
            plan: Arc::new(plan),
            plan_digest: Digest::of(&bytes),
            plan_bytes: bytes.into(),
            ordered: spec.ordered,
            disabled: spec.disabled,
        })
    }

    /// Whether its runs go one at a time, after the acknowledgement.
    #[must_use]
    pub fn in_order(&self) -> bool {
        self.ordered || self.plan.keeps_state()
    }

    /// Whether an event of this source and type goes through it.
    #[must_use]
    pub fn takes(&self, source: &SourceName, event_type: &str) -> bool {
        !self.disabled && self.source == *source && self.event_types.iter().any(|pattern| pattern.matches(event_type))
    }
}

fn check_target(to: Option<&Target>, routes_itself: bool, tenant: &Tenant) -> Result<(), Invalid> {
    match to {
        Some(_) if routes_itself => {
            Err(Invalid::new("/to", "the last step is a router, which names the endpoints itself: leave `to` out"))
        }
        None if routes_itself => Ok(()),
        None => Err(Invalid::new(
            "/to",
            "is missing: say `{\"endpoints\": [\"name\"]}` or `{\"labels\": {\"label\": \"value\"}}`",
        )),
        Some(Target::Labels(labels)) => check_labels("/to/labels", labels),
        Some(Target::Endpoints(names)) if names.is_empty() => Err(Invalid::new("/to/endpoints", "names no endpoint")),
        Some(Target::Endpoints(names)) => {
            for (index, name) in names.iter().enumerate() {
                let pointer = format!("/to/endpoints/{index}");
                if !tenant.endpoints.contains_key(name) {
                    return Err(Invalid::new(pointer, format!("the tenant has no endpoint `{name}`: make it first")));
                }
                if names.iter().take(index).any(|earlier| earlier == name) {
                    return Err(Invalid::new(pointer, format!("names `{name}` a second time")));
                }
            }
            Ok(())
        }
    }
}

fn open_all(id: &ResourceId, sealed: &[String], pointer: &str, key: &MasterKey) -> Result<Vec<String>, Invalid> {
    let place = id.to_string();
    let opened = sealed.iter().enumerate().map(|(index, text)| {
        let secret =
            key.open(&place, text).map_err(|error| Invalid::new(format!("{pointer}/{index}"), error.to_string()))?;
        if secret.is_empty() {
            return Err(Invalid::new(format!("{pointer}/{index}"), "is empty"));
        }
        Ok(secret)
    });
    opened.collect()
}

fn standard_secrets(
    id: &ResourceId,
    sealed: &[String],
    pointer: &str,
    key: &MasterKey,
) -> Result<Vec<Secret>, Invalid> {
    let texts = open_all(id, sealed, pointer, key)?;
    let parsed = texts.iter().enumerate().map(|(index, text)| {
        text.parse::<Secret>().map_err(|error| Invalid::new(format!("{pointer}/{index}"), error.to_string()))
    });
    parsed.collect()
}

fn header_name(pointer: &str, name: &str) -> Result<HeaderName, Invalid> {
    name.parse().map_err(|_| Invalid::new(pointer, format!("`{name}` is not a header name")))
}

fn at_most(pointer: &str, count: usize, most: usize) -> Result<(), Invalid> {
    if count <= most {
        return Ok(());
    }
    Err(Invalid::new(pointer, format!("has {count} entries; at most {most} are allowed")))
}

fn check_labels(pointer: &str, labels: &BTreeMap<String, String>) -> Result<(), Invalid> {
    at_most(pointer, labels.len(), LABELS_MAX)?;
    for (name, value) in labels {
        if name.is_empty() || name.len() > LABEL_BYTES_MAX || value.len() > LABEL_BYTES_MAX {
            let message =
                format!("a label's name has 1 to {LABEL_BYTES_MAX} bytes, its value at most {LABEL_BYTES_MAX}");
            return Err(Invalid::new(format!("{pointer}/{}", escaped(name)), message));
        }
    }
    Ok(())
}

pub(super) fn name_of<T: FromStr<Err = crate::model::InvalidName>>(id: &ResourceId) -> Result<T, Invalid> {
    id.name.parse().map_err(|error: crate::model::InvalidName| Invalid::new("", error.to_string()))
}
