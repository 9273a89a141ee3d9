//! Which trees there are: one hot tree, and one history tree for each UTC day on which events came in.
//!
//! A record never moves. What belongs to an event (its runs, deliveries, attempts, bodies) lives in the tree of the day that the
//! event's id carries, from the first write on; the hot tree holds what is live, and the configuration. So what a sweep takes lies
//! together, and a tree that is empty goes whole.

use crate::model::EventId;
use std::fmt;
use std::str::FromStr;

/// A day, in milliseconds.
pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// One tree of the store. The hot tree sorts first, then the days from the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TreeId {
    /// Live work and configuration: `hot`.
    Hot,
    /// The events of one day and all that came of them: `h-YYYYMMDD`.
    Day(Day),
}

impl TreeId {
    /// The tree that holds this event.
    pub(super) fn of(event: EventId) -> Self {
        Self::Day(Day::of_ms(event.received_at_ms()))
    }

    /// The trees of the days from the one of `first_ms` to the one of `last_ms`.
    pub(super) fn days(first_ms: u64, last_ms: u64) -> impl DoubleEndedIterator<Item = Self> {
        (Day::of_ms(first_ms).0..=Day::of_ms(last_ms).0).map(|day| Self::Day(Day(day)))
    }
}

impl fmt::Display for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hot => f.write_str("hot"),
            Self::Day(day) => {
                let (year, month, date) = day.calendar();
                write!(f, "h-{year:04}{month:02}{date:02}")
            }
        }
    }
}

/// A name that is not one of a tree of ours: sled has a tree of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotOurs;

impl FromStr for TreeId {
    type Err = NotOurs;
    fn from_str(text: &str) -> Result<Self, NotOurs> {
        if text == "hot" {
            return Ok(Self::Hot);
        }
        let digits = text.strip_prefix("h-").filter(|digits| digits.len() >= 8 && digits.is_ascii()).ok_or(NotOurs)?;
        let (year, month_date) = digits.split_at(digits.len() - 4);
        let (month, date) = month_date.split_at(2);
        let number = |text: &str| text.parse::<u32>().map_err(|_| NotOurs);
        let tree = Self::Day(Day::of_calendar(number(year)?, number(month)?, number(date)?).ok_or(NotOurs)?);
        // One spelling for each day: the 31st of February and `h-+0240101` are none.
        if tree.to_string() == text { Ok(tree) } else { Err(NotOurs) }
    }
}

/// A UTC day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

impl Day {
    /// The day of this moment.
    #[must_use]
    pub const fn of_ms(ms: u64) -> Self {
        Self(ms / DAY_MS)
    }

    /// When it begins, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn begin_ms(self) -> u64 {
        self.0 * DAY_MS
    }

    /// When it ends: the first moment of the next one, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn end_ms(self) -> u64 {
        (self.0 + 1) * DAY_MS
    }

    /// Year, month and date. The year is counted from March here, so that the leap day is a year's last, and in cycles of 400
    /// years, which all have 146,097 days.
    const fn calendar(self) -> (u64, u64, u64) {
        let since_march_of_0 = self.0 + 719_468;
        let (cycle, day) = (since_march_of_0 / 146_097, since_march_of_0 % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let date = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let january_or_february = if month <= 2 { 1 } else { 0 };
        (400 * cycle + year + january_or_february, month, date)
    }

    /// The opposite of [`Day::calendar`]; none before 1970, and for months and dates that no calendar has.
    fn of_calendar(year: u32, month: u32, date: u32) -> Option<Self> {
        if !(1..=12).contains(&month) || !(1..=31).contains(&date) {
            return None;
        }
        let year = u64::from(year).checked_sub(u64::from(month <= 2))?;
        let month_from_march = u64::from((month + 9) % 12);
        let day_of_year = (153 * month_from_march + 2) / 5 + u64::from(date) - 1;
        let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
        days.checked_sub(719_468).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_name_that_reads_back() {
        let named = |ms| TreeId::of(EventId::new(ms, 0)).to_string();
        assert_eq!(named(0), "h-19700101");
        assert_eq!(named(951_782_400_000), "h-20000229");
        assert_eq!(named(1_709_251_199_999), "h-20240229");
        assert_eq!(named(1_709_251_200_000), "h-20240301");
        assert_eq!(named(4_107_542_400_000), "h-21000301");
        for day in (0..100_000).step_by(17) {
            let tree = TreeId::Day(Day(day));
            assert_eq!(tree.to_string().parse(), Ok(tree));
        }
        assert_eq!("hot".parse(), Ok(TreeId::Hot));
        // The last moment that an id can carry.
        let last = TreeId::of(EventId::new((1 << 48) - 1, 0));
        assert_eq!(last.to_string().parse(), Ok(last));
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in ["", "h-", "h-20240230", "h-20241301", "h-+0240101", "h-2024010", "__sled__default", "h-19691231"] {
            assert_eq!(name.parse::<TreeId>(), Err(NotOurs), "{name}");
        }
    }

    #[test]
    fn the_hot_tree_sorts_first_and_days_by_time() {
        assert!(TreeId::Hot < TreeId::Day(Day(0)) && TreeId::Day(Day(1)) < TreeId::Day(Day(2)));
    }
}
