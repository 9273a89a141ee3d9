//! Lists for people, newest first: day after day backwards, each in one range. What has no index of its own is filtered, under
//! a budget: a page may then be short, or empty, and still have a next one.

use super::Reader;
use super::cursor::Binding;
use crate::model::{Delivery, DeliveryId, DeliveryStatus, EndpointName, Event, EventId, SourceName, TenantName};
use crate::store::ReadError;
use crate::store::backend::{BackendError, Order, Scan};
use crate::store::key::{Key, KeyRange, KeyReader};
use crate::store::keys;
use crate::store::tree::TreeId;
use bytes::Bytes;

/// The most items that a page has, whatever is asked for.
pub const PAGE_ITEMS_MAX: usize = 1000;

/// How many records are read for one page, whether they pass the filter or not.
const PAGE_RECORDS_MAX: usize = 5000;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What was found. There may be fewer than asked for, even none, though more is to come.
    pub items: Vec<T>,
    /// The cursor for the next page; none at the end of the list.
    pub next: Option<String>,
}

/// Which events to list. An empty filter lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only of this type.
    pub event_type: Option<String>,
    /// Only received at this time or later: milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: Option<u64>,
    /// Only received before this time.
    pub until_ms: Option<u64>,
}

/// Which deliveries to list. An empty filter lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only for this endpoint; found by index.
    pub endpoint: Option<EndpointName>,
    /// Only with this status; found by index where an endpoint is given, and the pending ones by their lane.
    pub status: Option<DeliveryStatus>,
    /// Only of this type.
    pub event_type: Option<String>,
    /// Only of events received at this time or later: milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: Option<u64>,
    /// Only of events received before this time.
    pub until_ms: Option<u64>,
}

impl EventFilter {
    fn lets_pass(&self, event: &Event) -> bool {
        self.source.as_ref().is_none_or(|source| *source == event.source)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == event.event_type)
    }
}

impl DeliveryFilter {
    fn lets_pass(&self, delivery: &Delivery) -> bool {
        let received_at_ms = delivery.id.event().received_at_ms();
        self.since_ms.is_none_or(|since_ms| since_ms <= received_at_ms)
            && self.until_ms.is_none_or(|until_ms| received_at_ms < until_ms)
            && self.endpoint.as_ref().is_none_or(|endpoint| *endpoint == delivery.endpoint)
            && self.status.is_none_or(|status| status == delivery.status)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == delivery.event_type)
    }
}

/// How many bytes a place in a lane has: the due time and a delivery's id.
const LANE_PLACE_BYTES: usize = keys::DUE_BYTES + 24;

/// Each method's error is a [`ReadError`]: [`ReadError::Cursor`], or the database failed, or holds what cannot be read.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl Reader {
    /// Events of a tenant, newest first; at most `limit`, and never more than [`PAGE_ITEMS_MAX`].
    pub fn list_events(
        &self,
        tenant: &TenantName,
        filter: &EventFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Event>, ReadError> {
        let binding = Binding::new("events", tenant);
        let span =
            Span::new(filter.since_ms, filter.until_ms, cursor.map(|cursor| binding.decode(cursor)).transpose()?)?;
        let found = self.newest_first(keys::events(tenant), &span);
        page(found, &binding, limit, |id| {
            let event: Option<Event> = self.event(tenant, id.event()?)?;
            Ok(event.filter(|event| filter.lets_pass(event)))
        })
    }

    /// Deliveries of a tenant, those of the newest events first; at most `limit`, and never more than [`PAGE_ITEMS_MAX`].
    ///
    /// With the filter `pending` and an endpoint it shows that endpoint's lane, what is due next first, and then what waits in lines.
    pub fn list_deliveries(
        &self,
        tenant: &TenantName,
        filter: &DeliveryFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Delivery>, ReadError> {
        if let (Some(endpoint), Some(DeliveryStatus::Pending)) = (&filter.endpoint, filter.status) {
            return self.list_lane(tenant, endpoint, filter, cursor, limit);
        }
        let binding = Binding::new("deliveries", tenant);
        let span =
            Span::new(filter.since_ms, filter.until_ms, cursor.map(|cursor| binding.decode(cursor)).transpose()?)?;
        let index = filter.endpoint.as_ref().zip(filter.status);
        let index = index.and_then(|(endpoint, status)| keys::by_status(tenant, endpoint, status));
        let found = self.newest_first(index.unwrap_or_else(|| keys::deliveries(tenant)), &span);
        page(found, &binding, limit, |id| self.filtered(tenant, filter, id.delivery()?))
    }

    fn list_lane(
        &self,
        tenant: &TenantName,
        endpoint: &EndpointName,
        filter: &DeliveryFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<Delivery>, ReadError> {
        let binding = Binding::new("lane", tenant);
        let after = cursor.map(|cursor| binding.decode(cursor)).transpose()?.unwrap_or_default();
        // Where the cursor stands in a line, the lane is through.
        let in_line = after.len() > LANE_PLACE_BYTES;
        let rest = |all: Key, after: &[u8]| {
            let (named, mut range) = (all.as_bytes().len(), all.clone().prefix());
            if !after.is_empty() {
                range = range.after(&Key::from(&[all.as_bytes(), after].concat()[..]));
            }
            (self.backend.scan(TreeId::Hot, &range, Order::Ascending), named)
        };
        let (lane, lane_named) = rest(keys::lane(tenant, endpoint), if in_line { &[u8::MAX; 33] } else { &after });
        let (lines, lines_named) = rest(keys::lines(tenant, endpoint), if in_line { &after } else { &[] });
        // Whose turn it is stands in the lane.
        let waiting = lines.filter(|entry| entry.as_ref().map_or(true, |(_, due)| !due.is_empty()));
        let all = found(lane, TreeId::Hot, lane_named).chain(found(Box::new(waiting), TreeId::Hot, lines_named));
        page(all, &binding, limit, |id| {
            id.skip(if id.left() > LANE_PLACE_BYTES { keys::IN_LINE_BYTES } else { keys::DUE_BYTES })?;
            self.filtered(tenant, filter, id.delivery()?)
        })
    }

    /// A delivery, as it is now, if the filter lets it pass: it may have changed since its index entry was read.
    fn filtered(
        &self,
        tenant: &TenantName,
        filter: &DeliveryFilter,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, ReadError> {
        Ok(self.delivery(tenant, id)?.filter(|delivery| filter.lets_pass(delivery)))
    }

    /// What stands behind `prefix` in all days' trees, newest first.
    fn newest_first<'a>(
        &'a self,
        prefix: Key,
        span: &'a Span,
    ) -> impl Iterator<Item = Result<Found, BackendError>> + 'a {
        let days = self.backend.trees().into_iter().rev().filter(|tree| span.touches(*tree));
        days.flat_map(move |tree| {
            found(self.backend.scan(tree, &span.range(&prefix), Order::Descending), tree, prefix.as_bytes().len())
        })
    }
}

/// Reads records, by the ids that were found, until the page is full, the budget spent, or the list at its end.
fn page<T>(
    found: impl Iterator<Item = Result<Found, BackendError>>,
    binding: &Binding,
    limit: usize,
    load: impl Fn(&mut KeyReader<'_>) -> Result<Option<T>, ReadError>,
) -> Result<Page<T>, ReadError> {
    let limit = limit.clamp(1, PAGE_ITEMS_MAX);
    let mut items = Vec::new();
    let mut last = Bytes::new();
    for (records, found) in found.enumerate() {
        let Found { tree, key, place } = found?;
        if items.len() == limit || records == PAGE_RECORDS_MAX {
            return Ok(Page { items, next: Some(binding.encode(&last)) });
        }
        let mut id = KeyReader::new(tree, &key);
        id.skip(key.len() - place.len() - 1)?;
        items.extend(load(&mut id)?);
        last = place;
    }
    Ok(Page { items, next: None })
}

/// Keys of `tree` that begin with a prefix of `named` bytes.
fn found(entries: Scan<'_>, tree: TreeId, named: usize) -> impl Iterator<Item = Result<Found, BackendError>> + '_ {
    entries.map(move |entry| entry.map(|(key, _)| Found { tree, place: key.slice(named..), key }))
}

/// A key that a list has come to, and its end, behind the list's prefix: an id, in a lane with the due time before it.
struct Found {
    tree: TreeId,
    key: Bytes,
    place: Bytes,
}

/// A stretch of time, as ids.
struct Span {
    /// The id that could be the first one in it.
    from: EventId,
    /// The first one beyond it, as it stands at the end of a key: an event's id, or one and a tag. None reaches to the end of time.
    until: Option<Vec<u8>>,
}

impl Span {
    /// From `since_ms` to before `until_ms`, and before where a page ended.
    fn new(since_ms: Option<u64>, until_ms: Option<u64>, page_end: Option<Vec<u8>>) -> Result<Self, ReadError> {
        if page_end.as_ref().is_some_and(|end| !matches!(end.len(), 16 | 24)) {
            return Err(ReadError::Cursor);
        }
        let until_ms = until_ms.filter(|ms| *ms <= ID_MS_MAX).map(|ms| EventId::new(ms, 0).to_bytes().to_vec());
        let until = match (until_ms, page_end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Ok(Self { from: EventId::new(since_ms.unwrap_or(0).min(ID_MS_MAX), 0), until })
    }

    /// Whether a tree is a day's that this is about.
    fn touches(&self, tree: TreeId) -> bool {
        let until = self.until.as_ref().and_then(|until| until.first_chunk()).map(|until| EventId::from_bytes(*until));
        tree >= TreeId::of(self.from) && until.is_none_or(|until| tree <= TreeId::of(until))
    }

    /// The part of the keys under `prefix` that it covers.
    fn range(&self, prefix: &Key) -> KeyRange {
        let mut range = prefix.clone().prefix();
        range.from = [prefix.as_bytes(), &self.from.to_bytes()].concat();
        if let Some(until) = &self.until {
            range.until = [prefix.as_bytes(), until].concat();
        }
        range
    }
}

/// The latest time that an id can carry.
const ID_MS_MAX: u64 = (1 << 48) - 1;
