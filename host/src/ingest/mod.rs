//! The way in: `POST /in/{tenant}/{source}`. Bounds the body, verifies the signature over its raw bytes, finds event type and dedup
//! key, and answers only when the event is durable. What only asks is told what it asks for (`challenge`). `publish` is the way in for the application itself, by the admin interface.
//!
//! `rates` and `admission` bound what is on its way, `refusals` remembers what was refused, `inflate` what a compressed body holds,
//! `request`, `said` and `cloudevents` (pure) read what a request says, `schema` holds events against their tenant's catalogue, `take` and
//! `batch` are what all ways in share.

mod admission;
mod answer;
mod batch;
mod bucket;
mod challenge;
mod cloudevents;
mod first_of;
mod inflate;
mod json;
mod problems;
mod publish;
mod quotas;
mod rates;
mod refusals;
mod refused;
mod request;
mod reserve;
mod said;
mod schedule;
mod schema;
mod slack_form;
mod take;

pub use admission::Entry;
pub use answer::{acknowledgement, result};
pub use batch::{EVENTS_PER_BATCH_MAX, Given};
pub use first_of::FirstOf;
pub use refusals::{Refusal, ShownBody, ShownHeader};
pub use schedule::{ScheduleError, Ticks};
pub use take::{Item, Taken, Way};

use crate::clock::Clock;
use crate::config::{Asks, Maker, Snapshot, Source};
use crate::ids::Ids;
use crate::model::{SourceName, TenantName};
use crate::pipeline::Pipeline;
use crate::problem::Problem;
use crate::server::{Peer, RequestBody};
use crate::shutdown::Shutdown;
use crate::signing::VerifyError;
use crate::statistics::Recorder;
use crate::store::Store;
use admission::{AT_ONCE_BYTES, Admission};
use answer::Answer;
use bytes::Bytes;
use challenge::Told;
use http::request::Parts;
use http::{HeaderMap, Request, Response, header};
use http_body_util::Full;
use json::Json;
use problems::{coding_refused, no_admin_interface, not_believed, rate_limited, source_disabled, unwanted};
use rates::Rates;
use refusals::Refusals;
use refused::Seen;
use reserve::Reservations;
use said::Said;
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
    refusals: Refusals,
    /// What the rates count the time from.
    started: Instant,
    config: Config,
}

/// What becomes of a request that is let in.
enum LetIn {
    /// It is to be an event, or several.
    Event(Admitted),
    /// It asked for this.
    Told(Told),
}

/// A request that is in.
struct Admitted {
    /// Its headers as they are where its body came compressed: no header says so any more.
    inflated: Option<HeaderMap>,
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
        ids: Ids,
        config: Config,
    ) -> Self {
        let admission = Admission::new(config.clone());
        let taker = Arc::new(Taker { pipeline, recorder, clock, ids, reservations: Reservations::default() });
        let (rates, refusals, started) = (Rates::default(), Refusals::default(), Instant::now());
        Self { inner: Arc::new(Inner { taker, admission, snapshots, store, rates, refusals, started, config }) }
    }

    /// Makes the events of sources that have a schedule, until the signal is given.
    ///
    /// # Errors
    /// Where the store fails it.
    pub async fn tick(self, shutdown: Shutdown) -> Result<(), ScheduleError> {
        let Inner { taker, store, snapshots, .. } = &*self.inner;
        schedule::work(taker.clone(), store.clone(), snapshots.clone(), shutdown).await
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        let began = Instant::now();
        match self.receive(began, request).await {
            Ok(answer) => answer.into_response(),
            Err(problem) => problem.to_response(),
        }
    }

    async fn receive(&self, began: Instant, request: Request<RequestBody>) -> Result<Answer, Problem> {
        let way = self.find(request.uri().path())?;
        let taker = &self.inner.taker;
        let ((head, body), mut seen) = (request.into_parts(), Seen::default());
        let let_in = self.admit(&way, &head, body, &mut seen).await.inspect_err(|problem| {
            taker.count(&way, began, |tally, took_us| tally.failed(problem.code, took_us));
            self.note_refused(&way, &head, &seen, problem);
        })?;
        let admitted = match let_in {
            LetIn::Event(admitted) => admitted,
            LetIn::Told(told) => {
                taker.count(&way, began, |tally, took_us| tally.succeeded("url_verification", took_us));
                return Ok(Answer::Told(told));
            }
        };
        // From here on the client may hang up: what was verified is taken whole.
        let ingest = self.clone();
        let taking = async move {
            let taken = ingest.take(&way, &head, admitted, began).await;
            let refused = match &taken {
                Err(problem) => Some(problem),
                Ok(Answer::Each(each)) => each.iter().find_map(|one| one.as_ref().err()),
                Ok(_) => None,
            };
            refused.into_iter().for_each(|problem| ingest.note_refused(&way, &head, &seen, problem));
            taken
        };
        tokio::spawn(taking.in_current_span()).await.unwrap_or_else(|error| {
            tracing::error!(%error, "taking an event broke down");
            Err(Problem::internal())
        })
    }

    /// Takes what a verified request brings.
    async fn take(&self, way: &Way, head: &Parts, admitted: Admitted, began: Instant) -> Result<Answer, Problem> {
        let Admitted { inflated, body, now_ms, mut entry } = admitted;
        let taker = &self.inner.taker;
        let said = said::read(&way.source, inflated.as_ref().unwrap_or(&head.headers), body).map_err(Problem::from);
        // Before anything of many is taken.
        let said = said.and_then(|said| match said {
            Said::Many(each) => self.make_way(way, &mut entry, each.len()).map(|()| Said::Many(each)),
            one => Ok(one),
        });
        match said {
            Err(problem) => {
                taker.count(way, began, |tally, took_us| tally.failed(problem.code, took_us));
                Err(problem)
            }
            Ok(Said::One(item)) => {
                let bytes = item.body.len() as u64;
                let has_event_inside = matches!(way.source.asks, Asks::Discord) && Json::of(&item.body).has("/event");
                let taken = taker.take(way, item, now_ms).await;
                taker.count_taken(way, began, bytes, &taken);
                taken.map(|accepted| Answer::accepted(&way.source, has_event_inside, accepted))
            }
            Ok(Said::Many(each)) => {
                let bytes: Vec<u64> =
                    each.iter().map(|one| one.as_ref().map_or(0, |it| it.body.len() as u64)).collect();
                let given = each.into_iter().map(|one| one.map(|item| (way.clone(), item)).map_err(Problem::from));
                let taken = taker.take_all(given.collect(), now_ms).await;
                for (taken, bytes) in taken.iter().zip(bytes) {
                    taker.count_taken(way, began, bytes, taken);
                }
                Ok(Answer::Each(taken))
            }
        }
    }

    /// Makes way for so many events of one request. One of them is counted already; what the others take of the rates makes later ones wait.
    fn make_way(&self, way: &Way, entry: &mut Entry, events: usize) -> Result<(), Problem> {
        self.inner.admission.widen(entry, events)?;
        self.inner.rates.owe(way, events.saturating_sub(1), self.now_ns());
        Ok(())
    }

    /// Lets a request in that is whole and proves where it comes from, or says what it is told that only asks.
    async fn admit(&self, way: &Way, head: &Parts, body: RequestBody, seen: &mut Seen) -> Result<LetIn, Problem> {
        let (source, headers, query) = (&way.source, &head.headers, head.uri.query());
        check_open(source)?;
        check_address(source, head)?;
        if let Some(told) = challenge::by_head(source, &head.method, headers, query) {
            self.check_source_rate(way)?;
            return told.map(LetIn::Told);
        }
        check_head(source, head)?;
        seen.coding = inflate::coding_of(headers).map_err(|error| coding_refused(&error))?;
        self.check_source_rate(way)?;
        let mut entry = self.enter()?;
        let most = self.body_bytes_max(source);
        let raw = self.inner.admission.read(&mut entry, body, most).await?;
        (seen.bytes, seen.body) = (Some(raw.len() as u64), Some(raw.clone()));
        let now_ms = self.inner.taker.clock.now_ms();
        self.verify(way, head, &raw, now_ms).await?.map_err(|error| {
            seen.error = Some(error.clone());
            not_believed(source, error)
        })?;
        let sign = |text: &str| source.verify.sign_as_signed(headers, &raw, now_ms / 1000, text);
        let body = match seen.coding {
            // What was signed is what came; what is kept is what it holds.
            Some(coding) => {
                seen.body = None;
                self.inner.admission.inflate(&mut entry, coding, raw.clone(), most).await?
            }
            None => raw.clone(),
        };
        if let Some(told) = challenge::by_body(source, &body, sign) {
            return Ok(LetIn::Told(told));
        }
        // What a tenant uses is told to none but its own senders, and nobody else uses up any of it.
        self.check_quotas(way).await?;
        self.inner.rates.count(way, self.now_ns()).map_err(|exceeded| rate_limited(&exceeded))?;
        let inflated = seen.coding.map(|_| {
            let mut headers = headers.clone();
            headers.remove(header::CONTENT_ENCODING);
            headers.remove(header::CONTENT_LENGTH);
            headers
        });
        Ok(LetIn::Event(Admitted { inflated, body, now_ms, entry }))
    }

    /// Whether a request proves where it comes from. With a long body that is work for many secrets.
    async fn verify(
        &self,
        way: &Way,
        head: &Parts,
        raw: &Bytes,
        now_ms: u64,
    ) -> Result<Result<(), VerifyError>, Problem> {
        let (now_s, query) = (now_ms / 1000, head.uri.query());
        if raw.len() <= AT_ONCE_BYTES {
            return Ok(way.source.verify.check(&head.headers, query, raw, now_s));
        }
        let (source, headers, query) = (way.source.clone(), head.headers.clone(), query.map(str::to_owned));
        let raw = raw.clone();
        self.inner.admission.beside(move || source.verify.check(&headers, query.as_deref(), &raw, now_s)).await
    }

    /// Counts a request that has proved nothing yet under the rate of its source.
    fn check_source_rate(&self, way: &Way) -> Result<(), Problem> {
        self.inner.rates.let_in(way, self.now_ns()).map_err(|exceeded| rate_limited(&exceeded))
    }

    /// Counts so many events under the rates of their source and their tenant.
    fn check_rates(&self, way: &Way, events: usize) -> Result<(), Problem> {
        self.inner.rates.let_through(way, events, self.now_ns()).map_err(|exceeded| rate_limited(&exceeded))
    }

    /// The time that the rates count by.
    fn now_ns(&self) -> u64 {
        u64::try_from(self.inner.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A place for a request's event.
    fn enter(&self) -> Result<Entry, Problem> {
        let entry = self.inner.admission.enter()?;
        // Before the body is read: it would only be thrown away.
        self.inner.taker.pipeline.room().map_err(Problem::from)?;
        Ok(entry)
    }

    /// The largest body that any source takes.
    #[must_use]
    pub fn body_bytes_max_of_all(&self) -> u64 {
        self.inner.config.body_bytes_max
    }

    /// The largest body that a source takes.
    fn body_bytes_max(&self, source: &Source) -> u64 {
        let most = self.inner.config.body_bytes_max;
        source.body_bytes_max.map_or(most, |own| own.min(most))
    }

    /// The source that requests to this path go to.
    fn find(&self, path: &str) -> Result<Way, Problem> {
        if path.starts_with("/v1/") {
            return Err(no_admin_interface());
        }
        let (tenant, source) =
            path.strip_prefix("/in/").and_then(|rest| rest.split_once('/')).ok_or_else(source_unknown)?;
        let tenant: TenantName = tenant.parse().map_err(|_| source_unknown())?;
        let source: SourceName = source.parse().map_err(|_| source_unknown())?;
        let way = Way::to(&self.inner.snapshots.borrow(), tenant, source);
        way.filter(|way| matches!(way.source.maker, Maker::Requests)).ok_or_else(source_unknown)
    }
}

fn check_open(source: &Source) -> Result<(), Problem> {
    if source.disabled { Err(source_disabled()) } else { Ok(()) }
}

/// Whether requests from there are looked at.
fn check_address(source: &Source, head: &Parts) -> Result<(), Problem> {
    // Every listener says where a request came from; what does not say comes from nowhere that was allowed.
    let from = head.extensions.get::<Peer>().map_or(UNKNOWN_ADDRESS, |peer| peer.address);
    source.intake.check_address(from).map_err(|error| unwanted(&error, source))
}

/// Whether the request is one that the source takes.
fn check_head(source: &Source, head: &Parts) -> Result<(), Problem> {
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let checked = source.intake.check_method(&head.method);
    let checked = checked.and_then(|()| source.intake.check_media_type(content_type));
    checked.map_err(|error| unwanted(&error, source))
}
