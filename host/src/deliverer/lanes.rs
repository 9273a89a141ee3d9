//! All lanes, and who is next: round robin over tenants, then over the lanes of a tenant. Pure.
//!
//! What must hold: a slow or dead endpoint does not delay another. Besides its own `concurrency_max`, a lane or a tenant may take only as
//! much as it leaves free to others: a tenant has at most as many in flight as are free for all, a lane at most half of what that leaves
//! its tenant. So one tenant alone gets half of all, one lane alone a quarter, and with every one that hogs each gets less, while something
//! stays free for whoever has nothing in flight yet.

use super::lane::{Lane, Place, Scan};
use crate::model::{EndpointName, TenantName};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Which lane.
pub(super) type LaneKey = (TenantName, EndpointName);

/// The bounds that hold for all lanes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many deliveries are in flight at once.
    pub(super) in_flight_max: usize,
    /// How many deliveries of a lane are ready at once.
    pub(super) lane_ready_max: usize,
    /// How long a delivery or a scan waits after a failure of our own, in milliseconds.
    pub(super) failure_rest_ms: u64,
}

/// All lanes with something to do, now or later.
#[derive(Debug)]
pub(super) struct Lanes {
    bounds: Bounds,
    lanes: HashMap<LaneKey, Entry>,
    tenants: HashMap<TenantName, Tenant>,
    /// Tenants with a lane in their `ring`, the next one first.
    ring: VecDeque<TenantName>,
    /// When lanes want to be read on.
    scans: BTreeSet<(u64, LaneKey)>,
    /// When lanes want to be woken for another reason.
    wakes: BTreeSet<(u64, LaneKey)>,
    in_flight: usize,
}

#[derive(Debug, Default)]
struct Entry {
    lane: Lane,
    /// Its time in `scans`.
    scan_ms: Option<u64>,
    /// Its time in `wakes`.
    wake_ms: Option<u64>,
    /// Whether it is in its tenant's ring.
    queued: bool,
}

#[derive(Debug, Default)]
struct Tenant {
    in_flight: usize,
    /// Lanes with something ready, the next one first.
    ring: VecDeque<EndpointName>,
    /// Whether it is in the ring of tenants.
    queued: bool,
}

/// What an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// As long as fewer than this are in flight to it, one more.
    Most(u32),
    /// Nothing before this time, in milliseconds since 1970-01-01T00:00:00Z, unless a flight to it ends.
    NotBefore(u64),
    /// Nothing, until [`Lanes::unblock`] or [`Lanes::unblock_all`].
    Shut,
}

/// A delivery in flight. It ends with [`Lanes::release`] or [`Lanes::park`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) lane: LaneKey,
    pub(super) place: Place,
}

impl Lanes {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lanes: HashMap::new(),
            tenants: HashMap::new(),
            ring: VecDeque::new(),
            scans: BTreeSet::new(),
            wakes: BTreeSet::new(),
            in_flight: 0,
        }
    }

    /// There may be anything in this lane: it is to be read from its beginning.
    pub(super) fn reread(&mut self, key: LaneKey) {
        self.lanes.entry(key.clone()).or_default().lane.reread();
        self.refresh(&key);
    }

    /// A delivery stands at this place of the lane now.
    pub(super) fn hint(&mut self, key: LaneKey, place: Place, now_ms: u64) {
        self.lanes.entry(key.clone()).or_default().lane.hint(place, now_ms, self.bounds.lane_ready_max);
        self.refresh(&key);
    }

    /// The next delivery to send, in flight from here on. `admit` tells what a lane's endpoint takes.
    pub(super) fn claim(&mut self, admit: impl Fn(&LaneKey) -> Admission) -> Option<Claim> {
        for _ in 0..self.ring.len() {
            let free = self.bounds.in_flight_max.saturating_sub(self.in_flight);
            let name = self.ring.pop_front()?;
            let claim = self.claim_of(&name, free, &admit);
            self.requeue(name);
            if claim.is_some() {
                return claim;
            }
        }
        None
    }

    /// A flight is over; `again` is where the delivery stands now, if it is still pending.
    pub(super) fn release(&mut self, claim: &Claim, again: Option<Place>, now_ms: u64) {
        let ready_max = self.bounds.lane_ready_max;
        self.land(&claim.lane, |lane| lane.release(claim.place.1, again, now_ms, ready_max));
    }

    /// A flight ended by a failure of our own: the delivery is sent again after a rest.
    pub(super) fn park(&mut self, claim: &Claim, now_ms: u64) {
        let until_ms = now_ms.saturating_add(self.bounds.failure_rest_ms);
        self.land(&claim.lane, |lane| lane.park(claim.place, until_ms));
    }

    /// Wakes the lanes whose time has come.
    pub(super) fn wake(&mut self, now_ms: u64) {
        while let Some((_, key)) = self.wakes.first().filter(|(wake_ms, _)| *wake_ms <= now_ms).cloned() {
            self.change(&key, |lane| lane.wake(now_ms));
        }
    }

    /// The next scan to make, under way from here on. It ends with [`Lanes::scanned`] or [`Lanes::scan_failed`].
    pub(super) fn next_scan(&mut self, now_ms: u64) -> Option<(LaneKey, Scan)> {
        while let Some((_, key)) = self.scans.first().filter(|(scan_ms, _)| *scan_ms <= now_ms).cloned() {
            let scan = self.lanes.get_mut(&key)?.lane.begin_scan(now_ms, self.bounds.lane_ready_max);
            self.refresh(&key);
            if let Some(scan) = scan {
                return Some((key, scan));
            }
        }
        None
    }

    /// What a scan found, in order, and when the first behind that is due.
    pub(super) fn scanned(&mut self, key: &LaneKey, found: &[Place], next_due_ms: Option<u64>) {
        self.change(key, |lane| lane.end_scan(found, next_due_ms));
    }

    /// A scan failed: it is made again after a rest.
    pub(super) fn scan_failed(&mut self, key: &LaneKey, now_ms: u64) {
        let again_ms = now_ms.saturating_add(self.bounds.failure_rest_ms);
        self.change(key, |lane| lane.fail_scan(again_ms));
    }

    /// The configuration changed: endpoints that took nothing may take something.
    pub(super) fn unblock_all(&mut self) {
        let keys: Vec<LaneKey> = self.lanes.keys().cloned().collect();
        for key in keys {
            self.change(&key, Lane::unblock);
        }
    }

    /// This endpoint may take something again, or sooner than it said.
    pub(super) fn unblock(&mut self, key: &LaneKey) {
        self.change(key, Lane::unblock);
    }

    /// When [`Lanes::wake`] has something to do.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        self.wakes.first().map(|(wake_ms, _)| *wake_ms)
    }

    /// When [`Lanes::next_scan`] has something to do.
    pub(super) fn scan_ms(&self) -> Option<u64> {
        self.scans.first().map(|(scan_ms, _)| *scan_ms)
    }

    /// The next lane of a tenant that may send, and what. `free` is how many more may be in flight over all.
    fn claim_of(&mut self, name: &TenantName, free: usize, admit: impl Fn(&LaneKey) -> Admission) -> Option<Claim> {
        let tenant = self.tenants.get(name)?;
        let lane_share = free.saturating_sub(tenant.in_flight).div_ceil(2);
        if lane_share == 0 {
            return None;
        }
        for _ in 0..tenant.ring.len() {
            let endpoint = self.tenants.get_mut(name)?.ring.pop_front()?;
            let lane = (name.clone(), endpoint);
            if let Some(place) = self.take_from(&lane, lane_share, admit(&lane)) {
                self.in_flight += 1;
                self.tenants.get_mut(name)?.in_flight += 1;
                return Some(Claim { lane, place });
            }
        }
        None
    }

    /// What a lane just taken from its ring may send. Puts it back if it has more, or must wait for its share.
    fn take_from(&mut self, key: &LaneKey, lane_share: usize, admission: Admission) -> Option<Place> {
        let entry = self.lanes.get_mut(key)?;
        entry.queued = false;
        let in_flight = entry.lane.in_flight();
        let place = match admission {
            // It comes back into the ring when a flight of its own ends.
            Admission::Most(most) if in_flight >= usize::try_from(most).unwrap_or(usize::MAX) => return None,
            Admission::Most(_) if in_flight < lane_share && entry.lane.has_ready() => entry.lane.take(),
            Admission::Most(_) => None,
            Admission::NotBefore(until_ms) => {
                entry.lane.wait(until_ms);
                None
            }
            Admission::Shut => {
                entry.lane.block();
                None
            }
        };
        self.refresh(key);
        place
    }

    /// A flight of this lane ends.
    fn land(&mut self, key: &LaneKey, end: impl FnOnce(&mut Lane)) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(tenant) = self.tenants.get_mut(&key.0) {
            tenant.in_flight = tenant.in_flight.saturating_sub(1);
        }
        self.change(key, end);
        self.forget_idle(&key.0);
    }

    fn change(&mut self, key: &LaneKey, how: impl FnOnce(&mut Lane)) {
        if let Some(entry) = self.lanes.get_mut(key) {
            how(&mut entry.lane);
            self.refresh(key);
        }
    }

    /// Brings the ring and the wakes up to date with a lane that may have changed; forgets it if there is nothing to remember.
    fn refresh(&mut self, key: &LaneKey) {
        let Some(entry) = self.lanes.get_mut(key) else { return };
        set_time(&mut self.scans, key, &mut entry.scan_ms, entry.lane.scan_at_ms(self.bounds.lane_ready_max));
        set_time(&mut self.wakes, key, &mut entry.wake_ms, entry.lane.wake_ms());
        if entry.queued {
            return;
        }
        if entry.lane.has_ready() {
            entry.queued = true;
            let tenant = self.tenants.entry(key.0.clone()).or_default();
            tenant.ring.push_back(key.1.clone());
            if !std::mem::replace(&mut tenant.queued, true) {
                self.ring.push_back(key.0.clone());
            }
        } else if entry.lane.is_idle() {
            self.lanes.remove(key);
        }
    }

    /// Puts a tenant just taken from the ring back, if one of its lanes has something ready.
    fn requeue(&mut self, name: TenantName) {
        let Some(tenant) = self.tenants.get_mut(&name) else { return };
        tenant.queued = !tenant.ring.is_empty();
        if tenant.queued {
            self.ring.push_back(name);
        } else {
            self.forget_idle(&name);
        }
    }

    fn forget_idle(&mut self, name: &TenantName) {
        if self.tenants.get(name).is_some_and(|tenant| tenant.in_flight == 0 && !tenant.queued) {
            self.tenants.remove(name);
        }
    }
}

/// Sets a lane's time in a set of times; `present` is what it is there.
fn set_time(times: &mut BTreeSet<(u64, LaneKey)>, key: &LaneKey, present: &mut Option<u64>, to: Option<u64>) {
    if *present == to {
        return;
    }
    if let Some(before_ms) = *present {
        times.remove(&(before_ms, key.clone()));
    }
    times.extend(to.map(|to_ms| (to_ms, key.clone())));
    *present = to;
}

#[cfg(test)]
mod tests;
