//! How what was counted is shown. Where nothing happened a rate or a time is `null`, not 0.

use super::Series;
use super::gather::Gathered;
use crate::statistics::{Counts, Histogram, Kind, Tally, Window};
use crate::store::Queue;
use serde_json::{Map, Value, json};

/// The last minute, hour and day.
pub(super) fn windows(kind: Kind, found: &Gathered) -> Map<String, Value> {
    let windows = found.windows();
    let named =
        [("last_minute", windows.last_minute), ("last_hour", windows.last_hour), ("last_day", windows.last_day)];
    let shown = |Window { from_ms, tally }| of_period(kind, from_ms, &tally);
    named.into_iter().map(|(name, window)| (name.to_owned(), shown(window))).collect()
}

/// The minutes or hours in which anything was counted.
pub(super) fn series(kind: Kind, found: &Gathered, wanted: Series) -> Value {
    let periods = found.periods(wanted == Series::Hour);
    periods.into_iter().map(|(period, tally)| of_period(kind, period.from_ms(), &tally)).collect()
}

/// What waits at an endpoint now.
pub(super) fn pending(queue: &Queue, now_ms: u64) -> Value {
    json!({
        "pending": queue.pending,
        "pending_is_at_least": queue.more,
        "oldest_pending_age_ms": queue.oldest_received_at_ms.map(|received_at_ms| now_ms.saturating_sub(received_at_ms)),
    })
}

/// What was counted from `from_ms` on.
fn of_period(kind: Kind, from_ms: u64, tally: &Tally) -> Value {
    let (succeeded, failed) = (tally.succeeded.total(), tally.failed.total());
    let total = succeeded.saturating_add(failed);
    let mut document = Map::from_iter([("from_ms".to_owned(), Value::from(from_ms))]);
    let mut add = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
    add(
        match kind {
            Kind::Source => "requests",
            Kind::Module => "calls",
            Kind::Endpoint => "attempts",
        },
        total.into(),
    );
    add("outcomes", tally.succeeded.iter().chain(tally.failed.iter()).collect::<Counted>().0);
    add("success_rate", ratio(succeeded, total));
    add("latency", times(&tally.latency));
    match kind {
        Kind::Source => {
            add("runs", by_code(&tally.ended));
            add("accepted_body_bytes", tally.body_bytes.into());
            add("flagged", tally.flagged.into());
            add("unrouted", tally.unrouted.into());
        }
        Kind::Module => {}
        Kind::Endpoint => {
            add("deliveries", by_code(&tally.ended));
            add("attempts_per_delivery", ratio(tally.attempts_of_ended, tally.ended.total()));
            add("queue_age", times(&tally.queue_age));
        }
    }
    if tally.without_subject > 0 {
        add("counted_in_totals_only", tally.without_subject.into());
    }
    document.into()
}

/// Counts by code, as an object.
struct Counted(Value);

impl<'a> FromIterator<(&'a str, u64)> for Counted {
    fn from_iter<T: IntoIterator<Item = (&'a str, u64)>>(counts: T) -> Self {
        Self(counts.into_iter().map(|(code, count)| (code.to_owned(), Value::from(count))).collect())
    }
}

fn by_code(counts: &Counts) -> Value {
    counts.iter().collect::<Counted>().0
}

/// Times in milliseconds, with the microseconds behind the point.
fn times(histogram: &Histogram) -> Value {
    let quantile = |per_mille| histogram.quantile_us(per_mille).map(in_ms);
    let (mean, deviation) = (histogram.mean_us(), histogram.deviation_us());
    json!({
        "mean_ms": mean.map(|us| rounded(us / 1000.0)),
        "stddev_ms": deviation.map(|us| rounded(us / 1000.0)),
        "p50_ms": quantile(500),
        "p95_ms": quantile(950),
        "p99_ms": quantile(990),
        "max_ms": (histogram.count() > 0).then(|| in_ms(histogram.max_us())),
    })
}

fn ratio(part: u64, whole: u64) -> Value {
    if whole == 0 { Value::Null } else { rounded(float(part) / float(whole)).into() }
}

fn in_ms(us: u64) -> f64 {
    rounded(float(us) / 1000.0)
}

/// To a thousandth: what lies behind it is nobody's business.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with fewer digits than these have")]
const fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        let mut tally = Tally::default();
        for ms in [10, 20, 30] {
            tally.succeeded("delivered", ms * 1000);
        }
        tally.failed("timeout", 1_000_000);
        tally.queue_age.record(2_000);
        tally.ended("delivered", 1);
        tally.ended("dead", 4);
        tally.body_bytes = 9;
        tally
    }

    #[test]
    fn each_kind_is_shown_with_what_concerns_it() {
        let shown = |kind| of_period(kind, 60_000, &tally());
        let times = json!({
            "mean_ms": 265.0, "stddev_ms": 424.411, "p50_ms": 19.968, "p95_ms": 999.424, "p99_ms": 999.424, "max_ms": 1000.0,
        });
        let outcomes = json!({ "delivered": 3, "timeout": 1 });
        let module = json!({
            "from_ms": 60_000, "calls": 4, "outcomes": outcomes, "success_rate": 0.75, "latency": times,
        });
        assert_eq!(shown(Kind::Module), module);
        let source = shown(Kind::Source);
        assert_eq!((&source["requests"], &source["accepted_body_bytes"]), (&json!(4), &json!(9)));
        assert_eq!(source["runs"], json!({ "delivered": 1, "dead": 1 }));
        let endpoint = shown(Kind::Endpoint);
        assert_eq!((&endpoint["attempts"], &endpoint["attempts_per_delivery"]), (&json!(4), &json!(2.5)));
        assert_eq!(endpoint["queue_age"]["max_ms"], json!(2.0));
        assert_eq!(endpoint.get("counted_in_totals_only"), None);
    }

    #[test]
    fn where_nothing_happened_nothing_is_claimed() {
        let endpoint = of_period(Kind::Endpoint, 0, &Tally::default());
        let times = json!({
            "mean_ms": null, "stddev_ms": null, "p50_ms": null, "p95_ms": null, "p99_ms": null, "max_ms": null,
        });
        let expected = json!({
            "from_ms": 0, "attempts": 0, "outcomes": {}, "success_rate": null, "latency": times, "deliveries": {},
            "attempts_per_delivery": null, "queue_age": times,
        });
        assert_eq!(endpoint, expected);
        let queue = Queue { pending: 0, more: false, oldest_received_at_ms: None };
        let nothing = json!({ "pending": 0, "pending_is_at_least": false, "oldest_pending_age_ms": null });
        assert_eq!(pending(&queue, 5), nothing);
        // The clock was set back since it came in.
        let late = Queue { pending: 1, more: false, oldest_received_at_ms: Some(9) };
        assert_eq!(pending(&late, 5)["oldest_pending_age_ms"], json!(0));
    }
}
