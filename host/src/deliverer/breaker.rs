//! What becomes of an endpoint that keeps failing: it is held, tried from time to time, and disabled in the end. Pure.
//!
//! What must hold: while an endpoint is held, one delivery at a time is tried, at growing intervals; what is tried in vain does not count in that
//! delivery's schedule. A success ends it. Failures of operational events' deliveries count for nothing: no operational event comes of
//! one, so there are no loops.
//!
//! What lasts is the endpoint's health, which the store keeps: it changes with the state only, not with every attempt. The count of failures
//! and the intervals are in memory: after a restart a held endpoint is tried at once.

use super::outcome::{Ended, Word};
use crate::model::{Delivery, DeliveryId, EndpointHealth, EndpointState};

/// The clock may go back so far, in milliseconds, as threads see it at different moments; further back it was set.
const CLOCK_SLACK_MS: u64 = 1_000;

/// When an endpoint is held, tried, and disabled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How many deliveries in a row have to fail for it to be held; 0 for never.
    pub(super) hold_after: usize,
    /// After how long of nothing but failure it is disabled; 0 for never.
    pub(super) disable_after_ms: u64,
    /// How long it is left alone before it is tried for the first time. Each time after that twice as long.
    pub(super) probe_ms_min: u64,
    /// The longest time between two tries.
    pub(super) probe_ms_max: u64,
}

/// One attempt, for the breaker.
#[derive(Clone, Debug)]
pub(super) struct Tried<'a> {
    pub(super) delivery: DeliveryId,
    /// Whether it is of an operational event.
    pub(super) operational: bool,
    pub(super) word: Word,
    /// Why it failed, for a person.
    pub(super) reason: &'a str,
    pub(super) now_ms: u64,
}

impl<'a> Tried<'a> {
    /// The attempt of this delivery that ended so.
    pub(super) fn new(delivery: &Delivery, ended: &'a Ended) -> Self {
        Self {
            delivery: delivery.id,
            operational: delivery.operational,
            word: ended.word,
            reason: ended.reason(),
            now_ms: ended.at_ms,
        }
    }
}

/// What follows from an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ruling {
    /// How the endpoint is doing from here on, where that changes.
    pub(super) health: Option<EndpointHealth>,
    /// Whether the attempt counts for nothing in its delivery's schedule.
    pub(super) spared: bool,
}

/// Whether an endpoint is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// As any.
    Free,
    /// Once, from this time on.
    Probe(u64),
    /// Not before the one that is under way has ended.
    Probing,
    /// Not at all.
    Shut,
}

/// The state of one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    health: EndpointHealth,
    /// What has failed since the last success; at most `hold_after`.
    failed: Vec<DeliveryId>,
    /// What is tried while it is held.
    probe: Option<DeliveryId>,
    /// When it was held, or tried for the last time; 0 for never.
    tried_ms: u64,
    /// How long it is left alone from then on.
    wait_ms: u64,
}

impl Breaker {
    /// That of an endpoint which was doing so at the last start.
    pub(super) const fn new(health: EndpointHealth) -> Self {
        Self { health, failed: Vec::new(), probe: None, tried_ms: 0, wait_ms: 0 }
    }

    /// How the endpoint is doing.
    pub(super) const fn health(&self) -> &EndpointHealth {
        &self.health
    }

    /// Whether it may be sent to.
    pub(super) fn pass(&mut self, now_ms: u64) -> Pass {
        match self.health.state {
            EndpointState::Working | EndpointState::Failing => Pass::Free,
            EndpointState::Disabled => Pass::Shut,
            EndpointState::Held if self.probe.is_some() => Pass::Probing,
            EndpointState::Held => {
                if now_ms.saturating_add(CLOCK_SLACK_MS) < self.tried_ms {
                    self.tried_ms = now_ms;
                }
                Pass::Probe(self.tried_ms.saturating_add(self.wait_ms))
            }
        }
    }

    /// A send of this delivery begins.
    pub(super) fn begun(&mut self, delivery: DeliveryId) {
        if self.health.state == EndpointState::Held {
            self.probe = Some(delivery);
        }
    }

    /// The flight of a delivery is over, whatever came of it.
    pub(super) fn landed(&mut self, delivery: DeliveryId) {
        self.probe.take_if(|probe| *probe == delivery);
    }

    /// Learns from an attempt.
    pub(super) fn learn(&mut self, tried: &Tried<'_>, limits: &Limits) -> Ruling {
        let is_probe = self.probe.take_if(|probe| *probe == tried.delivery).is_some();
        if is_probe {
            self.tried_ms = tried.now_ms;
            self.wait_ms = self.wait_ms.saturating_mul(2).clamp(limits.probe_ms_min, limits.probe_ms_max);
        }
        let health = match tried.word {
            Word::Good => self.worked(tried.now_ms),
            Word::Gone => (self.health.state != EndpointState::Disabled)
                .then(|| self.health.then(EndpointState::Disabled, tried.now_ms, tried.reason)),
            // Also for one of an operational event: the endpoint is held once, and of that comes one event.
            Word::Unallowed => self.lasted(tried, limits).or_else(|| self.unallowed(tried)),
            Word::Bad { .. } | Word::Enough { .. } if !tried.operational => self.failed(tried, limits),
            Word::Bad { .. } | Word::Enough { .. } | Word::Nothing => None,
        };
        if let Some(health) = &health {
            self.health = health.clone();
            self.wait_ms = if health.state == EndpointState::Held { limits.probe_ms_min } else { 0 };
            self.tried_ms = tried.now_ms;
        }
        let spared =
            matches!(tried.word, Word::Gone | Word::Unallowed) || is_probe && !matches!(tried.word, Word::Good);
        Ruling { health, spared }
    }

    /// Somebody else has changed its health. Says whether deliveries that waited go again.
    pub(super) fn adopt(&mut self, health: EndpointHealth) -> bool {
        // What this breaker has stored by then, or is about to, comes after it.
        if health.revision < self.health.revision || health == self.health {
            return false;
        }
        let resumed = self.health.state.waits() && !health.state.waits();
        *self = Self::new(health);
        resumed
    }

    fn worked(&mut self, now_ms: u64) -> Option<EndpointHealth> {
        self.failed.clear();
        let ends = matches!(self.health.state, EndpointState::Failing | EndpointState::Held);
        ends.then(|| self.health.then(EndpointState::Working, now_ms, ""))
    }

    /// The receiver has to allow deliveries first, and does not.
    fn unallowed(&self, tried: &Tried<'_>) -> Option<EndpointHealth> {
        (!self.health.state.waits()).then(|| self.health.then(EndpointState::Held, tried.now_ms, tried.reason))
    }

    /// It is to be disabled, where nothing got through for so long.
    fn lasted(&self, tried: &Tried<'_>, limits: &Limits) -> Option<EndpointHealth> {
        let since_ms = self.health.failing_since_ms.unwrap_or(tried.now_ms);
        let lasted_ms = tried.now_ms.saturating_sub(since_ms);
        let is_disabled = self.health.state == EndpointState::Disabled;
        (!is_disabled && limits.disable_after_ms > 0 && lasted_ms >= limits.disable_after_ms).then(|| {
            let after_s = limits.disable_after_ms / 1000;
            let reason = format!("nothing got through for disable_after_s ({after_s}): {}", tried.reason);
            self.health.then(EndpointState::Disabled, tried.now_ms, reason)
        })
    }

    fn failed(&mut self, tried: &Tried<'_>, limits: &Limits) -> Option<EndpointHealth> {
        if self.failed.len() < limits.hold_after && !self.failed.contains(&tried.delivery) {
            self.failed.push(tried.delivery);
        }
        let state = self.health.state;
        if state == EndpointState::Disabled {
            None
        } else if let Some(disabled) = self.lasted(tried, limits) {
            Some(disabled)
        } else if state != EndpointState::Held && limits.hold_after > 0 && self.failed.len() >= limits.hold_after {
            let reason = format!("{} deliveries failed in a row (hold_after): {}", limits.hold_after, tried.reason);
            Some(self.health.then(EndpointState::Held, tried.now_ms, reason))
        } else if state == EndpointState::Working {
            Some(self.health.then(EndpointState::Failing, tried.now_ms, tried.reason))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;

    const NOW: u64 = 1_674_087_000_000;
    const BAD: Word = Word::Bad { retry_after_ms: None };
    const LIMITS: Limits =
        Limits { hold_after: 3, disable_after_ms: 3_600_000, probe_ms_min: 1_000, probe_ms_max: 5_000 };

    fn id(number: u64) -> DeliveryId {
        DeliveryId::from_parts(EventId::from_bytes([0; 16]), number)
    }

    fn breaker() -> Breaker {
        Breaker::new(EndpointHealth::unknown())
    }

    fn tried(number: u64, word: Word, now_ms: u64) -> Tried<'static> {
        Tried { delivery: id(number), operational: false, word, reason: "no", now_ms }
    }

    impl Breaker {
        fn sees(&mut self, number: u64, word: Word, now_ms: u64) -> Option<EndpointState> {
            self.learn(&tried(number, word, now_ms), &LIMITS).health.map(|health| health.state)
        }
    }

    fn held() -> Breaker {
        let mut breaker = breaker();
        for number in 1..=3 {
            breaker.sees(number, BAD, NOW);
        }
        assert_eq!(breaker.health().state, EndpointState::Held);
        breaker
    }

    #[test]
    fn success_changes_nothing_and_failure_only_the_state() {
        let mut breaker = breaker();
        assert_eq!(breaker.sees(1, Word::Good, NOW), None);
        assert_eq!(breaker.sees(2, BAD, NOW + 1), Some(EndpointState::Failing));
        assert_eq!(breaker.sees(3, BAD, NOW + 2), None);
        assert_eq!(breaker.health().failing_since_ms, Some(NOW + 1));
        assert_eq!(breaker.sees(4, Word::Good, NOW + 3), Some(EndpointState::Working));
        assert_eq!((breaker.health().revision, breaker.health().failing_since_ms), (2, None));
        assert_eq!(breaker.sees(5, Word::Good, NOW + 4), None);
    }

    #[test]
    fn so_many_different_deliveries_in_a_row_and_it_is_held() {
        let mut breaker = breaker();
        for now_ms in NOW..NOW + 10 {
            breaker.sees(1, BAD, now_ms);
        }
        assert_eq!(breaker.health().state, EndpointState::Failing, "one delivery alone may be at fault itself");
        breaker.sees(2, Word::Enough { retry_after_ms: None }, NOW);
        assert_eq!(breaker.sees(3, Word::Nothing, NOW), None);
        assert_eq!(breaker.sees(3, BAD, NOW), Some(EndpointState::Held));
        assert!(breaker.health().reason.contains("hold_after"), "{:?}", breaker.health());
        assert_eq!(breaker.sees(4, BAD, NOW), None);
        let never = Limits { hold_after: 0, ..LIMITS };
        let mut breaker = self::breaker();
        (0..1000).for_each(|number| drop(breaker.learn(&tried(number, BAD, NOW), &never)));
        assert_eq!(breaker.health().state, EndpointState::Failing);
    }

    #[test]
    fn a_held_endpoint_is_tried_one_at_a_time_at_growing_intervals() {
        let mut breaker = held();
        let (mut now_ms, mut waits) = (NOW, Vec::new());
        for number in 10..15 {
            let Pass::Probe(at_ms) = breaker.pass(now_ms) else { panic!("{breaker:?}") };
            waits.push(at_ms - now_ms);
            breaker.begun(id(number));
            assert_eq!(breaker.pass(at_ms), Pass::Probing);
            now_ms = at_ms + 7;
            let ruling = breaker.learn(&tried(number, BAD, now_ms), &LIMITS);
            assert_eq!(ruling, Ruling { health: None, spared: true });
        }
        assert_eq!(waits, [1_000, 2_000, 4_000, 5_000, 5_000]);
        // What was under way before that ends as any, and draws nothing out.
        assert!(!breaker.learn(&tried(1, BAD, now_ms), &LIMITS).spared);
        assert_eq!(breaker.pass(now_ms), Pass::Probe(now_ms + 5_000));
        breaker.begun(id(20));
        assert_eq!(breaker.sees(20, Word::Good, now_ms), Some(EndpointState::Working));
        assert_eq!(breaker.pass(now_ms), Pass::Free);
    }

    #[test]
    fn a_probe_that_comes_to_nothing_makes_room_for_another() {
        let mut breaker = held();
        breaker.begun(id(9));
        breaker.landed(id(8));
        assert_eq!(breaker.pass(NOW + 1_000), Pass::Probing);
        breaker.landed(id(9));
        assert_eq!(breaker.pass(NOW + 1_000), Pass::Probe(NOW + 1_000));
    }

    #[test]
    fn nothing_but_failure_for_so_long_disables_it() {
        let mut breaker = held();
        breaker.begun(id(9));
        assert_eq!(breaker.sees(9, BAD, NOW + 3_599_999), None);
        breaker.begun(id(9));
        assert_eq!(breaker.sees(9, BAD, NOW + 3_600_000), Some(EndpointState::Disabled));
        assert_eq!((breaker.pass(u64::MAX), breaker.health().failing_since_ms), (Pass::Shut, Some(NOW)));
        assert!(breaker.health().reason.contains("disable_after_s (3600)"));
        assert_eq!(breaker.sees(10, Word::Good, NOW + 3_600_001), None, "only a person ends it");
        let mut breaker = held();
        breaker.sees(4, Word::Good, NOW + 3_000_000);
        assert_eq!(
            breaker.sees(9, BAD, NOW + 4_000_000),
            Some(EndpointState::Failing),
            "counted from the last success"
        );
    }

    #[test]
    fn one_that_is_gone_is_disabled_at_once_and_what_it_refused_is_kept() {
        let mut breaker = breaker();
        let ruling = breaker.learn(&tried(1, Word::Gone, NOW), &LIMITS);
        assert_eq!((ruling.health.unwrap().state, ruling.spared), (EndpointState::Disabled, true));
        assert_eq!(breaker.learn(&tried(2, Word::Gone, NOW), &LIMITS), Ruling { health: None, spared: true });
    }

    #[test]
    fn one_that_does_not_allow_deliveries_is_held_at_once_and_draws_nothing_out() {
        for operational in [false, true] {
            let mut breaker = breaker();
            let unallowed = |number, now_ms| Tried { operational, ..tried(number, Word::Unallowed, now_ms) };
            let ruling = breaker.learn(&unallowed(1, NOW), &LIMITS);
            assert_eq!((ruling.health.map(|health| health.state), ruling.spared), (Some(EndpointState::Held), true));
            assert_eq!(breaker.pass(NOW), Pass::Probe(NOW + 1_000));
            breaker.begun(id(2));
            let ruling = breaker.learn(&unallowed(2, NOW + 1_000), &LIMITS);
            assert_eq!(
                (ruling, breaker.pass(NOW + 1_000)),
                (Ruling { health: None, spared: true }, Pass::Probe(NOW + 3_000))
            );
            breaker.begun(id(3));
            let ruling = breaker.learn(&unallowed(3, NOW + 3_600_000), &LIMITS);
            assert_eq!(ruling.health.map(|health| health.state), Some(EndpointState::Disabled));
            assert_eq!(breaker.learn(&unallowed(4, NOW + 3_600_001), &LIMITS), Ruling { health: None, spared: true });
        }
    }

    #[test]
    fn failures_of_operational_events_count_for_nothing() {
        let mut breaker = breaker();
        for number in 0..100 {
            let tried = Tried { operational: true, ..tried(number, BAD, NOW) };
            assert_eq!(breaker.learn(&tried, &LIMITS), Ruling::default());
        }
    }

    #[test]
    fn the_last_revision_counts() {
        let mut breaker = held();
        let revision = breaker.health().revision;
        let enabled = |revision| EndpointHealth { revision, ..EndpointHealth::unknown() };
        assert!(!breaker.adopt(enabled(revision - 1)));
        assert_eq!(breaker.health().state, EndpointState::Held);
        assert!(breaker.adopt(enabled(revision)));
        assert_eq!(breaker.pass(NOW), Pass::Free);
        assert_eq!(breaker.sees(1, BAD, NOW), Some(EndpointState::Failing));
        assert_eq!(breaker.health().revision, revision + 1);
        // After a start: at once.
        let mut breaker = Breaker::new(held().health().clone());
        assert_eq!(breaker.pass(NOW), Pass::Probe(0));
    }

    #[test]
    fn a_clock_that_is_set_back_delays_no_probe() {
        let mut breaker = held();
        let day_before_ms = NOW - 86_400_000;
        assert_eq!(breaker.pass(day_before_ms), Pass::Probe(day_before_ms + 1_000));
    }
}
