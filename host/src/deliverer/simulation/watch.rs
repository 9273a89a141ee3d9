//! What must hold at every step, said once more and apart from the code that sees to it.

use super::world::{PROBE_MS_MAX, PROBE_MS_MIN};
use crate::config::Endpoint;
use crate::model::{DeliveryId, EndpointHealth, EndpointName, EndpointState};
use crate::store::{Next, Settle};
use std::collections::{BTreeMap, BTreeSet};

/// What the watch knows of an endpoint, in one life of the process.
#[derive(Debug, Default)]
struct Seen {
    begun_ms: Vec<u64>,
    not_before_ms: u64,
    in_flight: usize,
    held: Option<Held>,
    disabled: bool,
}

#[derive(Debug)]
struct Held {
    probe: Option<DeliveryId>,
    next_ms: u64,
    wait_ms: u64,
}

/// Sees what begins and ends.
#[derive(Debug, Default)]
pub(super) struct Watch {
    in_flight: BTreeSet<DeliveryId>,
    endpoints: BTreeMap<EndpointName, Seen>,
    /// How often an endpoint was held, was disabled, was asked to wait for.
    pub(super) held: u64,
    pub(super) disabled: u64,
    pub(super) asked: u64,
}

impl Watch {
    /// What is in flight.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = DeliveryId> {
        self.in_flight.iter().copied()
    }

    /// A delivery is taken into flight.
    pub(super) fn begun(&mut self, endpoint: &Endpoint, delivery: DeliveryId, now_ms: u64) {
        assert!(self.in_flight.insert(delivery), "{delivery} is in flight twice");
        let seen = self.endpoints.entry(endpoint.name.clone()).or_default();
        seen.in_flight += 1;
        let name = &endpoint.name;
        assert!(seen.in_flight <= endpoint.concurrency_max as usize, "{name}: more in flight than concurrency_max");
        assert!(!seen.disabled, "{name} is disabled, and {delivery} is sent");
        assert!(now_ms >= seen.not_before_ms, "{name} asked to be left alone until {}", seen.not_before_ms);
        if let Some(rate) = endpoint.rate_per_s {
            seen.begun_ms.retain(|at_ms| at_ms + 1000 > now_ms);
            seen.begun_ms.push(now_ms);
            let most = (rate + (rate / 10).max(1)) as usize;
            assert!(seen.begun_ms.len() <= most, "{name}: {} in a second", seen.begun_ms.len());
        }
        if let Some(held) = &mut seen.held {
            assert_eq!(held.probe, None, "{name} is held and tried twice at once");
            assert!(now_ms >= held.next_ms, "{name} is held and tried too early");
            held.probe = Some(delivery);
        }
    }

    /// It was answered, with this outcome; `asked_ms` is how long the receiver wants to be left alone.
    pub(super) fn answered(&mut self, endpoint: &EndpointName, settle: &Settle, asked_ms: Option<u64>, now_ms: u64) {
        let seen = self.endpoints.entry(endpoint.clone()).or_default();
        let (delivery, health) = (settle.delivery, settle.health.as_ref());
        let is_probe = seen.held.as_ref().is_some_and(|held| held.probe == Some(delivery));
        let spared = settle.next != Next::Delivered && (is_probe || settle.attempt.status == Some(410));
        assert_eq!(matches!(settle.next, Next::Again(_)), spared, "{name} {settle:?}", name = endpoint);
        if let Some(asked_ms) = asked_ms {
            self.asked += 1;
            seen.not_before_ms = seen.not_before_ms.max(now_ms + asked_ms);
        }
        if let Some(held) = seen.held.as_mut().filter(|held| held.probe == Some(delivery)) {
            held.probe = None;
            held.wait_ms = (held.wait_ms * 2).clamp(PROBE_MS_MIN, PROBE_MS_MAX);
            held.next_ms = now_ms + held.wait_ms;
        }
        match health.map(|health| health.state) {
            Some(EndpointState::Held) => {
                self.held += 1;
                seen.held = Some(Held { probe: None, next_ms: now_ms + PROBE_MS_MIN, wait_ms: PROBE_MS_MIN });
            }
            Some(EndpointState::Disabled) => {
                self.disabled += 1;
                (seen.held, seen.disabled) = (None, true);
            }
            Some(EndpointState::Working) => (seen.held, seen.not_before_ms) = (None, 0),
            Some(EndpointState::Failing) | None => {}
        }
    }

    /// Its flight is over.
    pub(super) fn landed(&mut self, endpoint: &EndpointName, delivery: DeliveryId) {
        assert!(self.in_flight.remove(&delivery));
        if let Some(seen) = self.endpoints.get_mut(endpoint) {
            seen.in_flight -= 1;
            if let Some(held) = seen.held.as_mut().filter(|held| held.probe == Some(delivery)) {
                held.probe = None;
            }
        }
    }

    /// Somebody enables an endpoint.
    pub(super) fn enabled(&mut self, endpoint: &EndpointName) {
        if let Some(seen) = self.endpoints.get_mut(endpoint) {
            (seen.held, seen.disabled, seen.not_before_ms) = (None, false, 0);
        }
    }

    /// The process is started again, and knows only what the store does.
    pub(super) fn restarted(&mut self, known: &[(EndpointName, EndpointHealth)]) {
        self.in_flight.clear();
        self.endpoints.clear();
        for (endpoint, health) in known {
            let held = Held { probe: None, next_ms: 0, wait_ms: 0 };
            let seen = Seen {
                held: (health.state == EndpointState::Held).then_some(held),
                disabled: health.state == EndpointState::Disabled,
                ..Seen::default()
            };
            self.endpoints.insert(endpoint.clone(), seen);
        }
    }
}
