//! The simulated process and its surroundings: an agenda of what happens when, worked off in the order of a clock that only this moves.

mod flights;

use super::setup::{BEGIN_MS, Random, Setup, TROUBLE_MS};
use super::totals::Totals;
use super::watch::Watch;
use crate::config::Endpoint;
use crate::deliverer::fixture::{snapshot, tenant};
use crate::deliverer::gate::{Gates, Probes};
use crate::deliverer::lane::{Place, Scan};
use crate::deliverer::lanes::{Claim, LaneKey};
use crate::deliverer::planner::{Landed, Planner, Step};
use crate::model::{
    Delivery, DeliveryId, DeliveryStatus, Digest, EndpointHealth, EndpointName, EndpointState, Event, EventId,
    RouteName, Run, RunStatus, Turn,
};
use crate::store::{Accept, Configure, Due, Hint, NewDelivery, Outcome, ResourceKey, RoutedRun, Simulated, Transition};
use bytes::Bytes;
use flights::Flight;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) const PROBE_MS_MIN: u64 = 500;
pub(super) const PROBE_MS_MAX: u64 = 8_000;
const SCANS_MAX: usize = 2;
/// Waits in the schedule of the endpoints of a random setup.
const SCHEDULE_WAITS: u32 = 6;
/// How long after the last trouble endpoints that are disabled are enabled, in milliseconds: whatever fails has failed by then.
const CALM_MS: u64 = 20_000;
/// A simulation that takes more steps than this does not end.
const STEPS_MAX: usize = 200_000;

/// What happens. What belongs to one life of the process does not happen in the next.
enum Happening {
    Arrive(usize),
    Commit,
    Crash,
    Hand,
    EnableIfDisabled(EndpointName),
    Wake { life: u32 },
    Hints { life: u32, hints: Vec<Hint> },
    Look { life: u32, key: LaneKey, scan: Scan, now_ms: u64 },
    Scanned { life: u32, key: LaneKey, due: Option<Due> },
    Depart { life: u32, claim: Claim, endpoint: Arc<Endpoint> },
    Answered { life: u32, flight: Box<Flight> },
    Landed { life: u32, claim: Claim, landed: Landed },
}

/// What a transition was committed for.
enum Then {
    Accepted(Vec<Delivery>),
    Settled { life: u32, claim: Claim, again: Option<Place>, health: Option<EndpointHealth> },
    Kept { life: u32, claim: Claim },
    Enabled,
    Cancelled(DeliveryId),
}

pub(super) struct World {
    random: Random,
    setup: Setup,
    now_ms: u64,
    agenda: BTreeMap<(u64, u64), Happening>,
    serial: u64,
    life: u32,
    store: Simulated,
    gates: Gates,
    planner: Planner,
    snapshot: Arc<crate::config::Snapshot>,
    /// What waits for the committer.
    queue: Vec<(Transition, Then)>,
    /// When the last hints come: none overtakes another.
    hints_ms: u64,
    /// The earliest wake that is on the agenda.
    wake_ms: Option<u64>,
    accepted: BTreeMap<DeliveryId, (Delivery, u64)>,
    cancelled: BTreeSet<DeliveryId>,
    /// What receivers have, and since when.
    got: BTreeMap<DeliveryId, u64>,
    watch: Watch,
    totals: Totals,
}

impl World {
    pub(super) fn new(seed: u64, setup: Setup) -> Self {
        let endpoints: Vec<_> = setup
            .parties
            .iter()
            .map(|party| (party.name, format!(r#"{{"url": "http://127.0.0.1:9/", {}}}"#, party.fields)))
            .collect();
        let snapshot = Arc::new(snapshot(&endpoints));
        let store = Simulated::new();
        let resource = |name: &str| ResourceKey { tenant: Some(tenant()), kind: "endpoint", name: name.to_owned() };
        let puts = endpoints.iter().map(|(name, json)| (resource(name), Bytes::from(json.clone()))).collect();
        store.commit(vec![Transition::Configure(Configure { puts, ..Configure::default() })]);
        let gates = Gates::new(Probes { wait_ms_min: PROBE_MS_MIN, wait_ms_max: PROBE_MS_MAX });
        let planner = Planner::new(setup.bounds, SCANS_MAX, gates.clone(), snapshot.clone());
        let mut world = Self {
            random: Random::new(seed),
            now_ms: BEGIN_MS,
            agenda: BTreeMap::new(),
            serial: 0,
            life: 0,
            store,
            gates,
            planner,
            snapshot,
            queue: Vec::new(),
            hints_ms: BEGIN_MS,
            wake_ms: None,
            accepted: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            got: BTreeMap::new(),
            watch: Watch::default(),
            totals: Totals::default(),
            setup,
        };
        for (index, at_ms) in world.setup.arrivals.iter().map(|arrival| arrival.at_ms).enumerate().collect::<Vec<_>>() {
            world.at(at_ms, Happening::Arrive(index));
        }
        for at_ms in world.setup.crashes_ms.clone() {
            world.at(at_ms, Happening::Crash);
        }
        for at_ms in world.setup.hands_ms.clone() {
            world.at(at_ms, Happening::Hand);
        }
        for party in world.setup.parties.clone() {
            let at_ms = BEGIN_MS + TROUBLE_MS + CALM_MS;
            world.at(at_ms, Happening::EnableIfDisabled(party.name.parse().unwrap()));
        }
        world
    }

    /// Goes on until nothing happens any more, and balances the books.
    pub(super) fn run(mut self) -> Totals {
        for step in 0.. {
            let Some(((at_ms, _), happening)) = self.agenda.pop_first() else { break };
            assert!(step < STEPS_MAX, "it does not end");
            self.now_ms = at_ms;
            self.happen(happening);
            self.plan();
        }
        self.balance()
    }

    fn at(&mut self, at_ms: u64, happening: Happening) {
        self.serial += 1;
        self.agenda.insert((at_ms.max(self.now_ms), self.serial), happening);
    }

    /// Soon, in up to so many milliseconds.
    fn soon(&mut self, most_ms: u64, happening: Happening) {
        let at_ms = self.now_ms + self.random.below(most_ms + 1);
        self.at(at_ms, happening);
    }

    fn mishap(&mut self, of: u64) -> bool {
        self.setup.mishaps && self.random.below(of) == 0
    }

    fn happen(&mut self, happening: Happening) {
        let alive = |life: u32| life == self.life;
        match happening {
            Happening::Arrive(index) => self.arrive(index),
            Happening::Commit => self.commit(),
            Happening::Crash => self.crash(),
            Happening::Hand => self.lend_a_hand(),
            Happening::EnableIfDisabled(endpoint) => {
                // One that is held has to come back by itself.
                let health = self.store.reader().health(&tenant(), &endpoint).unwrap();
                if health.state == EndpointState::Disabled {
                    self.enable(endpoint);
                }
            }
            Happening::Wake { life } if alive(life) => self.wake_ms = None,
            Happening::Hints { life, hints } if alive(life) => self.heed(&hints),
            Happening::Look { life, key, scan, now_ms } if alive(life) => {
                let due = self.store.reader().due(&key.0, &key.1, scan.after, now_ms, scan.limit).unwrap();
                let due = if self.mishap(100) { None } else { Some(due) };
                self.soon(3, Happening::Scanned { life, key, due });
            }
            Happening::Scanned { life, key, due } if alive(life) => {
                let found = due.as_ref().map(|due| (&due.items[..], due.next_due_ms));
                self.planner.scanned(&key, found, self.now_ms);
            }
            Happening::Depart { life, claim, endpoint } if alive(life) => self.depart(claim, endpoint),
            Happening::Answered { life, flight } if alive(life) => self.answered(*flight),
            Happening::Landed { life, claim, landed } if alive(life) => {
                self.watch.landed(&claim.lane.1, claim.place.1);
                self.planner.landed(&claim, landed, self.now_ms);
            }
            _ => {}
        }
    }

    /// Somebody enables an endpoint, or cancels what is in flight or waits.
    fn lend_a_hand(&mut self) {
        if self.random.below(2) == 0 || self.accepted.is_empty() {
            let index = self.random.index(self.setup.parties.len());
            return self.enable(self.setup.parties[index].name.parse().unwrap());
        }
        // Rather what is under way: then the outcome comes too late.
        let in_flight: Vec<_> = self.watch.in_flight().collect();
        let delivery = match in_flight.len() {
            0 => *self.accepted.keys().nth(self.random.index(self.accepted.len())).unwrap(),
            count => in_flight[self.random.index(count)],
        };
        let cancel = Transition::Cancel { tenant: tenant(), delivery, reason: "by hand".to_owned() };
        self.submit(cancel, Then::Cancelled(delivery));
    }

    fn enable(&mut self, endpoint: EndpointName) {
        let enable = Transition::Enable { tenant: tenant(), endpoint, now_ms: self.now_ms };
        self.submit(enable, Then::Enabled);
    }

    /// Does what the planner wants, and comes back when it says so.
    fn plan(&mut self) {
        let life = self.life;
        while let Some(step) = self.planner.next(self.now_ms) {
            match step {
                Step::Scan(key, scan) => {
                    let now_ms = self.now_ms;
                    self.soon(3, Happening::Look { life, key, scan, now_ms });
                }
                Step::Fly(claim, endpoint) => {
                    self.watch.begun(&endpoint, claim.place.1, self.now_ms);
                    self.soon(2, Happening::Depart { life, claim, endpoint });
                }
            }
        }
        if let Some(wake_ms) = self.planner.wake_ms()
            && self.wake_ms.is_none_or(|planned_ms| wake_ms < planned_ms)
        {
            assert!(wake_ms > self.now_ms, "it would wake for nothing, again and again");
            self.wake_ms = Some(wake_ms);
            self.at(wake_ms, Happening::Wake { life });
        }
    }

    fn arrive(&mut self, index: usize) {
        let arrival = self.setup.arrivals[index].clone();
        let route: RouteName = "route".parse().unwrap();
        let event = EventId::new(self.now_ms, index as u128);
        let mut run = Run::new(event, &route, 0, Digest::of(b"plan"), self.now_ms);
        let deliveries: Vec<Delivery> = (0..)
            .zip(&arrival.messages)
            .map(|(ordinal, (endpoint, key))| self.delivery(&run, ordinal, endpoint, *key))
            .collect();
        let body = Bytes::from_static(b"{}");
        let event = Event::new(event, tenant(), "source".parse().unwrap(), body.len());
        run.status = RunStatus::Routed;
        run.deliveries = deliveries.iter().map(|delivery| delivery.id).collect();
        let new = deliveries.iter().map(|delivery| NewDelivery { delivery: delivery.clone(), body: None }).collect();
        let runs = vec![RoutedRun { run, deliveries: new }];
        let accept = Accept { event, body, dedup_until_ms: None, runs };
        self.submit(Transition::Accept(Box::new(accept)), Then::Accepted(deliveries));
    }

    fn delivery(&self, run: &Run, ordinal: u32, endpoint: &str, key: Option<&str>) -> Delivery {
        let endpoint: EndpointName = endpoint.parse().unwrap();
        let in_order = self.snapshot.endpoint(&tenant(), &endpoint).unwrap().in_order;
        Delivery {
            ordering_key: key.map(str::to_owned),
            turn: (in_order && key.is_some()).then_some(Turn { seq: 0, ordinal }),
            ..Delivery::new(run, 0, ordinal, &endpoint, self.now_ms)
        }
    }

    fn submit(&mut self, transition: Transition, then: Then) {
        if self.queue.is_empty() {
            self.soon(4, Happening::Commit);
        }
        self.queue.push((transition, then));
    }

    /// The committer takes some of what waits.
    fn commit(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let count = 1 + self.random.index(self.queue.len());
        let (group, thens): (Vec<_>, Vec<_>) = self.queue.drain(..count).unzip();
        let (outcomes, hints) = self.store.commit(group);
        if !hints.is_empty() {
            self.hints_ms = self.hints_ms.max(self.now_ms + self.random.below(3));
            let (at_ms, life) = (self.hints_ms, self.life);
            self.at(at_ms, Happening::Hints { life, hints });
        }
        for (then, outcome) in thens.into_iter().zip(outcomes) {
            self.committed(then, &outcome);
        }
        if !self.queue.is_empty() {
            self.soon(4, Happening::Commit);
        }
    }

    fn committed(&mut self, then: Then, outcome: &Outcome) {
        match then {
            Then::Accepted(deliveries) => {
                let Outcome::Accepted { seq } = *outcome else { panic!("{outcome:?}") };
                for mut delivery in deliveries {
                    delivery.turn = delivery.turn.map(|turn| Turn { seq, ..turn });
                    self.accepted.insert(delivery.id, (delivery, self.now_ms));
                }
            }
            Then::Settled { life, claim, again, .. } if *outcome == Outcome::Done => {
                self.soon(2, Happening::Landed { life, claim, landed: Landed::Over(again) });
            }
            Then::Settled { life, claim, health: Some(health), .. } => {
                let (tenant, endpoint) = claim.lane.clone();
                self.submit(Transition::Health { tenant, endpoint, health }, Then::Kept { life, claim });
            }
            Then::Settled { life, claim, .. } | Then::Kept { life, claim } => {
                self.soon(2, Happening::Landed { life, claim, landed: Landed::Over(None) });
            }
            Then::Enabled => assert_eq!(*outcome, Outcome::Done),
            Then::Cancelled(delivery) => {
                self.cancelled.extend(Some(delivery).filter(|_| *outcome == Outcome::Done));
            }
        }
    }

    fn heed(&mut self, hints: &[Hint]) {
        if self.mishap(30) {
            // They were lost; that they were is known.
            self.reread();
            return;
        }
        for hint in hints {
            self.planner.heed(hint, self.now_ms);
            if let Hint::Endpoint { endpoint, .. } = hint {
                self.note_enabled(endpoint);
            }
        }
    }

    fn reread(&mut self) {
        for (tenant, endpoint, health) in self.store.reader().healths(None).unwrap() {
            self.planner.adopt((tenant, endpoint.clone()), Some(health), self.now_ms);
            self.note_enabled(&endpoint);
        }
        for key in self.store.reader().lanes().unwrap() {
            self.planner.reread(key);
        }
    }

    fn note_enabled(&mut self, endpoint: &EndpointName) {
        let health = self.gates.health(&(tenant(), endpoint.clone()));
        if health.is_none_or(|health| !health.state.waits()) {
            self.watch.enabled(endpoint);
        }
    }

    /// The process dies and is started again. What was not committed is gone, unless the committer was faster.
    fn crash(&mut self) {
        if self.random.below(2) == 0 {
            self.commit();
        }
        self.queue.clear();
        self.totals.crashes += 1;
        self.life += 1;
        self.wake_ms = None;
        self.gates.clear();
        self.planner = Planner::new(self.setup.bounds, SCANS_MAX, self.gates.clone(), self.snapshot.clone());
        let known = self.store.reader().healths(None).unwrap();
        let known: Vec<_> = known.into_iter().map(|(_, endpoint, health)| (endpoint, health)).collect();
        self.watch.restarted(&known);
        self.reread();
    }

    /// Every delivery that was accepted has come to its end, and the store knows which.
    fn balance(mut self) -> Totals {
        let mut dead = BTreeSet::new();
        for (id, (delivery, accepted_ms)) in &self.accepted {
            let stored = self.store.reader().delivery(&tenant(), *id).unwrap().unwrap();
            match stored.status {
                DeliveryStatus::Delivered => {
                    let got_ms = self.got.get(id).unwrap_or_else(|| panic!("{id} was never received"));
                    let waited = self.totals.waited.entry(delivery.endpoint.to_string()).or_default();
                    *waited = (waited.0 + got_ms - accepted_ms, waited.1 + 1);
                    self.totals.delivered += 1;
                }
                DeliveryStatus::Dead if self.cancelled.contains(id) => {}
                DeliveryStatus::Dead => {
                    assert!(stored.schedule_position >= SCHEDULE_WAITS || !self.setup.mishaps, "{stored:?}");
                    dead.insert(*id);
                }
                other => panic!("{id} is lost: it is {other:?} and nothing happens any more"),
            }
        }
        assert_eq!(self.store.reader().lanes().unwrap(), [], "no lane has anything left");
        let notices = self.store.reader().notices(usize::MAX, usize::MAX).unwrap();
        let told = notices.iter().filter(|(_, notice)| notice.event_type == "delivery.dead").count();
        assert_eq!(told, dead.len(), "each dead delivery is told once");
        for (tenant, endpoint, health) in self.store.reader().healths(None).unwrap() {
            assert_eq!(self.gates.health(&(tenant, endpoint)).as_ref(), Some(&health), "as the store knows it");
            // One that is held may stay so where nothing is left to try it with.
            assert_ne!(health.state, EndpointState::Disabled, "{health:?}");
        }
        self.totals.deliveries = self.accepted.len() as u64;
        self.totals.dead = dead.len() as u64;
        (self.totals.held, self.totals.disabled, self.totals.asked) =
            (self.watch.held, self.watch.disabled, self.watch.asked);
        self.totals
    }
}
