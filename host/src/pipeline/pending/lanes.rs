//! Which pending run is next: fair between tenants, in order where a route asks for it, and without reading a route's list from its
//! beginning each time. Pure: what was read, what was told and the time come in.
//!
//! What must hold: no run is under way twice; a run that was told of, or read, is claimed, or stands in `ready`, or lies behind
//! `reached` in a lane that is `unread`. Nothing here grows with the backlog: a lane keeps at most one answer of the store.

use crate::model::{EventId, RouteName, RunId, TenantName};
use std::collections::{BTreeMap, HashMap, VecDeque};
use tokio::time::Instant;

/// How many runs are read ahead in one route.
pub(super) const LOOK_AHEAD_MAX: usize = 64;

/// A route of a tenant.
pub(super) type Key = (TenantName, RouteName);

/// Where a run stands in its route.
pub(super) type Place = (u64, RunId);

/// The routes that have pending runs.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<Key, Lane>,
    /// Runs under way or at rest; `true` where one was met again as pending meanwhile, so that it has to be looked at once more.
    claimed: HashMap<RunId, bool>,
    /// How many runs of each tenant are under way.
    tenants: HashMap<TenantName, usize>,
    /// Counts claims.
    turn: u64,
}

#[derive(Debug, Default)]
struct Lane {
    /// The last place that was read; none reads from the beginning.
    reached: Option<Place>,
    /// Read and not claimed, in order; all at `reached` or before it.
    ready: VecDeque<Place>,
    /// There may be more behind `reached`.
    unread: bool,
    under_way: usize,
    /// Runs that failed inside the host, and when to try them again.
    resting: Vec<(Instant, Place)>,
    /// The turn in which it was last served.
    served: u64,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read this route behind this place, up to so many runs; where a held run blocks it, there are none to be had.
    Read { key: Key, after: Option<Place>, limit: usize },
    /// Route this run.
    Run { key: Key, place: Place },
}

impl Lanes {
    /// Reads a route from its beginning: at the start, and where it may be ordered now that was not, or the other way round.
    pub(super) fn reread(&mut self, key: Key) {
        let lane = self.lanes.entry(key).or_default();
        (lane.reached, lane.unread) = (None, true);
        lane.ready.clear();
    }

    /// A run was committed pending.
    pub(super) fn hint(&mut self, key: Key, place: Place) {
        // A lane that is not known has nothing else: it begins here.
        let lane = self.lanes.entry(key).or_insert_with(|| Lane { reached: before(place), ..Lane::default() });
        lane.go_back(place);
        lane.unread = true;
    }

    /// What to do next, where there is something: first for the tenant with the fewest runs under way.
    pub(super) fn next(&mut self, ordered: impl Fn(&Key) -> bool) -> Option<Step> {
        let mut best = None;
        for (key, lane) in &self.lanes {
            let waits = ordered(key) && (lane.under_way > 0 || !lane.resting.is_empty());
            if waits || (lane.ready.is_empty() && !lane.unread) {
                continue;
            }
            let rank = (self.tenants.get(&key.0).copied().unwrap_or(0), lane.under_way, lane.served);
            if best.as_ref().is_none_or(|(least, _)| rank < *least) {
                best = Some((rank, key.clone()));
            }
        }
        let (_, key) = best?;
        let lane = self.lanes.get_mut(&key)?;
        let Some(place) = lane.ready.pop_front() else {
            // Of an ordered route one at a time and always the very first: whether a held run blocks it is asked anew for each, and
            // one that was rerun may stand before all that was read or told of.
            let (after, limit) = if ordered(&key) { (None, 1) } else { (lane.reached, LOOK_AHEAD_MAX) };
            return Some(Step::Read { after, limit, key });
        };
        self.turn += 1;
        (lane.served, lane.under_way) = (self.turn, lane.under_way + 1);
        *self.tenants.entry(key.0.clone()).or_default() += 1;
        self.claimed.insert(place.1, false);
        Some(Step::Run { key, place })
    }

    /// What [`Step::Read`] found.
    pub(super) fn read(&mut self, key: &Key, found: &[Place], limit: usize) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        for place in found {
            lane.reached = Some(*place);
            match self.claimed.get_mut(&place.1) {
                Some(met_again) => *met_again = true,
                None => lane.ready.push_back(*place),
            }
        }
        lane.unread = found.len() >= limit;
        self.forget_if_idle(key);
    }

    /// A run that was under way is over, or is to be tried again at `again_at`.
    pub(super) fn release(&mut self, key: &Key, place: Place, again_at: Option<Instant>) {
        if let Some(count) = self.tenants.get_mut(&key.0) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.tenants.remove(&key.0);
            }
        }
        let lane = self.lanes.entry(key.clone()).or_default();
        lane.under_way = lane.under_way.saturating_sub(1);
        match again_at {
            Some(at) => lane.resting.push((at, place)),
            None if self.claimed.remove(&place.1) == Some(true) => {
                lane.go_back(place);
                lane.unread = true;
            }
            None => self.forget_if_idle(key),
        }
    }

    /// Takes up runs whose rest is over.
    pub(super) fn wake(&mut self, now: Instant) {
        for lane in self.lanes.values_mut() {
            let over: Vec<Place> = lane.resting.iter().filter(|(at, _)| *at <= now).map(|(_, place)| *place).collect();
            lane.resting.retain(|(at, _)| *at > now);
            for place in over {
                self.claimed.remove(&place.1);
                lane.go_back(place);
                lane.unread = true;
            }
        }
    }

    /// When the first rest is over.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.lanes.values().flat_map(|lane| lane.resting.iter().map(|(at, _)| *at)).min()
    }

    fn forget_if_idle(&mut self, key: &Key) {
        let idle =
            |lane: &Lane| lane.ready.is_empty() && !lane.unread && lane.under_way == 0 && lane.resting.is_empty();
        if self.lanes.get(key).is_some_and(idle) {
            self.lanes.remove(key);
        }
    }
}

impl Lane {
    /// Has `place` be read again, and everything that is not claimed and comes before or after it.
    fn go_back(&mut self, place: Place) {
        if self.reached.is_some_and(|reached| place <= reached) {
            let first = self.ready.front().map_or(place, |first| place.min(*first));
            self.reached = before(first);
            self.ready.clear();
        }
    }
}

/// A place behind which `place` comes, and nothing of an event before it.
fn before((seq, _): Place) -> Option<Place> {
    let last = RunId::from_parts(EventId::from_bytes([u8::MAX; 16]), u64::MAX);
    seq.checked_sub(1).map(|seq| (seq, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn key(tenant: &str, route: &str) -> Key {
        (tenant.parse().unwrap(), route.parse().unwrap())
    }

    fn place(seq: u64) -> Place {
        (seq, RunId::from_parts(EventId::new(seq, 7), 0))
    }

    /// A store of pending runs to read from, and the lanes over it.
    struct World {
        lanes: Lanes,
        stored: BTreeMap<Key, Vec<Place>>,
        ordered: bool,
        reads_from_the_beginning: usize,
    }

    impl World {
        fn new(stored: &[(Key, std::ops::Range<u64>)]) -> Self {
            let mut lanes = Lanes::default();
            stored.iter().for_each(|(key, _)| lanes.reread(key.clone()));
            let stored = stored.iter().map(|(key, seqs)| (key.clone(), seqs.clone().map(place).collect())).collect();
            Self { lanes, stored, ordered: false, reads_from_the_beginning: 0 }
        }

        fn claim(&mut self) -> Option<(Key, Place)> {
            loop {
                match self.lanes.next(|_| self.ordered)? {
                    Step::Run { key, place } => return Some((key, place)),
                    Step::Read { key, after, limit } => {
                        self.reads_from_the_beginning += usize::from(after.is_none());
                        let all = self.stored.get(&key).into_iter().flatten();
                        let found: Vec<Place> =
                            all.filter(|place| Some(**place) > after).take(limit).copied().collect();
                        self.lanes.read(&key, &found, limit);
                    }
                }
            }
        }

        fn done(&mut self, key: &Key, place: Place) {
            self.stored.get_mut(key).unwrap().retain(|stored| *stored != place);
            self.lanes.release(key, place, None);
        }
    }

    #[test]
    fn a_backlog_is_worked_off_once_and_in_order_and_read_from_its_beginning_once() {
        let a = key("a", "r");
        let mut world = World::new(&[(a.clone(), 1..1001)]);
        for seq in 1..1001 {
            assert_eq!(world.claim(), Some((a.clone(), place(seq))));
            world.done(&a, place(seq));
        }
        assert_eq!(world.claim(), None);
        assert_eq!(world.reads_from_the_beginning, 1);
        assert!(world.lanes.lanes.is_empty() && world.lanes.claimed.is_empty() && world.lanes.tenants.is_empty());
    }

    #[test]
    fn a_tenant_with_a_backlog_does_not_keep_another_waiting() {
        let (a, b) = (key("a", "r"), key("b", "r"));
        let mut world = World::new(&[(a.clone(), 1..1000)]);
        let under_way: Vec<_> = (0..32).map(|_| world.claim().unwrap().1).collect();
        world.stored.insert(b.clone(), vec![place(2000)]);
        world.lanes.hint(b.clone(), place(2000));
        world.done(&a, under_way[0]);
        assert_eq!(world.claim(), Some((b, place(2000))), "the one place that came free is the other tenant's");
    }

    #[test]
    fn an_ordered_route_has_one_under_way() {
        let a = key("a", "r");
        let mut world = World::new(&[(a.clone(), 1..4)]);
        world.ordered = true;
        for seq in 1..4 {
            assert_eq!(world.claim(), Some((a.clone(), place(seq))));
            assert_eq!(world.claim(), None);
            world.done(&a, place(seq));
        }
        assert_eq!(world.claim(), None);
    }

    #[test]
    fn a_rerun_of_an_early_event_is_found_behind_the_place_reached() {
        let a = key("a", "r");
        let mut world = World::new(&[(a.clone(), 10..20)]);
        assert_eq!(world.claim(), Some((a.clone(), place(10))));
        world.stored.get_mut(&a).unwrap().insert(0, place(3));
        world.lanes.hint(a.clone(), place(3));
        let claimed: Vec<u64> = std::iter::from_fn(|| world.claim()).map(|(_, (seq, _))| seq).collect();
        assert_eq!(claimed, [3, 11, 12, 13, 14, 15, 16, 17, 18, 19], "none is lost, none comes twice");
    }

    #[test]
    fn an_ordered_route_takes_what_was_rerun_before_what_came_later() {
        let a = key("a", "r");
        let mut world = World::new(&[(a.clone(), 1..5)]);
        world.lanes = Lanes::default();
        world.ordered = true;
        // Run 1 has just been rerun, which nobody has heard of yet; the lane is known by the event that came last.
        world.lanes.hint(a.clone(), place(4));
        for seq in 1..5 {
            assert_eq!(world.claim(), Some((a.clone(), place(seq))));
            world.done(&a, place(seq));
        }
        assert_eq!(world.claim(), None);
    }

    #[test]
    fn a_run_that_became_pending_again_while_it_was_claimed_is_not_forgotten() {
        let a = key("a", "r");
        let mut world = World::new(&[(a.clone(), 1..2)]);
        assert_eq!(world.claim(), Some((a.clone(), place(1))));
        // It was held and rerun before the worker heard of its end.
        world.lanes.hint(a.clone(), place(1));
        assert_eq!(world.claim(), None);
        world.lanes.release(&a, place(1), None);
        assert_eq!(world.claim(), Some((a, place(1))));
    }

    #[test]
    fn a_run_that_failed_inside_the_host_rests_and_others_go_on() {
        let a = key("a", "r");
        let mut world = World::new(&[(a.clone(), 1..3)]);
        let now = Instant::now();
        let at = now + Duration::from_secs(5);
        assert_eq!(world.claim(), Some((a.clone(), place(1))));
        world.lanes.release(&a, place(1), Some(at));
        assert_eq!(world.claim(), Some((a.clone(), place(2))));
        world.done(&a, place(2));
        world.lanes.wake(now);
        assert_eq!((world.claim(), world.lanes.wake_at()), (None, Some(at)));
        world.lanes.wake(at);
        assert_eq!(world.claim(), Some((a, place(1))));
    }

    #[test]
    fn a_resting_run_blocks_its_ordered_route() {
        let a = key("a", "r");
        let mut world = World::new(&[(a.clone(), 1..3)]);
        world.ordered = true;
        let at = Instant::now();
        assert_eq!(world.claim(), Some((a.clone(), place(1))));
        world.lanes.release(&a, place(1), Some(at));
        assert_eq!(world.claim(), None);
        world.lanes.wake(at);
        assert_eq!(world.claim(), Some((a, place(1))));
    }
}
