//! A module tried out: `POST …/modules/{name}/test` calls it once, with an event from the request or a stored one, and commits nothing.
//!
//! The call runs on the module threads, on the lane of those who can wait: a trial never holds up an event.

use super::Api;
use super::body::{parse_json, read};
use super::change::ChangeError;
use super::data;
use super::modules::{At, WhichBody, record, which};
use crate::config::{CallTime, ModuleRecord, TimeBound};
use crate::model::{Digest, Event, EventId, LogLine, Message, ModuleName, TenantName, World};
use crate::problem::Problem;
use crate::runtime::{Config, Directory, EndpointInfo, Lane, Metered, Module};
use crate::trial::{CostsError, Exact, GivenEndpoint, GivenError, GivenEvent, GivenMessage, Trial, outcome_within};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::time::Instant;
use tokio::sync::oneshot;

/// What a request has beside its bodies, in bytes: the settings, mostly.
const REST_BYTES_MAX: usize = 1 << 20;

/// How many bytes of messages an answer shows, 2 MiB: as many as a module makes by itself (`runtime.output_bytes_max`). Of a message that
/// is too much, it shows the size.
const SHOWN_BYTES_MAX: usize = 2 << 20;

/// What to call the module with.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TestRequest {
    /// The step's settings; `{}` where there are none.
    settings: Option<Box<RawValue>>,
    /// An event, or
    event: Option<GivenEvent>,
    /// the id of a stored one.
    event_id: Option<EventId>,
    /// The message, where it is not the event itself.
    message: Option<GivenMessage>,
    /// What a router finds; the tenant's own endpoints where this is left out.
    endpoints: Option<Vec<GivenEndpoint>>,
    /// The active one where this is left out.
    version: Option<WhichBody>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Answer {
    module: ModuleName,
    digest: Digest,
    world: World,
    /// See [`outcome_within`], of [`SHOWN_BYTES_MAX`].
    result: Exact,
    /// Whether messages were too large to be shown.
    result_cut: bool,
    logs: Vec<LogLine>,
    logs_cut: bool,
    duration_us: u64,
    memory_bytes: usize,
    /// None where the module could not be counted, or the call did not end by itself.
    fuel: Option<u64>,
    /// Why the module could not be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_counted: Option<String>,
    limits: Value,
}

pub(super) async fn test(
    State(api): State<Api>,
    At { id, module: (tenant, name) }: At,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let record = record(&api, &id)?;
    let costs = &api.parts().costs;
    // The bodies of the event and of the message; base64 makes four bytes of three.
    let bytes_max = costs.limits().module_body_bytes_max.saturating_mul(3).saturating_add(REST_BYTES_MAX);
    let body = read(&api, request.into_body(), "the body", "body_too_large", bytes_max).await?;
    let mut request: TestRequest = parse_json(&body)?;
    let digest = version(&record, request.version.take())?;
    if let Some(tenant) = &tenant {
        api.parts().ingest.check_module_time(tenant).await?;
    }
    let trial = trial(&api, tenant.as_ref(), &record, request).await?;
    let limits = shown(costs.limits(), trial.max_time);

    let module = api.parts().library.load(&digest).await.map_err(ChangeError::from)?;
    let metered = costs.module(digest).await;
    let (times, whose) = (api.parts().pipeline.module_times().clone(), tenant.clone());
    let call = move || {
        let began = Instant::now();
        let json = answer(name, digest, &trial, &module, metered, limits);
        if let Some(tenant) = whose {
            times.note(&tenant, u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
        json
    };
    let json = on_module_thread(&api, tenant.as_ref(), call).await?;
    let json = json.map_err(|_| Problem::internal())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// Calls the module, once for the result and once to be counted, and writes the answer: what a module makes may be large.
fn answer(
    name: ModuleName,
    digest: Digest,
    trial: &Trial,
    module: &Module,
    metered: Result<Metered, CostsError>,
    limits: Value,
) -> serde_json::Result<Vec<u8>> {
    let report = trial.run(module);
    let fuel = metered.as_ref().ok().and_then(|metered| trial.fuel(metered, &report));
    let (result, result_cut) = outcome_within(&report.result, SHOWN_BYTES_MAX);
    serde_json::to_vec(&Answer {
        module: name,
        digest,
        world: module.world(),
        result,
        result_cut,
        logs: report.logs,
        logs_cut: report.logs_cut,
        duration_us: report.duration_us,
        memory_bytes: report.memory_bytes,
        fuel,
        not_counted: metered.err().map(|error| error.to_string()),
        limits,
    })
}

fn version(record: &ModuleRecord, asked: Option<WhichBody>) -> Result<Digest, Problem> {
    let Some(WhichBody { digest, number }) = asked else { return Ok(record.digest) };
    let found = which(digest, number).and_then(|which| Ok(record.version(which).map_err(ChangeError::from)?.digest));
    found.map_err(|problem| problem.at("/version"))
}

/// What a router finds.
fn directory(api: &Api, tenant: Option<&TenantName>, given: Option<Vec<GivenEndpoint>>) -> Directory {
    if let Some(given) = given {
        return GivenEndpoint::directory(given);
    }
    let snapshot = api.parts().configuration.snapshot();
    let endpoints = tenant.and_then(|tenant| snapshot.tenant(tenant)).into_iter().flat_map(|it| it.endpoints.values());
    Directory::new(endpoints.map(|it| EndpointInfo { name: it.name.clone(), labels: it.labels.clone() }).collect())
}

/// The call that is asked for: its event from the request or from the store.
async fn trial(
    api: &Api,
    tenant: Option<&TenantName>,
    record: &ModuleRecord,
    request: TestRequest,
) -> Result<Trial, Problem> {
    let TestRequest { settings, event, event_id, message, endpoints, version: _ } = request;
    let (event, body) = match (event, event_id) {
        (Some(given), None) => {
            given.of_tenant(tenant).and_then(|given| given.resolve(None)).map_err(wrong_at("/event"))?
        }
        (None, Some(id)) => stored(api, tenant, id).await?,
        _ => {
            let detail = "give either `event`, such as {\"event_type\": \"push\", \"body\": {}}, or `event_id`";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "body_invalid", detail));
        }
    };
    let message = match message {
        Some(given) => given.over(&event, &body).map_err(wrong_at("/message"))?,
        None => Message::of_event(&event, &body),
    };
    let snapshot = api.parts().configuration.snapshot();
    let own = record.max_time_ms.map(|ms| CallTime { ms, set_by: TimeBound::Module });
    Ok(Trial {
        event,
        body,
        message,
        settings: settings.map_or_else(|| "{}".to_owned(), |settings| settings.get().to_owned()),
        max_time: tenant.and_then(|tenant| snapshot.tenant(tenant)).map_or(own, |tenant| tenant.max_time(record)),
        endpoints: directory(api, tenant, endpoints),
    })
}

fn wrong_at(pointer: &'static str) -> impl Fn(GivenError) -> Problem {
    move |error| Problem::new(StatusCode::BAD_REQUEST, "body_invalid", error.to_string()).at(pointer)
}

async fn stored(api: &Api, tenant: Option<&TenantName>, id: EventId) -> Result<(Event, Bytes), Problem> {
    let Some(tenant) = tenant else {
        let detail = "events belong to tenants: give the `event` itself, or test the module of a tenant";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "body_invalid", detail).at("/event_id"));
    };
    let found = data::read(api, tenant.as_str(), move |reader, tenant| {
        let Some(event) = reader.event(tenant, id)? else { return Ok(None) };
        Ok(Some((event, reader.body(tenant, id)?)))
    });
    found.await?.ok_or_else(|| data::missing("event", &id.to_string()))
}

/// Does work on a module thread, and answers what came of it.
async fn on_module_thread<T: Send + 'static>(
    api: &Api,
    tenant: Option<&TenantName>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let (sender, receiver) = oneshot::channel();
    // Who asked may have gone.
    let job = move || drop(sender.send(work()));
    let stopping = |error: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", error);
    let submitted = api.parts().executor.submit(Lane::Background, tenant, Box::new(job)).await;
    submitted.map_err(|error| stopping(error.to_string()))?;
    // A job that panics drops its sender.
    receiver.await.map_err(|_| Problem::internal())
}

/// The bounds that a trial comes near to.
fn shown(limits: &Config, max_time: Option<CallTime>) -> Value {
    json!({
        "max_time_ms": max_time.map_or(limits.max_time_ms, |bound| bound.ms.min(limits.max_time_ms)),
        "memory_bytes_max": limits.memory_bytes_max,
        "module_body_bytes_max": limits.module_body_bytes_max,
        "output_bytes_max": limits.output_bytes_max,
        "output_messages_max": limits.output_messages_max,
        "log_bytes_max": limits.log_bytes_max,
        "log_lines_max": limits.log_lines_max,
        "shown_bytes_max": SHOWN_BYTES_MAX,
    })
}
