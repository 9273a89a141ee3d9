//! Which job is next. Pure: the time comes in.
//!
//! Two rules keep a tenant whose modules burn CPU from slowing others down. The next job is one of the tenant whose jobs have
//! taken the least processor time lately. And one thread, the *quick* one, does no *long* jobs, where there is more than one thread:
//! none of the background lane, which may take long, and none of a tenant whose inline jobs did so lately. So an inline job of
//! another tenant waits for short ones at most; and a tenant whose jobs are short may have all the threads. Of the others the long jobs
//! of one tenant leave one free, where there are several: a run of many calls may take long, and another tenant's need not wait for it.
//!
//! A tenant's own inline jobs go before its background jobs: somebody waits for them. Only processor time counts: a job that waits
//! for a processor which others keep busy is not long for that.

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
    /// How many long jobs of one tenant may run at once, and do.
    long_max: usize,
    long_running: HashMap<Account, usize>,
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
    /// For so many threads beside the quick one.
    pub(super) fn new(others: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            accounts: HashMap::new(),
            long_max: others.saturating_sub(1).max(1),
            long_running: HashMap::new(),
            look_through_at: ACCOUNTS_KEPT,
        }
    }

    /// Queues a job, and says whether it is a long one. Its caller keeps the bounds.
    pub(super) fn push(&mut self, account: Account, lane: Lane, job: T, now: Instant) -> bool {
        let long = lane == Lane::Background || self.usage(&account, now).takes_long();
        let empty = || Waiting { inline: VecDeque::new(), background: VecDeque::new() };
        let waiting = self.waiting.entry(account).or_insert_with(empty);
        match lane {
            Lane::Inline => waiting.inline.push_back(job),
            Lane::Background => waiting.background.push_back(job),
        }
        long
    }

    /// The job to do now, if there is one; for the quick thread one that is not long.
    pub(super) fn next(&mut self, quick: bool, now: Instant) -> Option<Next<T>> {
        let mut best: Option<(Duration, &Account, bool)> = None;
        for (account, waiting) in &self.waiting {
            let usage = self.usage(account, now);
            let long = usage.takes_long() || waiting.inline.is_empty();
            let may = !long || (!quick && self.long_running.get(account).is_none_or(|long| *long < self.long_max));
            if may && best.is_none_or(|(least, ..)| usage.used < least) {
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
        if long {
            *self.long_running.entry(account.clone()).or_default() += 1;
        }
        Some(Next { account, lane, job, long })
    }

    /// A job is over; it took so much processor time.
    pub(super) fn done(&mut self, done: Done, took: Duration, now: Instant) {
        if done.long
            && let Some(running) = self.long_running.get_mut(&done.account)
        {
            *running -= 1;
            if *running == 0 {
                self.long_running.remove(&done.account);
            }
        }
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

    fn usage(&self, account: &Account, now: Instant) -> Usage {
        self.accounts.get(account).map(|usage| usage.at(now)).unwrap_or_default()
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
    fn takes_long(self) -> bool {
        self.overtime >= OVERTIME_MAX
    }

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
        fn new() -> Self {
            Self { queues: Queues::new(2), now: Instant::now() }
        }

        fn push(&mut self, tenant: &str, lane: Lane, job: &'static str) -> bool {
            self.queues.push(account(tenant), lane, job, self.now)
        }

        /// Does the next job, which takes so many milliseconds.
        fn run(&mut self, millis: u64) -> &'static str {
            self.run_on(false, millis).expect("a job")
        }

        /// The same on the quick thread, which may find none.
        fn run_quick(&mut self, millis: u64) -> Option<&'static str> {
            self.run_on(true, millis)
        }

        fn run_on(&mut self, quick: bool, millis: u64) -> Option<&'static str> {
            let (job, done) = self.queues.next(quick, self.now)?.split();
            self.pass(millis);
            self.queues.done(done, Duration::from_millis(millis), self.now);
            Some(job)
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
        let mut test = Test::new();
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
        let mut test = Test::new();
        test.push("a", Background, "a-later");
        test.push("a", Inline, "a-now");
        assert_eq!(test.run(50), "a-now");
        test.push("a", Inline, "a-now");
        test.push("b", Background, "b-later");
        assert_eq!([test.run(100), test.run(1), test.run(1)], ["b-later", "a-now", "a-later"]);
        assert!(test.queues.is_empty());
    }

    #[test]
    fn the_quick_thread_does_no_background_jobs() {
        let mut test = Test::new();
        assert!(test.push("a", Background, "later") && !test.push("b", Inline, "inline"));
        assert_eq!([test.run_quick(1), test.run_quick(1)], [Some("inline"), None]);
        // Nor where the tenant's own inline job is done before it.
        test.push("a", Inline, "inline");
        assert_eq!([test.run_quick(1), test.run_quick(1)], [Some("inline"), None]);
        assert_eq!(test.run(1), "later");
    }

    #[test]
    fn who_takes_long_is_kept_from_the_quick_thread_and_who_does_not_is_not() {
        let mut test = Test::new();
        for _ in 0..1000 {
            assert!(!test.push("short", Inline, "short"));
            test.run(3);
        }
        test.push("slow", Inline, "slow");
        assert_eq!(test.run_quick(13), Some("slow"), "nobody knows it yet");
        assert!(test.push("slow", Inline, "slow"), "but now");
        test.push("short", Inline, "short");
        assert_eq!([test.run_quick(3), test.run_quick(3)], [Some("short"), None]);
        // Some time later it may try again.
        test.pass(1000);
        assert_eq!(test.run_quick(3), Some("slow"));
    }

    #[test]
    fn long_jobs_of_one_tenant_leave_a_thread_to_those_of_another() {
        let mut test = Test::new();
        for job in ["a1", "a2"] {
            test.push("a", Background, job);
        }
        let (job, first) = test.queues.next(false, test.now).expect("a job").split();
        assert_eq!((job, test.queues.next(false, test.now)), ("a1", None));
        test.push("b", Background, "b1");
        assert_eq!(test.run(1000), "b1", "though b has used more by now");
        test.push("a", Inline, "short");
        assert_eq!(test.run(1), "short");
        test.queues.done(first, Duration::ZERO, test.now);
        assert_eq!(test.run(1), "a2");
        assert!(test.queues.long_running.is_empty());
        // Where there is one thread, it does all.
        let mut queues = Queues::new(1);
        queues.push(account("a"), Background, "only", test.now);
        assert!(queues.next(false, test.now).is_some());
    }

    #[test]
    fn what_a_tenant_used_is_forgotten_and_so_is_the_tenant() {
        let mut test = Test::new();
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
