//! A cron line: minute, hour, day of the month, month, day of the week. What times it means, without a time zone.

use jiff::civil::Date;
use std::str::FromStr;

/// The longest line, in bytes.
const CRON_BYTES_MAX: usize = 200;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// What is wrong with a line, and in which field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidCron {
    /// It has other fields than five.
    #[error(
        "has {count} {}; a cron line has five: minute, hour, day of the month, month, day of the week",
        if *count == 1 { "field" } else { "fields" }
    )]
    Fields {
        /// How many.
        count: usize,
    },
    /// It is a word for a line.
    #[error("is `{given}`, a word that is not known here: write {}", quoted(*line))]
    Word {
        /// What it says.
        given: String,
        /// What it stands for.
        line: Option<&'static str>,
    },
    /// It is too long.
    #[error("is longer than {CRON_BYTES_MAX} bytes")]
    Long,
    /// A field is none.
    #[error(
        "has `{given}` as {field}, which is {least} to {most}{}, a list (`1,2`), a range (`1-5`) or a step (`*/5`, `1-5/2`) of these",
        named(.names)
    )]
    Field {
        /// What it says.
        given: String,
        /// Which.
        field: &'static str,
        /// The least number there.
        least: u8,
        /// The greatest.
        most: u8,
        /// What these are called.
        names: &'static [&'static str],
    },
}

/// What stands for what, as many crons have it.
const WORDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

fn quoted(line: Option<&str>) -> String {
    line.map_or_else(|| "the five fields of a line".to_owned(), |line| format!("`{line}`"))
}

fn named(names: &[&str]) -> String {
    match names {
        [first, .., last] => format!(" (or `{first}` to `{last}`)"),
        _ => String::new(),
    }
}

/// The times that a line means. Each number stands for the numbers whose bits it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether both days have to fit: where one of them is `*`. Otherwise one of the two is enough, as cron has it.
    both_days: bool,
}

/// A field: its name, its bounds, names for its numbers.
struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
}

impl Cron {
    /// Whether it means every hour of its days.
    pub(super) const fn has_every_hour(&self) -> bool {
        self.hours == (1 << 24) - 1
    }

    /// Whether it means anything of this day.
    pub(super) fn has_day(&self, date: Date) -> bool {
        let has = |set: u64, number: i8| u32::try_from(number).is_ok_and(|number| set & (1 << number) != 0);
        let (day, weekday) = (has(self.days, date.day()), has(self.weekdays, date.weekday().to_sunday_zero_offset()));
        has(self.months, date.month()) && if self.both_days { day && weekday } else { day || weekday }
    }

    /// Whether it means this minute of its hours.
    pub(super) fn has_minute(&self, minute: i8) -> bool {
        u32::try_from(minute).is_ok_and(|minute| self.minutes & (1 << minute) != 0)
    }

    /// The times of its days, in order.
    pub(super) fn times(&self) -> impl Iterator<Item = (i8, i8)> + '_ {
        let hours = (0..24).filter(|hour| self.hours & (1 << hour) != 0);
        hours.flat_map(|hour| {
            (0..60).filter(|minute| self.minutes & (1 << minute) != 0).map(move |minute| (hour, minute))
        })
    }
}

impl FromStr for Cron {
    type Err = InvalidCron;
    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        if text.len() > CRON_BYTES_MAX {
            return Err(InvalidCron::Long);
        }
        if text.starts_with('@') {
            let line = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim_end())).map(|(_, line)| *line);
            return Err(InvalidCron::Word { given: text.chars().take(40).collect(), line });
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(InvalidCron::Fields { count: fields.len() });
        };
        let plain = |name, least, most| Field { name, least, most, names: &[] };
        let weekdays = Field { name: "the day of the week", least: 0, most: 7, names: &WEEKDAYS };
        let weekdays = weekdays.read(weekday)?;
        Ok(Self {
            minutes: plain("the minute", 0, 59).read(minute)?,
            hours: plain("the hour", 0, 23).read(hour)?,
            days: plain("the day of the month", 1, 31).read(day)?,
            months: Field { name: "the month", least: 1, most: 12, names: &MONTHS }.read(month)?,
            // Sunday is 0 and 7.
            weekdays: weekdays | weekdays >> 7 & 1,
            both_days: day.starts_with('*') || weekday.starts_with('*'),
        })
    }
}

impl Field {
    fn read(&self, text: &str) -> Result<u64, InvalidCron> {
        let parts = text.split(',').map(|part| self.part(part));
        parts.collect::<Option<Vec<u64>>>().map(|sets| sets.into_iter().fold(0, |all, set| all | set)).ok_or_else(
            || {
                let given = text.chars().take(40).collect();
                InvalidCron::Field { given, field: self.name, least: self.least, most: self.most, names: self.names }
            },
        )
    }

    /// `*`, a number or a range, and perhaps a step.
    fn part(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| (1..=self.most).contains(step))?),
            None => (text, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.least, self.most),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
            // From a number on, where there is a step.
            None if text.contains('/') => (self.number(range)?, self.most),
            None => (self.number(range)?, self.number(range)?),
        };
        if from > to {
            return None;
        }
        Some((from..=to).step_by(usize::from(step)).fold(0, |set, number| set | 1 << number))
    }

    fn number(&self, text: &str) -> Option<u8> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = match named {
            Some(place) => u8::try_from(place).ok()?.checked_add(self.least)?,
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
            None => return None,
        };
        (self.least..=self.most).contains(&number).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn cron(text: &str) -> Cron {
        text.parse().unwrap()
    }

    #[test]
    fn fields_are_numbers_names_lists_ranges_and_steps() {
        let times = |text: &str| cron(text).times().collect::<Vec<_>>();
        assert_eq!(times("5,35 9-11/2 * * *"), [(9, 5), (9, 35), (11, 5), (11, 35)]);
        assert_eq!(times("*/20 3 * * *"), [(3, 0), (3, 20), (3, 40)]);
        assert_eq!(times("50/5 3 * * *"), [(3, 50), (3, 55)]);
        assert!(cron("0 * * * *").has_every_hour() && cron("0 0-23 * * *").has_every_hour());
        assert!(!cron("0 0-22 * * *").has_every_hour());
        // 2026-11-29 is a Sunday.
        for (text, day, expected) in [
            ("0 0 * * *", date(2026, 11, 29), true),
            ("0 0 * * SUN", date(2026, 11, 29), true),
            ("0 0 * * 7", date(2026, 11, 29), true),
            ("0 0 * * fri-7", date(2026, 11, 29), true),
            ("0 0 * * MON-FRI", date(2026, 11, 29), false),
            ("0 0 * * MON-FRI", date(2026, 11, 30), true),
            ("0 0 29 * *", date(2026, 11, 29), true),
            ("0 0 1 * MON", date(2026, 11, 30), true),
            ("0 0 30 * SUN", date(2026, 11, 29), true),
            ("0 0 */2 * SUN", date(2026, 11, 29), true),
            ("0 0 */2 * SUN", date(2026, 11, 30), false),
            ("0 0 29 DEC *", date(2026, 11, 29), false),
            ("0 0 29 jan,nov *", date(2026, 11, 29), true),
        ] {
            assert_eq!(cron(text).has_day(day), expected, "{text} {day}");
        }
    }

    #[test]
    fn what_is_no_line_is_refused_with_its_field() {
        for (text, says) in [
            ("0 9 * *", "has 4 fields"),
            ("0 9 * * * *", "has 6 fields"),
            ("@daily", "is `@daily`, a word that is not known here: write `0 0 * * *`"),
            ("@reboot", "write the five fields"),
            ("daily", "has 1 field;"),
            ("60 9 * * *", "`60` as the minute, which is 0 to 59"),
            ("0 24 * * *", "the hour"),
            ("0 0 0 * *", "the day of the month, which is 1 to 31"),
            ("0 0 * 13 *", "the month"),
            ("0 0 * FEBR *", "the month, which is 1 to 12 (or `JAN` to `DEC`), a list"),
            ("0 0 * * 8", "the day of the week, which is 0 to 7 (or `SUN` to `SAT`), a list"),
            ("5-1 0 * * *", "`5-1`"),
            ("*/0 0 * * *", "`*/0`"),
            ("+5 0 * * *", "`+5`"),
            ("1, 0 * * *", "`1,`"),
            ("0 0 L * *", "`L`"),
            (&"0 ".repeat(200), "longer than 200"),
        ] {
            let refused = text.parse::<Cron>().unwrap_err().to_string();
            assert!(refused.contains(says), "{text}: {refused}");
        }
    }
}
