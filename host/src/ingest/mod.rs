//! The way in: `POST /in/{tenant}/{source}`. Bounds the body, verifies the signature over its raw bytes, finds event type and dedup
//! key, and answers only when the event is durable.

mod request;
mod reserve;

use crate::clock::Clock;
use crate::config::{Snapshot, Source};
use crate::model::{Event, EventId, SourceName, TenantName};
use crate::pipeline::{AcceptError, Accepted, Pipeline};
use crate::problem::Problem;
use crate::server::{BodyError, RequestBody, read_body};
use crate::statistics::{Recorder, Subject, Tally};
use crate::store::DiskFull;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use request::Json;
use reserve::{Reservations, Reserved};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// The bounds of ingest.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener.
    pub server: crate::server::Config,
    /// The largest body taken, in bytes: 1 to 104,857,600 (100 MiB). A source may set a smaller one. By itself 10 MiB.
    pub body_bytes_max: u64,
    /// How many events may be on their way between socket and disk at once: 1 to 100,000; above it the answer is 503. By itself 4,096.
    pub in_flight_max: u32,
    /// How many bytes the bodies of these events may take together; above it the answer is 503. At least `body_bytes_max`, at most
    /// 1 TiB. By itself 256 MiB.
    pub in_flight_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: crate::server::Config::default(),
            body_bytes_max: 10 << 20,
            in_flight_max: 4_096,
            in_flight_bytes_max: 256 << 20,
        }
    }
}

/// What a request that was let in is told.
enum Answer {
    /// Its event is there.
    Accepted(Accepted),
    /// It was no event: it asked for this.
    Challenge(String),
}

/// Answers ingest requests. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: Pipeline,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    recorder: Recorder,
    clock: Clock,
    reservations: Reservations,
    in_flight: Arc<Semaphore>,
    in_flight_bytes: Arc<Semaphore>,
    config: Config,
}

/// Where a request goes to.
struct Way {
    tenant_name: TenantName,
    source_name: SourceName,
    source: Arc<Source>,
}

/// A request that is in.
struct Admitted {
    headers: HeaderMap,
    body: Bytes,
    now_ms: u64,
    /// Its place among those in flight, and the room of its body.
    held: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

impl Ingest {
    /// An ingest over this pipeline.
    #[must_use]
    pub fn new(
        pipeline: Pipeline,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        recorder: Recorder,
        clock: Clock,
        config: Config,
    ) -> Self {
        let in_flight = Arc::new(Semaphore::new(config.in_flight_max as usize));
        let bytes = usize::try_from(config.in_flight_bytes_max).unwrap_or(Semaphore::MAX_PERMITS);
        let in_flight_bytes = Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        let reservations = Reservations::default();
        let inner = Inner { pipeline, snapshots, recorder, clock, reservations, in_flight, in_flight_bytes, config };
        Self { inner: Arc::new(inner) }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        match self.receive(request).await {
            Ok(Answer::Accepted(accepted)) => acknowledge(accepted),
            Ok(Answer::Challenge(challenge)) => answer(StatusCode::OK, "text/plain", challenge),
            Err(problem) => problem.to_response(),
        }
    }

    async fn receive(&self, request: Request<RequestBody>) -> Result<Answer, Problem> {
        let began = Instant::now();
        let way = self.find(request.uri().path())?;
        let (tenant, source) = (way.tenant_name.clone(), way.source_name.clone());
        let admitted = self.admit(&way.source, request).await;
        let Admitted { headers, body, now_ms, held } = admitted.inspect_err(|problem| {
            self.count(&tenant, &source, began, |tally, took_us| tally.failed(problem.code, took_us));
        })?;
        if let Some(challenge) = request::challenge(&way.source, &body) {
            self.count(&tenant, &source, began, |tally, took_us| tally.succeeded("url_verification", took_us));
            return Ok(Answer::Challenge(challenge));
        }
        // From here on the client may hang up: what was verified is taken whole.
        let ingest = self.clone();
        let taken = tokio::spawn(async move {
            let _until_it_is_taken = held;
            let body_bytes = body.len() as u64;
            let taken = ingest.take(way, &headers, body, now_ms).await;
            ingest.count(&tenant, &source, began, |tally, took_us| match &taken {
                Ok(Accepted::New(_)) => {
                    tally.succeeded("accepted", took_us);
                    tally.body_bytes = tally.body_bytes.saturating_add(body_bytes);
                }
                Ok(Accepted::Duplicate(_)) => tally.succeeded("duplicate", took_us),
                Err(problem) => tally.failed(problem.code, took_us),
            });
            taken
        });
        let taken = taken.await.unwrap_or_else(|error| {
            tracing::error!(%error, "taking an event broke down");
            Err(Problem::internal())
        });
        taken.map(Answer::Accepted)
    }

    /// Counts a request of a source that is there.
    fn count(&self, tenant: &TenantName, source: &SourceName, began: Instant, how: impl FnOnce(&mut Tally, u64)) {
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let subject = Subject::Source(source.clone());
        self.inner.recorder.note(tenant, subject, self.inner.clock.now_ms(), |tally| how(tally, took_us));
    }

    /// Lets a request in that is whole and proves where it comes from.
    async fn admit(&self, source: &Source, request: Request<RequestBody>) -> Result<Admitted, Problem> {
        if source.disabled {
            let detail = "the source is disabled; enable it in its configuration";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "source_disabled", detail).retry_after_s(60));
        }
        if request.method() != Method::POST {
            let detail = "events are sent with POST";
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail));
        }
        let Ok(place) = self.inner.in_flight.clone().try_acquire_owned() else {
            let most = self.inner.config.in_flight_max;
            return Err(overloaded(format!("more than in_flight_max = {most} events are on their way")));
        };
        // Before the body is read: it would only be thrown away.
        self.inner.pipeline.room().map_err(Problem::from)?;
        let (parts, body) = request.into_parts();
        let (body, room) = self.read(body, source).await?;
        let now_ms = self.inner.clock.now_ms();
        let proven = source.verify.check(&parts.headers, parts.uri.query(), &body, now_ms / 1000);
        proven.map_err(|error| refused(error.into()))?;
        Ok(Admitted { headers: parts.headers, body, now_ms, held: (place, room) })
    }

    fn find(&self, path: &str) -> Result<Way, Problem> {
        let (tenant, source) =
            path.strip_prefix("/in/").and_then(|rest| rest.split_once('/')).ok_or_else(source_unknown)?;
        let tenant_name: TenantName = tenant.parse().map_err(|_| source_unknown())?;
        let source_name: SourceName = source.parse().map_err(|_| source_unknown())?;
        let snapshot = self.inner.snapshots.borrow().clone();
        let tenant = snapshot.tenant(&tenant_name).ok_or_else(source_unknown)?;
        let source = tenant.sources.get(&source_name).cloned().ok_or_else(source_unknown)?;
        Ok(Way { tenant_name, source_name, source })
    }

    /// The body, and the room that it takes.
    async fn read(&self, body: RequestBody, source: &Source) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Problem> {
        let most = source
            .body_bytes_max
            .map_or(self.inner.config.body_bytes_max, |own| own.min(self.inner.config.body_bytes_max));
        let too_large = || {
            let detail = format!("the body is larger than body_bytes_max = {most} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).with("body_bytes_max", most)
        };
        let timeout_ms = self.inner.config.server.body_timeout_ms;
        let bytes_max = usize::try_from(most).unwrap_or(usize::MAX);
        let mut taken: Option<OwnedSemaphorePermit> = None;
        let room = |bytes: usize| {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let Ok(more) = self.inner.in_flight_bytes.clone().try_acquire_many_owned(bytes) else { return false };
            match &mut taken {
                Some(taken) => taken.merge(more),
                none => *none = Some(more),
            }
            true
        };
        let read = read_body(body, bytes_max, Duration::from_millis(timeout_ms), room).await;
        let body = read.map_err(|error| match error {
            BodyError::TooLong => too_large(),
            BodyError::NoRoom => {
                let most = self.inner.config.in_flight_bytes_max;
                overloaded(format!("the events on their way take more than in_flight_bytes_max = {most} bytes"))
            }
            BodyError::TooSlow => {
                let detail = format!("the body took longer than body_timeout_ms = {timeout_ms}");
                Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
            }
            BodyError::Incomplete(_) => Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", error.to_string()),
        })?;
        Ok((body, taken))
    }

    /// Takes a verified event: one at a time for each dedup key.
    async fn take(&self, way: Way, headers: &HeaderMap, body: Bytes, now_ms: u64) -> Result<Accepted, Problem> {
        let Way { tenant_name, source_name, source } = way;
        let json = Json::of(&body);
        let dedup_key = request::dedup_key(&source, headers, &json)?;
        let event_type = request::event_type(&source, headers, &json)?;
        drop(json);
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
            event_type,
            content_type: request::content_type(headers)?,
            received_at_ms: now_ms,
            headers: request::kept_headers(&source, headers),
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

fn overloaded(detail: String) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after_s(1)
}

impl From<DiskFull> for Problem {
    fn from(full: DiskFull) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", full.to_string())
            .with("free_bytes", full.free_bytes)
            .with("free_bytes_min", full.free_bytes_min)
            .retry_after_s(30)
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
    answer(StatusCode::ACCEPTED, "application/json", body)
}

fn answer(status: StatusCode, media_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    response
}
