//! The scheduling without any I/O: shares, bounds, the cursor; and a random run against a model of the store.

use super::super::lane::PARKED_MAX;
use super::*;
use crate::model::{DeliveryId, EventId};
use std::collections::BTreeMap;

const BOUNDS: Bounds = Bounds { in_flight_max: 256, lane_ready_max: 64, failure_rest_ms: 30_000 };

fn id(number: u64) -> DeliveryId {
    DeliveryId::from_parts(EventId::from_bytes([0; 16]), number)
}

fn key(tenant: &str, endpoint: &str) -> LaneKey {
    (tenant.parse().unwrap(), endpoint.parse().unwrap())
}

/// Takes as much as `concurrency_max` each allows, and counts it by lane.
fn claim_all(lanes: &mut Lanes, concurrency_max: u32) -> (Vec<Claim>, BTreeMap<String, usize>) {
    let mut counts = BTreeMap::new();
    let claims: Vec<_> = std::iter::from_fn(|| lanes.claim(|_| Admission::Most(concurrency_max))).collect();
    for claim in &claims {
        *counts.entry(format!("{}/{}", claim.lane.0, claim.lane.1)).or_default() += 1;
    }
    (claims, counts)
}

/// Lanes with so many due deliveries each, as far as they fit.
fn filled(bounds: Bounds, lanes: &[(&str, &str)], deliveries: u64) -> Lanes {
    let mut filled = Lanes::new(bounds);
    for (index, (tenant, endpoint)) in lanes.iter().enumerate() {
        for number in 0..deliveries {
            filled.hint(key(tenant, endpoint), (1, id(u64::try_from(index).unwrap() * 1000 + number)), 10);
        }
    }
    filled
}

#[test]
fn tenants_take_turns_and_so_do_their_lanes() {
    let mut lanes = filled(BOUNDS, &[("a", "x"), ("a", "y"), ("b", "x")], 4);
    let order: Vec<_> =
        (0..8).map(|_| lanes.claim(|_| Admission::Most(100)).unwrap().lane).map(|(t, e)| format!("{t}{e}")).collect();
    assert_eq!(order, ["ax", "bx", "ay", "bx", "ax", "bx", "ay", "bx"]);
}

#[test]
fn deliveries_of_a_lane_go_in_order() {
    let mut lanes = filled(BOUNDS, &[("a", "x")], 5);
    let (claims, _) = claim_all(&mut lanes, 100);
    assert_eq!(claims.iter().map(|claim| claim.place.1.tag()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn concurrency_of_a_lane_is_bounded_and_freed() {
    let mut lanes = filled(BOUNDS, &[("a", "x")], 10);
    let (claims, counts) = claim_all(&mut lanes, 3);
    assert_eq!(counts["a/x"], 3);
    lanes.release(&claims[0], None, 10);
    assert_eq!(claim_all(&mut lanes, 3).1["a/x"], 1);
}

#[test]
fn one_lane_gets_a_quarter_one_tenant_half_and_something_stays_free() {
    let (_, counts) = claim_all(&mut filled(BOUNDS, &[("a", "x")], 64), 1000);
    assert_eq!(counts["a/x"], 64);

    let names: Vec<String> = (0..50).map(|number| format!("e{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| ("a", name.as_str())).collect();
    let mut lanes = filled(BOUNDS, &many, 64);
    let (claims, _) = claim_all(&mut lanes, 1000);
    assert!((120..=128).contains(&claims.len()), "a tenant that hogs leaves half: {}", claims.len());

    // Whoever comes then is served at once, though nothing of the first ever ends.
    for other in ["b", "c", "d", "e"] {
        lanes.hint(key(other, "x"), (1, id(1)), 10);
        assert_eq!(claim_all(&mut lanes, 1000).1[&format!("{other}/x")], 1);
    }
}

#[test]
fn a_dead_endpoint_leaves_room_for_another_of_its_tenant() {
    let mut lanes = filled(BOUNDS, &[("a", "dead")], 64);
    let (stuck, _) = claim_all(&mut lanes, 1000);
    assert_eq!(stuck.len(), 64);
    for number in 0..64 {
        lanes.hint(key("a", "good"), (1, id(5000 + number)), 10);
    }
    assert!(claim_all(&mut lanes, 1000).1["a/good"] >= 16);
}

#[test]
fn never_more_in_flight_than_allowed_over_all() {
    let names: Vec<String> = (0..40).map(|number| format!("t{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let mut lanes = filled(Bounds { in_flight_max: 10, ..BOUNDS }, &many, 3);
    let (claims, _) = claim_all(&mut lanes, 1000);
    assert!((9..=10).contains(&claims.len()), "{}", claims.len());
    let mut lanes = filled(Bounds { in_flight_max: 1, ..BOUNDS }, &many, 3);
    assert_eq!(claim_all(&mut lanes, 1000).0.len(), 1, "even one is enough to go on");
}

#[test]
fn a_fresh_delivery_needs_no_scan_and_its_lane_is_forgotten_afterwards() {
    let mut lanes = Lanes::new(BOUNDS);
    for number in 0..1000 {
        lanes.hint(key("a", "x"), (number, id(number)), 1000);
        assert_eq!(lanes.next_scan(1000), None);
        let claim = lanes.claim(|_| Admission::Most(1)).unwrap();
        assert_eq!(claim.place.0, number);
        lanes.release(&claim, None, 1000);
        assert!(lanes.lanes.is_empty() && lanes.tenants.is_empty() && lanes.wakes.is_empty());
    }
}

#[test]
fn a_backlog_stays_on_disk_and_is_read_from_where_it_was_left() {
    let mut lanes = Lanes::new(BOUNDS);
    lanes.reread(key("a", "x"));
    let (_, scan) = lanes.next_scan(100).unwrap();
    assert_eq!(scan, Scan { after: None, limit: 64 });
    let page: Vec<Place> = (0..64).map(|number| (number, id(number))).collect();
    lanes.scanned(&key("a", "x"), &page, Some(64));
    assert_eq!(lanes.next_scan(100), None, "full");
    // Fresh ones wait their turn behind the backlog, and take no room.
    for number in 500..600 {
        lanes.hint(key("a", "x"), (number, id(number)), 1000);
    }
    assert_eq!(lanes.lanes[&key("a", "x")].lane.claimed(), 64);
    for _ in 0..32 {
        let claim = lanes.claim(|_| Admission::Most(1)).unwrap();
        lanes.release(&claim, None, 1000);
    }
    let (_, scan) = lanes.next_scan(100).unwrap();
    assert_eq!(scan, Scan { after: Some((63, id(63))), limit: 32 });
}

#[test]
fn what_is_due_later_wakes_then_and_not_before() {
    let mut lanes = Lanes::new(BOUNDS);
    lanes.hint(key("a", "x"), (5000, id(1)), 1000);
    assert_eq!((lanes.claim(|_| Admission::Most(1)), lanes.next_scan(4999), lanes.scan_ms()), (None, None, Some(5000)));
    assert!(lanes.next_scan(5000).is_some());
    lanes.scanned(&key("a", "x"), &[(5000, id(1))], None);
    assert!(lanes.claim(|_| Admission::Most(1)).is_some());
}

#[test]
fn a_delivery_that_is_hinted_at_while_in_flight_comes_again_and_not_twice_at_once() {
    let mut lanes = filled(BOUNDS, &[("a", "x")], 1);
    let claim = lanes.claim(|_| Admission::Most(9)).unwrap();
    lanes.hint(key("a", "x"), (7, id(0)), 10);
    assert_eq!(lanes.claim(|_| Admission::Most(9)), None);
    lanes.release(&claim, None, 10);
    assert_eq!(lanes.claim(|_| Admission::Most(9)).unwrap().place, (7, id(0)));
    assert_eq!(lanes.claim(|_| Admission::Most(9)), None);
}

#[test]
fn an_endpoint_that_takes_nothing_waits_on_disk_until_the_configuration_changes() {
    let mut lanes = filled(BOUNDS, &[("a", "x")], 10);
    assert_eq!(lanes.claim(|_| Admission::Shut), None);
    assert_eq!(lanes.lanes[&key("a", "x")].lane.claimed(), 0);
    lanes.hint(key("a", "x"), (2, id(77)), 10);
    assert_eq!((lanes.claim(|_| Admission::Most(1)), lanes.next_scan(10), lanes.scan_ms()), (None, None, None));
    lanes.unblock_all();
    let (_, scan) = lanes.next_scan(10).unwrap();
    assert!(scan.after < Some((1, id(0))), "from the first that was let go: {scan:?}");
}

#[test]
fn who_has_to_wait_keeps_its_place_is_woken_then_and_is_asked_again_when_a_flight_ends() {
    let mut lanes = filled(BOUNDS, &[("a", "x"), ("a", "y")], 3);
    let slow = |until_ms| {
        move |key: &LaneKey| if key.1.as_str() == "x" { Admission::NotBefore(until_ms) } else { Admission::Most(1) }
    };
    let other = lanes.claim(slow(50)).unwrap();
    assert_eq!(other.lane, key("a", "y"), "it delays no other");
    assert_eq!((lanes.claim(slow(50)), lanes.wake_ms()), (None, Some(50)));
    lanes.wake(49);
    assert_eq!(lanes.claim(|_| Admission::Most(1)), None, "nobody asks before");
    lanes.wake(50);
    let first = lanes.claim(|_| Admission::Most(2)).unwrap();
    assert_eq!((first.lane.clone(), first.place.1, lanes.wake_ms()), (key("a", "x"), id(0), None));
    assert_eq!((lanes.claim(slow(90)), lanes.wake_ms()), (None, Some(90)));
    lanes.release(&first, None, 60);
    assert_eq!(lanes.wake_ms(), None);
    assert_eq!(lanes.claim(|_| Admission::Most(2)).unwrap().place.1, id(1));
}

#[test]
fn a_failure_of_our_own_rests_and_many_rest_the_lane() {
    let mut lanes = filled(BOUNDS, &[("a", "x"), ("a", "y")], 30);
    for _ in 0..PARKED_MAX {
        let claim =
            lanes.claim(|key| if key.1.as_str() == "x" { Admission::Most(1) } else { Admission::Shut }).unwrap();
        lanes.park(&claim, 10);
    }
    lanes.unblock_all();
    assert_eq!(lanes.claim(|_| Admission::Most(1)), None, "both rest: x has failed too often, y was shut");
    assert!(lanes.next_scan(10).is_some_and(|(key, _)| key.1.as_str() == "y"));
    lanes.wake(30_009);
    assert_eq!((lanes.claim(|_| Admission::Most(1)), lanes.wake_ms()), (None, Some(30_010)));
    lanes.wake(30_010);
    let (_, counts) = claim_all(&mut lanes, 100);
    assert_eq!(counts["a/x"], 30, "none is lost");
}

#[test]
fn a_failed_scan_rests_and_loses_nothing() {
    let mut lanes = Lanes::new(BOUNDS);
    lanes.reread(key("a", "x"));
    lanes.next_scan(10).unwrap();
    lanes.scanned(&key("a", "x"), &[(5, id(5))], Some(7));
    lanes.next_scan(10).unwrap();
    lanes.hint(key("a", "x"), (3, id(3)), 10);
    lanes.scan_failed(&key("a", "x"), 10);
    lanes.hint(key("a", "x"), (9, id(9)), 10);
    assert_eq!(claim_all(&mut lanes, 9).0.len(), 1, "only what was found before");
    assert_eq!(lanes.next_scan(30_009), None);
    let after = lanes.next_scan(30_010).unwrap().1.after;
    assert!(after < Some((3, id(3))), "what was hinted at during the scan is read: {after:?}");
}

/// A store of one process: what is pending where, and hints on their way.
struct Model {
    random: u64,
    pending: BTreeMap<LaneKey, BTreeMap<DeliveryId, u64>>,
    hints: Vec<(LaneKey, Place)>,
    scans: Vec<Looking>,
    flying: Vec<Claim>,
    ended: usize,
    made: u64,
    now_ms: u64,
}

/// A scan under way, with what it has seen once it has looked.
struct Looking {
    lane: LaneKey,
    scan: Scan,
    seen: Option<(Vec<Place>, Option<u64>)>,
}

impl Model {
    fn next(&mut self, below: usize) -> usize {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % u64::try_from(below).unwrap()).unwrap()
    }

    /// Writes a place, and sends its hint on the way.
    fn write(&mut self, lane: LaneKey, place: Place) {
        self.pending.entry(lane.clone()).or_default().insert(place.1, place.0);
        self.hints.push((lane, place));
    }

    fn look(&self, Looking { lane, scan, .. }: &Looking) -> (Vec<Place>, Option<u64>) {
        let mut all: Vec<Place> =
            self.pending.get(lane).into_iter().flatten().map(|(id, due_ms)| (*due_ms, *id)).collect();
        all.sort_unstable();
        all.retain(|place| scan.after.is_none_or(|after| *place > after));
        let due = all.iter().take(scan.limit).take_while(|place| place.0 <= self.now_ms).count();
        (all[..due].to_vec(), all.get(due).map(|place| place.0))
    }

    fn step(&mut self, lanes: &mut Lanes, bounds: Bounds) {
        match self.next(10) {
            0 | 1 if self.made < 400 => {
                // Committed late: its time may lie before what has been read.
                let due_ms = self.now_ms + 20 - u64::try_from(self.next(40)).unwrap();
                let lane = key(["a", "b"][self.next(2)], ["x", "y", "z"][self.next(3)]);
                self.made += 1;
                self.write(lane, (due_ms, id(self.made)));
            }
            2 | 3 if !self.hints.is_empty() => {
                let (lane, place) = self.hints.remove(0);
                lanes.hint(lane, place, self.now_ms);
            }
            4 => {
                // A scan looks at some time between its beginning and its end.
                lanes.wake(self.now_ms);
                if let Some((lane, scan)) = lanes.next_scan(self.now_ms) {
                    self.scans.push(Looking { lane, scan, seen: None });
                }
                if let Some(index) = self.scans.iter().position(|looking| looking.seen.is_none()) {
                    let seen = self.look(&self.scans[index]);
                    self.scans[index].seen = Some(seen);
                }
            }
            5 if !self.scans.is_empty() => {
                let index = self.next(self.scans.len());
                if self.scans[index].seen.is_some() || self.next(4) == 0 {
                    let Looking { lane, seen, .. } = self.scans.swap_remove(index);
                    match seen {
                        Some((found, next)) => lanes.scanned(&lane, &found, next),
                        None => lanes.scan_failed(&lane, self.now_ms),
                    }
                }
            }
            6 | 7 => {
                let shut = self.next(20) == 0;
                if let Some(claim) = lanes
                    .claim(|lane| if shut && lane.1.as_str() == "z" { Admission::Shut } else { Admission::Most(3) })
                {
                    assert!(
                        self.flying.iter().all(|other| other.place.1 != claim.place.1),
                        "in flight twice: {claim:?}"
                    );
                    self.flying.push(claim);
                }
                assert!(self.flying.len() <= bounds.in_flight_max);
            }
            8 if !self.flying.is_empty() => self.land(lanes),
            9 => {
                self.now_ms += u64::try_from(self.next(10)).unwrap();
                if self.next(10) == 0 {
                    lanes.unblock_all();
                }
            }
            _ => {}
        }
        for entry in lanes.lanes.values() {
            assert!(entry.lane.claimed() <= bounds.lane_ready_max + PARKED_MAX + 3 + 3, "grows: {entry:?}");
        }
    }

    /// A flight ends: with success, with a retry now or later, with a failure of our own, or with news from elsewhere.
    fn land(&mut self, lanes: &mut Lanes) {
        let index = self.next(self.flying.len());
        let claim = self.flying.swap_remove(index);
        let delivery = claim.place.1;
        let due_ms = self.pending.get(&claim.lane).and_then(|pending| pending.get(&delivery)).copied();
        let again = match (due_ms, self.next(8)) {
            // Not pending any more: an old scan had seen it.
            (None, _) => None,
            // Pending for later.
            (Some(due_ms), _) if due_ms > self.now_ms => Some((due_ms, delivery)),
            (Some(_), 0) => return lanes.park(&claim, self.now_ms),
            (Some(_), 1 | 2) => {
                let place = (self.now_ms + u64::try_from(self.next(30)).unwrap(), delivery);
                self.write(claim.lane.clone(), place);
                Some(place)
            }
            (Some(_), outcome) => {
                self.pending.get_mut(&claim.lane).unwrap().remove(&delivery);
                self.ended += 1;
                if outcome == 3 && self.ended < 1000 {
                    // Somebody retries it by hand before the flight is known to be over; only the hint tells.
                    self.ended -= 1;
                    self.write(claim.lane.clone(), (self.now_ms, delivery));
                    if self.next(2) == 0 {
                        let (lane, place) = self.hints.pop().unwrap();
                        lanes.hint(lane, place, self.now_ms);
                    }
                }
                None
            }
        };
        lanes.release(&claim, again, self.now_ms);
    }
}

#[test]
fn in_many_random_runs_everything_ends_and_nothing_flies_twice() {
    for seed in 1..=300_u64 {
        let bounds = Bounds { in_flight_max: 8, lane_ready_max: 4, failure_rest_ms: 50 };
        let mut lanes = Lanes::new(bounds);
        let mut model = Model {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            pending: BTreeMap::new(),
            hints: Vec::new(),
            scans: Vec::new(),
            flying: Vec::new(),
            ended: 0,
            made: 0,
            now_ms: 1000,
        };
        for step in 0.. {
            model.step(&mut lanes, bounds);
            if model.made == 400 && model.pending.values().all(BTreeMap::is_empty) {
                break;
            }
            assert!(step < 200_000, "seed {seed}: {:?} left, lanes: {lanes:?}", model.pending);
        }
        assert_eq!(model.ended, 400, "seed {seed}");
    }
}
