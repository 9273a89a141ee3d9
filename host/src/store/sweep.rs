//! What a sweep takes: the events of a tenant whose time is over and that are finished, with all that came of them.
//!
//! A sweep goes forward through the events of one tenant on one day, from a place that is stored: what lies before it was looked at, and a
//! range that begins there steps over none of the pages that sweeps have emptied. What is not finished stays where it is, and the place
//! goes back to the first of it from time to time. What must hold:
//!
//! - Nothing of an event goes while a run or a delivery of it is pending or held.
//! - A look is bounded, in events and in keys. Only the runs and deliveries of one single event are looked at in one go, as many as its
//!   routes made.
//! - An event is not there any more before anything else of it goes.

use super::backend::{Look, Order};
use super::key::{Key, KeyRange, KeyReader};
use super::tree::{Day, TreeId};
use super::{ReadError, View, dedup, keys, record, stored};
use crate::model::{DeliveryStatus, EndpointName, EventId, RunStatus, TenantName};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How many events one look covers.
const EVENTS_MAX: usize = 256;
/// How many keys go at once, about.
pub(super) const KEYS_MAX: usize = 4096;

/// What is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Whose events.
    pub tenant: TenantName,
    /// Of which day.
    pub day: Day,
    /// The events received before this time: milliseconds since 1970-01-01T00:00:00Z.
    pub before_ms: u64,
    /// The time.
    pub now_ms: u64,
    /// How long what is not finished is left alone before it is looked at again, in milliseconds.
    pub again_ms: u64,
}

impl Sweep {
    /// The first id that is not past its time, or not of the day.
    pub(super) fn end(&self) -> EventId {
        EventId::new(self.before_ms.min(self.day.end_ms()), 0)
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many events went.
    pub events: u64,
    /// How many were left since they are not finished.
    pub left: u64,
    /// The time up to which events were looked at, in milliseconds since 1970-01-01T00:00:00Z.
    pub until_ms: u64,
    /// Whether there is more to look at now.
    pub more: bool,
}

/// How far a tenant's events of a day are swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// The first id that was not looked at.
    pub(super) from: EventId,
    /// The first event before that which was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) left: Option<EventId>,
    /// When what was left was last looked at.
    #[serde(default)]
    pub(super) looked_ms: u64,
}

impl Mark {
    /// The one of a tenant on a day; the beginning where there is none. Also answers whether that is what is stored: where the clock has
    /// gone back, so has the place, for the sake of what comes now; and what was looked at in a future is looked at again.
    pub(super) fn get(look: &dyn Look, sweep: &Sweep) -> Result<(Self, bool), ReadError> {
        let stored = record::get(look, TreeId::Day(sweep.day), &keys::sweep_mark(&sweep.tenant))?;
        let mark = stored.unwrap_or(Self { from: EventId::from_bytes([0; 16]), left: None, looked_ms: 0 });
        let looked_ms = if mark.looked_ms > sweep.now_ms { 0 } else { mark.looked_ms };
        Ok((Self { from: mark.from.min(sweep.end()), looked_ms, ..mark }, mark.from <= sweep.end()))
    }

    /// Stores it.
    pub(super) fn put(&self, view: &mut View<'_>, tenant: &TenantName, day: Day) -> Result<(), ReadError> {
        record::put(view, TreeId::Day(day), keys::sweep_mark(tenant), self)
    }
}

/// What a look has found.
#[derive(Debug)]
pub(super) struct Plan {
    /// The first id that it did not look at.
    pub(super) until: EventId,
    /// Whether it came to the end of what is to be swept.
    pub(super) through: bool,
    /// The keys that go, in the day's tree.
    pub(super) keys: Vec<Key>,
    /// How many bytes of bodies go with them; of `long`, with the event's own record.
    pub(super) bytes: usize,
    /// How many events they are of.
    pub(super) events: u64,
    /// The events that are not finished, and were looked at.
    pub(super) left: BTreeSet<EventId>,
    /// An event that is finished and has more keys than go at once.
    pub(super) long: Option<EventId>,
}

/// The dedup keys of a day that have expired, among some behind `after`; and behind which key it goes on, where there are more.
pub(super) fn expired(
    look: &dyn Look,
    day: Day,
    after: Option<&Bytes>,
    now_ms: u64,
) -> Result<(Vec<Key>, Option<Bytes>), ReadError> {
    let tree = TreeId::Day(day);
    let mut range = keys::all_dedup().prefix();
    if let Some(after) = after {
        range = range.after(&Key::from(&after[..]));
    }
    let mut expired = Vec::new();
    for (number, entry) in look.scan(tree, &range, Order::Ascending).enumerate() {
        let (key, value) = entry?;
        let stands = Key::from(&key[..]);
        let (_, until_ms) = dedup::decode(tree, &stands, &value)?;
        if until_ms <= now_ms {
            expired.push(stands);
        }
        if number + 1 >= KEYS_MAX {
            return Ok((expired, Some(key)));
        }
    }
    Ok((expired, None))
}

/// Looks at the events of `sweep` from `from` on.
pub(super) fn plan(look: &dyn Look, sweep: &Sweep, from: EventId) -> Result<Plan, ReadError> {
    let tenant = &sweep.tenant;
    let end = sweep.end().max(from);
    let (keys, live) = (Vec::new(), BTreeSet::new());
    let mut found = Found { look, sweep, from, until: end, keys_max: KEYS_MAX, keys, live, long: None };
    let events = found.events()?;
    found.deliveries()?;
    found.runs()?;
    let (attempts, replays) = (keys::attempts_of(tenant), keys::replays_of(tenant));
    for rest in [&attempts, &replays] {
        found.whatever(rest, false)?;
    }
    found.whatever(&keys::bodies_of(tenant), true)?;
    for records in [keys::events(tenant), keys::deliveries(tenant), keys::runs_of(tenant), attempts, replays] {
        found.whatever(&keys::parts_of(&records), false)?;
    }
    let Found { until, keys, live, long, .. } = found;
    if let Some(event) = long {
        return plan_long(look, sweep, event);
    }
    let goes = |event: &EventId| *event < until && !live.contains(event);
    Ok(Plan {
        until,
        through: until == end,
        events: events.iter().filter(|event| goes(event)).count() as u64,
        bytes: keys.iter().filter(|(event, ..)| goes(event)).map(|(.., bytes)| bytes).sum(),
        keys: keys.into_iter().filter(|(event, ..)| goes(event)).map(|(_, key, _)| key).collect(),
        left: live.into_iter().filter(|event| *event < until).collect(),
        long: None,
    })
}

/// Whether an event that has more keys than go at once is finished.
fn plan_long(look: &dyn Look, sweep: &Sweep, event: EventId) -> Result<Plan, ReadError> {
    let (keys, live) = (Vec::new(), BTreeSet::new());
    let mut found = Found { look, sweep, from: event, until: event.next(), keys_max: KEYS_MAX, keys, live, long: None };
    let events = found.events()?.len() as u64;
    let bytes = found.keys.iter().map(|(.., bytes)| bytes).sum();
    // Only how they stand is asked.
    found.keys_max = usize::MAX;
    found.deliveries()?;
    found.runs()?;
    let plan =
        Plan { until: event, through: false, keys: Vec::new(), bytes, events, left: BTreeSet::new(), long: None };
    Ok(if found.live.is_empty() {
        Plan { long: Some(event), ..plan }
    } else {
        Plan { until: event.next(), bytes: 0, events: 0, left: found.live, ..plan }
    })
}

/// What was found so far. `until` comes nearer where there is more than goes at once.
struct Found<'a> {
    look: &'a dyn Look,
    sweep: &'a Sweep,
    from: EventId,
    until: EventId,
    keys_max: usize,
    /// Each with the bytes of a body that go with it.
    keys: Vec<(EventId, Key, usize)>,
    live: BTreeSet<EventId>,
    long: Option<EventId>,
}

impl<'a> Found<'a> {
    /// The events, with their dedup keys that have expired.
    fn events(&mut self) -> Result<Vec<EventId>, ReadError> {
        let mut events = Vec::new();
        let all = keys::events(&self.sweep.tenant);
        for entry in self.scan(&all) {
            let (event, key, value) = entry?;
            if events.len() == EVENTS_MAX {
                self.until = event;
                break;
            }
            let stored = stored::to_sweep(self.look, TreeId::Day(self.sweep.day), &key, value)?;
            if stored.erased_at_ms.is_some_and(|erased_at_ms| erased_at_ms >= self.sweep.before_ms) {
                self.live.insert(event);
            }
            if let Some((source, dedup_key)) = stored.dedup {
                let Sweep { tenant, now_ms, .. } = self.sweep;
                let expired = dedup::expired(self.look, (tenant, &source, &dedup_key), event, *now_ms)?;
                self.keys.extend(expired.map(|key| (event, key, 0)));
            }
            events.push(event);
            self.keys.push((event, key, stored.body_bytes));
        }
        Ok(events)
    }

    /// The deliveries, with the entries by which they are found.
    fn deliveries(&mut self) -> Result<(), ReadError> {
        let tree = TreeId::Day(self.sweep.day);
        let all = keys::deliveries(&self.sweep.tenant);
        for entry in self.scan(&all) {
            let (event, key, value) = entry?;
            let mut id = KeyReader::new(tree, key.as_bytes());
            id.skip(all.as_bytes().len() - 1)?;
            let id = id.delivery()?;
            let stored: DeliveryToSweep = record::decode(self.look, tree, &key, value)?;
            let DeliveryToSweep { delivery: Standing { endpoint, status } } = stored;
            if matches!(status, DeliveryStatus::Pending | DeliveryStatus::Held) {
                self.live.insert(event);
            }
            let index = keys::found_by_status(&self.sweep.tenant, &endpoint, status, id);
            if !index.chain([key]).all(|key| self.add(event, key, 0)) {
                break;
            }
        }
        Ok(())
    }

    /// The runs that have records of their own.
    fn runs(&mut self) -> Result<(), ReadError> {
        let all = keys::runs_of(&self.sweep.tenant);
        for entry in self.scan(&all) {
            let (event, key, value) = entry?;
            let run: RunToSweep = record::decode(self.look, TreeId::Day(self.sweep.day), &key, value)?;
            if matches!(run.status, RunStatus::Pending | RunStatus::Held) {
                self.live.insert(event);
            }
            if !self.add(event, key, 0) {
                break;
            }
        }
        Ok(())
    }

    /// All else, by its keys alone; or parts of bodies, by how long they are.
    fn whatever(&mut self, all: &Key, is_body: bool) -> Result<(), ReadError> {
        for entry in self.scan(all) {
            let (event, key, value) = entry?;
            if !self.add(event, key, if is_body { value.len() } else { 0 }) {
                break;
            }
        }
        Ok(())
    }

    /// Takes a key along. Answers whether there is room for more; otherwise it goes no further than to the event before.
    fn add(&mut self, event: EventId, key: Key, bytes: usize) -> bool {
        if self.keys.len() < self.keys_max {
            self.keys.push((event, key, bytes));
            return true;
        }
        if self.keys.iter().any(|(other, ..)| *other < event) {
            self.until = event;
            self.keys.retain(|(other, ..)| *other < event);
        } else {
            self.long = Some(event);
        }
        false
    }

    /// What stands under `all`, the beginning of keys that go on with an event's id.
    fn scan(&self, all: &Key) -> impl Iterator<Item = Result<(EventId, Key, Bytes), ReadError>> + use<'a> {
        let tree = TreeId::Day(self.sweep.day);
        let bound = |event: EventId| all.clone().bytes(&event.to_bytes()).as_bytes().to_vec();
        let until = if self.long.is_some() { self.from } else { self.until };
        let range = KeyRange { from: bound(self.from), until: bound(until) };
        let named = all.as_bytes().len();
        self.look.scan(tree, &range, Order::Ascending).map(move |entry| {
            let (key, value) = entry?;
            let mut reader = KeyReader::new(tree, &key);
            reader.skip(named - 1)?;
            Ok((reader.event()?, Key::from(&key[..]), value))
        })
    }
}

/// What a sweep asks of a delivery's record.
#[derive(Deserialize)]
struct DeliveryToSweep {
    delivery: Standing,
}

/// Where a delivery stands.
#[derive(Deserialize)]
struct Standing {
    endpoint: EndpointName,
    status: DeliveryStatus,
}

/// What a sweep asks of a run's record.
#[derive(Deserialize)]
struct RunToSweep {
    status: RunStatus,
}
