//! What the scheduler does next, without doing it: what is to be read and what is to be sent. Pure: time comes in as an argument, so that
//! the simulation runs the same code as the host.

use super::gate::Gates;
use super::lane::{Place, Scan};
use super::lanes::{Admission, Bounds, Claim, LaneKey, Lanes};
use crate::config::{Endpoint, Snapshot};
use crate::model::EndpointHealth;
use crate::store::Hint;
use std::sync::Arc;

/// Lanes, the gates before them, and the endpoints as they are configured.
pub(super) struct Planner {
    lanes: Lanes,
    gates: Gates,
    snapshot: Arc<Snapshot>,
    scans_max: usize,
    /// How many scans are under way.
    scans: usize,
}

/// What to do next.
#[derive(Debug)]
pub(super) enum Step {
    /// Read this part of a lane. It ends with [`Planner::scanned`].
    Scan(LaneKey, Scan),
    /// Send this delivery. It ends with [`Planner::landed`].
    Fly(Claim, Arc<Endpoint>),
}

/// How a flight ended, as far as its lane is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Landed {
    /// The delivery stands here now, if it is still pending.
    Over(Option<Place>),
    /// By a failure of our own: the delivery is sent again after a rest.
    Failed,
}

impl Planner {
    pub(super) fn new(bounds: Bounds, scans_max: usize, gates: Gates, snapshot: Arc<Snapshot>) -> Self {
        Self { lanes: Lanes::new(bounds), gates, snapshot, scans_max, scans: 0 }
    }

    /// The next thing to do now, under way from here on.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<Step> {
        self.lanes.wake(now_ms);
        if self.scans < self.scans_max
            && let Some((key, scan)) = self.lanes.next_scan(now_ms)
        {
            self.scans += 1;
            return Some(Step::Scan(key, scan));
        }
        let (snapshot, gates) = (&self.snapshot, &self.gates);
        let claim = self.lanes.claim(|key| match snapshot.endpoint(&key.0, &key.1) {
            Some(endpoint) => gates.admit(key, endpoint, now_ms),
            None => Admission::Shut,
        })?;
        // It was there a moment ago, in the same snapshot.
        let endpoint = snapshot.endpoint(&claim.lane.0, &claim.lane.1)?;
        gates.begun(&claim.lane, endpoint, claim.place.1, now_ms);
        Some(Step::Fly(claim, Arc::clone(endpoint)))
    }

    /// When there is something to do again if nothing comes.
    pub(super) fn wake_ms(&self) -> Option<u64> {
        // With as many scans as there may be under way, the end of one is what to wait for.
        let scan_ms = self.lanes.scan_ms().filter(|_| self.scans < self.scans_max);
        scan_ms.into_iter().chain(self.lanes.wake_ms()).min()
    }

    /// There may be anything in this lane.
    pub(super) fn reread(&mut self, key: LaneKey) {
        self.lanes.reread(key);
    }

    /// The store has said so.
    pub(super) fn heed(&mut self, hint: &Hint, now_ms: u64) {
        match hint {
            Hint::Due { tenant, endpoint, due_ms, delivery } => {
                self.lanes.hint((tenant.clone(), endpoint.clone()), (*due_ms, *delivery), now_ms);
            }
            Hint::Endpoint { tenant, endpoint, health } => {
                self.adopt((tenant.clone(), endpoint.clone()), health.clone(), now_ms);
            }
            Hint::Pending { .. } | Hint::StateForgotten | Hint::Job { .. } | Hint::Notice | Hint::Configured { .. } => {
            }
        }
    }

    /// Somebody else has changed how an endpoint is doing; none where it was removed. Deliveries may go sooner than it said.
    pub(super) fn adopt(&mut self, key: LaneKey, health: Option<EndpointHealth>, now_ms: u64) {
        self.gates.adopt(&key, health, now_ms);
        self.lanes.unblock(&key);
    }

    /// The configuration changed.
    pub(super) fn configured(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = snapshot;
        self.gates.retain(|(tenant, endpoint)| self.snapshot.endpoint(tenant, endpoint).is_some());
        self.lanes.unblock_all();
    }

    /// A flight is over.
    pub(super) fn landed(&mut self, claim: &Claim, landed: Landed, now_ms: u64) {
        self.gates.landed(&claim.lane, claim.place.1);
        match landed {
            Landed::Over(again) => self.lanes.release(claim, again, now_ms),
            Landed::Failed => self.lanes.park(claim, now_ms),
        }
    }

    /// A scan is over: what it found, in order, and when the first behind that is due; none where it failed.
    pub(super) fn scanned(&mut self, key: &LaneKey, found: Option<(&[Place], Option<u64>)>, now_ms: u64) {
        self.scans = self.scans.saturating_sub(1);
        match found {
            Some((found, next_due_ms)) => self.lanes.scanned(key, found, next_due_ms),
            None => self.lanes.scan_failed(key, now_ms),
        }
    }
}
