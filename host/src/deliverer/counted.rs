//! What an attempt counts. Pure.

use crate::model::{Attempt, Delivery};
use crate::statistics::Tally;
use crate::store::{Next, Settle};
use std::time::Duration;

/// An attempt, as it is counted once it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// Why it failed; none where it did not.
    failure: Option<String>,
    took_us: u64,
    /// How long the delivery had been due when the attempt began.
    queue_age_ms: u64,
    /// What the delivery ended as, after how many attempts.
    ended: Option<(&'static str, u32)>,
}

impl Counted {
    /// What this attempt of a delivery counts, which took so long.
    pub(super) fn of(delivery: &Delivery, settle: &Settle, took: Duration) -> Self {
        let attempt = &settle.attempt;
        let ended = match settle.next {
            Next::Delivered => Some("delivered"),
            Next::Dead => Some("dead"),
            Next::RetryAt(_) | Next::Again(_) => None,
        };
        Self {
            failure: failure_of(attempt),
            took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            // After a jump of the clock it may begin before it was due.
            queue_age_ms: attempt.started_at_ms.saturating_sub(delivery.due_ms),
            ended: ended.map(|status| (status, attempt.number)),
        }
    }

    /// The attempt without the end of its delivery, which somebody else has changed meanwhile.
    pub(super) fn alone(self) -> Self {
        Self { ended: None, ..self }
    }

    /// Counts it.
    pub(super) fn add_to(self, tally: &mut Tally) {
        match self.failure {
            None => tally.succeeded("delivered", self.took_us),
            Some(code) => tally.failed(&code, self.took_us),
        }
        tally.queue_age.record(self.queue_age_ms.saturating_mul(1000));
        if let Some((status, attempts)) = self.ended {
            tally.ended(status, attempts);
        }
    }
}

/// The code of a failure; an answer that was none of success by the hundred of its status.
fn failure_of(attempt: &Attempt) -> Option<String> {
    let error = attempt.error.as_ref()?;
    Some(match attempt.status {
        Some(status) => format!("status_{}xx", status / 100),
        None => error.code.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{delivery, tenant};
    use super::*;
    use crate::model::AttemptError;

    fn counted(status: Option<u16>, code: Option<&str>, next: Next) -> Tally {
        let delivery = delivery();
        let error = code.map(|code| AttemptError { code: code.to_owned(), message: String::new() });
        let started_at_ms = delivery.due_ms + 30;
        let attempt = Attempt { number: 3, started_at_ms, duration_ms: 7, status, response: String::new(), error };
        let settle = Settle { tenant: tenant(), delivery: delivery.id, attempt, next, health: None, tell: false };
        let mut tally = Tally::default();
        Counted::of(&delivery, &settle, Duration::from_micros(7_500)).add_to(&mut tally);
        tally
    }

    fn codes(tally: &Tally) -> Vec<(&str, u64)> {
        tally.succeeded.iter().chain(tally.failed.iter()).chain(tally.ended.iter()).collect()
    }

    #[test]
    fn an_attempt_counts_its_outcome_its_time_and_the_end_of_its_delivery() {
        let delivered = counted(Some(204), None, Next::Delivered);
        assert_eq!(codes(&delivered), [("delivered", 1), ("delivered", 1)]);
        assert_eq!((delivered.latency.max_us(), delivered.queue_age.max_us()), (7_500, 30_000));
        assert_eq!(delivered.attempts_of_ended, 3);
        let refused = counted(Some(429), Some("status"), Next::RetryAt(1));
        assert_eq!((codes(&refused), refused.attempts_of_ended), (vec![("status_4xx", 1)], 0));
        let dead = counted(None, Some("timeout"), Next::Dead);
        assert_eq!((codes(&dead), dead.attempts_of_ended), (vec![("timeout", 1), ("dead", 1)], 3));
    }
}
