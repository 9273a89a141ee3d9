//! What is counted of one subject in one stretch of time.

use super::Histogram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many codes are told apart; what comes after that counts as `other`. The host makes no more than these.
const CODES_MAX: usize = 32;
const OTHER: &str = "other";

/// Counts by a stable code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<Box<str>, u64>);

impl Counts {
    /// Counts one.
    pub fn add(&mut self, code: &str) {
        self.add_all(code, 1);
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Each code with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(code, count)| (&**code, *count))
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn merge(&mut self, other: &Self) {
        for (code, count) in other.iter() {
            self.add_all(code, count);
        }
    }

    fn add_all(&mut self, code: &str, count: u64) {
        if let Some(present) = self.0.get_mut(code) {
            *present = present.saturating_add(count);
            return;
        }
        let code = if self.0.len() < CODES_MAX { code } else { OTHER };
        let present = self.0.entry(code.into()).or_default();
        *present = present.saturating_add(count);
    }
}

/// The counts of a source, a module or an endpoint. What does not concern a subject stays empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Requests, calls or attempts that came to what they should, by what that is.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub succeeded: Counts,
    /// The others, by the code of what went wrong.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub failed: Counts,
    /// How long each took.
    #[serde(skip_serializing_if = "is_unused")]
    pub latency: Histogram,
    /// How long a delivery had been due when its attempt began.
    #[serde(skip_serializing_if = "is_unused")]
    pub queue_age: Histogram,
    /// Runs of a source's events, or deliveries to an endpoint, by what they ended as.
    #[serde(skip_serializing_if = "Counts::is_empty")]
    pub ended: Counts,
    /// How many attempts the deliveries that ended had made.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts_of_ended: u64,
    /// The bodies of the events that were accepted, in bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub body_bytes: u64,
    /// How many of these events did not fit the schema of their type.
    #[serde(skip_serializing_if = "is_zero")]
    pub flagged: u64,
    /// How many of these events no route took.
    #[serde(skip_serializing_if = "is_zero")]
    pub unrouted: u64,
    /// In a tenant's totals: how often something was counted here alone, as there was no room for its subject.
    #[serde(skip_serializing_if = "is_zero")]
    pub without_subject: u64,
}

impl Tally {
    /// One request, call or attempt that came to what it should.
    pub fn succeeded(&mut self, what: &str, took_us: u64) {
        self.succeeded.add(what);
        self.latency.record(took_us);
    }

    /// One that did not.
    pub fn failed(&mut self, code: &str, took_us: u64) {
        self.failed.add(code);
        self.latency.record(took_us);
    }

    /// A delivery ended, after so many attempts.
    pub fn ended(&mut self, status: &str, attempts: u32) {
        self.ended.add(status);
        self.attempts_of_ended = self.attempts_of_ended.saturating_add(attempts.into());
    }

    /// Adds all that another one has counted.
    pub fn merge(&mut self, other: &Self) {
        self.succeeded.merge(&other.succeeded);
        self.failed.merge(&other.failed);
        self.latency.merge(&other.latency);
        self.queue_age.merge(&other.queue_age);
        self.ended.merge(&other.ended);
        self.attempts_of_ended = self.attempts_of_ended.saturating_add(other.attempts_of_ended);
        self.body_bytes = self.body_bytes.saturating_add(other.body_bytes);
        self.flagged = self.flagged.saturating_add(other.flagged);
        self.unrouted = self.unrouted.saturating_add(other.unrouted);
        self.without_subject = self.without_subject.saturating_add(other.without_subject);
    }
}

fn is_unused(histogram: &Histogram) -> bool {
    histogram.count() == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_beyond_the_bound_are_counted_together_and_none_is_lost() {
        let (mut counts, mut merged) = (Counts::default(), Counts::default());
        for number in 0..100 {
            counts.add(&format!("code{number}"));
            counts.add("code7");
        }
        merged.merge(&counts);
        merged.merge(&counts);
        assert_eq!((counts.total(), merged.total()), (200, 400));
        assert_eq!(counts.0.len(), CODES_MAX + 1);
        assert_eq!(counts.iter().find(|(code, _)| *code == OTHER), Some((OTHER, 68)));
        assert_eq!(counts.iter().find(|(code, _)| *code == "code7"), Some(("code7", 101)));
    }

    #[test]
    fn merging_adds_every_part_and_what_is_empty_is_not_stored() {
        let mut one = Tally::default();
        one.succeeded("delivered", 1_500);
        one.failed("timeout", 15_000_000);
        one.queue_age.record(7);
        one.ended("delivered", 3);
        one.body_bytes = 10;
        one.flagged = 4;
        one.unrouted = 5;
        one.without_subject = 1;
        let mut two = Tally::default();
        two.merge(&one);
        assert_eq!(two, one);
        two.merge(&one);
        assert_eq!((two.succeeded.total(), two.failed.total(), two.latency.count()), (2, 2, 4));
        assert_eq!((two.queue_age.count(), two.ended.total(), two.attempts_of_ended), (2, 2, 6));
        assert_eq!((two.body_bytes, two.flagged, two.unrouted, two.without_subject), (20, 8, 10, 2));
        let json = serde_json::to_string(&two).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&json).unwrap(), two);
        assert_eq!(serde_json::to_string(&Tally::default()).unwrap(), "{}");
    }
}
