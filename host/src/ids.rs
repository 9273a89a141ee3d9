//! Makes the ids of events and jobs: in the order in which they were asked for, so that lists, which go by id, tell what came first.

use crate::model::{EventId, JobId};
use std::sync::{Arc, Mutex, PoisonError};

/// Makes ids. Cheap to clone; clones go on from one another.
#[derive(Clone, Debug, Default)]
pub struct Ids(Arc<Mutex<Last>>);

/// The last id: its time, and what makes it unique in that.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    ms: u64,
    unique: u128,
}

impl Ids {
    /// An event's id, above all that were made for `now_ms`, in milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// Where the machine gives no random numbers.
    pub fn event(&self, now_ms: u64) -> Result<EventId, getrandom::Error> {
        let mut unique = [0];
        self.make(now_ms, &mut unique)?;
        let [unique] = unique;
        Ok(EventId::new(now_ms, unique))
    }

    /// So many ids of events that came together, in their order.
    ///
    /// # Errors
    /// Where the machine gives no random numbers.
    pub fn events(&self, now_ms: u64, count: usize) -> Result<Vec<EventId>, getrandom::Error> {
        let mut uniques = vec![0; count];
        self.make(now_ms, &mut uniques)?;
        Ok(uniques.into_iter().map(|unique| EventId::new(now_ms, unique)).collect())
    }

    /// A job's id, above all that were made for `now_ms`, in milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// Where the machine gives no random numbers.
    pub fn job(&self, now_ms: u64) -> Result<JobId, getrandom::Error> {
        let mut unique = [0];
        self.make(now_ms, &mut unique)?;
        let [unique] = unique;
        Ok(JobId::new(now_ms, unique))
    }

    /// 80 bits for each: random, and a random step above the last within a millisecond, so that none leads to its neighbour. The highest bit is left
    /// to the steps.
    fn make(&self, now_ms: u64, uniques: &mut [u128]) -> Result<(), getrandom::Error> {
        for unique in &mut *uniques {
            let mut random = [0; 16];
            getrandom::fill(&mut random)?;
            *unique = u128::from_be_bytes(random);
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = (last.ms == now_ms).then_some(last.unique);
        for unique in uniques {
            *unique = match before {
                Some(before) => before + 1 + (*unique & ((1 << 40) - 1)),
                None => *unique & ((1 << 79) - 1),
            };
            before = Some(*unique);
        }
        // Where the clock was set back, or another request was faster, what came later has its own order.
        if let Some(unique) = before.filter(|_| last.ms <= now_ms) {
            *last = Last { ms: now_ms, unique };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_moment_are_in_order_and_do_not_lead_to_one_another() {
        let ids = Ids::default();
        let made: Vec<EventId> = (0..10_000).map(|_| ids.clone().event(1_700_000_000_000).unwrap()).collect();
        assert!(made.is_sorted_by(|one, next| one < next));
        assert!(made.iter().all(|id| id.received_at_ms() == 1_700_000_000_000));
        assert!(made.windows(2).all(|pair| pair[0].next() != pair[1]));
        assert!(ids.job(1_700_000_000_000).unwrap().to_bytes() > made[9_999].to_bytes());
        assert_ne!(Ids::default().event(1).unwrap(), Ids::default().event(1).unwrap());
    }

    #[test]
    fn a_clock_that_was_set_back_disturbs_no_order() {
        let ids = Ids::default();
        let first = ids.event(5).unwrap();
        assert_eq!(ids.event(4).unwrap().received_at_ms(), 4);
        assert!(ids.event(5).unwrap() > first);
        assert!(ids.event(6).unwrap() > first);
        let together = ids.events(3, 1_000).unwrap();
        assert!(together.len() == 1_000 && together.is_sorted() && ids.events(3, 0).unwrap().is_empty());
    }
}
