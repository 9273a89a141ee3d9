//! How fast requests come: a bucket of tokens of which each request takes one, filled again at an even rate. Pure: the time comes in.
//!
//! What must hold: in any stretch of time no more are let through than the rate gives, and a burst beside it, and who is refused is told when a
//! token is there.

use crate::config::Rate;

/// A token, in the unit that is counted: at a rate of one a second, one unit comes each nanosecond. So nothing is ever rounded away.
const TOKEN: u64 = 1_000_000_000;
/// How many tokens a bucket may owe: as many as one request may bring events.
const OWED_MAX: u64 = 1_000;

/// What is missing in a bucket. One that is full is as good as none. Times are in nanoseconds since a moment of the caller's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    missing: u64,
    at_ns: u64,
}

impl Bucket {
    /// How long it takes until a token is there, in nanoseconds: 0 where there is one.
    pub(super) fn wait_ns(&mut self, rate: Rate, now_ns: u64) -> u64 {
        self.see(rate, now_ns);
        let lacks = (self.missing + TOKEN).saturating_sub(u64::from(rate.burst) * TOKEN);
        lacks.div_ceil(u64::from(rate.per_s))
    }

    /// Takes so many tokens, also those that are not there: what is owed makes later ones wait.
    pub(super) fn take(&mut self, rate: Rate, count: u32, now_ns: u64) {
        self.see(rate, now_ns);
        self.missing += u64::from(count) * TOKEN;
    }

    /// Whether nothing is missing.
    pub(super) const fn is_full(&self, rate_per_s: u32, now_ns: u64) -> bool {
        self.missing <= now_ns.saturating_sub(self.at_ns).saturating_mul(rate_per_s as u64)
    }

    /// Fills it as far as the time goes. A rate that was changed counts from here on: what is missing is no more than it could be under it.
    fn see(&mut self, rate: Rate, now_ns: u64) {
        let came = now_ns.saturating_sub(self.at_ns).saturating_mul(u64::from(rate.per_s));
        let most = (u64::from(rate.burst) + OWED_MAX) * TOKEN;
        self.missing = self.missing.saturating_sub(came).min(most);
        self.at_ns = self.at_ns.max(now_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn let_through(bucket: &mut Bucket, rate: Rate, tries: usize, now_ns: u64) -> usize {
        let mut through = 0;
        while through < tries && bucket.wait_ns(rate, now_ns) == 0 {
            bucket.take(rate, 1, now_ns);
            through += 1;
        }
        through
    }

    #[test]
    fn a_burst_comes_at_once_and_then_no_more_than_the_rate() {
        let (mut bucket, rate) = (Bucket::default(), Rate { per_s: 3, burst: 5 });
        assert_eq!(let_through(&mut bucket, rate, 100, 0), 5);
        assert_eq!(bucket.wait_ns(rate, 0), S.div_ceil(3));
        assert_eq!(bucket.wait_ns(rate, S / 3), 1, "a nanosecond too early");
        assert_eq!(let_through(&mut bucket, rate, 100, S.div_ceil(3)), 1);
        assert_eq!(let_through(&mut bucket, rate, 100, 2 * S), 5, "it is never fuller than its burst");
        let through: usize = (0..100_000).map(|ms| let_through(&mut bucket, rate, 1, 2 * S + ms * S / 1000)).sum();
        assert_eq!(through, 299, "3 a second for 99.999 seconds, with nothing lost to rounding");
    }

    #[test]
    fn what_is_owed_makes_later_ones_wait() {
        let (mut bucket, rate) = (Bucket::default(), Rate { per_s: 10, burst: 1 });
        bucket.take(rate, 100, 0);
        assert_eq!(bucket.wait_ns(rate, 0), 10 * S);
        assert_eq!(bucket.wait_ns(rate, 10 * S), 0);
        bucket.take(rate, u32::MAX, 10 * S);
        assert_eq!(bucket.wait_ns(rate, 10 * S), 100 * S + S / 10, "nobody owes more than OWED_MAX");
    }

    #[test]
    fn a_changed_rate_counts_at_once_and_a_clock_that_stands_does_no_harm() {
        let mut bucket = Bucket::default();
        let generous = Rate { per_s: 1, burst: 1_000_000 };
        bucket.take(generous, 900_000, S);
        let narrow = Rate { per_s: 100, burst: 100 };
        assert!(bucket.wait_ns(narrow, S) <= (OWED_MAX + 100) * S / 100);
        let mut bucket = Bucket::default();
        bucket.take(narrow, 100, 5 * S);
        assert!(bucket.wait_ns(narrow, 4 * S) > 0 && !bucket.is_full(100, 5 * S) && bucket.is_full(100, 6 * S));
    }
}
