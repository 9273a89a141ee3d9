//! Where workers count: the minute under way of each subject, until the store has it.
//!
//! A count takes one lock for less than a microsecond, and there are several of them, so that workers hardly ever meet. What must hold: there
//! are no more subjects at once than `subjects_max`, and as many minutes that wait for the store; what finds no room is counted in its
//! tenant's totals. Nothing that was counted is lost before it is taken.

use super::{Kind, Period, Subject, Tally};
use crate::model::TenantName;
use serde::Deserialize;
use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How many locks there are.
const SHARDS: usize = 16;
/// The largest `subjects_max`.
pub const SUBJECTS_MAX: u64 = 100_000;

/// The bounds of the statistics.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many sources, versions of modules and endpoints are counted separately in one minute, over all tenants: 1 to 100,000. What
    /// comes after that is in its tenant's totals only. Each takes one to twenty kilobytes of memory, by how much its latencies differ, and
    /// twice that when a minute ends. By itself 10,000.
    pub subjects_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { subjects_max: 10_000 }
    }
}

/// What was counted of a subject in one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Whose.
    pub tenant: TenantName,
    /// Of what.
    pub subject: Subject,
    /// In which minute since 1970-01-01T00:00:00Z.
    pub minute: u64,
    /// What.
    pub tally: Tally,
}

/// Counts. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shards: [Mutex<Shard>; SHARDS],
    hashes: RandomState,
    subjects_max: usize,
    /// How many subjects have a minute under way, totals apart.
    subjects: AtomicUsize,
    /// How many minutes that are over wait to be taken.
    waiting: AtomicUsize,
    /// What was counted before this time is in the store; 0 while nothing is known to be.
    kept_until_ms: AtomicU64,
    /// Held while what was taken is not in the store yet.
    keeping: RwLock<()>,
}

type Key = (TenantName, Subject);

#[derive(Debug, Default)]
struct Shard {
    under_way: HashMap<Key, (u64, Tally)>,
    over: Vec<(Key, u64, Tally)>,
}

/// As long as it is held, what was counted is either in the recorder or in the store.
pub type Steady<'a> = RwLockReadGuard<'a, ()>;
/// For whoever takes from the recorder, until that is in the store.
pub type Keeping<'a> = RwLockWriteGuard<'a, ()>;

impl Recorder {
    /// A recorder that has counted nothing.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let inner = Inner {
            shards: Default::default(),
            hashes: RandomState::new(),
            subjects_max: usize::try_from(config.subjects_max).unwrap_or(usize::MAX),
            subjects: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            kept_until_ms: AtomicU64::new(0),
            keeping: RwLock::new(()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Counts something of a subject, as of this moment in milliseconds since 1970-01-01T00:00:00Z.
    pub fn note(&self, tenant: &TenantName, subject: Subject, now_ms: u64, how: impl FnOnce(&mut Tally)) {
        let inner = &*self.inner;
        let mut key = (tenant.clone(), subject);
        let mut shard = inner.shard(&key);
        let has_room =
            is_totals(&key.1) || shard.under_way.contains_key(&key) || reserve(&inner.subjects, inner.subjects_max);
        if !has_room {
            drop(shard);
            key.1 = Subject::All(key.1.kind());
            shard = inner.shard(&key);
        }
        let may_wait = || reserve(&inner.waiting, inner.subjects_max);
        let tally = shard.tally_of(key, Period::minute_of(now_ms), may_wait);
        tally.without_subject = tally.without_subject.saturating_add((!has_room).into());
        how(tally);
    }

    /// What was counted and not taken yet, of those that `wanted` names.
    #[must_use]
    pub fn counted(&self, wanted: impl Fn(&TenantName, &Subject) -> bool) -> Vec<Counted> {
        let mut found = Vec::new();
        self.each(|key, minute, tally| {
            if wanted(&key.0, &key.1) {
                found.push(counted(key.clone(), minute, tally.clone()));
            }
        });
        found
    }

    /// The names of a kind of which something was counted and not taken yet, behind `after`.
    #[must_use]
    pub fn names(&self, tenant: &TenantName, kind: Kind, after: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.each(|(of, subject), _, _| {
            if of == tenant && subject.kind() == kind && subject.name() > after && !found.contains(subject.name()) {
                found.insert(subject.name().to_owned());
            }
        });
        found
    }

    /// What was counted of all of a kind together and not taken yet, minute by minute.
    #[must_use]
    pub fn totals(&self, tenant: &TenantName, kind: Kind) -> Vec<Counted> {
        let mut minutes: BTreeMap<u64, Tally> = BTreeMap::new();
        self.each(|(of, subject), minute, tally| {
            if of == tenant && subject.kind() == kind {
                minutes.entry(minute).or_default().merge(tally);
            }
        });
        let all = (tenant.clone(), Subject::All(kind));
        minutes.into_iter().map(|(minute, tally)| counted(all.clone(), minute, tally)).collect()
    }

    /// Shows what was counted and not taken yet. `see` is called under a lock.
    fn each(&self, mut see: impl FnMut(&Key, u64, &Tally)) {
        for shard in &self.inner.shards {
            let shard = lock(shard);
            shard.over.iter().for_each(|(key, minute, tally)| see(key, *minute, tally));
            shard.under_way.iter().for_each(|(key, (minute, tally))| see(key, *minute, tally));
        }
    }

    /// Takes what is over at this moment; all that there is where it is none. `_keeping` is let go of when that is in the store.
    #[must_use]
    pub fn take(&self, now_ms: Option<u64>, _keeping: &Keeping<'_>) -> Vec<Counted> {
        let inner = &*self.inner;
        let now = now_ms.map(Period::minute_of);
        let mut taken = Vec::new();
        for shard in &inner.shards {
            let mut shard = lock(shard);
            inner.waiting.fetch_sub(shard.over.len(), Ordering::Relaxed);
            let waited = shard.over.drain(..).map(|(key, minute, tally)| counted(key, minute, tally));
            taken.extend(waited);
            let over = shard.under_way.extract_if(|_, (minute, _)| now != Some(*minute));
            let over: Vec<Counted> = over.map(|(key, (minute, tally))| counted(key, minute, tally)).collect();
            let subjects = over.iter().filter(|counted| !is_totals(&counted.subject)).count();
            inner.subjects.fetch_sub(subjects, Ordering::Relaxed);
            taken.extend(over);
        }
        taken
    }

    /// What was counted in minutes that are over at this moment is in the store.
    pub fn kept(&self, now_ms: u64) {
        let until_ms = Period::Minute(Period::minute_of(now_ms)).from_ms();
        self.inner.kept_until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// Until when what was counted is in the store, in milliseconds since 1970-01-01T00:00:00Z; none while it is not known.
    #[must_use]
    pub fn kept_until_ms(&self) -> Option<u64> {
        Some(self.inner.kept_until_ms.load(Ordering::Relaxed)).filter(|until_ms| *until_ms > 0)
    }

    /// Waits until nobody takes.
    pub async fn steady(&self) -> Steady<'_> {
        self.inner.keeping.read().await
    }

    /// Waits until nobody else takes or looks.
    pub async fn keeping(&self) -> Keeping<'_> {
        self.inner.keeping.write().await
    }
}

impl Shard {
    /// Where to count. What was counted in another minute waits to be taken, if it may; otherwise it is counted with what comes: late, but
    /// not lost.
    fn tally_of(&mut self, key: Key, minute: u64, may_wait: impl FnOnce() -> bool) -> &mut Tally {
        let Self { under_way, over } = self;
        match under_way.entry(key) {
            Entry::Vacant(free) => &mut free.insert((minute, Tally::default())).1,
            Entry::Occupied(mut present) => {
                let before = std::mem::replace(&mut present.get_mut().0, minute);
                if before != minute && may_wait() {
                    let tally = std::mem::take(&mut present.get_mut().1);
                    over.push((present.key().clone(), before, tally));
                }
                &mut present.into_mut().1
            }
        }
    }
}

impl Inner {
    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let hash = usize::try_from(self.hashes.hash_one(key) % SHARDS as u64).unwrap_or(0);
        // There are as many as the remainder says.
        let shard = self.shards.get(hash).unwrap_or(&self.shards[0]);
        lock(shard)
    }
}

/// What was counted, and for each tenant, kind and minute of it all of that together.
#[must_use]
pub fn with_totals(counted: Vec<Counted>) -> Vec<Counted> {
    let mut totals: BTreeMap<(TenantName, Kind, u64), Tally> = BTreeMap::new();
    for Counted { tenant, subject, minute, tally } in &counted {
        totals.entry((tenant.clone(), subject.kind(), *minute)).or_default().merge(tally);
    }
    let mut all: Vec<Counted> = counted.into_iter().filter(|counted| !is_totals(&counted.subject)).collect();
    let totals = totals.into_iter().map(|((tenant, kind, minute), tally)| Counted {
        tenant,
        subject: Subject::All(kind),
        minute,
        tally,
    });
    all.extend(totals);
    all
}

const fn is_totals(subject: &Subject) -> bool {
    matches!(subject, Subject::All(_))
}

fn counted((tenant, subject): Key, minute: u64, tally: Tally) -> Counted {
    Counted { tenant, subject, minute, tally }
}

/// Takes one place of so many, if there is one.
fn reserve(taken: &AtomicUsize, most: usize) -> bool {
    let more = |taken: usize| (taken < most).then_some(taken + 1);
    taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // A count that panicked is at worst half a count.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-03-01T12:34:00Z.
    const NOW: u64 = 1_709_296_440_000;
    const MINUTE: u64 = 60_000;

    fn recorder(subjects_max: u64) -> Recorder {
        Recorder::new(&Config { subjects_max })
    }

    fn acme() -> TenantName {
        "acme".parse().unwrap()
    }

    fn endpoint(number: u64) -> Subject {
        Subject::Endpoint(format!("e{number}").parse().unwrap())
    }

    fn note(recorder: &Recorder, number: u64, now_ms: u64) {
        recorder.note(&acme(), endpoint(number), now_ms, |tally| tally.succeeded("delivered", 5));
    }

    async fn take(recorder: &Recorder, now_ms: Option<u64>) -> Vec<(Subject, u64, u64)> {
        let taken = recorder.take(now_ms, &recorder.keeping().await);
        let mut taken: Vec<_> =
            taken.into_iter().map(|one| (one.subject, one.minute * MINUTE, one.tally.succeeded.total())).collect();
        taken.sort();
        taken
    }

    #[tokio::test]
    async fn minutes_that_are_over_are_taken_once_and_the_one_under_way_stays() {
        let recorder = recorder(10);
        for now_ms in [NOW, NOW + 1, NOW + MINUTE] {
            note(&recorder, 1, now_ms);
        }
        note(&recorder, 2, NOW);
        assert_eq!(recorder.counted(|_, subject| *subject == endpoint(1)).len(), 2);
        let over = vec![(endpoint(1), NOW, 2), (endpoint(2), NOW, 1)];
        assert_eq!(take(&recorder, Some(NOW + MINUTE)).await, over);
        assert_eq!(take(&recorder, Some(NOW + MINUTE)).await, vec![]);
        assert_eq!(take(&recorder, None).await, vec![(endpoint(1), NOW + MINUTE, 1)]);
        assert!(recorder.counted(|_, _| true).is_empty());
    }

    #[tokio::test]
    async fn a_clock_that_goes_back_makes_a_minute_of_its_own() {
        let recorder = recorder(10);
        note(&recorder, 1, NOW);
        note(&recorder, 1, 0);
        note(&recorder, 1, u64::MAX);
        let taken = take(&recorder, None).await;
        assert_eq!(taken.iter().map(|(_, _, count)| count).sum::<u64>(), 3);
        assert_eq!(taken.len(), 3);
    }

    #[tokio::test]
    async fn what_finds_no_room_is_in_the_totals_and_says_so() {
        let recorder = recorder(2);
        for number in [1, 2, 3, 4, 1, 3] {
            note(&recorder, number, NOW);
        }
        let counted = recorder.counted(|_, _| true);
        assert_eq!(counted.len(), 3, "two subjects and the totals");
        assert_eq!(recorder.names(&acme(), Kind::Endpoint, "e1"), BTreeSet::from(["e2".to_owned()]));
        let totals = recorder.totals(&acme(), Kind::Endpoint);
        assert_eq!(totals.iter().map(|one| one.tally.succeeded.total()).collect::<Vec<_>>(), [6]);
        let with_totals = with_totals(recorder.take(None, &recorder.keeping().await));
        let totals = with_totals.iter().find(|one| one.subject == Subject::All(Kind::Endpoint)).unwrap();
        assert_eq!((totals.tally.succeeded.total(), totals.tally.without_subject), (6, 3));
        assert_eq!(with_totals.len(), 3);
        // The next minute has room again.
        note(&recorder, 3, NOW + MINUTE);
        assert_eq!(take(&recorder, None).await, vec![(endpoint(3), NOW + MINUTE, 1)]);
    }

    #[tokio::test]
    async fn with_nobody_to_take_memory_is_bounded_and_nothing_lost() {
        let recorder = recorder(3);
        for minute in 0..100 {
            (0..3).for_each(|number| note(&recorder, number, NOW + minute * MINUTE));
        }
        assert!(recorder.counted(|_, _| true).len() <= 6);
        assert_eq!(take(&recorder, None).await.iter().map(|(_, _, count)| count).sum::<u64>(), 300);
        note(&recorder, 9, NOW);
        assert_eq!(take(&recorder, None).await, vec![(endpoint(9), NOW, 1)]);
    }

    #[tokio::test]
    async fn threads_that_count_the_same_lose_nothing() {
        let recorder = recorder(4);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let recorder = &recorder;
                scope.spawn(move || (0..20_000).for_each(|n| note(recorder, n % 8, NOW + thread * MINUTE)));
            }
        });
        let all = with_totals(recorder.take(None, &recorder.keeping().await));
        let totals = all.iter().filter(|one| one.subject == Subject::All(Kind::Endpoint));
        assert_eq!(totals.map(|one| one.tally.succeeded.total()).sum::<u64>(), 80_000);
    }

    #[test]
    fn totals_are_by_tenant_kind_and_minute() {
        let one = |tenant: &str, subject, minute| {
            let mut tally = Tally::default();
            tally.succeeded("x", 1);
            Counted { tenant: tenant.parse().unwrap(), subject, minute, tally }
        };
        let source = Subject::Source("s".parse().unwrap());
        let given = vec![
            one("a", endpoint(1), 1),
            one("a", endpoint(2), 1),
            one("a", endpoint(1), 2),
            one("a", source, 1),
            one("b", endpoint(1), 1),
        ];
        let all = with_totals(given.clone());
        assert_eq!(all[..given.len()], given[..]);
        let totals: Vec<_> = all[given.len()..]
            .iter()
            .map(|one| (one.tenant.as_str(), one.subject.kind(), one.minute, one.tally.succeeded.total()))
            .collect();
        let expected = [
            ("a", Kind::Source, 1, 1),
            ("a", Kind::Endpoint, 1, 2),
            ("a", Kind::Endpoint, 2, 1),
            ("b", Kind::Endpoint, 1, 1),
        ];
        assert_eq!(totals, expected);
    }
}
