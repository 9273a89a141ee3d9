//! An event whose way in has said all that there is to say of it: it is given an id, routed, and made durable, one at a time for each
//! dedup key. What every way in has in common is here and in `batch`.

use super::reserve::{Reservations, Reserved};
use crate::clock::Clock;
use crate::config::{Quotas, Snapshot, Source, Tenant};
use crate::ids::Ids;
use crate::model::{Event, EventId, Header, SchemaVerdict, SourceName, TenantName};
use crate::pipeline::{AcceptError, Accepted, Pipeline};
use crate::problem::Problem;
use crate::statistics::{Recorder, Subject, Tally};
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;
use std::time::Instant;

/// A way in: a source that is there.
#[derive(Clone, Debug)]
pub struct Way {
    /// Whose.
    pub tenant_name: TenantName,
    /// That tenant.
    pub tenant: Arc<Tenant>,
    /// The source's name.
    pub source_name: SourceName,
    /// The source.
    pub source: Arc<Source>,
    /// What the tenant may use.
    pub quotas: Quotas,
}

impl Way {
    /// The source of this name.
    pub(super) fn to(snapshot: &Snapshot, tenant_name: TenantName, source_name: SourceName) -> Option<Self> {
        let tenant = snapshot.tenant(&tenant_name)?.clone();
        let source = tenant.sources.get(&source_name)?.clone();
        Some(Self { tenant_name, source_name, source, quotas: tenant.quotas, tenant })
    }
}

/// What is to become an event. Every part is within its bounds.
#[derive(Clone, Debug)]
pub struct Item {
    /// What kind it is; may be empty.
    pub event_type: String,
    /// The media type of its body; may be empty.
    pub content_type: String,
    /// What it says beside its body, without credentials.
    pub headers: Vec<Header>,
    /// Its body.
    pub body: Bytes,
    /// What makes it unique at its source, where it says and the source remembers.
    pub dedup_key: Option<String>,
}

/// Takes what is to become an event.
pub(super) struct Taker {
    pub(super) pipeline: Pipeline,
    pub(super) recorder: Recorder,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) reservations: Reservations,
}

/// What became of it: nothing is there of one that was refused, or it is not known.
pub type Taken = Result<Accepted, Problem>;

impl Taker {
    /// Takes one.
    pub(super) async fn take(&self, way: &Way, item: Item, now_ms: u64) -> Taken {
        let guard = match &item.dedup_key {
            None => None,
            Some(key) => match self.reservations.reserve(way.key(key)).await {
                Reserved::First(guard) => Some(guard),
                Reserved::Taken(first) => return Ok(Accepted::Duplicate(first)),
            },
        };
        let schema = self.check(way, &item).await?;
        let is_flagged = schema.is_some();
        let (event, body, dedup_until_ms) = event_of(way, item, schema, self.ids.event(now_ms).map_err(no_random)?);
        let accepted = self.pipeline.accept(event, body, dedup_until_ms).await.map_err(not_stored)?;
        if let Some(guard) = guard {
            guard.taken_by(id_of(accepted));
        }
        if is_flagged {
            self.count_flagged(way, accepted);
        }
        Ok(accepted)
    }

    /// Ids for so many events, in their order, above those that were made before.
    pub(super) fn ids(&self, now_ms: u64, count: usize) -> Result<Vec<EventId>, Problem> {
        self.ids.events(now_ms, count).map_err(no_random)
    }

    /// Counts what became of an event.
    pub(super) fn count_taken(&self, way: &Way, began: Instant, body_bytes: u64, taken: &Taken) {
        self.count(way, began, |tally, took_us| match taken {
            Ok(Accepted::New(_)) => {
                tally.succeeded("accepted", took_us);
                tally.body_bytes = tally.body_bytes.saturating_add(body_bytes);
            }
            Ok(Accepted::Duplicate(_)) => tally.succeeded("duplicate", took_us),
            Err(problem) => tally.failed(problem.code, took_us),
        });
    }

    /// Counts an event that does not fit the schema of its type.
    pub(super) fn count_flagged(&self, way: &Way, accepted: Accepted) {
        if let Accepted::New(_) = accepted {
            self.note(way, |tally| tally.flagged = tally.flagged.saturating_add(1));
        }
    }

    /// Counts a request of a source that is there.
    pub(super) fn count(&self, way: &Way, began: Instant, how: impl FnOnce(&mut Tally, u64)) {
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.note(way, |tally| how(tally, took_us));
    }

    fn note(&self, way: &Way, how: impl FnOnce(&mut Tally)) {
        let subject = Subject::Source(way.source_name.clone());
        self.recorder.note(&way.tenant_name, subject, self.clock.now_ms(), how);
    }
}

impl Way {
    /// A dedup key at this source.
    pub(super) fn key(&self, key: &str) -> super::reserve::Key {
        (self.tenant_name.clone(), self.source_name.clone(), key.to_owned())
    }
}

/// The event, its body, and until when its dedup key is remembered.
pub(super) fn event_of(
    way: &Way,
    item: Item,
    schema: Option<SchemaVerdict>,
    id: EventId,
) -> (Event, Bytes, Option<u64>) {
    let Item { event_type, content_type, headers, body, dedup_key } = item;
    let dedup_until_ms =
        dedup_key.is_some().then(|| id.received_at_ms().saturating_add(way.source.dedup_window_s * 1000));
    let (tenant, source) = (way.tenant_name.clone(), way.source_name.clone());
    let event =
        Event { event_type, content_type, headers, dedup_key, schema, ..Event::new(id, tenant, source, body.len()) };
    (event, body, dedup_until_ms)
}

/// The event that is there.
pub(super) const fn id_of(accepted: Accepted) -> EventId {
    match accepted {
        Accepted::New(id) | Accepted::Duplicate(id) => id,
    }
}

fn no_random(error: getrandom::Error) -> Problem {
    tracing::error!(%error, "the machine gives no random numbers");
    Problem::internal()
}

pub(super) fn not_stored(error: AcceptError) -> Problem {
    if matches!(error, AcceptError::TenantGone) {
        return source_unknown();
    }
    tracing::error!(%error, "an event was not stored");
    let detail = "the event could not be made durable; send it again, with the same id if it has one";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after_s(5)
}

pub(super) fn source_unknown() -> Problem {
    let detail = "there is no such source here: events go to POST /in/{tenant}/{source}";
    Problem::new(StatusCode::NOT_FOUND, "source_unknown", detail)
}
