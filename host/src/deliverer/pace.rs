//! How fast an endpoint is sent to: its own limit, less where its receiver has had enough, and back to it by itself. Pure.
//!
//! What must hold: in any stretch of time no more begins than the rate allows, and a burst beside it; before the time that a `Retry-After`
//! names nothing begins; and who has to wait is told the millisecond from which it may go on, so that nobody needs to ask twice.
//!
//! The limit is a generic cell rate algorithm: one number, the time at which the next send would begin at an even pace. What a receiver
//! takes is found as TCP finds it: halved where it says that it has enough, and from there up again by the same step each second.

/// The rates here are in sends per 1,000 seconds.
const MILLI: u64 = 1000;
/// What an even pace may be ahead of itself: a tenth of a second of sends, and always one.
const BURST_US: u64 = 100_000;
/// No throttle goes below this rate: one send a second. What is slower than that is asked for with `Retry-After`.
const THROTTLED_MIN: u64 = MILLI;
/// The rate after which a throttle bounds nothing any more: that of the fastest endpoint there may be.
const THROTTLED_MAX: u64 = 10_000 * MILLI;
/// In so many seconds a throttle's rate grows by what it began with.
const RECOVERY_S: u64 = 60;
/// A throttle grows by at least this much a second.
const STEP_MIN: u64 = MILLI;
/// How long nothing begins after a receiver has had enough without saying for how long, in milliseconds. Doubles with each time in a row.
const PAUSE_MS_MIN: u64 = 1_000;
/// The longest such pause, in milliseconds.
const PAUSE_MS_MAX: u64 = 60_000;
/// The rate at which the deliveries that waited begin to drain.
const DRAIN: u64 = 10 * MILLI;
/// The clock may go back so far, in milliseconds, as threads see it at different moments; further back it was set.
const CLOCK_SLACK_MS: u64 = 1_000;

/// A bound on how many begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rate(u64);

impl Rate {
    /// So many each second.
    pub(super) fn per_s(count: u32) -> Self {
        Self(u64::from(count).saturating_mul(MILLI))
    }

    /// So many each minute, or a little less.
    pub(super) fn per_min(count: u64) -> Self {
        Self((count.saturating_mul(MILLI) / 60).max(1))
    }
}

/// What bounds the sends to an endpoint beyond its own limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// How many may begin in 1,000 seconds now; none where that is no less than the endpoint's own limit.
    pub rate_per_1000_s: Option<u64>,
    /// Nothing begins before this time, in milliseconds since 1970-01-01T00:00:00Z: the receiver has named it, or has had enough.
    pub not_before_ms: Option<u64>,
}

/// The pace of one endpoint. Times are in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// When the next send would begin at an even pace, in microseconds.
    next_us: u64,
    /// Nothing begins before this time.
    not_before_ms: u64,
    throttle: Option<Growing>,
    /// How often in a row the receiver has had enough.
    refusals: u32,
    sent: Sent,
    /// The latest time that was seen.
    seen_ms: u64,
}

/// A rate that grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Growing {
    /// What it was at `since_ms`.
    rate: u64,
    since_ms: u64,
}

/// How much was sent in the present second, and in the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    second: u64,
    count: u64,
    before: u64,
}

impl Pace {
    /// When a send may begin: at `now_ms`, or later. `limit` is the endpoint's own rate; none for no limit.
    pub(super) fn begin_ms(&mut self, limit: Option<Rate>, now_ms: u64) -> u64 {
        self.see(now_ms);
        let at_pace_ms = self.interval_us(limit, now_ms).map_or(0, |interval_us| {
            let ahead_us = BURST_US.saturating_sub(interval_us);
            self.next_us.saturating_sub(ahead_us).div_ceil(1000)
        });
        now_ms.max(at_pace_ms).max(self.not_before_ms)
    }

    /// A send begins.
    pub(super) fn begun(&mut self, limit: Option<Rate>, now_ms: u64) {
        self.see(now_ms);
        self.sent.count_one(now_ms);
        if let Some(interval_us) = self.interval_us(limit, now_ms) {
            self.next_us = self.next_us.max(now_ms.saturating_mul(1000)).saturating_add(interval_us);
        }
    }

    /// A send that began a moment ago counts under this limit, too: it is known since then.
    pub(super) fn begun_under(&mut self, limit: Option<Rate>, now_ms: u64) {
        if let Some(interval_us) = self.interval_us(limit, now_ms) {
            self.next_us = self.next_us.max(now_ms.saturating_mul(1000).saturating_add(interval_us));
        }
    }

    /// The receiver has had enough: of a send that began at `begun_ms`, and until `retry_after_ms` from now where it says so.
    ///
    /// What began before the last time that it said so tells nothing new: a full house is one refusal, not sixteen.
    pub(super) fn refused(&mut self, limit: Option<Rate>, begun_ms: u64, now_ms: u64, retry_after_ms: Option<u64>) {
        self.see(now_ms);
        let asked_ms = now_ms.saturating_add(retry_after_ms.unwrap_or(0));
        self.not_before_ms = self.not_before_ms.max(asked_ms);
        if self.throttle.is_some_and(|throttle| begun_ms < throttle.since_ms) {
            return;
        }
        let present = match self.rate(limit, now_ms) {
            Some(rate) if self.throttle.is_some() => rate,
            rate => rate.unwrap_or(u64::MAX).min(self.sent.per_s(now_ms).saturating_mul(MILLI)),
        };
        self.throttle = Some(Growing { rate: (present / 2).max(THROTTLED_MIN), since_ms: now_ms });
        let pause_ms = PAUSE_MS_MIN.saturating_mul(1 << self.refusals.min(16)).min(PAUSE_MS_MAX);
        self.refusals = self.refusals.saturating_add(1);
        if retry_after_ms.is_none() {
            self.not_before_ms = self.not_before_ms.max(now_ms.saturating_add(pause_ms));
        }
    }

    /// The receiver asks to be left alone for so long.
    pub(super) fn wait(&mut self, retry_after_ms: u64, now_ms: u64) {
        self.see(now_ms);
        self.not_before_ms = self.not_before_ms.max(now_ms.saturating_add(retry_after_ms));
    }

    /// A send got through.
    pub(super) const fn went_through(&mut self) {
        self.refusals = 0;
    }

    /// What has waited begins to drain: slowly at first. What the receiver asked for before that is over.
    pub(super) fn drain(&mut self, now_ms: u64) {
        self.see(now_ms);
        self.refusals = 0;
        self.not_before_ms = 0;
        self.throttle = Some(Growing { rate: DRAIN, since_ms: now_ms });
    }

    /// What bounds it now, beyond the endpoint's own limit. `limit` is that one, or the receiver's.
    pub(super) fn throttle(&self, own: Option<Rate>, limit: Option<Rate>, now_ms: u64) -> Throttle {
        let rate = self.rate(limit, now_ms);
        Throttle {
            rate_per_1000_s: rate.filter(|rate| own.is_none_or(|Rate(own)| *rate < own)),
            not_before_ms: Some(self.not_before_ms).filter(|not_before_ms| *not_before_ms > now_ms),
        }
    }

    /// The time between two sends, in microseconds; none where nothing bounds the rate.
    fn interval_us(&self, limit: Option<Rate>, now_ms: u64) -> Option<u64> {
        self.rate(limit, now_ms).map(|rate| (1_000_000 * MILLI).div_ceil(rate.max(1)))
    }

    fn rate(&self, limit: Option<Rate>, now_ms: u64) -> Option<u64> {
        let limit = limit.map(|Rate(rate)| rate);
        let throttled = self.throttle.map(|throttle| throttle.at(now_ms)).filter(|rate| *rate < THROTTLED_MAX);
        limit.into_iter().chain(throttled).min()
    }

    /// Where the clock was set back, all that is to come moves with it: nothing waits for the time in between to pass again.
    fn see(&mut self, now_ms: u64) {
        if now_ms.saturating_add(CLOCK_SLACK_MS) < self.seen_ms {
            let back_ms = self.seen_ms - now_ms;
            self.next_us = self.next_us.saturating_sub(back_ms.saturating_mul(1000));
            self.not_before_ms = self.not_before_ms.saturating_sub(back_ms);
            if let Some(throttle) = &mut self.throttle {
                throttle.since_ms = throttle.since_ms.saturating_sub(back_ms);
            }
            self.seen_ms = now_ms;
        }
        self.seen_ms = self.seen_ms.max(now_ms);
    }
}

impl Growing {
    fn at(self, now_ms: u64) -> u64 {
        let step = (self.rate / RECOVERY_S).max(STEP_MIN);
        let grown = step.saturating_mul(now_ms.saturating_sub(self.since_ms)) / 1000;
        self.rate.saturating_add(grown)
    }
}

impl Sent {
    fn count_one(&mut self, now_ms: u64) {
        let second = now_ms / 1000;
        if second != self.second {
            let before = if self.second.checked_add(1) == Some(second) { self.count } else { 0 };
            *self = Self { second, count: 0, before };
        }
        self.count = self.count.saturating_add(1);
    }

    /// The larger one of the two, where they are of this moment.
    fn per_s(&self, now_ms: u64) -> u64 {
        match (now_ms / 1000).checked_sub(self.second) {
            Some(0) => self.count.max(self.before),
            Some(1) => self.count,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_674_087_000_000;

    fn per_s(count: u32) -> Option<Rate> {
        Some(Rate::per_s(count))
    }

    /// When sends begin, each as early as it may, until `until_ms`.
    fn begun(pace: &mut Pace, limit: Option<Rate>, from_ms: u64, until_ms: u64) -> Vec<u64> {
        let mut times = Vec::new();
        let mut now_ms = from_ms;
        loop {
            now_ms = pace.begin_ms(limit, now_ms);
            if now_ms >= until_ms {
                return times;
            }
            pace.begun(limit, now_ms);
            times.push(now_ms);
        }
    }

    fn within(times: &[u64], from_ms: u64, until_ms: u64) -> usize {
        times.iter().filter(|at| (from_ms..until_ms).contains(*at)).count()
    }

    #[test]
    fn the_rate_holds_in_every_second_and_is_reached() {
        for limit in [1, 2, 3, 7, 10, 99, 1000, 10_000] {
            let times = begun(&mut Pace::default(), per_s(limit), NOW, NOW + 5_000);
            let burst = (limit / 10).max(1) as usize;
            for from_ms in (NOW..NOW + 4_000).step_by(37) {
                let count = within(&times, from_ms, from_ms + 1_000);
                assert!(count <= limit as usize + burst, "{limit}: {count} in a second");
            }
            assert!(times.len() >= limit as usize * 5, "{limit}: {} in 5 s", times.len());
            assert_eq!(within(&times, NOW, NOW + 1), burst, "{limit}: the burst");
        }
    }

    #[test]
    fn a_rate_per_minute_holds_in_every_minute_from_the_send_that_found_it_out() {
        for count in [1, 7, 60, 100, 6_000] {
            let (mut pace, limit) = (Pace::default(), Some(Rate::per_min(count)));
            pace.begun(None, NOW);
            pace.begun_under(limit, NOW + 5);
            let times = begun(&mut pace, limit, NOW + 5, NOW + 600_000);
            for from_ms in (NOW..NOW + 540_000).step_by(7_001) {
                // A tenth of a second of them may come as a burst.
                assert!(within(&times, from_ms, from_ms + 60_000) as u64 <= count + count / 600 + 1, "{count}");
            }
            assert!(times.len() as u64 >= count * 9, "{count}: {}", times.len());
            assert!(times[0] >= NOW + 5 + 60_000 / count - count / 60, "{count}: {}", times[0] - NOW);
        }
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let mut pace = Pace::default();
        for _ in 0..100_000 {
            assert_eq!(pace.begin_ms(None, NOW), NOW);
            pace.begun(None, NOW);
        }
    }

    #[test]
    fn what_was_saved_up_in_a_pause_is_one_burst() {
        let mut pace = Pace::default();
        begun(&mut pace, per_s(100), NOW, NOW + 1_000);
        let later = begun(&mut pace, per_s(100), NOW + 3_600_000, NOW + 3_601_000);
        assert_eq!(within(&later, NOW + 3_600_000, NOW + 3_600_001), 10);
        assert!(later.len() <= 110);
    }

    #[test]
    fn before_the_time_that_a_receiver_names_nothing_begins() {
        let mut pace = Pace::default();
        pace.begun(None, NOW);
        pace.refused(None, NOW, NOW + 5, Some(60_000));
        assert_eq!(pace.begin_ms(None, NOW + 6), NOW + 60_005);
        // A shorter wish does not shorten it.
        pace.refused(None, NOW + 6, NOW + 7, Some(1_000));
        pace.wait(1_000, NOW + 7);
        assert_eq!(pace.begin_ms(None, NOW + 8), NOW + 60_005);
        pace.wait(120_000, NOW + 8);
        assert_eq!(pace.begin_ms(None, NOW + 8), NOW + 120_008);
        assert_eq!(pace.begin_ms(None, NOW + 120_008), NOW + 120_008);
    }

    #[test]
    fn a_refusal_halves_the_rate_and_it_comes_back_by_itself() {
        let mut pace = Pace::default();
        for n in 0..200 {
            pace.begun(None, NOW + n * 5);
        }
        pace.refused(None, NOW + 990, NOW + 1_000, None);
        let times = begun(&mut pace, None, NOW + 1_000, NOW + 62_000);
        assert_eq!(times[0], NOW + 2_000, "a pause of a second");
        let count = within(&times, NOW + 2_000, NOW + 3_000);
        assert!((100..=115).contains(&count), "half of 200: {count}");
        let count = within(&times, NOW + 61_000, NOW + 62_000);
        assert!((198..=225).contains(&count), "what it was, a minute later: {count}");
    }

    #[test]
    fn a_full_house_is_one_refusal() {
        let refused = |times| {
            let mut pace = Pace::default();
            (0..160).for_each(|n| pace.begun(None, NOW + n));
            (0..times).for_each(|n| pace.refused(None, NOW + n, NOW + 200 + n, None));
            pace
        };
        assert_eq!(refused(1).throttle, refused(16).throttle);
        assert_eq!(refused(16).begin_ms(None, NOW + 300), NOW + 1_200);
    }

    #[test]
    fn refusals_in_a_row_draw_the_pause_out_and_a_success_ends_that() {
        let mut pace = Pace::default();
        let refuse = |pace: &mut Pace, now_ms| {
            pace.begun(None, now_ms);
            pace.refused(None, now_ms, now_ms + 1, None);
            pace.begin_ms(None, now_ms + 1) - now_ms - 1
        };
        let pauses: Vec<_> = (0..9).map(|n| refuse(&mut pace, NOW + n * 100_000)).collect();
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        pace.went_through();
        assert_eq!(refuse(&mut pace, NOW + 1_000_000), 1_000);
    }

    #[test]
    fn a_throttle_goes_no_lower_than_one_a_second_and_bounds_nothing_in_the_end() {
        let mut pace = Pace::default();
        for n in 0..50 {
            pace.begun(None, NOW + n);
            pace.refused(None, NOW + n, NOW + n, Some(0));
        }
        assert_eq!(pace.throttle.unwrap().rate, THROTTLED_MIN);
        let much_later = NOW + 20_000_000;
        assert_eq!(pace.rate(None, much_later), None);
        assert_eq!(pace.rate(per_s(7), much_later), Some(7 * MILLI));
    }

    #[test]
    fn a_throttle_is_told_while_it_bounds_more_than_the_limit_does() {
        let mut pace = Pace::default();
        let own = |count| Some(Rate::per_s(count));
        assert_eq!(pace.throttle(None, None, NOW), Throttle::default());
        assert_eq!(pace.throttle(own(9), own(9), NOW), Throttle::default());
        let allowed = Throttle { rate_per_1000_s: Some(9_000), not_before_ms: None };
        assert_eq!([pace.throttle(None, own(9), NOW), pace.throttle(own(10), own(9), NOW)], [allowed; 2]);
        (0..20).for_each(|n| pace.begun(None, NOW + n));
        pace.refused(None, NOW + 20, NOW + 30, Some(5_000));
        let refused = Throttle { rate_per_1000_s: Some(10_000), not_before_ms: Some(NOW + 5_030) };
        assert_eq!(pace.throttle(None, None, NOW + 30), refused);
        assert_eq!(pace.throttle(own(10), own(10), NOW + 30).rate_per_1000_s, None);
        assert_eq!(
            pace.throttle(None, None, NOW + 5_030),
            Throttle { rate_per_1000_s: Some(15_000), not_before_ms: None }
        );
    }

    #[test]
    fn what_has_waited_drains_slowly_at_first() {
        let mut pace = Pace::default();
        pace.wait(60_000, NOW);
        pace.drain(NOW);
        let times = begun(&mut pace, None, NOW, NOW + 60_000);
        let (first, last) = (within(&times, NOW, NOW + 1_000), within(&times, NOW + 59_000, NOW + 60_000));
        assert!((10..=12).contains(&first) && last > 60, "{first}, {last}");
    }

    #[test]
    fn a_clock_that_is_set_back_delays_nothing() {
        let mut pace = Pace::default();
        begun(&mut pace, per_s(1), NOW, NOW + 10_000);
        pace.refused(per_s(1), NOW + 9_000, NOW + 10_000, Some(5_000));
        let day = 24 * 60 * 60 * 1000;
        assert_eq!(pace.begin_ms(per_s(1), NOW + 10_000 - day), NOW + 15_000 - day);
    }
}
