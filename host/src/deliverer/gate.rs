//! What stands before each endpoint's lane: it says when the next send may begin, and learns from what comes back. `pace` and `breaker` decide.
//!
//! A flight tells its gate what came back as soon as that is known, and the scheduler asks before each send: so the gates are shared. No lock is
//! held for longer than a decision takes.

use super::breaker::{Breaker, Limits, Pass, Ruling, Tried};
use super::lanes::{Admission, LaneKey};
use super::outcome::Word;
use super::pace::{Pace, Rate, Throttle};
use crate::config::Endpoint;
use crate::model::{DeliveryId, Digest, EndpointHealth, EndpointState};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long a receiver's answer counts, in milliseconds: a day.
const PERMISSION_MS: u64 = 24 * 60 * 60 * 1000;
/// The clock may go back so far, in milliseconds, as threads see it at different moments.
const CLOCK_SLACK_MS: u64 = 1_000;

/// The gates of all endpoints that were sent to. Cheap to clone; clones are the same. No more than there are endpoints.
#[derive(Clone, Debug)]
pub(super) struct Gates {
    inner: Arc<Mutex<HashMap<LaneKey, Gate>>>,
    probes: Probes,
}

/// How often an endpoint is tried that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probes {
    /// How long it is left alone before the first try, in milliseconds.
    pub(super) wait_ms_min: u64,
    /// The longest time between two tries.
    pub(super) wait_ms_max: u64,
}

#[derive(Debug)]
struct Gate {
    pace: Pace,
    breaker: Breaker,
    permission: Option<Permission>,
}

/// A receiver has answered what its endpoint wants it asked.
#[derive(Debug)]
struct Permission {
    /// The endpoint as it was asked for.
    of: Digest,
    at_ms: u64,
    limit: Option<Rate>,
}

impl Gate {
    fn new(health: EndpointHealth) -> Self {
        Self { pace: Pace::default(), breaker: Breaker::new(health), permission: None }
    }

    /// Whether nothing is to be asked of the receiver before the next delivery.
    fn is_open(&self, endpoint: &Endpoint, now_ms: u64) -> bool {
        let Some(asking) = &endpoint.asking else { return true };
        self.permission.as_ref().is_some_and(|permission| {
            let from_ms = permission.at_ms.saturating_sub(CLOCK_SLACK_MS);
            permission.of == asking.of && (from_ms..permission.at_ms.saturating_add(PERMISSION_MS)).contains(&now_ms)
        })
    }

    /// The endpoint's own limit, or the receiver's where that is less.
    fn limit(&self, endpoint: &Endpoint) -> Option<Rate> {
        let own = endpoint.rate_per_s.map(Rate::per_s);
        let allowed =
            self.permission.as_ref().filter(|found| endpoint.asking.is_some_and(|asking| asking.of == found.of));
        let allowed = allowed.and_then(|found| found.limit);
        own.into_iter().chain(allowed).min()
    }
}

impl Gates {
    pub(super) fn new(probes: Probes) -> Self {
        Self { inner: Arc::default(), probes }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// How an endpoint is doing, as far as this knows.
    #[cfg(test)]
    pub(super) fn health(&self, key: &LaneKey) -> Option<EndpointHealth> {
        self.lock().get(key).map(|gate| gate.breaker.health().clone())
    }

    /// What this endpoint takes now.
    pub(super) fn admit(&self, key: &LaneKey, endpoint: &Endpoint, now_ms: u64) -> Admission {
        if endpoint.disabled {
            return Admission::Shut;
        }
        let mut gates = self.lock();
        // Until the receiver allows more, one at a time finds out.
        let most = |is_open| Admission::Most(if is_open { endpoint.concurrency_max } else { 1 });
        let Some(gate) = gates.get_mut(key) else { return most(endpoint.asking.is_none()) };
        let probe_ms = match gate.breaker.pass(now_ms) {
            Pass::Free => 0,
            Pass::Probe(at_ms) => at_ms,
            Pass::Probing => return Admission::Most(0),
            Pass::Shut => return Admission::Shut,
        };
        let begin_ms = gate.pace.begin_ms(gate.limit(endpoint), now_ms).max(probe_ms);
        if begin_ms > now_ms { Admission::NotBefore(begin_ms) } else { most(gate.is_open(endpoint, now_ms)) }
    }

    /// The send of a delivery to this endpoint begins.
    pub(super) fn begun(&self, key: &LaneKey, endpoint: &Endpoint, delivery: DeliveryId, now_ms: u64) {
        let mut gates = self.lock();
        let begin = |gate: &mut Gate| {
            gate.pace.begun(gate.limit(endpoint), now_ms);
            gate.breaker.begun(delivery);
        };
        match gates.get_mut(key) {
            Some(gate) => begin(gate),
            None => begin(gates.entry(key.clone()).or_insert_with(|| Gate::new(EndpointHealth::unknown()))),
        }
    }

    /// Whether the receiver need not be asked before a delivery.
    pub(super) fn is_open(&self, key: &LaneKey, endpoint: &Endpoint, now_ms: u64) -> bool {
        endpoint.asking.is_none() || self.lock().get(key).is_some_and(|gate| gate.is_open(endpoint, now_ms))
    }

    /// The receiver has answered all that it was asked, and allows so many deliveries each minute; none for as many as there are. The one that found it out is under way.
    pub(super) fn permit(&self, key: &LaneKey, endpoint: &Endpoint, per_min: Option<u64>, now_ms: u64) {
        if let (Some(asking), Some(gate)) = (endpoint.asking, self.lock().get_mut(key)) {
            gate.permission = Some(Permission { of: asking.of, at_ms: now_ms, limit: per_min.map(Rate::per_min) });
            gate.pace.begun_under(gate.limit(endpoint), now_ms);
        }
    }

    /// What bounds the sends to this endpoint beyond its own limit.
    pub(super) fn throttle(&self, key: &LaneKey, endpoint: &Endpoint, now_ms: u64) -> Throttle {
        let own = endpoint.rate_per_s.map(Rate::per_s);
        let of_gate = |gate: &Gate| gate.pace.throttle(own, gate.limit(endpoint), now_ms);
        self.lock().get(key).map(of_gate).unwrap_or_default()
    }

    /// What came of a send that began at `begun_ms`, and what follows.
    pub(super) fn learn(&self, key: &LaneKey, endpoint: &Endpoint, begun_ms: u64, tried: &Tried<'_>) -> Ruling {
        let mut gates = self.lock();
        // The endpoint was removed meanwhile.
        let Some(gate) = gates.get_mut(key) else { return Ruling::default() };
        let was_held = gate.breaker.health().state == EndpointState::Held;
        let ruling = gate.breaker.learn(tried, &self.limits(endpoint));
        let now_ms = tried.now_ms;
        match tried.word {
            Word::Good if was_held && ruling.health.is_some() => gate.pace.drain(now_ms),
            Word::Good => gate.pace.went_through(),
            Word::Enough { retry_after_ms } => {
                gate.pace.refused(gate.limit(endpoint), begun_ms, now_ms, retry_after_ms);
            }
            Word::Bad { retry_after_ms: Some(retry_after_ms) } => gate.pace.wait(retry_after_ms, now_ms),
            Word::Bad { retry_after_ms: None } | Word::Unallowed | Word::Gone | Word::Nothing => {}
        }
        ruling
    }

    /// The flight of a delivery is over, whatever came of it.
    pub(super) fn landed(&self, key: &LaneKey, delivery: DeliveryId) {
        if let Some(gate) = self.lock().get_mut(key) {
            gate.breaker.landed(delivery);
        }
    }

    /// Somebody else has changed how an endpoint is doing; none where it was removed.
    pub(super) fn adopt(&self, key: &LaneKey, health: Option<EndpointHealth>, now_ms: u64) {
        let mut gates = self.lock();
        match (health, gates.get_mut(key)) {
            (Some(health), Some(gate)) => {
                if gate.breaker.adopt(health) {
                    gate.pace.drain(now_ms);
                }
            }
            (Some(health), None) => drop(gates.insert(key.clone(), Gate::new(health))),
            (None, _) => drop(gates.remove(key)),
        }
    }

    /// Forgets the endpoints that are no more.
    pub(super) fn retain(&self, is_there: impl Fn(&LaneKey) -> bool) {
        self.lock().retain(|key, _| is_there(key));
    }

    const fn limits(&self, endpoint: &Endpoint) -> Limits {
        Limits {
            hold_after: endpoint.hold_after,
            disable_after_ms: endpoint.disable_after_ms,
            probe_ms_min: self.probes.wait_ms_min,
            probe_ms_max: self.probes.wait_ms_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LaneKey, Gate>> {
        // Each change of a gate is whole before the next line can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{endpoint, tenant};
    use super::*;
    use crate::model::EventId;

    const NOW: u64 = 1_674_087_000_000;

    fn gates() -> (Gates, LaneKey) {
        let probes = Probes { wait_ms_min: 1_000, wait_ms_max: 10_000 };
        (Gates::new(probes), (tenant(), "x".parse().unwrap()))
    }

    fn id(number: u64) -> DeliveryId {
        DeliveryId::from_parts(EventId::from_bytes([0; 16]), number)
    }

    fn tried(number: u64, word: Word, now_ms: u64) -> Tried<'static> {
        Tried { delivery: id(number), operational: false, word, reason: "no", now_ms }
    }

    #[test]
    fn a_held_endpoint_is_probed_and_then_drains_slowly() {
        let ((gates, key), endpoint) = (gates(), endpoint(r#""hold_after": 2, "concurrency_max": 1000"#));
        for number in 0..2 {
            assert_eq!(gates.admit(&key, &endpoint, NOW), Admission::Most(1000));
            gates.begun(&key, &endpoint, id(number), NOW);
        }
        for number in 0..2 {
            gates.learn(&key, &endpoint, NOW, &tried(number, Word::Bad { retry_after_ms: None }, NOW));
        }
        assert_eq!(gates.admit(&key, &endpoint, NOW), Admission::NotBefore(NOW + 1_000));
        gates.begun(&key, &endpoint, id(2), NOW + 1_000);
        assert_eq!(gates.admit(&key, &endpoint, NOW + 1_000), Admission::Most(0));
        gates.learn(&key, &endpoint, NOW + 1_000, &tried(2, Word::Good, NOW + 1_001));
        let mut sent = 0;
        for now_ms in NOW + 1_001..NOW + 2_001 {
            while gates.admit(&key, &endpoint, now_ms) == Admission::Most(1000) {
                gates.begun(&key, &endpoint, id(100 + sent), now_ms);
                sent += 1;
            }
        }
        assert!((10..=12).contains(&sent), "{sent}");
    }

    #[test]
    fn one_that_is_disabled_is_shut_until_somebody_enables_it() {
        let ((gates, key), endpoint) = (gates(), endpoint(""));
        gates.begun(&key, &endpoint, id(1), NOW);
        let ruling = gates.learn(&key, &endpoint, NOW, &tried(1, Word::Gone, NOW));
        assert_eq!(gates.admit(&key, &endpoint, u64::MAX), Admission::Shut);
        let enabled = ruling.health.unwrap().then(EndpointState::Working, NOW, "");
        gates.adopt(&key, Some(enabled), NOW);
        assert_eq!(gates.admit(&key, &endpoint, NOW), Admission::Most(16));
        gates.adopt(&key, None, NOW);
        assert!(gates.lock().is_empty());
    }

    #[test]
    fn one_delivery_at_a_time_finds_out_whether_more_are_allowed() {
        let ((gates, key), endpoint) = (gates(), endpoint(r#""handshake": true, "secrets": []"#));
        assert_eq!(gates.admit(&key, &endpoint, NOW), Admission::Most(1));
        gates.begun(&key, &endpoint, id(1), NOW);
        assert_eq!(
            (gates.admit(&key, &endpoint, NOW), gates.is_open(&key, &endpoint, NOW)),
            (Admission::Most(1), false)
        );
        gates.permit(&key, &endpoint, Some(60), NOW + 7);
        assert_eq!(gates.admit(&key, &endpoint, NOW + 7), Admission::NotBefore(NOW + 1_007));
        assert_eq!(gates.admit(&key, &endpoint, NOW + 1_007), Admission::Most(16));
        // It counts for a day, by a clock that is not set back, and for the endpoint as it was.
        for (now_ms, is_open) in [(PERMISSION_MS + 6, true), (PERMISSION_MS + 7, false)] {
            assert_eq!(gates.is_open(&key, &endpoint, NOW + now_ms), is_open);
        }
        assert!(gates.is_open(&key, &endpoint, NOW - 900) && !gates.is_open(&key, &endpoint, NOW - 3_600_000));
        let changed = super::super::fixture::endpoint(r#""handshake": true, "secrets": [], "timeout_ms": 700"#);
        assert_eq!(gates.admit(&key, &changed, NOW + 1_007), Admission::Most(1));
        gates.permit(&key, &changed, None, NOW + 1_007);
        assert_eq!(gates.admit(&key, &changed, NOW + 1_007), Admission::Most(16));
        // One that wants a challenge repeated, too, is another.
        let more = r#""handshake": true, "secrets": [], "timeout_ms": 700, "verification": "challenge""#;
        assert!(!gates.is_open(&key, &super::super::fixture::endpoint(more), NOW + 1_007));
    }

    #[test]
    fn a_held_one_with_a_retry_after_waits_for_the_later_of_both() {
        let ((gates, key), endpoint) = (gates(), endpoint(r#""hold_after": 1"#));
        gates.begun(&key, &endpoint, id(1), NOW);
        gates.learn(&key, &endpoint, NOW, &tried(1, Word::Bad { retry_after_ms: Some(9_000) }, NOW));
        assert_eq!(gates.admit(&key, &endpoint, NOW), Admission::NotBefore(NOW + 9_000));
    }
}
