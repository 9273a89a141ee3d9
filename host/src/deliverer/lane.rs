//! One endpoint's lane in memory: what is claimed of it, and how far it has been read. Pure.
//!
//! What must hold: every pending delivery of the lane is claimed, or stands behind the cursor, or its hint is still to come; no delivery is
//! claimed twice; nothing here grows with the backlog. The cursor only ever goes back to where a hint points, so that a scan does not step
//! again over all that the lane has emptied.

use crate::model::{DeliveryId, EventId};
use std::collections::{HashMap, VecDeque};

/// Where a delivery stands in its lane: its due time in milliseconds since 1970-01-01T00:00:00Z, and its id.
pub(super) type Place = (u64, DeliveryId);

/// How many deliveries of a lane may wait after a failure of our own; with so many the lane rests altogether.
pub(super) const PARKED_MAX: usize = 16;

/// The largest id, for a place behind all others of its time.
const LAST_ID: DeliveryId = DeliveryId::from_parts(EventId::from_bytes([0xff; 16]), u64::MAX);
/// The first place of any lane.
const FIRST: Place = (0, DeliveryId::from_parts(EventId::from_bytes([0; 16]), 0));

/// The state of one lane.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Due and to be sent, in order. At most `lane_ready_max`, and those that were parked.
    ready: VecDeque<Place>,
    /// How many are in flight.
    in_flight: usize,
    /// What is ready, in flight or parked; with the place that a hint gave meanwhile, which counts once the claim ends.
    claimed: HashMap<DeliveryId, Option<Place>>,
    /// Claimed deliveries that wait after a failure of our own, with the time to try them again.
    parked: VecDeque<(u64, Place)>,
    /// What stands up to here, this place included, has been claimed.
    cursor: Option<Place>,
    /// When what stands behind the cursor is due, at the earliest; none where nothing stands there.
    unread_ms: Option<u64>,
    /// Whether a scan is under way, and the first place that was hinted at since it began.
    scan: Option<Option<Place>>,
    /// No scan before this time: the last one failed.
    rest_until_ms: u64,
    /// Whether the endpoint takes nothing for now.
    blocked: bool,
    /// The endpoint takes nothing before this time; it is asked again then, or when a flight ends.
    wait_ms: Option<u64>,
}

/// A scan to make: what is due behind `after`, at most `limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) after: Option<Place>,
    pub(super) limit: usize,
}

impl Lane {
    /// There may be anything in it: it is to be read from its beginning.
    pub(super) fn reread(&mut self) {
        self.note(FIRST);
    }

    /// A delivery stands at this place now.
    ///
    /// Where it is due and nothing unread is due before it, it is ready without a scan.
    pub(super) fn hint(&mut self, place: Place, now_ms: u64, ready_max: usize) {
        if let Some(again) = self.claimed.get_mut(&place.1) {
            *again = Some(again.map_or(place, |first| first.min(place)));
            return;
        }
        let next_in_order = self.unread_ms.is_none_or(|unread_ms| unread_ms > place.0);
        let idle = self.scan.is_none() && !self.blocked;
        if place.0 <= now_ms && next_in_order && idle && self.ready.len() < ready_max {
            self.claim_ready(place);
            self.cursor = self.cursor.max(Some(place));
        } else {
            self.note(place);
        }
    }

    /// Takes the first that is ready into flight.
    pub(super) fn take(&mut self) -> Option<Place> {
        let place = self.ready.pop_front()?;
        self.in_flight += 1;
        Some(place)
    }

    /// A flight is over; `again` is where the delivery stands now, if it is still pending.
    pub(super) fn release(&mut self, delivery: DeliveryId, again: Option<Place>, now_ms: u64, ready_max: usize) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.wait_ms = None;
        let hinted = self.claimed.remove(&delivery).flatten();
        let (first, second) = (again.or(hinted), hinted.filter(|_| again.is_some() && again != hinted));
        for place in [first, second].into_iter().flatten() {
            self.hint(place, now_ms, ready_max);
        }
    }

    /// A flight ended by a failure of our own: the delivery stays claimed and is ready again at `until_ms`.
    pub(super) fn park(&mut self, place: Place, until_ms: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.wait_ms = None;
        self.parked.push_back((until_ms, place));
    }

    /// The endpoint takes nothing before this time.
    pub(super) const fn wait(&mut self, until_ms: u64) {
        self.wait_ms = Some(until_ms);
    }

    /// Makes ready what was parked until now, and ends a wait that is over.
    pub(super) fn wake(&mut self, now_ms: u64) {
        self.wait_ms = self.wait_ms.filter(|until_ms| *until_ms > now_ms);
        while let Some((_, place)) = self.parked.pop_front_if(|(until_ms, _)| *until_ms <= now_ms) {
            self.ready.push_back(place);
        }
    }

    /// The endpoint takes nothing: lets go of what is ready. It is found again by a scan.
    pub(super) fn block(&mut self) {
        self.blocked = true;
        for place in std::mem::take(&mut self.ready) {
            let hinted = self.claimed.remove(&place.1).flatten();
            self.note(hinted.map_or(place, |hinted| hinted.min(place)));
        }
    }

    /// The endpoint may take something again.
    pub(super) const fn unblock(&mut self) {
        self.blocked = false;
        self.wait_ms = None;
    }

    /// The scan that is to be made now, if any. It is under way from here on.
    pub(super) fn begin_scan(&mut self, now_ms: u64, ready_max: usize) -> Option<Scan> {
        if self.scan_at_ms(ready_max)? > now_ms {
            return None;
        }
        self.scan = Some(None);
        Some(Scan { after: self.cursor, limit: ready_max - self.ready.len() })
    }

    /// What the scan found, in order, and when the first behind that is due.
    pub(super) fn end_scan(&mut self, found: &[Place], next_due_ms: Option<u64>) {
        let missed = self.scan.take().flatten();
        self.unread_ms = next_due_ms;
        for place in found {
            self.cursor = Some(*place);
            if !self.claimed.contains_key(&place.1) {
                self.claim_ready(*place);
            }
        }
        if let (true, Some(next_ms)) = (found.is_empty(), next_due_ms) {
            // Nothing stands before it: the next scan need not look there.
            self.cursor = self.cursor.max(before((next_ms, FIRST.1)));
        }
        if let Some(missed) = missed {
            self.note(missed);
        }
    }

    /// The scan failed: it is made again, not before `again_ms`.
    pub(super) fn fail_scan(&mut self, again_ms: u64) {
        self.rest_until_ms = again_ms;
        if let Some(missed) = self.scan.take().flatten() {
            self.note(missed);
        }
    }

    /// When it is to be woken: for what is parked, or for what is ready and has to wait.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        let parked = self.parked.front().map(|(until_ms, _)| *until_ms);
        let wait = self.wait_ms.filter(|_| !self.ready.is_empty());
        [parked, wait].into_iter().flatten().min().filter(|_| !self.blocked)
    }

    /// Whether something can be sent, concurrency apart.
    pub(super) fn has_ready(&self) -> bool {
        !self.blocked && self.wait_ms.is_none() && !self.ready.is_empty() && self.parked.len() < PARKED_MAX
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_idle(&self) -> bool {
        self.claimed.is_empty() && self.scan.is_none() && self.unread_ms.is_none()
    }

    /// How many are in flight.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many are claimed: ready, in flight or parked.
    #[cfg(test)]
    pub(super) fn claimed(&self) -> usize {
        self.claimed.len()
    }

    /// When it is to be read on.
    pub(super) fn scan_at_ms(&self, ready_max: usize) -> Option<u64> {
        // Half empty, so that a scan is worth its while.
        let room = self.ready.len() <= ready_max / 2;
        let at_ms = self.unread_ms.filter(|_| room && self.scan.is_none() && !self.blocked);
        at_ms.map(|at_ms| at_ms.max(self.rest_until_ms))
    }

    fn claim_ready(&mut self, place: Place) {
        self.claimed.insert(place.1, None);
        self.ready.push_back(place);
    }

    /// Something unread stands at this place.
    fn note(&mut self, place: Place) {
        if let Some(missed) = &mut self.scan {
            *missed = Some(missed.map_or(place, |first| first.min(place)));
            return;
        }
        if self.cursor >= Some(place) {
            self.cursor = before(place);
        }
        self.unread_ms = Some(self.unread_ms.map_or(place.0, |unread_ms| unread_ms.min(place.0)));
    }
}

/// A place before this one, with only places of the same time between them; none where nothing can stand before it.
fn before(place: Place) -> Option<Place> {
    place.0.checked_sub(1).map(|due_ms| (due_ms, LAST_ID))
}
