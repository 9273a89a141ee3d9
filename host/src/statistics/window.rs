//! The last minute, hour and day, by the clock. A window holds that many whole minutes (for the day: hours) before the one under way, and the
//! one under way: so it says from when on it counts.

use super::Tally;

/// A minute and an hour, in milliseconds.
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// How many minutes of a subject are kept: those of the last hour.
pub const MINUTES_KEPT: u64 = 61;
/// How many hours are kept: those of the last day.
pub const HOURS_KEPT: u64 = 25;

/// A stretch of time for which something was counted, by its number since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// This minute.
    Minute(u64),
    /// This hour.
    Hour(u64),
}

impl Period {
    /// The minute of this moment, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn minute_of(ms: u64) -> u64 {
        ms / MINUTE_MS
    }

    /// The hour of this minute.
    #[must_use]
    pub const fn hour_of(minute: u64) -> u64 {
        minute / 60
    }

    /// When it began, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_ms(self) -> u64 {
        match self {
            Self::Minute(minute) => minute.saturating_mul(MINUTE_MS),
            Self::Hour(hour) => hour.saturating_mul(HOUR_MS),
        }
    }

    /// Whether it is so long ago that no window has it.
    #[must_use]
    pub const fn is_over(self, now_ms: u64) -> bool {
        match self {
            Self::Minute(minute) => minute.saturating_add(MINUTES_KEPT) <= now_ms / MINUTE_MS,
            Self::Hour(hour) => hour.saturating_add(HOURS_KEPT) <= now_ms / HOUR_MS,
        }
    }
}

/// What was counted from some time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// From when on: milliseconds since 1970-01-01T00:00:00Z.
    pub from_ms: u64,
    /// What was counted.
    pub tally: Tally,
}

/// What was counted lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    now_ms: u64,
    /// In the minute under way and the one before.
    pub last_minute: Window,
    /// In the minute under way and the 60 before.
    pub last_hour: Window,
    /// In the hour under way and the 24 before.
    pub last_day: Window,
}

impl Windows {
    /// Nothing yet, as of this moment.
    #[must_use]
    pub fn at(now_ms: u64) -> Self {
        let back = |length_ms: u64, count: u64| Window {
            from_ms: (now_ms / length_ms).saturating_sub(count) * length_ms,
            tally: Tally::default(),
        };
        Self {
            now_ms,
            last_minute: back(MINUTE_MS, 1),
            last_hour: back(MINUTE_MS, MINUTES_KEPT - 1),
            last_day: back(HOUR_MS, HOURS_KEPT - 1),
        }
    }

    /// Adds what the store has of a period. It has each minute twice: by itself, and in its hour.
    pub fn add_kept(&mut self, period: Period, tally: &Tally) {
        let from_ms = period.from_ms();
        let windows = match period {
            Period::Minute(_) => [Some(&mut self.last_minute), Some(&mut self.last_hour)],
            Period::Hour(_) => [Some(&mut self.last_day), None],
        };
        add(windows.into_iter().flatten(), from_ms, self.now_ms, tally);
    }

    /// Adds what was counted in a minute and is not in the store yet.
    pub fn add_counted(&mut self, minute: u64, tally: &Tally) {
        let windows = [&mut self.last_minute, &mut self.last_hour, &mut self.last_day];
        add(windows.into_iter(), Period::Minute(minute).from_ms(), self.now_ms, tally);
    }
}

/// Adds to those windows that go back so far. What the future holds, after the clock was set back, is in none.
fn add<'a>(windows: impl Iterator<Item = &'a mut Window>, from_ms: u64, now_ms: u64, tally: &Tally) {
    for window in windows.filter(|window| (window.from_ms..=now_ms).contains(&from_ms)) {
        window.tally.merge(tally);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-03-01T12:34:56Z.
    const NOW: u64 = 1_709_296_496_000;
    const MINUTE: u64 = NOW / MINUTE_MS;
    const HOUR: u64 = NOW / HOUR_MS;

    fn one() -> Tally {
        let mut tally = Tally::default();
        tally.succeeded("x", 1);
        tally
    }

    fn counts(windows: &Windows) -> [u64; 3] {
        [&windows.last_minute, &windows.last_hour, &windows.last_day].map(|window| window.tally.succeeded.total())
    }

    #[test]
    fn a_window_has_the_period_under_way_and_as_many_whole_ones_as_its_name_says() {
        let kept = |period| {
            let mut windows = Windows::at(NOW);
            windows.add_kept(period, &one());
            counts(&windows)
        };
        assert_eq!([kept(Period::Minute(MINUTE)), kept(Period::Minute(MINUTE - 1))], [[1, 1, 0]; 2]);
        assert_eq!([kept(Period::Minute(MINUTE - 2)), kept(Period::Minute(MINUTE - 60))], [[0, 1, 0]; 2]);
        assert_eq!([kept(Period::Hour(HOUR)), kept(Period::Hour(HOUR - 24))], [[0, 0, 1]; 2]);
        let none = [
            Period::Minute(MINUTE - 61),
            Period::Minute(MINUTE + 1),
            Period::Hour(HOUR - 25),
            Period::Hour(HOUR + 1),
            Period::Minute(0),
            Period::Hour(u64::MAX),
        ];
        assert_eq!(none.map(kept), [[0; 3]; 6]);
        let windows = Windows::at(NOW);
        assert_eq!(windows.last_minute.from_ms, (MINUTE - 1) * MINUTE_MS);
        assert_eq!(
            (windows.last_hour.from_ms, windows.last_day.from_ms),
            ((MINUTE - 60) * MINUTE_MS, (HOUR - 24) * HOUR_MS)
        );
    }

    #[test]
    fn what_is_not_stored_yet_is_in_every_window() {
        let counted = |minute| {
            let mut windows = Windows::at(NOW);
            windows.add_counted(minute, &one());
            counts(&windows)
        };
        assert_eq!(counted(MINUTE), [1, 1, 1]);
        assert_eq!(counted(MINUTE - 2), [0, 1, 1]);
        assert_eq!(counted(MINUTE - 61), [0, 0, 1]);
        assert_eq!(counted(MINUTE + 1), [0, 0, 0]);
    }

    #[test]
    fn a_period_is_over_when_no_window_has_it_and_any_clock_will_do() {
        assert!(!Period::Minute(MINUTE - 60).is_over(NOW) && Period::Minute(MINUTE - 61).is_over(NOW));
        assert!(!Period::Hour(HOUR - 24).is_over(NOW) && Period::Hour(HOUR - 25).is_over(NOW));
        assert!(!Period::Minute(u64::MAX).is_over(NOW));
        for now_ms in [0, 1, MINUTE_MS, u64::MAX] {
            let mut windows = Windows::at(now_ms);
            windows.add_counted(Period::minute_of(now_ms), &one());
            assert_eq!(counts(&windows), [1, 1, 1], "{now_ms}");
        }
    }
}
