//! What an application publishes: it comes by the admin interface, says itself what type it is, and goes the road of any other event.

use super::admission::too_large;
use super::batch::Given;
use super::take::{Item, Taken, Way};
use super::{Entry, Ingest, check_open};
use crate::config::Maker;
use crate::model::{EventId, PUBLISHED_SOURCE, SourceName, TenantName};
use crate::pipeline::Accepted;
use crate::problem::Problem;
use crate::store::{ReadError, Reader};
use bytes::Bytes;
use http::StatusCode;
use hyper::body::Body;
use std::time::Instant;
use tracing::Instrument as _;

/// What is known of an item once it is an event: for the statistics, and to tell one with the same key from another.
#[derive(Clone)]
struct Known {
    way: Way,
    event_type: String,
    content_type: String,
    body: Bytes,
}

impl Ingest {
    /// Reads the body of a request that publishes: of `ingest.body_bytes_max` at most, envelopes and all.
    ///
    /// # Errors
    /// Where there is no room, in memory or on the disk, or the body does not come.
    pub async fn let_in<B>(&self, body: B) -> Result<(Entry, Bytes), Problem>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut entry = self.enter()?;
        let body = self.inner.admission.read(&mut entry, body, self.inner.config.body_bytes_max).await?;
        Ok((entry, body))
    }

    /// The source that an event is published to.
    ///
    /// # Errors
    /// Where it is not there, or not one that is published to.
    pub fn to_publish(&self, tenant: &TenantName, source: Option<SourceName>) -> Result<Way, Problem> {
        let source = match source {
            Some(source) => source,
            None => PUBLISHED_SOURCE.parse().map_err(|_| Problem::internal())?,
        };
        let unknown = || {
            let detail = format!("the tenant has no source `{source}`");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "source_unknown", detail).at("/source")
        };
        let way = Way::to(&self.inner.snapshots.borrow(), tenant.clone(), source.clone()).ok_or_else(unknown)?;
        if matches!(way.source.maker, Maker::Application) {
            return Ok(way);
        }
        let detail = format!(
            "nobody publishes to the source `{source}`: its events are made otherwise; name one that has `\"publish\": {{}}`"
        );
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "source_not_published", detail).at("/source"))
    }

    /// Takes what is published, and says of each what became of it, as it stands in the list. What began goes on where the caller is gone.
    ///
    /// # Errors
    /// Where there is no room for so many, or the tenant's rate lets none through: then none was taken.
    pub async fn publish(&self, mut entry: Entry, began: Instant, given: Vec<Given>) -> Result<Vec<Taken>, Problem> {
        self.inner.admission.widen(&mut entry, given.len())?;
        // All are one tenant's, and what is refused already costs nothing. The rate is last: what is refused owes it nothing.
        if let Some(Ok((way, _))) = given.iter().find(|one| one.is_ok()) {
            self.check_quotas(way).await?;
            self.check_rates(way, given.len())?;
        }
        let ingest = self.clone();
        let taking = async move {
            let _until_they_are_taken = entry;
            ingest.take_published(began, given).await
        };
        tokio::spawn(taking.in_current_span()).await.map_err(|error| {
            tracing::error!(%error, "taking what was published broke down");
            Problem::internal()
        })
    }

    async fn take_published(&self, began: Instant, given: Vec<Given>) -> Vec<Taken> {
        let given: Vec<Given> =
            given.into_iter().map(|one| one.and_then(|(way, item)| self.checked(way, item))).collect();
        let known: Vec<Option<Known>> = given.iter().map(|one| one.as_ref().ok().map(Known::of)).collect();
        let now_ms = self.inner.taker.clock.now_ms();
        let mut taken = self.inner.taker.take_all(given, now_ms).await;
        self.tell_apart(&known, &mut taken).await;
        for (known, taken) in known.iter().zip(&taken) {
            if let Some(Known { way, body, .. }) = known {
                self.inner.taker.count_taken(way, began, body.len() as u64, taken);
            }
        }
        taken
    }

    fn checked(&self, way: Way, item: Item) -> Given {
        check_open(&way.source)?;
        let most = self.body_bytes_max(&way.source);
        if item.body.len() as u64 > most { Err(too_large("the payload", most)) } else { Ok((way, item)) }
    }

    /// Refuses those that have a key of another event. What is durable is read, for duplicates alone.
    async fn tell_apart(&self, known: &[Option<Known>], taken: &mut [Taken]) {
        let firsts: Vec<Option<EventId>> = taken
            .iter()
            .map(|taken| match taken {
                Ok(Accepted::Duplicate(first)) => Some(*first),
                _ => None,
            })
            .collect();
        if firsts.iter().all(Option::is_none) {
            return;
        }
        let asked = known.iter().zip(firsts).map(|(known, first)| Some((known.as_ref()?.clone(), first?)));
        let asked: Vec<Option<(Known, EventId)>> = asked.collect();
        let look = move |reader: &Reader| {
            let is_same = |one: &Option<(Known, EventId)>| match one {
                Some((known, first)) => known.is_same(reader, *first),
                None => Ok(true),
            };
            asked.iter().map(is_same).collect::<Result<Vec<bool>, ReadError>>()
        };
        match self.inner.store.read(look).await {
            Ok(same) => {
                let others = taken.iter_mut().zip(same).filter(|(_, same)| !same);
                others.for_each(|(taken, _)| *taken = Err(reused()));
            }
            Err(error) => {
                tracing::error!(%error, "duplicates cannot be compared with their first");
                let is_duplicate = |taken: &&mut Taken| matches!(taken, Ok(Accepted::Duplicate(_)));
                // One of them may be another event, which is not stored: nothing is lost where all are sent again.
                taken.iter_mut().filter(is_duplicate).for_each(|taken| *taken = Err(not_compared()));
            }
        }
    }
}

fn not_compared() -> Problem {
    let detail = "whether it was published before cannot be read now; publish it again, with the same key";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).retry_after_s(5)
}

impl Known {
    fn of((way, item): &(Way, Item)) -> Self {
        let Item { event_type, content_type, body, .. } = item.clone();
        Self { way: way.clone(), event_type, content_type, body }
    }

    /// Whether the event that has the key says the same. Of one that is gone nobody knows: it does.
    fn is_same(&self, reader: &Reader, first: EventId) -> Result<bool, ReadError> {
        let tenant = &self.way.tenant_name;
        let Some(event) = reader.event(tenant, first)? else { return Ok(true) };
        let alike = event.event_type == self.event_type
            && event.content_type == self.content_type
            && event.body_bytes == self.body.len() as u64;
        Ok(alike && reader.body(tenant, first)? == self.body)
    }
}

fn reused() -> Problem {
    let detail = "an event with this idempotency key, but another type, content type or payload was taken before: take another key. Payloads are \
                  compared byte by byte, spaces and the order of members included";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail).at("/idempotency_key")
}
