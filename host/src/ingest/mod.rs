//! The way in: `POST /in/{tenant}/{source}`. Bounds the body, verifies the signature over its raw bytes, finds event type and dedup
//! key, and answers only when the event is durable.

mod request;
mod reserve;

use crate::clock::Clock;
use crate::config::{Snapshot, Source};
use crate::model::{Event, EventId, SourceName, TenantName};
use crate::pipeline::{AcceptError, Accepted, Pipeline};
use crate::problem::Problem;
use crate::server::{BodyError, read_body};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use reserve::{Reservations, Reserved};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The bounds of ingest.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener.
    pub server: crate::server::Config,
    /// The largest body taken, in bytes: 1 to 104,857,600 (100 MiB). A source may set a smaller one. By itself 10 MiB.
    pub body_bytes_max: u64,
    /// How many events may be on their way between socket and disk at once: 1 to 100,000; above it the answer is 503. By itself 4,096.
    pub in_flight_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { server: crate::server::Config::default(), body_bytes_max: 10 << 20, in_flight_max: 4_096 }
    }
}

/// Answers ingest requests. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: Pipeline,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    clock: Clock,
    reservations: Reservations,
    in_flight: tokio::sync::Semaphore,
    config: Config,
}

/// Where a request goes to.
struct Way {
    tenant_name: TenantName,
    source_name: SourceName,
    source: Arc<Source>,
}

impl Ingest {
    /// An ingest over this pipeline.
    #[must_use]
    pub fn new(pipeline: Pipeline, snapshots: watch::Receiver<Arc<Snapshot>>, clock: Clock, config: Config) -> Self {
        let in_flight = tokio::sync::Semaphore::new(config.in_flight_max as usize);
        let inner = Inner { pipeline, snapshots, clock, reservations: Reservations::default(), in_flight, config };
        Self { inner: Arc::new(inner) }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match self.receive(request).await {
            Ok(accepted) => acknowledge(accepted),
            Err(problem) => problem.to_response(),
        }
    }

    async fn receive(&self, request: Request<Incoming>) -> Result<Accepted, Problem> {
        let way = self.find(request.method(), request.uri().path())?;
        let Ok(_permit) = self.inner.in_flight.try_acquire() else {
            let detail =
                format!("more than in_flight_max = {} events are on their way", self.inner.config.in_flight_max);
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after_s(1));
        };
        let (parts, body) = request.into_parts();
        let body = self.read(body, &way.source).await?;
        let now_ms = self.inner.clock.now_ms();
        request::verify(&way.source, &parts.headers, &body, now_ms / 1000).map_err(refused)?;
        // From here on the client may hang up: what was verified is taken whole.
        let ingest = self.clone();
        let taken = tokio::spawn(async move { ingest.take(way, &parts.headers, body, now_ms).await });
        taken.await.unwrap_or_else(|error| {
            tracing::error!(%error, "taking an event broke down");
            Err(Problem::internal())
        })
    }

    fn find(&self, method: &Method, path: &str) -> Result<Way, Problem> {
        let (tenant, source) =
            path.strip_prefix("/in/").and_then(|rest| rest.split_once('/')).ok_or_else(source_unknown)?;
        let tenant_name: TenantName = tenant.parse().map_err(|_| source_unknown())?;
        let source_name: SourceName = source.parse().map_err(|_| source_unknown())?;
        let snapshot = self.inner.snapshots.borrow().clone();
        let tenant = snapshot.tenant(&tenant_name).ok_or_else(source_unknown)?;
        let source = tenant.sources.get(&source_name).cloned().ok_or_else(source_unknown)?;
        if source.disabled {
            let detail = "the source is disabled; enable it in its configuration";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "source_disabled", detail).retry_after_s(60));
        }
        if method != Method::POST {
            let detail = "events are sent with POST";
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail));
        }
        Ok(Way { tenant_name, source_name, source })
    }

    async fn read(&self, body: Incoming, source: &Source) -> Result<Bytes, Problem> {
        let most = source
            .body_bytes_max
            .map_or(self.inner.config.body_bytes_max, |own| own.min(self.inner.config.body_bytes_max));
        let too_large = || {
            let detail = format!("the body is larger than body_bytes_max = {most} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).with("body_bytes_max", most)
        };
        let timeout_ms = self.inner.config.server.body_timeout_ms;
        let bytes_max = usize::try_from(most).unwrap_or(usize::MAX);
        match tokio::time::timeout(Duration::from_millis(timeout_ms), read_body(body, bytes_max)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(BodyError::TooLong)) => Err(too_large()),
            Ok(Err(error @ BodyError::Incomplete(_))) => {
                Err(Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", error.to_string()))
            }
            Err(_) => {
                let detail = format!("the body took longer than body_timeout_ms = {timeout_ms}");
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail))
            }
        }
    }

    /// Takes a verified event: one at a time for each dedup key.
    async fn take(&self, way: Way, headers: &HeaderMap, body: Bytes, now_ms: u64) -> Result<Accepted, Problem> {
        let Way { tenant_name, source_name, source } = way;
        let dedup_key = request::dedup_key(&source, headers)?;
        let guard = match &dedup_key {
            None => None,
            Some(key) => {
                match self.inner.reservations.reserve((tenant_name.clone(), source_name.clone(), key.clone())).await {
                    Reserved::First(guard) => Some(guard),
                    Reserved::Taken(first) => return Ok(Accepted::Duplicate(first)),
                }
            }
        };
        let event = Event {
            id: new_id(now_ms)?,
            seq: 0,
            event_type: request::event_type(&source, headers, &body)?,
            content_type: request::content_type(headers),
            received_at_ms: now_ms,
            headers: request::kept_headers(headers),
            body_bytes: body.len() as u64,
            tenant: tenant_name,
            source: source_name,
            dedup_key,
        };
        let dedup_until_ms = event.dedup_key.is_some().then(|| now_ms.saturating_add(source.dedup_window_s * 1000));
        let accepted = self.inner.pipeline.accept(event, body, dedup_until_ms).await.map_err(not_stored)?;
        if let Some(guard) = guard {
            guard.taken_by(match accepted {
                Accepted::New(id) | Accepted::Duplicate(id) => id,
            });
        }
        Ok(accepted)
    }
}

fn source_unknown() -> Problem {
    let detail = "there is no such source here: events go to POST /in/{tenant}/{source}";
    Problem::new(StatusCode::NOT_FOUND, "source_unknown", detail)
}

fn new_id(now_ms: u64) -> Result<EventId, Problem> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "the machine gives no random numbers");
        Problem::internal()
    })?;
    Ok(EventId::new(now_ms, u128::from_be_bytes(random)))
}

fn refused(error: request::Refused) -> Problem {
    Problem::new(error.status(), error.code(), error.to_string())
}

impl From<request::Refused> for Problem {
    fn from(error: request::Refused) -> Self {
        refused(error)
    }
}

fn not_stored(error: AcceptError) -> Problem {
    if matches!(error, AcceptError::TenantGone) {
        return source_unknown();
    }
    tracing::error!(%error, "an event was not stored");
    let detail = "the event could not be made durable; send it again, with the same id if it has one";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after_s(5)
}

/// 202, with the event's id; a duplicate is told the id of the first.
fn acknowledge(accepted: Accepted) -> Response<Full<Bytes>> {
    let body = match accepted {
        Accepted::New(id) => format!("{{\"id\":\"{id}\"}}"),
        Accepted::Duplicate(first) => format!("{{\"id\":\"{first}\",\"duplicate\":true}}"),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::ACCEPTED;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
