//! What stands before each endpoint's lane: it says when the next send may begin, and learns from what comes back. `pace` decides.
//!
//! A flight tells its gate what came back as soon as that is known, and the scheduler asks before each send: so the gates are shared. No lock is
//! held for longer than a decision takes.

use super::lanes::{Admission, LaneKey};
use super::outcome::Word;
use super::pace::Pace;
use crate::config::Endpoint;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The gates of all endpoints that were sent to. Cheap to clone; clones are the same. No more than there are endpoints.
#[derive(Clone, Debug, Default)]
pub(super) struct Gates {
    inner: Arc<Mutex<HashMap<LaneKey, Gate>>>,
}

#[derive(Debug, Default)]
struct Gate {
    pace: Pace,
}

impl Gates {
    /// What this endpoint takes now.
    pub(super) fn admit(&self, key: &LaneKey, endpoint: &Endpoint, now_ms: u64) -> Admission {
        if endpoint.disabled {
            return Admission::Shut;
        }
        let mut gates = self.lock();
        let begin_ms = gates.get_mut(key).map_or(now_ms, |gate| gate.pace.begin_ms(endpoint.rate_per_s, now_ms));
        if begin_ms > now_ms { Admission::NotBefore(begin_ms) } else { Admission::Most(endpoint.concurrency_max) }
    }

    /// A send to this endpoint begins.
    pub(super) fn begun(&self, key: &LaneKey, endpoint: &Endpoint, now_ms: u64) {
        let mut gates = self.lock();
        match gates.get_mut(key) {
            Some(gate) => gate.pace.begun(endpoint.rate_per_s, now_ms),
            None => gates.entry(key.clone()).or_default().pace.begun(endpoint.rate_per_s, now_ms),
        }
    }

    /// What came of a send that began at `begun_ms`.
    pub(super) fn learn(&self, key: &LaneKey, endpoint: &Endpoint, begun_ms: u64, now_ms: u64, word: Word) {
        let mut gates = self.lock();
        let Some(gate) = gates.get_mut(key) else { return };
        match word {
            Word::Good => gate.pace.went_through(),
            Word::Enough { retry_after_ms } => {
                gate.pace.refused(endpoint.rate_per_s, begun_ms, now_ms, retry_after_ms);
            }
            Word::Bad { retry_after_ms: Some(retry_after_ms) } => gate.pace.wait(retry_after_ms, now_ms),
            Word::Bad { retry_after_ms: None } | Word::Nothing => {}
        }
    }

    /// Forgets the endpoints that are no more.
    pub(super) fn retain(&self, is_there: impl Fn(&LaneKey) -> bool) {
        self.lock().retain(|key, _| is_there(key));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LaneKey, Gate>> {
        // Each change of a gate is whole before the next line can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
