//! The way in: `POST /in/{tenant}/{source}`. Bounds the body, verifies the signature over its raw bytes, finds event type and dedup
//! key, and answers only when the event is durable. `publish` is the way in for the application itself, by the admin interface.
//!
//! `rates` and `admission` bound what is on its way, `inflate` what a compressed body holds, `request` (pure) reads what a request says, `take` and `batch` are what all ways in share.

mod admission;
mod batch;
mod bucket;
mod inflate;
mod problems;
mod publish;
mod rates;
mod request;
mod reserve;
mod take;

pub use admission::Entry;
pub use batch::{EVENTS_PER_BATCH_MAX, Given};
pub use take::{Item, Taken, Way};

use crate::clock::Clock;
use crate::config::{Intake, Maker, Snapshot, Source, Unwanted};
use crate::model::{SourceName, TenantName};
use crate::pipeline::{Accepted, Pipeline};
use crate::problem::Problem;
use crate::server::{Peer, RequestBody};
use crate::statistics::Recorder;
use crate::store::Store;
use admission::Admission;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use problems::{coding_refused, rate_limited, source_disabled, unwanted};
use rates::Rates;
use request::{Json, Refused};
use reserve::Reservations;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;
use take::{Taker, source_unknown};
use tokio::sync::watch;
use tracing::Instrument as _;

const UNKNOWN_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

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

/// Answers ingest requests, and takes what an application publishes. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    inner: Arc<Inner>,
}

struct Inner {
    taker: Arc<Taker>,
    admission: Admission,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    store: Store,
    rates: Rates,
    /// What the rates count the time from.
    started: Instant,
    config: Config,
}

/// A request that is in.
struct Admitted {
    headers: HeaderMap,
    body: Bytes,
    now_ms: u64,
    entry: Entry,
}

impl Ingest {
    /// An ingest over this pipeline, and the store that this writes to.
    #[must_use]
    pub fn new(
        pipeline: Pipeline,
        store: Store,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        recorder: Recorder,
        clock: Clock,
        config: Config,
    ) -> Self {
        let admission = Admission::new(config.clone());
        let taker = Arc::new(Taker { pipeline, recorder, clock, reservations: Reservations::default() });
        let (rates, started) = (Rates::default(), Instant::now());
        Self { inner: Arc::new(Inner { taker, admission, snapshots, store, rates, started, config }) }
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
        let taker = &self.inner.taker;
        let admitted = self.admit(&way, request).await;
        let Admitted { headers, body, now_ms, entry } = admitted.inspect_err(|problem| {
            taker.count(&way, began, |tally, took_us| tally.failed(problem.code, took_us));
        })?;
        if let Some(challenge) = request::challenge(&way.source, &body) {
            taker.count(&way, began, |tally, took_us| tally.succeeded("url_verification", took_us));
            return Ok(Answer::Challenge(challenge));
        }
        // From here on the client may hang up: what was verified is taken whole.
        let taker = taker.clone();
        let taking = async move {
            let _until_it_is_taken = entry;
            let body_bytes = body.len() as u64;
            let taken = match item(&way.source, &headers, body) {
                Ok(item) => taker.take(&way, item, now_ms).await,
                Err(refused) => Err(refused.into()),
            };
            taker.count_taken(&way, began, body_bytes, &taken);
            taken
        };
        let taken = tokio::spawn(taking.in_current_span()).await.unwrap_or_else(|error| {
            tracing::error!(%error, "taking an event broke down");
            Err(Problem::internal())
        });
        taken.map(Answer::Accepted)
    }

    /// Lets a request in that is whole and proves where it comes from.
    async fn admit(&self, way: &Way, request: Request<RequestBody>) -> Result<Admitted, Problem> {
        let source = &way.source;
        check_open(source)?;
        check_head(&source.intake, &request).map_err(|error| unwanted(&error, &source.intake))?;
        let coding = inflate::coding_of(request.headers()).map_err(|error| coding_refused(&error))?;
        self.check_rates(way, 1)?;
        let mut entry = self.enter()?;
        let (parts, body) = request.into_parts();
        let most = self.body_bytes_max(source);
        let mut body = self.inner.admission.read(&mut entry, body, most).await?;
        let now_ms = self.inner.taker.clock.now_ms();
        let proven = source.verify.check(&parts.headers, parts.uri.query(), &body, now_ms / 1000);
        proven.map_err(Refused::from)?;
        let mut headers = parts.headers;
        if let Some(coding) = coding {
            // What was signed is what came; what is kept is what it holds, and no header says otherwise.
            body = self.inner.admission.inflate(&mut entry, coding, body, most).await?;
            headers.remove(header::CONTENT_ENCODING);
            headers.remove(header::CONTENT_LENGTH);
        }
        Ok(Admitted { headers, body, now_ms, entry })
    }

    /// Counts so many events under the rates of their source and their tenant.
    fn check_rates(&self, way: &Way, events: usize) -> Result<(), Problem> {
        let now_ns = u64::try_from(self.inner.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.inner.rates.let_through(way, events, now_ns).map_err(|exceeded| rate_limited(&exceeded))
    }

    /// A place for a request's event.
    fn enter(&self) -> Result<Entry, Problem> {
        let entry = self.inner.admission.enter()?;
        // Before the body is read: it would only be thrown away.
        self.inner.taker.pipeline.room().map_err(Problem::from)?;
        Ok(entry)
    }

    /// The largest body that a source takes.
    fn body_bytes_max(&self, source: &Source) -> u64 {
        let most = self.inner.config.body_bytes_max;
        source.body_bytes_max.map_or(most, |own| own.min(most))
    }

    /// The source that requests to this path go to.
    fn find(&self, path: &str) -> Result<Way, Problem> {
        let (tenant, source) =
            path.strip_prefix("/in/").and_then(|rest| rest.split_once('/')).ok_or_else(source_unknown)?;
        let tenant: TenantName = tenant.parse().map_err(|_| source_unknown())?;
        let source: SourceName = source.parse().map_err(|_| source_unknown())?;
        let way = Way::to(&self.inner.snapshots.borrow(), tenant, source);
        way.filter(|way| way.source.maker == Maker::Requests).ok_or_else(source_unknown)
    }
}

/// What a verified request says of its event.
fn item(source: &Source, headers: &HeaderMap, body: Bytes) -> Result<Item, Refused> {
    let json = Json::of(&body);
    let dedup_key = request::dedup_key(source, headers, &json)?;
    let event_type = request::event_type(source, headers, &json)?;
    drop(json);
    let (content_type, headers) = (request::content_type(headers)?, request::kept_headers(source, headers));
    Ok(Item { event_type, content_type, headers, body, dedup_key })
}

fn check_open(source: &Source) -> Result<(), Problem> {
    if source.disabled { Err(source_disabled()) } else { Ok(()) }
}

/// Whether the source looks at the request at all.
fn check_head(intake: &Intake, request: &Request<RequestBody>) -> Result<(), Unwanted> {
    // Every listener says where a request came from; what does not say comes from nowhere that was allowed.
    let from = request.extensions().get::<Peer>().map_or(UNKNOWN_ADDRESS, |peer| peer.address);
    intake.check_address(from)?;
    intake.check_method(request.method())?;
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    intake.check_media_type(content_type)
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
