//! A source that makes its events by itself: when, as a cron line in a time zone, and what of those that were missed. It is told the time.
//!
//! - A line that means every hour goes by time that passes: it ticks in both hours where the clocks go back, and not in the hour that is
//!   left out where they go forward.
//! - Any other goes by what the clocks show: a time that is there twice counts the first time, and one that is left out is as much
//!   later as the clocks went forward. So nothing of a day is lost, nor made twice.

use super::cron::Cron;
use super::snapshot::Invalid;
use crate::model::Digest;
use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// The longest payload, in bytes of JSON.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// A tick that is made no later than this after its time is on time, in milliseconds.
const ON_TIME_MS: u64 = 60_000;
/// How many missed ticks are made up for at once.
const MISSED_MAX: usize = 100;
/// How many days ahead a next tick is looked for: the rarest, the 29th of February, may be eight years away.
const DAYS_AHEAD_MAX: u32 = 366 * 9;

/// When a source makes events, and what they say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// Minute, hour, day of the month, month, day of the week: `0 9 * * MON-FRI`.
    pub cron: String,
    /// Where these are meant, as the IANA names it. By itself `UTC`.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// What kind of events they are.
    pub event_type: String,
    /// Any JSON, at most 64 KiB: the event's `payload`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
    /// What becomes of ticks whose time has passed while the host did not run.
    #[serde(default)]
    pub missed: Missed,
}

/// What becomes of ticks whose time has passed while the host did not run, or its clock was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// Nothing.
    Skip,
    /// The last of them is made.
    #[default]
    Once,
    /// All are made, the last 100 at most.
    All,
}

/// A schedule, ready for use.
#[derive(Debug)]
pub struct Schedule {
    cron: Cron,
    time_zone: TimeZone,
    missed: Missed,
    /// What kind of events it makes.
    pub event_type: String,
    payload: Value,
    /// Tells when it was changed.
    pub digest: Digest,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl Schedule {
    pub(super) fn resolve(spec: &ScheduleSpec, disabled: bool) -> Result<Self, Invalid> {
        let cron: Cron = spec
            .cron
            .parse()
            .map_err(|error: super::cron::InvalidCron| Invalid::new("/schedule/cron", error.to_string()))?;
        let time_zone = TimeZone::get(&spec.time_zone).map_err(|_| {
            let given: String = spec.time_zone.chars().take(40).collect();
            let message = format!("`{given}` is no time zone: use a name of the IANA's, as `Europe/Berlin`");
            Invalid::new("/schedule/time_zone", message)
        })?;
        super::resolve::check_event_type("/schedule/event_type", &spec.event_type)?;
        let bytes = spec.payload.to_string().len();
        if bytes > PAYLOAD_BYTES_MAX {
            let message = format!("has {bytes} bytes; at most {PAYLOAD_BYTES_MAX} are allowed");
            return Err(Invalid::new("/schedule/payload", message));
        }
        let digest = Digest::of(json!([spec.cron, spec.time_zone, disabled]).to_string().as_bytes());
        let (missed, event_type, payload) = (spec.missed, spec.event_type.clone(), spec.payload.clone());
        let schedule = Self { cron, time_zone, missed, event_type, payload, digest };
        match schedule.next(0) {
            Some(_) => Ok(schedule),
            None => Err(Invalid::new("/schedule/cron", "means a day that no month has")),
        }
    }

    /// The first tick after this time, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn next(&self, after_ms: u64) -> Option<u64> {
        if self.cron.has_every_hour() { self.next_by_time(after_ms) } else { self.next_by_clocks(after_ms) }
    }

    /// Whether this is one of its ticks.
    #[must_use]
    pub fn is_tick(&self, at_ms: u64) -> bool {
        at_ms > 0 && self.next(at_ms - 1) == Some(at_ms)
    }

    /// The ticks to make now, where `last_ms` is the last one that was made or passed over, in their order.
    #[must_use]
    pub fn due(&self, last_ms: u64, now_ms: u64) -> Vec<u64> {
        let most = if self.missed == Missed::All { MISSED_MAX } else { 1 };
        let mut ticks = Vec::from(self.last_ticks(last_ms, now_ms, most));
        if self.missed == Missed::Skip {
            ticks.retain(|tick| now_ms.saturating_sub(*tick) <= ON_TIME_MS);
        }
        ticks
    }

    /// The body of a tick's event.
    #[must_use]
    pub fn body(&self, tick_ms: u64) -> Bytes {
        let at = timestamp(tick_ms).map(|at| at.display_with_offset(self.time_zone.to_offset(at)).to_string());
        let mut body = json!({ "scheduled_at": at, "scheduled_at_ms": tick_ms });
        if let (Some(members), false) = (body.as_object_mut(), self.payload.is_null()) {
            members.insert("payload".to_owned(), self.payload.clone());
        }
        Bytes::from(body.to_string())
    }

    /// The last ticks after one time up to another one, at most so many: looked for near the end first, for there may be very many.
    fn last_ticks(&self, after_ms: u64, until_ms: u64, most: usize) -> VecDeque<u64> {
        let mut ticks = VecDeque::new();
        for reach_ms in [DAY_MS / 24, DAY_MS, 32 * DAY_MS, 367 * DAY_MS, u64::MAX] {
            let from_ms = after_ms.max(until_ms.saturating_sub(reach_ms));
            ticks.clear();
            let mut at_ms = from_ms;
            while let Some(tick) = self.next(at_ms).filter(|tick| *tick <= until_ms) {
                ticks.push_back(tick);
                if ticks.len() > most {
                    ticks.pop_front();
                }
                at_ms = tick;
            }
            if ticks.len() >= most || from_ms == after_ms {
                break;
            }
        }
        ticks
    }

    /// Minute by minute, as time passes.
    fn next_by_time(&self, after_ms: u64) -> Option<u64> {
        let mut at_ms = (after_ms / MINUTE_MS + 1) * MINUTE_MS;
        let mut days_left = DAYS_AHEAD_MAX;
        while days_left > 0 {
            let local = self.time_zone.to_datetime(timestamp(at_ms)?);
            if !self.cron.has_day(local.date()) {
                days_left -= 1;
                at_ms = self.instant(local.date().tomorrow().ok()?, (0, 0))?.max(at_ms + MINUTE_MS);
                continue;
            }
            if self.cron.has_minute(local.minute()) {
                return Some(at_ms);
            }
            at_ms += MINUTE_MS;
        }
        None
    }

    /// Day by day, as the clocks show.
    fn next_by_clocks(&self, after_ms: u64) -> Option<u64> {
        // A time that is left out may come behind one that follows it: where the day's last hour is left out, on the next day.
        let mut date = self.time_zone.to_datetime(timestamp(after_ms)?).date().yesterday().ok()?;
        let mut found: Option<u64> = None;
        for _ in 0..DAYS_AHEAD_MAX {
            let times = self.cron.has_day(date).then(|| self.cron.times()).into_iter().flatten();
            let instants = times.filter_map(|time| self.instant(date, time));
            let first = instants.filter(|instant| *instant > after_ms).min();
            if let Some(found) = found {
                return Some(first.map_or(found, |first| first.min(found)));
            }
            found = first;
            date = date.tomorrow().ok()?;
        }
        found
    }

    /// When the clocks show this: the first time where twice, later where never.
    fn instant(&self, date: Date, (hour, minute): (i8, i8)) -> Option<u64> {
        let local = date.to_datetime(Time::new(hour, minute, 0, 0).ok()?);
        let at = self.time_zone.to_ambiguous_timestamp(local).compatible().ok()?;
        u64::try_from(at.as_millisecond()).ok()
    }
}

fn timestamp(ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, time_zone: &str, missed: Missed) -> Schedule {
        let spec = ScheduleSpec {
            cron: cron.to_owned(),
            time_zone: time_zone.to_owned(),
            event_type: "tick".to_owned(),
            payload: json!({ "a": 1 }),
            missed,
        };
        Schedule::resolve(&spec, false).unwrap()
    }

    fn ms(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
    }

    /// The ticks from a time on, in UTC.
    fn ticks(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let mut at = ms(from) - 1;
        std::iter::repeat_with(|| {
            at = schedule.next(at).unwrap();
            timestamp(at).unwrap().to_string()
        })
        .take(count)
        .collect()
    }

    #[test]
    fn a_tick_is_what_the_clocks_show_in_its_time_zone() {
        let berlin = schedule("0 9 * * MON-FRI", "Europe/Berlin", Missed::Once);
        // 2026-10-25 is the Sunday on which the clocks go back.
        assert_eq!(
            ticks(&berlin, "2026-10-22T07:00:00Z", 4),
            ["2026-10-22T07:00:00Z", "2026-10-23T07:00:00Z", "2026-10-26T08:00:00Z", "2026-10-27T08:00:00Z"]
        );
        assert_eq!(
            ticks(&schedule("30 23 28 2 *", "UTC", Missed::Once), "2026-03-01T00:00:00Z", 1),
            ["2027-02-28T23:30:00Z"]
        );
        assert_eq!(
            ticks(&schedule("0 0 29 2 *", "UTC", Missed::Once), "2096-03-01T00:00:00Z", 1),
            ["2104-02-29T00:00:00Z"]
        );
        // Its offset has half an hour.
        assert_eq!(
            ticks(&schedule("0 9 * * *", "Asia/Kolkata", Missed::Once), "2026-01-01T00:00:00Z", 1),
            ["2026-01-01T03:30:00Z"]
        );
    }

    #[test]
    fn what_the_last_hour_of_a_day_leaves_out_comes_on_the_next() {
        // 2027-03-27 23:00 is followed by 2027-03-28 00:00 in Nuuk, whose time is two hours behind, and one from then on.
        let nuuk = |cron| schedule(cron, "America/Nuuk", Missed::Once);
        assert_eq!(
            ticks(&nuuk("15,45 23 * * *"), "2027-03-27T02:00:00Z", 4),
            ["2027-03-28T01:15:00Z", "2027-03-28T01:45:00Z", "2027-03-29T00:15:00Z", "2027-03-29T00:45:00Z"]
        );
        // In between somebody asks, and on both sides there are others.
        assert_eq!(ticks(&nuuk("45 23 * * *"), "2027-03-28T01:30:00Z", 1), ["2027-03-28T01:45:00Z"]);
        assert_eq!(
            ticks(&nuuk("30 0,23 * * *"), "2027-03-27T03:00:00Z", 3),
            ["2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z", "2027-03-29T01:30:00Z"]
        );
    }

    #[test]
    fn where_the_clocks_go_forward_nothing_of_the_day_is_lost() {
        // 2027-03-28 02:00 is followed by 03:00 in Berlin.
        let daily = schedule("30 2 * * *", "Europe/Berlin", Missed::Once);
        assert_eq!(
            ticks(&daily, "2027-03-27T00:00:00Z", 3),
            ["2027-03-27T01:30:00Z", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"]
        );
        // Both mean the same time on that day.
        let both = schedule("0 2,3 * * *", "Europe/Berlin", Missed::Once);
        assert_eq!(ticks(&both, "2027-03-28T00:00:00Z", 2), ["2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"]);
        let hourly = schedule("0 * * * *", "Europe/Berlin", Missed::Once);
        assert_eq!(
            ticks(&hourly, "2027-03-28T00:00:00Z", 3),
            ["2027-03-28T00:00:00Z", "2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z"]
        );
    }

    #[test]
    fn where_the_clocks_go_back_nothing_is_made_twice_but_what_goes_by_time() {
        // 2026-10-25 03:00 is followed by 02:00 in Berlin.
        let daily = schedule("30 2 * * *", "Europe/Berlin", Missed::Once);
        assert_eq!(ticks(&daily, "2026-10-25T00:00:00Z", 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let half_hourly = schedule("*/30 * * * *", "Europe/Berlin", Missed::Once);
        assert_eq!(
            ticks(&half_hourly, "2026-10-25T00:00:00Z", 5),
            [
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z"
            ]
        );
        // In Havana midnight itself is left out in spring.
        let havana = schedule("15 * 8 3 *", "America/Havana", Missed::Once);
        assert_eq!(ticks(&havana, "2026-03-08T05:00:00Z", 1), ["2026-03-08T05:15:00Z"]);
    }

    #[test]
    fn what_was_missed_is_made_up_for_as_it_says() {
        let due = |missed, cron: &str, last: &str, now: &str| {
            let due = schedule(cron, "UTC", missed).due(ms(last), ms(now));
            due.into_iter().map(|tick| timestamp(tick).unwrap().to_string()).collect::<Vec<_>>()
        };
        let (last, now) = ("2026-01-01T09:00:00Z", "2026-01-04T12:00:00Z");
        assert_eq!(due(Missed::Skip, "0 9 * * *", last, now), [""; 0]);
        assert_eq!(due(Missed::Once, "0 9 * * *", last, now), ["2026-01-04T09:00:00Z"]);
        assert_eq!(
            due(Missed::All, "0 9 * * *", last, now),
            ["2026-01-02T09:00:00Z", "2026-01-03T09:00:00Z", "2026-01-04T09:00:00Z"]
        );
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            assert_eq!(due(missed, "0 9 * * *", last, "2026-01-02T08:59:59Z"), [""; 0]);
            assert_eq!(due(missed, "0 9 * * *", last, "2026-01-02T09:00:59Z"), ["2026-01-02T09:00:00Z"]);
            // A clock that goes back makes nothing again.
            assert_eq!(due(missed, "0 9 * * *", last, "2025-06-01T09:00:00Z"), [""; 0]);
        }
        // Ten years of minutes: the last ones, at once.
        let all = due(Missed::All, "* * * * *", "2016-01-01T00:00:00Z", now);
        assert_eq!((all.len(), all[0].as_str(), all[99].as_str()), (100, "2026-01-04T10:21:00Z", now));
        assert_eq!(due(Missed::Once, "0 0 1 1 *", "1990-01-01T00:00:00Z", now), ["2026-01-01T00:00:00Z"]);
    }

    #[test]
    fn an_event_says_when_it_was_to_be() {
        let body = schedule("0 9 * * *", "Europe/Berlin", Missed::Once).body(ms("2026-07-01T07:00:00Z"));
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            json!({ "scheduled_at": "2026-07-01T09:00:00+02:00", "scheduled_at_ms": 1_782_889_200_000_u64, "payload": { "a": 1 } })
        );
    }

    #[test]
    fn what_does_not_hold_together_is_refused_with_its_place() {
        let good = json!({ "cron": "0 9 * * *", "event_type": "t" });
        let with = |name: &str, value: Value| {
            let mut spec = good.clone();
            spec[name] = value;
            let spec: ScheduleSpec = serde_json::from_value(spec).unwrap();
            Schedule::resolve(&spec, false).err().map(|invalid| invalid.pointer)
        };
        for (name, value, pointer) in [
            ("cron", json!("0 9 * *"), "/schedule/cron"),
            ("cron", json!("0 0 30 2 *"), "/schedule/cron"),
            ("cron", json!("* * 31 4 *"), "/schedule/cron"),
            ("time_zone", json!("Berlin"), "/schedule/time_zone"),
            ("event_type", json!("a b"), "/schedule/event_type"),
            ("payload", json!("x".repeat(65_536)), "/schedule/payload"),
        ] {
            assert_eq!(with(name, value.clone()).as_deref(), Some(pointer), "{name} {value}");
        }
        assert_eq!(with("time_zone", json!("America/Argentina/Ushuaia")), None);
    }
}
