//! Flights: from a delivery that is to be sent to the transition that settles it.

use super::super::receiver::Answer;
use super::{Happening, Then, World};
use crate::config::Endpoint;
use crate::deliverer::fixture::tenant;
use crate::deliverer::lanes::Claim;
use crate::deliverer::outcome::{Ended, Span, decide};
use crate::deliverer::planner::Landed;
use crate::model::{Delivery, DeliveryStatus};
use crate::store::{Next, Transition};
use std::sync::Arc;

/// A request on its way.
pub(super) struct Flight {
    claim: Claim,
    endpoint: Arc<Endpoint>,
    delivery: Delivery,
    begun_ms: u64,
    answer: Answer,
}

impl World {
    /// The flight looks at its delivery, and sends it.
    pub(super) fn depart(&mut self, claim: Claim, endpoint: Arc<Endpoint>) {
        let (life, now_ms) = (self.life, self.now_ms);
        if self.mishap(40) {
            return self.soon(2, Happening::Landed { life, claim, landed: Landed::Failed });
        }
        let delivery = self.store.reader().delivery(&claim.lane.0, claim.place.1).unwrap();
        let Some(delivery) = delivery.filter(|delivery| delivery.status == DeliveryStatus::Pending) else {
            return self.soon(2, Happening::Landed { life, claim, landed: Landed::Over(None) });
        };
        if delivery.due_ms > now_ms.max(claim.place.0) {
            let again = Some((delivery.due_ms, delivery.id));
            return self.soon(2, Happening::Landed { life, claim, landed: Landed::Over(again) });
        }
        self.check_order(&delivery);
        self.totals.attempts += 1;
        let party = self.setup.parties.iter_mut().find(|party| party.name == endpoint.name.as_str()).unwrap();
        let answer = party.receiver.answer(&mut self.random, now_ms);
        if answer.took_it() && self.got.insert(delivery.id, now_ms).is_some() {
            self.totals.again += 1;
        }
        let at_ms = now_ms + answer.latency_ms;
        let flight = Box::new(Flight { claim, endpoint, delivery, begun_ms: now_ms, answer });
        self.at(at_ms, Happening::Answered { life, flight });
    }

    /// Nothing that comes before it in its line is still pending.
    fn check_order(&self, delivery: &Delivery) {
        let Some(turn) = delivery.turn else { return };
        for (other, _) in self.accepted.values() {
            let same = other.endpoint == delivery.endpoint && other.ordering_key == delivery.ordering_key;
            if same && other.turn.is_some_and(|earlier| (earlier, other.id) < (turn, delivery.id)) {
                let now = self.store.reader().delivery(&tenant(), other.id).unwrap().unwrap();
                assert_ne!(now.status, DeliveryStatus::Pending, "{} is sent before {}", delivery.id, other.id);
            }
        }
    }

    pub(super) fn answered(&mut self, flight: Flight) {
        let Flight { claim, endpoint, delivery, begun_ms, answer } = flight;
        let (asked_ms, now_ms) = (answer.asked_ms(), self.now_ms);
        let span = Span { started_at_ms: begun_ms, duration_ms: now_ms - begun_ms, ended_at_ms: now_ms };
        let ended = Ended::new(&delivery, span, answer.result);
        let mut settle = decide(&self.gates, &claim.lane, &delivery, &endpoint, ended, self.random.next());
        settle.tell = true;
        self.watch.answered(&endpoint.name, &settle, asked_ms, now_ms);
        let again = match settle.next {
            Next::RetryAt(due_ms) | Next::Again(due_ms) => Some((due_ms, delivery.id)),
            Next::Delivered | Next::Dead => None,
        };
        let (life, health) = (self.life, settle.health.clone());
        self.submit(Transition::Settle(Box::new(settle)), Then::Settled { life, claim, again, health });
    }
}
