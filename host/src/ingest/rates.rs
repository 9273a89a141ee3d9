//! The buckets of sources and tenants whose rate is bounded. One belongs to a name: it stays as it is when the configuration changes
//! otherwise.
//!
//! What must hold: there are no more than twice as many as are not full, and some; one that is full is as good as none.

use super::bucket::Bucket;
use super::take::Way;
use crate::config::Rate;
use crate::model::{SourceName, TenantName};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// With fewer than this nobody looks for full ones.
const BUCKETS_MIN: usize = 1_024;

const TENANTS_BOUND: &str = "quotas.events_per_s";

/// All buckets.
#[derive(Debug, Default)]
pub(super) struct Rates {
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    /// By tenant and source, or by tenant alone; with the rate per second that it was last used with.
    by_name: HashMap<(TenantName, Option<SourceName>), (Bucket, u32)>,
    /// When to look for full ones again.
    sweep_at: usize,
}

/// A bound that has no token left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded {
    /// The field that sets it.
    pub(super) bound: &'static str,
    /// What it is.
    pub(super) rate: Rate,
    /// How long until a token is there, in nanoseconds.
    pub(super) wait_ns: u64,
}

/// The bounds of a way in, with their names and whose they are: the source's, or none for the tenant's.
fn bounds(way: &Way) -> impl Iterator<Item = (&'static str, Option<SourceName>, Rate)> + '_ {
    let own = way.source.rate.map(|rate| ("rate_per_s", Some(way.source_name.clone()), rate));
    let tenants = way.quotas.events.map(|rate| (TENANTS_BOUND, None, rate));
    own.into_iter().chain(tenants)
}

impl Rates {
    /// Lets so many events of one request through: they take their tokens of each bound, or none. Where one token is there they are let through
    /// together, and what they take beyond it makes later ones wait.
    pub(super) fn let_through(&self, way: &Way, events: usize, now_ns: u64) -> Result<(), Exceeded> {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        self.look(way, now_ns, |buckets| buckets.take(way, events, now_ns))
    }

    /// Takes so many tokens of each bound, whether they are there or not.
    pub(super) fn owe(&self, way: &Way, events: usize, now_ns: u64) {
        if events > 0 && bounds(way).next().is_some() {
            let mut buckets = self.lock();
            buckets.take(way, u32::try_from(events).unwrap_or(u32::MAX), now_ns);
            buckets.sweep(now_ns);
        }
    }

    /// Lets a request in that has proved nothing yet: it takes its token of the source, which bounds guessing, and none of the tenant. But it is not
    /// looked at where the tenant has none.
    pub(super) fn let_in(&self, way: &Way, now_ns: u64) -> Result<(), Exceeded> {
        self.look(way, now_ns, |buckets| {
            if let Some(rate) = way.source.rate {
                buckets.of(way, Some(way.source_name.clone()), rate).take(rate, 1, now_ns);
            }
        })
    }

    /// Counts a request that was let in, and proves where it comes from, as its tenant's.
    pub(super) fn count(&self, way: &Way, now_ns: u64) -> Result<(), Exceeded> {
        let Some(rate) = way.quotas.events else { return Ok(()) };
        let mut buckets = self.lock();
        let bucket = buckets.of(way, None, rate);
        let wait_ns = bucket.wait_ns(rate, now_ns);
        if wait_ns > 0 {
            return Err(Exceeded { bound: TENANTS_BOUND, rate, wait_ns });
        }
        bucket.take(rate, 1, now_ns);
        Ok(())
    }

    /// Where each bound has a token there, does something.
    fn look(&self, way: &Way, now_ns: u64, then: impl FnOnce(&mut Buckets)) -> Result<(), Exceeded> {
        if bounds(way).next().is_none() {
            return Ok(());
        }
        let mut buckets = self.lock();
        for (bound, source, rate) in bounds(way) {
            let wait_ns = buckets.of(way, source, rate).wait_ns(rate, now_ns);
            if wait_ns > 0 {
                return Err(Exceeded { bound, rate, wait_ns });
            }
        }
        then(&mut buckets);
        buckets.sweep(now_ns);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn of(&mut self, way: &Way, source: Option<SourceName>, rate: Rate) -> &mut Bucket {
        let (bucket, per_s) = self.by_name.entry((way.tenant_name.clone(), source)).or_default();
        *per_s = rate.per_s;
        bucket
    }

    fn take(&mut self, way: &Way, count: u32, now_ns: u64) {
        for (_, source, rate) in bounds(way) {
            self.of(way, source, rate).take(rate, count, now_ns);
        }
    }

    /// Takes out those that are full, now and then.
    fn sweep(&mut self, now_ns: u64) {
        if self.by_name.len() > self.sweep_at.max(BUCKETS_MIN) {
            self.by_name.retain(|_, (bucket, per_s)| !bucket.is_full(*per_s, now_ns));
            self.sweep_at = self.by_name.len().saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Kind, MasterKey, ResourceId, Snapshot, parse};

    const S: u64 = 1_000_000_000;

    fn way(name: &str, source: &str, tenant: &str) -> Way {
        let (key, acme) = (MasterKey::new([0; 32]), "acme".parse::<TenantName>().unwrap());
        let record = |kind, name: &str, json: &str| {
            (
                ResourceId { tenant: Some(acme.clone()), kind, name: name.to_owned() },
                parse(kind, json.as_bytes()).unwrap(),
            )
        };
        let source = format!(r#"{{"verify": {{"scheme": "none"}}{source}}}"#);
        let records = [record(Kind::Tenant, "acme", tenant), record(Kind::Source, name, &source)];
        let snapshot = Snapshot::build(1, records, &key).unwrap();
        Way::to(&snapshot, acme.clone(), name.parse().unwrap()).unwrap()
    }

    const ONE: &str = r#", "rate_per_s": 1"#;
    const TWO: &str = r#"{"quotas": {"events_per_s": 2}}"#;

    #[test]
    fn what_one_bound_refuses_takes_nothing_of_another() {
        let rates = Rates::default();
        assert_eq!(rates.let_through(&way("a", ONE, TWO), 1, 0), Ok(()));
        let refused = rates.let_through(&way("a", ONE, TWO), 1, 0).unwrap_err();
        assert_eq!((refused.bound, refused.wait_ns), ("rate_per_s", S));
        // The tenant's second token is still there, for another source, and then there is none.
        assert_eq!(rates.let_through(&way("b", "", TWO), 1, 0), Ok(()));
        assert_eq!(rates.let_through(&way("b", "", TWO), 1, 0).unwrap_err().bound, "quotas.events_per_s");
        assert_eq!(rates.let_through(&way("c", "", "{}"), 1, 0), Ok(()), "what has no bound is not counted");
    }

    #[test]
    fn many_of_one_request_are_let_through_together_and_owe_the_rest() {
        let rates = Rates::default();
        assert_eq!(rates.let_through(&way("a", "", TWO), 100, 0), Ok(()));
        assert_eq!(rates.let_through(&way("a", "", TWO), 1, 0).unwrap_err().wait_ns, 99 * S / 2);
    }

    #[test]
    fn what_proves_nothing_uses_up_nothing_of_the_tenants() {
        let rates = Rates::default();
        let (here, other) = (way("a", r#", "rate_per_s": 3"#, TWO), way("b", "", TWO));
        for _ in 0..3 {
            assert_eq!(rates.let_in(&here, 0), Ok(()));
        }
        assert_eq!(rates.let_in(&here, 0).unwrap_err().bound, "rate_per_s", "the source's are gone");
        assert_eq!([rates.count(&here, 0), rates.count(&here, 0)], [Ok(()), Ok(())]);
        assert_eq!(rates.count(&here, 0).unwrap_err().bound, "quotas.events_per_s");
        assert_eq!(rates.let_in(&other, 0).unwrap_err().bound, "quotas.events_per_s", "it is not even looked at");
        assert_eq!(rates.let_through(&other, 1, 0).unwrap_err().bound, "quotas.events_per_s");
    }

    #[test]
    fn full_buckets_go() {
        let (rates, mut way) = (Rates::default(), way("a", ONE, "{}"));
        for number in 0..10_000 {
            way.source_name = format!("s{number}").parse().unwrap();
            assert_eq!(rates.let_through(&way, 1, number * S / 10), Ok(()));
        }
        assert!(rates.lock().by_name.len() <= BUCKETS_MIN + 1, "only ten are not full at any time");
    }
}
