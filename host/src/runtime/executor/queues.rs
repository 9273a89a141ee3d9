//! Which job is next. Pure: the time comes in.
//!
//! Two rules keep a tenant whose modules burn CPU from slowing others down. The next job is one of the tenant whose jobs have
//! taken the least time lately. And *long* jobs together leave one thread free, where there is more than one: those of the
//! background lane, which may take long, and those of a tenant whose inline jobs did so lately. So an inline job of
//! another tenant waits for short ones at most; and a tenant whose jobs are short may have all the threads.
//!
//! A tenant's own inline jobs go before its background jobs: somebody waits for them.

use super::{Account, Lane};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

/// After this time what a tenant has used counts half.
const HALF_LIFE: Duration = Duration::from_secs(1);
/// What one inline job may take without being long. A Rust module takes 0.1 ms for a common event, a Python one 2 ms.
const LONG: Duration = Duration::from_millis(3);
/// How much time over [`LONG`], in all its inline jobs lately, makes a tenant's jobs long ones.
const OVERTIME_MAX: Duration = Duration::from_millis(10);
/// The fewest accounts to look through for some that can be forgotten.
const ACCOUNTS_KEPT: usize = 64;

/// The jobs that wait, and the accounts of their tenants.
#[derive(Debug)]
pub(super) struct Queues<T> {
    waiting: BTreeMap<Account, Waiting<T>>,
    accounts: HashMap<Account, Usage>,
    threads: usize,
    running: usize,
    long_running: usize,
    inline_waiting: usize,
    look_through_at: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    inline: VecDeque<T>,
    background: VecDeque<T>,
}

/// A job that a thread is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Next<T> {
    pub(super) account: Account,
    pub(super) lane: Lane,
    pub(super) job: T,
    long: bool,
}

/// What came of [`Next`], without the job.
#[derive(Debug)]
pub(super) struct Done {
    account: Account,
    lane: Lane,
    long: bool,
}

impl<T> Next<T> {
    /// The job, and what to tell [`Queues::done`] after it.
    pub(super) fn split(self) -> (T, Done) {
        (self.job, Done { account: self.account, lane: self.lane, long: self.long })
    }
}

impl<T> Queues<T> {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            accounts: HashMap::new(),
            threads,
            running: 0,
            long_running: 0,
            inline_waiting: 0,
            look_through_at: ACCOUNTS_KEPT,
        }
    }

    /// Queues a job. Its caller keeps the bounds.
    pub(super) fn push(&mut self, account: Account, lane: Lane, job: T) {
        let empty = || Waiting { inline: VecDeque::new(), background: VecDeque::new() };
        let waiting = self.waiting.entry(account).or_insert_with(empty);
        match lane {
            Lane::Inline => {
                self.inline_waiting += 1;
                waiting.inline.push_back(job);
            }
            Lane::Background => waiting.background.push_back(job),
        }
    }

    /// The job to do now, if there is one that may begin.
    pub(super) fn next(&mut self, now: Instant) -> Option<Next<T>> {
        let may_be_long = self.long_running < self.threads.saturating_sub(1).max(1);
        let mut best: Option<(Duration, &Account, bool)> = None;
        for (account, waiting) in &self.waiting {
            let usage = self.accounts.get(account).map(|usage| usage.at(now)).unwrap_or_default();
            let long = usage.overtime >= OVERTIME_MAX || waiting.inline.is_empty();
            if (may_be_long || !long) && best.is_none_or(|(least, ..)| usage.used < least) {
                best = Some((usage.used, account, long));
            }
        }
        let (_, account, long) = best?;
        let account = account.clone();
        let waiting = self.waiting.get_mut(&account)?;
        let (lane, job) = match waiting.inline.pop_front() {
            Some(job) => (Lane::Inline, job),
            None => (Lane::Background, waiting.background.pop_front()?),
        };
        if waiting.inline.is_empty() && waiting.background.is_empty() {
            self.waiting.remove(&account);
        }
        self.inline_waiting -= usize::from(lane == Lane::Inline);
        self.running += 1;
        self.long_running += usize::from(long);
        Some(Next { account, lane, job, long })
    }

    /// A job is over; it took so long.
    pub(super) fn done(&mut self, done: Done, took: Duration, now: Instant) {
        self.running -= 1;
        self.long_running -= usize::from(done.long);
        let usage = self.accounts.entry(done.account).or_default();
        *usage = usage.at(now);
        usage.used += took;
        if done.lane == Lane::Inline {
            usage.overtime += took.saturating_sub(LONG);
        }
        if self.accounts.len() > self.look_through_at {
            self.accounts.retain(|_, usage| !usage.at(now).used.is_zero());
            self.look_through_at = (self.accounts.len() * 2).max(ACCOUNTS_KEPT);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a thread is free, and no job waits at all.
    pub(super) fn has_spare(&self) -> bool {
        self.running < self.threads && self.is_empty()
    }

    /// Whether a thread is free, and no inline job waits for it.
    pub(super) fn has_room(&self) -> bool {
        self.running + self.inline_waiting < self.threads
    }
}

/// What a tenant's jobs have taken lately.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    used: Duration,
    /// By its inline jobs, over [`LONG`].
    overtime: Duration,
    /// When it was last halved.
    as_of: Option<Instant>,
}

impl Usage {
    fn at(self, now: Instant) -> Self {
        let Some(as_of) = self.as_of else { return Self { as_of: Some(now), ..self } };
        let halvings = now.saturating_duration_since(as_of).as_millis() / HALF_LIFE.as_millis();
        let Ok(halvings) = u32::try_from(halvings) else { return Self::default() };
        let half = |time: Duration| {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            Duration::from_micros(micros.checked_shr(halvings).unwrap_or(0))
        };
        if halvings == 0 {
            return self;
        }
        let as_of = as_of.checked_add(HALF_LIFE.saturating_mul(halvings)).unwrap_or(now);
        Self { used: half(self.used), overtime: half(self.overtime), as_of: Some(as_of) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Lane::{Background, Inline};

    struct Test {
        queues: Queues<&'static str>,
        now: Instant,
    }

    impl Test {
        fn of(threads: usize) -> Self {
            Self { queues: Queues::new(threads), now: Instant::now() }
        }

        fn push(&mut self, tenant: &str, lane: Lane, job: &'static str) {
            self.queues.push(account(tenant), lane, job);
        }

        fn next(&mut self) -> Option<(&'static str, Done)> {
            self.queues.next(self.now).map(Next::split)
        }

        /// Does the next job, which takes so many milliseconds.
        fn run(&mut self, millis: u64) -> &'static str {
            let (job, done) = self.next().expect("a job");
            self.pass(millis);
            self.queues.done(done, Duration::from_millis(millis), self.now);
            job
        }

        fn pass(&mut self, millis: u64) {
            self.now += Duration::from_millis(millis);
        }
    }

    fn account(tenant: &str) -> Account {
        Some(tenant.parse().expect("a name"))
    }

    #[test]
    fn the_tenant_that_used_least_lately_is_next() {
        let mut test = Test::of(1);
        for job in ["a1", "a2", "a3"] {
            test.push("a", Inline, job);
        }
        assert_eq!((test.run(5), test.run(5)), ("a1", "a2"));
        for job in ["b1", "b2", "b3"] {
            test.push("b", Inline, job);
        }
        assert_eq!([test.run(6), test.run(6), test.run(1)], ["b1", "b2", "a3"]);
        test.push("a", Inline, "a4");
        assert_eq!(test.run(1), "a4", "11 ms against 12");
        test.push("a", Inline, "a5");
        // When it is forgotten who used what, names decide.
        test.pass(60_000);
        assert_eq!([test.run(2), test.run(1)], ["a5", "b3"]);
    }

    #[test]
    fn a_tenants_inline_jobs_go_before_its_own_background_jobs_only() {
        let mut test = Test::of(1);
        test.push("a", Background, "a-later");
        test.push("a", Inline, "a-now");
        assert_eq!(test.run(50), "a-now");
        test.push("a", Inline, "a-now");
        test.push("b", Background, "b-later");
        assert_eq!([test.run(100), test.run(1), test.run(1)], ["b-later", "a-now", "a-later"]);
        assert!(test.queues.is_empty());
    }

    #[test]
    fn background_jobs_leave_a_thread_free() {
        let mut test = Test::of(2);
        test.push("a", Background, "a1");
        test.push("b", Background, "b1");
        let (job, first) = test.next().expect("a job");
        assert_eq!((job, test.next().is_none()), ("a1", true), "b1 may not take the last thread");
        assert!(test.queues.has_room());
        test.push("a", Inline, "inline");
        assert_eq!(test.run(1), "inline");
        test.queues.done(first, Duration::from_millis(1), test.now);
        assert_eq!(test.run(1), "b1");
    }

    #[test]
    fn who_takes_long_leaves_a_thread_free_and_who_does_not_may_have_all() {
        let mut test = Test::of(2);
        for _ in 0..1000 {
            test.push("short", Inline, "short");
            test.run(3);
        }
        test.push("short", Inline, "one");
        test.push("short", Inline, "two");
        let (first, second) = (test.next().expect("a job").1, test.next().expect("a job").1);
        for done in [first, second] {
            test.queues.done(done, Duration::from_millis(1), test.now);
        }

        test.push("slow", Inline, "slow");
        test.run(13);
        for tenant in ["slow", "slower"] {
            test.push(tenant, Inline, "slow");
            test.push(tenant, Inline, "slow");
        }
        test.queues.accounts.insert(account("slower"), Usage { overtime: OVERTIME_MAX, ..Usage::default() });
        let (_, first) = test.next().expect("the first");
        assert!(test.next().is_none(), "nor for two tenants together");
        test.push("short", Inline, "short");
        assert_eq!(test.run(1), "short");
        test.queues.done(first, Duration::from_millis(20), test.now);
        assert!(test.next().is_some());
    }

    #[test]
    fn what_a_tenant_used_is_forgotten_and_so_is_the_tenant() {
        let mut test = Test::of(1);
        for tenant in 0..10 * ACCOUNTS_KEPT {
            test.push(&format!("t{tenant}"), Inline, "job");
            test.run(1);
            test.pass(1000);
        }
        assert!(test.queues.accounts.len() <= ACCOUNTS_KEPT + 1, "{}", test.queues.accounts.len());
        let used = |millis| Usage { used: Duration::from_millis(millis), as_of: Some(test.now), ..Usage::default() };
        let after = |seconds| used(8).at(test.now + Duration::from_secs(seconds)).used;
        assert_eq!([0, 1, 3, 14, 1 << 40].map(after), [8000, 4000, 1000, 0, 0].map(Duration::from_micros));
    }
}
