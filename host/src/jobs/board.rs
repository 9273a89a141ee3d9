//! Which job is next, and how much it may do. Pure: the time comes in.
//!
//! Jobs take turns: the next is the one whose time came first. A job that may do something has its rate in small steps, several a second.

use super::{JobId, STEP_ITEMS_MAX, TenantName};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// A job of a tenant.
pub(super) type Key = (TenantName, JobId);

/// The jobs at work.
#[derive(Debug, Default)]
pub(super) struct Board {
    jobs: HashMap<Key, Live>,
}

#[derive(Debug)]
struct Live {
    /// When it is to be looked at.
    at: Instant,
    pace: Pace,
    /// How many things a step may do, where more did not fit one write.
    items_max: usize,
}

impl Board {
    /// There is a job; one that is known already goes on as it was.
    pub(super) fn add(&mut self, key: Key, rate_per_s: u32, now: Instant) {
        let live = || Live { at: now, pace: Pace::new(rate_per_s, now), items_max: STEP_ITEMS_MAX };
        self.jobs.entry(key).or_insert_with(live);
    }

    /// The job whose turn it is.
    pub(super) fn next(&self, now: Instant) -> Option<Key> {
        let due = self.jobs.iter().filter(|(_, live)| live.at <= now);
        due.min_by_key(|(_, live)| live.at).map(|(key, _)| key.clone())
    }

    /// When the first turn comes.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.jobs.values().map(|live| live.at).min()
    }

    /// How many things a job may do now. None where it has to wait a little.
    pub(super) fn allowance(&mut self, key: &Key, now: Instant) -> Option<usize> {
        let live = self.jobs.get_mut(key)?;
        let room = live.pace.room(now).min(live.items_max);
        if room == 0 {
            live.at = live.pace.next(now);
            return None;
        }
        Some(room)
    }

    /// A job has done so many things. One that found nothing to do has its next turn at once, after the others.
    pub(super) fn spent(&mut self, key: &Key, items: usize, now: Instant) {
        let Some(live) = self.jobs.get_mut(key) else { return };
        live.pace.spend(items);
        live.at = if items == 0 { now } else { live.pace.next(now) };
    }

    /// A step of so many things did not fit one write.
    pub(super) fn halve(&mut self, key: &Key, items: usize) {
        if let Some(live) = self.jobs.get_mut(key) {
            live.items_max = (items / 2).max(1);
        }
    }

    /// A job is to be looked at again at this time.
    pub(super) fn rest(&mut self, key: &Key, until: Instant) {
        if let Some(live) = self.jobs.get_mut(key) {
            live.at = until;
        }
    }

    /// A job is over.
    pub(super) fn over(&mut self, key: &Key) {
        self.jobs.remove(key);
    }
}

/// How fast a job goes. What it was not allowed to do, for want of room say, it does not make up for.
#[derive(Debug)]
struct Pace {
    rate_per_s: u64,
    /// What it may do now, in thousandths of a thing.
    credit: u64,
    counted: Instant,
}

/// One thing, in the unit of the credit.
const THING: u64 = 1_000;
/// How many steps a second has, about.
const STEPS_PER_S: u64 = 10;

impl Pace {
    /// Begins with one step's worth.
    fn new(rate_per_s: u32, now: Instant) -> Self {
        let mut pace = Self { rate_per_s: u64::from(rate_per_s.max(1)), credit: 0, counted: now };
        pace.credit = pace.step();
        pace
    }

    /// How many things it may do now.
    fn room(&mut self, now: Instant) -> usize {
        let passed_ms = u64::try_from(now.saturating_duration_since(self.counted).as_millis()).unwrap_or(u64::MAX);
        self.credit = self.credit.saturating_add(passed_ms.saturating_mul(self.rate_per_s)).min(self.step());
        // What is left of a millisecond counts the next time.
        self.counted += Duration::from_millis(passed_ms);
        usize::try_from(self.credit / THING).unwrap_or(usize::MAX)
    }

    fn spend(&mut self, items: usize) {
        self.credit = self.credit.saturating_sub((items as u64).saturating_mul(THING));
    }

    /// When it may do a step's worth.
    fn next(&self, now: Instant) -> Instant {
        let wait_ms = (self.step() - self.credit.min(self.step())).div_ceil(self.rate_per_s);
        (self.counted + Duration::from_millis(wait_ms)).max(now)
    }

    /// What a step is worth: a tenth of a second's, one thing at least, and no more than a step may do.
    fn step(&self) -> u64 {
        (self.rate_per_s / STEPS_PER_S).clamp(1, STEP_ITEMS_MAX as u64) * THING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tenant: &str, n: u128) -> Key {
        (tenant.parse().unwrap(), JobId::new(1, n))
    }

    /// How many things a job does within `ms`, one that always finds enough.
    fn done_within(rate_per_s: u32, ms: u64) -> usize {
        let began = Instant::now();
        let (mut board, key) = (Board::default(), key("acme", 1));
        board.add(key.clone(), rate_per_s, began);
        let (mut now, mut done) = (began, 0);
        while now <= began + Duration::from_millis(ms) {
            if let Some(room) = board.allowance(&key, now) {
                assert!((1..=STEP_ITEMS_MAX).contains(&room));
                done += room;
                board.spent(&key, room, now);
            }
            now = board.wake_at().unwrap();
        }
        done
    }

    #[test]
    fn a_job_keeps_its_rate() {
        for (rate_per_s, first) in [(1, 1), (7, 1), (100, 10), (1_000, 64)] {
            assert_eq!(done_within(rate_per_s, 0), first, "{rate_per_s} begins with one step");
            let ten_seconds = done_within(rate_per_s, 10_000);
            let most = rate_per_s as usize * 10 + first;
            assert!((most - 2 * first..=most).contains(&ten_seconds), "{ten_seconds} at {rate_per_s} a second");
        }
    }

    #[test]
    fn what_a_job_could_not_do_it_does_not_make_up_for() {
        let now = Instant::now();
        let mut pace = Pace::new(100, now);
        assert_eq!(pace.room(now + Duration::from_secs(3600)), 10);
        pace.spend(10);
        assert_eq!(pace.room(now + Duration::from_secs(3600)), 0);
    }

    #[test]
    fn jobs_take_turns() {
        let now = Instant::now();
        let mut board = Board::default();
        let jobs = [key("a", 1), key("a", 2), key("b", 1)];
        for (n, job) in (0..).zip(&jobs) {
            board.add(job.clone(), 1_000, now + Duration::from_millis(n));
        }
        // One that finds nothing to do goes on at once, and yet the others have their turns.
        let mut later = now + Duration::from_millis(10);
        let mut turns = Vec::new();
        for _ in 0..6 {
            let job = board.next(later).unwrap();
            later += Duration::from_millis(1);
            board.spent(&job, 0, later);
            turns.push(job);
        }
        assert_eq!(turns, [&jobs[..], &jobs[..]].concat());
        board.over(&jobs[0]);
        board.rest(&jobs[1], later + Duration::from_secs(1));
        assert_eq!(board.next(later), Some(jobs[2].clone()));
        board.over(&jobs[2]);
        assert_eq!((board.next(later), board.wake_at()), (None, Some(later + Duration::from_secs(1))));
        // Told of again, it still rests.
        board.add(jobs[1].clone(), 1_000, later);
        assert_eq!(board.next(later), None);
    }

    #[test]
    fn a_step_that_did_not_fit_is_made_smaller_down_to_one_thing() {
        let now = Instant::now();
        let (mut board, key) = (Board::default(), key("a", 1));
        board.add(key.clone(), 1_000, now);
        for expected in [64, 32, 16, 8, 4, 2, 1, 1] {
            let room = board.allowance(&key, now).unwrap();
            assert_eq!(room, expected);
            board.halve(&key, room);
        }
    }
}
