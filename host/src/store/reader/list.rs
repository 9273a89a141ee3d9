//! Lists for people, newest first: day after day backwards, each in one range. What has no index of its own is filtered, under
//! a budget: a page may then be short, or empty, and still have a next one.

use super::Reader;
use super::cursor::Binding;
use super::span::Span;
use crate::model::{
    Delivery, DeliveryId, DeliveryStatus, EndpointName, Event, EventId, RouteName, Run, RunsAsked, SourceName,
    TenantName,
};
use crate::store::ReadError;
use crate::store::backend::{BackendError, Order, Scan};
use crate::store::key::{Key, KeyReader};
use crate::store::keys;
use crate::store::tree::TreeId;
use bytes::Bytes;
use serde::Serialize;
use std::io::{self, Write};

/// The most items that a page has, whatever is asked for.
pub const PAGE_ITEMS_MAX: usize = 1000;

/// How many bytes of JSON the items of a page come to, about: it ends behind the one that reaches that. By itself a page has 100 items, and a record may
/// be long.
pub const PAGE_BYTES_MAX: usize = 1 << 20;

/// How many records are read for one page, whether they pass the filter or not.
const PAGE_RECORDS_MAX: usize = 5000;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What was found. There may be fewer than asked for, even none, though more is to come.
    pub items: Vec<T>,
    /// The cursor for the next page; none at the end of the list.
    pub next: Option<String>,
    /// How many records were looked at.
    pub looked_at: usize,
}

/// Which events to list. An empty filter lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only of this source.
    pub source: Option<SourceName>,
    /// Only of this type.
    pub event_type: Option<String>,
    /// Only with a run through this route.
    pub route: Option<RouteName>,
    /// Only with a run that stands there, or with none; through `route`, where that is given.
    pub run_status: Option<RunsAsked>,
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
    /// Only with this status; found by index where an endpoint is given, or it is `held` or `dead`, and the pending ones by their lane.
    pub status: Option<DeliveryStatus>,
    /// Only of this type.
    pub event_type: Option<String>,
    /// Only of events of this source.
    pub source: Option<SourceName>,
    /// Only of runs through this route.
    pub route: Option<RouteName>,
    /// Only of events received at this time or later: milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: Option<u64>,
    /// Only of events received before this time.
    pub until_ms: Option<u64>,
    /// Only of events behind this place in the order.
    pub after_seq: Option<u64>,
}

impl EventFilter {
    fn lets_pass(&self, event: &Event) -> bool {
        self.source.as_ref().is_none_or(|source| *source == event.source)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == event.event_type)
    }

    /// Whether the event's runs matter.
    const fn asks_for_runs(&self) -> bool {
        self.route.is_some() || self.run_status.is_some()
    }

    fn lets_runs_pass(&self, runs: &[Run]) -> bool {
        let mut meant = runs.iter().filter(|run| self.route.as_ref().is_none_or(|route| *route == run.route));
        match self.run_status {
            Some(asked) => asked.are(meant),
            None => meant.next().is_some(),
        }
    }
}

impl DeliveryFilter {
    /// The shortest range of a day's keys in which all that it lets pass stand, in the order of their ids.
    pub(super) fn narrowest(&self, tenant: &TenantName) -> Key {
        let index = self.status.and_then(|status| match &self.endpoint {
            Some(endpoint) => keys::by_status(tenant, endpoint, status),
            None => keys::stopped(tenant, status),
        });
        index.unwrap_or_else(|| keys::deliveries(tenant))
    }

    /// Whether the deliveries' events matter.
    const fn asks_for_events(&self) -> bool {
        self.source.is_some() || self.after_seq.is_some()
    }

    fn lets_event_pass(&self, event: &Event) -> bool {
        self.source.as_ref().is_none_or(|source| *source == event.source)
            && self.after_seq.is_none_or(|after_seq| event.seq > after_seq)
    }

    fn lets_pass(&self, delivery: &Delivery) -> bool {
        let received_at_ms = delivery.id.event().received_at_ms();
        self.since_ms.is_none_or(|since_ms| since_ms <= received_at_ms)
            && self.until_ms.is_none_or(|until_ms| received_at_ms < until_ms)
            && self.endpoint.as_ref().is_none_or(|endpoint| *endpoint == delivery.endpoint)
            && self.status.is_none_or(|status| status == delivery.status)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == delivery.event_type)
            && self.route.as_ref().is_none_or(|route| *route == delivery.route)
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
        let page_end = cursor.map(|cursor| binding.decode(cursor)).transpose()?;
        let span = Span::new(filter.since_ms, filter.until_ms).before(page_end)?;
        let found = self.newest_first(keys::events(tenant), &span);
        page(found, &binding, limit, PAGE_RECORDS_MAX, json_bytes, |id| {
            self.filtered_event(tenant, filter, id.event()?)
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
        let page_end = cursor.map(|cursor| binding.decode(cursor)).transpose()?;
        let span = Span::new(filter.since_ms, filter.until_ms).before(page_end)?;
        let found = self.newest_first(filter.narrowest(tenant), &span);
        page(found, &binding, limit, PAGE_RECORDS_MAX, json_bytes, |id| {
            self.filtered_delivery(tenant, filter, id.delivery()?)
        })
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
        page(all, &binding, limit, PAGE_RECORDS_MAX, json_bytes, |id| {
            id.skip(if id.left() > LANE_PLACE_BYTES { keys::IN_LINE_BYTES } else { keys::DUE_BYTES })?;
            self.filtered_delivery(tenant, filter, id.delivery()?)
        })
    }

    /// An event, if the filter lets it pass. Its runs are read only where the filter asks for them.
    pub(super) fn filtered_event(
        &self,
        tenant: &TenantName,
        filter: &EventFilter,
        id: EventId,
    ) -> Result<Option<Event>, ReadError> {
        let Some(event) = self.event(tenant, id)?.filter(|event| filter.lets_pass(event)) else { return Ok(None) };
        let passes = !filter.asks_for_runs() || filter.lets_runs_pass(&self.runs(tenant, id)?);
        Ok(passes.then_some(event))
    }

    /// A delivery, as it is now, if the filter lets it pass: it may have changed since its index entry was read.
    pub(super) fn filtered_delivery(
        &self,
        tenant: &TenantName,
        filter: &DeliveryFilter,
        id: DeliveryId,
    ) -> Result<Option<Delivery>, ReadError> {
        let delivery = self.delivery(tenant, id)?.filter(|delivery| filter.lets_pass(delivery));
        if delivery.is_none() || !filter.asks_for_events() {
            return Ok(delivery);
        }
        let passes = self.event(tenant, id.event())?.is_some_and(|event| filter.lets_event_pass(&event));
        Ok(delivery.filter(|_| passes))
    }

    /// What stands behind `prefix` in all days' trees, newest first.
    fn newest_first<'a>(
        &'a self,
        prefix: Key,
        span: &'a Span,
    ) -> impl Iterator<Item = Result<Found, BackendError>> + 'a {
        self.in_days(self.backend.trees().into_iter().rev(), prefix, span, Order::Descending)
    }

    /// The same, oldest first.
    pub(super) fn oldest_first<'a>(
        &'a self,
        prefix: Key,
        span: &'a Span,
    ) -> impl Iterator<Item = Result<Found, BackendError>> + 'a {
        self.in_days(self.backend.trees().into_iter(), prefix, span, Order::Ascending)
    }

    fn in_days<'a>(
        &'a self,
        trees: impl Iterator<Item = TreeId> + 'a,
        prefix: Key,
        span: &'a Span,
        order: Order,
    ) -> impl Iterator<Item = Result<Found, BackendError>> + 'a {
        trees.filter(|tree| span.touches(*tree)).flat_map(move |tree| {
            found(self.backend.scan(tree, &span.range(&prefix), order), tree, prefix.as_bytes().len())
        })
    }
}

/// Reads records, by the ids that were found, until the page is full, in items or in what `bytes_of` says of them, the budget spent, or the list at its
/// end.
pub(super) fn page<T>(
    found: impl Iterator<Item = Result<Found, BackendError>>,
    binding: &Binding,
    limit: usize,
    records_max: usize,
    bytes_of: impl Fn(&T) -> usize,
    load: impl Fn(&mut KeyReader<'_>) -> Result<Option<T>, ReadError>,
) -> Result<Page<T>, ReadError> {
    let limit = limit.clamp(1, PAGE_ITEMS_MAX);
    let (mut items, mut looked_at, mut bytes) = (Vec::new(), 0, 0);
    let mut last = Bytes::new();
    for found in found {
        let Found { tree, key, place } = found?;
        if items.len() == limit || looked_at == records_max || bytes >= PAGE_BYTES_MAX {
            return Ok(Page { items, next: Some(binding.encode(&last)), looked_at });
        }
        let mut id = KeyReader::new(tree, &key);
        id.skip(key.len() - place.len() - 1)?;
        let item = load(&mut id)?;
        bytes += item.as_ref().map_or(0, &bytes_of);
        items.extend(item);
        (last, looked_at) = (place, looked_at + 1);
    }
    Ok(Page { items, next: None, looked_at })
}

/// How long something is as JSON, in bytes.
pub(super) fn json_bytes<T: Serialize>(item: &T) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What has no form in JSON is shown nowhere.
    let _ = serde_json::to_writer(&mut count, item);
    count.0
}

/// Keys of `tree` that begin with a prefix of `named` bytes.
pub(super) fn found(
    entries: Scan<'_>,
    tree: TreeId,
    named: usize,
) -> impl Iterator<Item = Result<Found, BackendError>> + '_ {
    entries.map(move |entry| entry.map(|(key, _)| Found { tree, place: key.slice(named..), key }))
}

/// A key that a list has come to, and its end, behind the list's prefix: an id, in a lane with the due time before it.
pub(super) struct Found {
    tree: TreeId,
    key: Bytes,
    place: Bytes,
}
