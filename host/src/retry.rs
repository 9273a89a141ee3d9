//! When to try again: a schedule of waits, and what a receiver asks for with `Retry-After`.
//!
//! Pure: the time and the randomness are arguments. A wait is never shortened, only drawn out a little, so that a schedule can be read
//! as a promise to the receiver.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// The most waits in a schedule, which is the most attempts of a delivery.
pub const SCHEDULE_WAITS_MAX: usize = 32;
/// The longest wait, in seconds: seven days.
pub const SCHEDULE_WAIT_S_MAX: u32 = 7 * 24 * 60 * 60;
/// The longest `Retry-After` that is followed, in milliseconds: a day. A longer one counts as this.
pub const RETRY_AFTER_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// The most that chance adds to a wait, in per cent of it.
pub const JITTER_PERCENT_MAX: u64 = 10;

/// The example of the Standard Webhooks specification: ten attempts in a little more than three days.
const DEFAULT_S: [u32; 10] = [0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];

/// The waits before attempt 1, 2, 3, …: 1 to [`SCHEDULE_WAITS_MAX`] of them, each at most [`SCHEDULE_WAIT_S_MAX`].
///
/// Written as `{ schedule_s = [0, 5, 300] }`. The default is the example of the Standard Webhooks specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Schedule {
    waits_s: Vec<u32>,
}

/// Why some waits are no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// There are none, or too many.
    #[error("`schedule_s` has {given} waits: give one for each attempt, 1 to {SCHEDULE_WAITS_MAX}")]
    Count {
        /// How many were given.
        given: usize,
    },
    /// One is too long.
    #[error("`schedule_s` has {given} seconds before attempt {attempt}: at most {SCHEDULE_WAIT_S_MAX} (7 days)")]
    TooLong {
        /// Before which attempt, from 1.
        attempt: usize,
        /// How long it was, in seconds.
        given: u32,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    schedule_s: Vec<u32>,
}

impl Schedule {
    /// The schedule with these waits, in seconds.
    ///
    /// # Errors
    /// Where there are none or more than [`SCHEDULE_WAITS_MAX`], or one is longer than [`SCHEDULE_WAIT_S_MAX`].
    pub fn new(waits_s: Vec<u32>) -> Result<Self, InvalidSchedule> {
        if waits_s.is_empty() || waits_s.len() > SCHEDULE_WAITS_MAX {
            return Err(InvalidSchedule::Count { given: waits_s.len() });
        }
        match waits_s.iter().enumerate().find(|(_, wait_s)| **wait_s > SCHEDULE_WAIT_S_MAX) {
            Some((index, given)) => Err(InvalidSchedule::TooLong { attempt: index + 1, given: *given }),
            None => Ok(Self { waits_s }),
        }
    }

    /// The waits, in seconds.
    #[must_use]
    pub fn waits_s(&self) -> &[u32] {
        &self.waits_s
    }

    /// When the next attempt is due, in milliseconds since 1970-01-01T00:00:00Z, where `position` attempts have been made on this
    /// schedule so far; none when they are used up.
    ///
    /// `random` adds 0 to [`JITTER_PERCENT_MAX`] per cent of the wait, evenly: deliveries that failed together come apart, and none
    /// comes earlier than the schedule says. A wait of nothing stays nothing.
    #[must_use]
    pub fn next(&self, position: u32, now_ms: u64, random: u64) -> Option<u64> {
        let wait_s = self.waits_s.get(usize::try_from(position).ok()?)?;
        let wait_ms = u64::from(*wait_s) * 1000;
        let jitter_ms = random % (wait_ms * JITTER_PERCENT_MAX / 100 + 1);
        Some(now_ms.saturating_add(wait_ms + jitter_ms))
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { waits_s: DEFAULT_S.to_vec() }
    }
}

impl TryFrom<Raw> for Schedule {
    type Error = InvalidSchedule;
    fn try_from(raw: Raw) -> Result<Self, InvalidSchedule> {
        Self::new(raw.schedule_s)
    }
}

impl From<Schedule> for Raw {
    fn from(schedule: Schedule) -> Self {
        Self { schedule_s: schedule.waits_s }
    }
}

/// How long a receiver asks to be left alone, in milliseconds from `now_ms`, by its `Retry-After`: seconds, or a date (RFC 9110,
/// section 10.2.3). At most [`RETRY_AFTER_MS_MAX`]; none where the text is neither.
#[must_use]
pub fn retry_after_ms(header: &str, now_ms: u64) -> Option<u64> {
    let header = header.trim();
    let wait_ms = if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // So many digits that they do not fit is long, not wrong.
        header.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000)
    } else {
        http_date_ms(header)?.saturating_sub(now_ms)
    };
    Some(wait_ms.min(RETRY_AFTER_MS_MAX))
}

/// A date in any of the three forms that RFC 9110 (section 5.6.7) has a recipient read, in milliseconds since 1970; none where it is none,
/// or before 1970.
fn http_date_ms(text: &str) -> Option<u64> {
    const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let date = FORMS.iter().find_map(|form| DateTime::strptime(form, text).ok())?;
    // The last hours of the year 9999 are past the last moment there is.
    let timestamp = TimeZone::UTC.to_timestamp(date).unwrap_or(Timestamp::MAX);
    u64::try_from(timestamp.as_millisecond()).ok().filter(|_| date.year() >= 1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_spans_the_three_days_of_the_specification() {
        let schedule = Schedule::default();
        let sum_s: u32 = schedule.waits_s().iter().sum();
        assert_eq!(sum_s, 75 * 3600 + 35 * 60 + 5);
        assert_eq!(Schedule::new(schedule.waits_s().to_vec()), Ok(schedule));
    }

    #[test]
    fn every_position_has_its_wait_and_then_it_is_over() {
        let schedule = Schedule::new(vec![0, 5, 60]).unwrap();
        let due: Vec<_> = (0..5).map(|position| schedule.next(position, 1_000_000, 0)).collect();
        assert_eq!(due, [Some(1_000_000), Some(1_005_000), Some(1_060_000), None, None]);
        assert_eq!(schedule.next(u32::MAX, 0, 0), None);
    }

    #[test]
    fn jitter_is_never_early_and_at_most_a_tenth_late() {
        let schedule = Schedule::new(vec![0, 100]).unwrap();
        for random in [0, 1, 9_999, 10_000, 10_001, u64::MAX, u64::MAX - 1, 0x1234_5678_9abc_def0] {
            assert_eq!(schedule.next(0, 7, random), Some(7));
            let due_ms = schedule.next(1, 7, random).unwrap();
            assert!((100_007..=110_007).contains(&due_ms), "{random}: {due_ms}");
        }
        assert_eq!(schedule.next(1, 7, 10_000), Some(110_007), "the upper bound is reached");
    }

    #[test]
    fn a_time_at_the_end_of_all_time_does_not_overflow() {
        let schedule = Schedule::new(vec![SCHEDULE_WAIT_S_MAX]).unwrap();
        assert_eq!(schedule.next(0, u64::MAX, u64::MAX), Some(u64::MAX));
    }

    #[test]
    fn bounds_are_checked_and_named() {
        assert_eq!(Schedule::new(vec![]), Err(InvalidSchedule::Count { given: 0 }));
        assert!(Schedule::new(vec![0; SCHEDULE_WAITS_MAX]).is_ok());
        let error = Schedule::new(vec![0; SCHEDULE_WAITS_MAX + 1]).unwrap_err();
        assert_eq!(error.to_string(), "`schedule_s` has 33 waits: give one for each attempt, 1 to 32");
        assert!(Schedule::new(vec![SCHEDULE_WAIT_S_MAX]).is_ok());
        let error = Schedule::new(vec![0, SCHEDULE_WAIT_S_MAX + 1]).unwrap_err();
        assert_eq!(error.to_string(), "`schedule_s` has 604801 seconds before attempt 2: at most 604800 (7 days)");
    }

    #[test]
    fn it_is_read_and_written_as_people_write_it() {
        let schedule: Schedule = toml::from_str("schedule_s = [0, 1, 1]").unwrap();
        assert_eq!(schedule.waits_s(), [0, 1, 1]);
        assert_eq!(serde_json::to_string(&schedule).unwrap(), r#"{"schedule_s":[0,1,1]}"#);
        let error = toml::from_str::<Schedule>("schedule_s = [0]\njitter = 1").unwrap_err();
        assert!(error.to_string().contains("unknown field `jitter`"), "{error}");
        assert!(toml::from_str::<Schedule>("schedule_s = []").is_err());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // 1994-11-06T08:49:37Z, the date that RFC 9110 gives as its example.
        let now_ms = 784_111_777_000;
        assert_eq!(retry_after_ms("120", now_ms), Some(120_000));
        assert_eq!(retry_after_ms(" 0 ", now_ms), Some(0));
        assert_eq!(retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", now_ms - 5_000), Some(5_000));
        assert_eq!(retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", now_ms + 5_000), Some(0), "in the past");
        // The obsolete forms of the same moment.
        assert_eq!(retry_after_ms("Sunday, 06-Nov-94 08:49:37 GMT", now_ms - 5_000), Some(5_000));
        assert_eq!(retry_after_ms("Sun Nov  6 08:49:37 1994", now_ms - 5_000), Some(5_000));
        assert_eq!(retry_after_ms("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_799_000), Some(1_000), "a leap day");
        assert_eq!(retry_after_ms("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_199_000), Some(1_000), "after a leap day");
        assert_eq!(retry_after_ms("99999999999999999999999", now_ms), Some(RETRY_AFTER_MS_MAX));
        assert_eq!(retry_after_ms("Fri, 31 Dec 9999 23:59:59 GMT", now_ms), Some(RETRY_AFTER_MS_MAX));
        for nonsense in
            ["", "soon", "-1", "1.5", "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 25:00:00 GMT", "x, 1 Foo 2000 0:0:0 GMT"]
        {
            assert_eq!(retry_after_ms(nonsense, now_ms), None, "{nonsense}");
        }
    }
}
