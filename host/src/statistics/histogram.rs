//! A histogram of times: log-linear buckets, kept sparse, so that one costs as much as there are different times in it, and two are merged
//! by adding. Count, sum, sum of squares and maximum are exact, and with them mean and standard deviation; a quantile is off by 1/32 of
//! itself at most.
//!
//! Below 32 µs each microsecond has a bucket of its own. From there on each power of two is cut into 16 of equal width.

use serde::{Deserialize, Serialize};

/// How many buckets a power of two is cut into, as a power of two.
const CUT_BITS: u32 = 4;
const CUT: u64 = 1 << CUT_BITS;
/// The longest time, in microseconds: 50 days. What took longer counts as this.
const TIME_US_MAX: u64 = (1 << 42) - 1;
/// How many buckets there can be.
#[cfg(test)]
const BUCKETS_MAX: usize = 624;

/// Times, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    count: u64,
    sum_us: u128,
    sum_of_squares: u128,
    max_us: u64,
    /// Number and count of each bucket that is not empty, in order.
    buckets: Vec<(u16, u64)>,
}

impl Histogram {
    /// Counts a time. What is longer than 50 days counts as 50 days.
    pub fn record(&mut self, time_us: u64) {
        let time_us = time_us.min(TIME_US_MAX);
        self.count = self.count.saturating_add(1);
        self.sum_us = self.sum_us.saturating_add(time_us.into());
        self.sum_of_squares = self.sum_of_squares.saturating_add(u128::from(time_us) * u128::from(time_us));
        self.max_us = self.max_us.max(time_us);
        self.add(bucket_of(time_us), 1);
    }

    /// Adds all that another one has counted.
    pub fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.sum_of_squares = self.sum_of_squares.saturating_add(other.sum_of_squares);
        self.max_us = self.max_us.max(other.max_us);
        for (bucket, count) in &other.buckets {
            self.add(*bucket, *count);
        }
    }

    /// How many times were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The longest one, in microseconds; 0 where there is none.
    #[must_use]
    pub const fn max_us(&self) -> u64 {
        self.max_us
    }

    /// The mean, in microseconds; none where nothing was counted.
    #[must_use]
    pub fn mean_us(&self) -> Option<f64> {
        (self.count > 0).then(|| float(self.sum_us) / float(self.count.into()))
    }

    /// The standard deviation of all that was counted, in microseconds; none where nothing was.
    #[must_use]
    pub fn deviation_us(&self) -> Option<f64> {
        let mean = self.mean_us()?;
        let variance = float(self.sum_of_squares) / float(self.count.into()) - mean * mean;
        // Where all are the same, rounding may leave less than nothing.
        Some(variance.max(0.0).sqrt())
    }

    /// The time that so many thousandths of all do not exceed, in microseconds, to within 1/32 of it; none where nothing was counted.
    #[must_use]
    pub fn quantile_us(&self, per_mille: u64) -> Option<u64> {
        let rank = u128::from(self.count).saturating_mul(per_mille.into()).div_ceil(1000).max(1);
        let mut seen = 0_u128;
        let reached = self.buckets.iter().find(|(_, count)| {
            seen += u128::from(*count);
            seen >= rank
        });
        // The last bucket's middle may lie beyond what is in it.
        reached.map(|(bucket, _)| middle_of(*bucket).min(self.max_us))
    }

    fn add(&mut self, bucket: u16, count: u64) {
        match self.buckets.binary_search_by_key(&bucket, |(number, _)| *number) {
            Ok(place) => {
                if let Some((_, present)) = self.buckets.get_mut(place) {
                    *present = present.saturating_add(count);
                }
            }
            Err(place) => self.buckets.insert(place, (bucket, count)),
        }
    }
}

/// The bucket of a time of at most [`TIME_US_MAX`].
fn bucket_of(time_us: u64) -> u16 {
    let shift = time_us.checked_ilog2().unwrap_or(0).saturating_sub(CUT_BITS);
    let bucket = u64::from(shift) * CUT + (time_us >> shift);
    // 623 at most.
    u16::try_from(bucket).unwrap_or(u16::MAX)
}

/// A time that is no further from any in the bucket than 1/32 of that one.
fn middle_of(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let shift = (bucket / CUT).saturating_sub(1);
    if shift == 0 {
        return bucket;
    }
    let first = (bucket % CUT + CUT).checked_shl(u32::try_from(shift).unwrap_or(u32::MAX)).unwrap_or(u64::MAX);
    first.saturating_add(1_u64.checked_shl(u32::try_from(shift - 1).unwrap_or(u32::MAX)).unwrap_or(0))
}

#[expect(clippy::cast_precision_loss, reason = "a mean and a deviation are shown with fewer digits than these have")]
const fn float(number: u128) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, the same in each run.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        /// As many small ones as large ones, of any size there is.
        fn time_us(&mut self) -> u64 {
            let bits = self.next() % 43;
            self.next() & ((1 << bits) - 1)
        }
    }

    fn of(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        times.iter().for_each(|time_us| histogram.record(*time_us));
        histogram
    }

    #[test]
    fn quantiles_are_within_their_bound_of_the_exact_ones_and_the_rest_is_exact() {
        let mut random = Random(7);
        for size in [1, 2, 3, 10, 99, 1_000, 20_000] {
            let mut times: Vec<u64> = (0..size).map(|_| random.time_us()).collect();
            let histogram = of(&times);
            times.sort_unstable();
            for per_mille in [1, 500, 950, 990, 999, 1000] {
                let rank = (times.len() * per_mille).div_ceil(1000).max(1);
                let (exact, found) = (times[rank - 1], histogram.quantile_us(per_mille as u64).unwrap());
                assert!(found.abs_diff(exact) <= exact / 32, "{per_mille} of {size}: {found}, not {exact}");
            }
            let mean = times.iter().map(|time| *time as f64).sum::<f64>() / size as f64;
            let variance = times.iter().map(|time| (*time as f64 - mean).powi(2)).sum::<f64>() / size as f64;
            let near = |found: f64, exact: f64| (found - exact).abs() <= exact * 1e-6 + 1e-3;
            assert!(near(histogram.mean_us().unwrap(), mean), "{histogram:?}");
            assert!(near(histogram.deviation_us().unwrap(), variance.sqrt()), "{histogram:?}");
            assert_eq!((histogram.count(), histogram.max_us()), (size, *times.last().unwrap()));
        }
    }

    #[test]
    fn the_order_of_merging_changes_nothing() {
        let mut random = Random(11);
        for _ in 0..50 {
            let parts: Vec<Vec<u64>> =
                (0..5).map(|_| (0..random.next() % 200).map(|_| random.time_us()).collect()).collect();
            let whole = of(&parts.concat());
            let (mut forwards, mut backwards) = (Histogram::default(), Histogram::default());
            parts.iter().for_each(|part| forwards.merge(&of(part)));
            parts.iter().rev().for_each(|part| backwards.merge(&of(part)));
            assert_eq!((&forwards, &backwards), (&whole, &whole));
        }
    }

    #[test]
    fn it_has_so_many_buckets_at_most_and_each_time_has_the_next_or_the_same() {
        let mut last = 0;
        let mut times: Vec<u64> = (0..5_000).collect();
        times.extend((12..42).flat_map(|bits| (1_u64 << bits) - 2..(1 << bits) + 2));
        times.sort_unstable();
        for time_us in times {
            let bucket = bucket_of(time_us);
            assert!(bucket >= last, "{time_us}");
            assert!(middle_of(bucket).abs_diff(time_us) <= time_us / 32, "{time_us}");
            last = bucket;
        }
        assert_eq!(usize::from(bucket_of(TIME_US_MAX)), BUCKETS_MAX - 1);
        let mut all = Histogram::default();
        let mut random = Random(3);
        (0..200_000).for_each(|_| all.record(random.time_us()));
        assert!(all.buckets.len() <= BUCKETS_MAX);
    }

    #[test]
    fn what_is_empty_has_no_mean_and_what_is_too_long_counts_as_the_longest() {
        let empty = Histogram::default();
        assert_eq!((empty.mean_us(), empty.deviation_us(), empty.quantile_us(500)), (None, None, None));
        let long = of(&[u64::MAX; 3]);
        assert_eq!(
            (long.max_us(), long.mean_us(), long.deviation_us()),
            (TIME_US_MAX, Some(TIME_US_MAX as f64), Some(0.0))
        );
        assert_eq!(
            long.quantile_us(990).unwrap().abs_diff(TIME_US_MAX).cmp(&(TIME_US_MAX / 32)),
            std::cmp::Ordering::Less
        );
    }

    #[test]
    fn it_is_stored_and_read_back_with_the_largest_numbers() {
        let histogram = of(&[0, 31, 1_000, u64::MAX, u64::MAX]);
        let json = serde_json::to_vec(&histogram).unwrap();
        assert_eq!(serde_json::from_slice::<Histogram>(&json).unwrap(), histogram);
    }
}
