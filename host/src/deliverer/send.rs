//! One attempt, from what is stored to what is stored.

use super::counted::Counted;
use super::gate::Gates;
use super::lane::Place;
use super::lanes::{Claim, LaneKey};
use super::outcome::{self, Ended, Failure, Span};
use super::request::{self, Attempted};
use super::tokens::{Token, Tokens};
use crate::clock::Clock;
use crate::config::{Auth, Endpoint, Snapshot};
use crate::model::{DELIVERY_DEAD, Delivery, EndpointHealth, SourceName, TenantName};
use crate::statistics::{Recorder, Subject};
use crate::store::{CommitError, Next, Outcome, ReadError, Store, Transition};
use crate::transport::{Response, Transport};
use bytes::Bytes;
use http::HeaderValue;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What sends. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) store: Store,
    pub(super) transport: Transport,
    pub(super) recorder: Recorder,
    pub(super) clock: Clock,
    pub(super) gates: Gates,
    pub(super) tokens: Tokens,
    /// The host's name, for receivers that are asked whether they allow deliveries.
    pub(super) origin: Option<HeaderValue>,
    /// Who is told what.
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    /// How many attempts panicked.
    pub(super) panics: Arc<AtomicU64>,
}

/// How a flight ended.
#[derive(Debug)]
pub(super) enum Landing {
    /// As far as this flight goes, all is stored. `again` is where the delivery stands now, if this flight knows it to be pending.
    Over { again: Option<Place> },
    /// Something of our own failed, and another try may help.
    Failed(String),
    /// The store takes no more.
    StoreGone(CommitError),
}

impl Sender {
    /// Makes the attempt that is due, if one still is, and stores its outcome.
    pub(super) async fn fly(self, claim: Claim, endpoint: Arc<Endpoint>) -> (Claim, Landing) {
        let landing = match caught(self.attempt(&claim, &endpoint)).await {
            Ok(landing) => landing,
            Err(panic) => {
                self.panics.fetch_add(1, Ordering::Relaxed);
                Landing::Failed(format!("panic: {panic}"))
            }
        };
        (claim, landing)
    }

    async fn attempt(&self, claim: &Claim, endpoint: &Endpoint) -> Landing {
        let tenant = &claim.lane.0;
        let (delivery, body) = match self.store.to_send(tenant, claim.place.1).await {
            Ok(Some(loaded)) => loaded,
            // Cancelled since it was claimed, or settled before a scan that was under way told of it.
            Ok(None) => return Landing::Over { again: None },
            Err(error) => return Landing::Failed(format!("cannot read the delivery: {error}")),
        };
        let started_at_ms = self.clock.now_ms();
        if delivery.due_ms > started_at_ms.max(claim.place.0) {
            // Put off since it was claimed.
            return Landing::Over { again: Some((delivery.due_ms, delivery.id)) };
        }
        let source = match self.source_of(tenant, &delivery, endpoint).await {
            Ok(source) => source,
            Err(error) => return Landing::Failed(format!("cannot read the event: {error}")),
        };
        if let Err(error) = self.store.check() {
            return Landing::StoreGone(error);
        }
        let started = Instant::now();
        let attempted = Attempted { now_ms: started_at_ms, tenant: tenant.clone(), source, token: None, origin: None };
        let answer = self.send(tenant, &delivery, body, endpoint, attempted).await;
        let took = started.elapsed();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let span = Span { started_at_ms, duration_ms, ended_at_ms: self.clock.now_ms() };
        let ended = Ended::new(&delivery, span, answer);
        self.settle(&claim.lane, &delivery, endpoint, ended, took).await
    }

    async fn send(
        &self,
        tenant: &TenantName,
        delivery: &Delivery,
        body: Bytes,
        endpoint: &Endpoint,
        attempted: Attempted,
    ) -> Result<Response, Failure> {
        // A panic here is this attempt's outcome: so it counts, is shown, and ends with the schedule.
        let sending = caught(self.try_send(tenant, delivery, body, endpoint, attempted));
        sending.await.unwrap_or_else(|panic| {
            self.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!(delivery = %delivery.id, panic, "sending panicked");
            Err(Failure::Panic(panic))
        })
    }

    async fn try_send(
        &self,
        tenant: &TenantName,
        delivery: &Delivery,
        body: Bytes,
        endpoint: &Endpoint,
        mut attempted: Attempted,
    ) -> Result<Response, Failure> {
        let lane = (tenant.clone(), endpoint.name.clone());
        let token = match &endpoint.auth {
            Some(Auth::Oauth2(oauth2)) => {
                Some(self.tokens.get(&lane, oauth2, &self.transport).await.map_err(Failure::Token)?)
            }
            _ => None,
        };
        attempted.token = token.as_ref().map(|token| token.value.clone());
        self.ask_first(&lane, endpoint, token.as_ref(), &mut attempted).await?;
        let request = request::build(delivery, body, endpoint, &attempted).map_err(Failure::Request)?;
        let answer = self.transport.send(request).await.map_err(Failure::Send)?;
        self.learn(&lane, token.as_ref(), &answer).await;
        Ok(answer)
    }

    /// What an answer says of the token that the request had.
    pub(super) async fn learn(&self, lane: &LaneKey, token: Option<&Token>, answer: &Response) {
        if let Some(token) = token {
            self.tokens.learn(lane, token, answer.status).await;
        }
    }

    /// The source of a delivery's event, where the request says it.
    async fn source_of(
        &self,
        tenant: &TenantName,
        delivery: &Delivery,
        endpoint: &Endpoint,
    ) -> Result<Option<SourceName>, ReadError> {
        if !endpoint.says_source() {
            return Ok(None);
        }
        let (tenant, event) = (tenant.clone(), delivery.id.event());
        Ok(self.store.read(move |reader| reader.event(&tenant, event)).await?.map(|event| event.source))
    }

    async fn settle(
        &self,
        lane: &LaneKey,
        delivery: &Delivery,
        endpoint: &Endpoint,
        ended: Ended,
        took: Duration,
    ) -> Landing {
        let tenant = &lane.0;
        // Without randomness retries do not come apart, which is no reason not to retry.
        let random = getrandom::u64().unwrap_or(0);
        let mut settle = outcome::decide(&self.gates, lane, delivery, endpoint, ended, random);
        settle.tell = settle.next == Next::Dead && self.snapshots.borrow().tells(tenant, DELIVERY_DEAD);
        let health = settle.health.clone();
        let counted = Counted::of(delivery, &settle, took);
        let again = match settle.next {
            Next::RetryAt(due_ms) | Next::Again(due_ms) => Some((due_ms, delivery.id)),
            Next::Delivered | Next::Dead => None,
        };
        match self.store.commit(Transition::Settle(Box::new(settle))).await {
            Ok(Outcome::Done) => {
                self.count(lane, counted);
                Landing::Over { again }
            }
            Ok(outcome) => {
                tracing::debug!(%tenant, delivery = %delivery.id, ?outcome, "the delivery changed during the attempt");
                self.count(lane, counted.alone());
                self.keep(lane, health).await
            }
            Err(error) => not_stored("the attempt", error),
        }
    }

    fn count(&self, (tenant, endpoint): &LaneKey, counted: Counted) {
        let subject = Subject::Endpoint(endpoint.clone());
        self.recorder.note(tenant, subject, self.clock.now_ms(), |tally| counted.add_to(tally));
    }

    /// Stores how the endpoint is doing, where that changed by an attempt which is not stored itself.
    async fn keep(&self, lane: &LaneKey, health: Option<EndpointHealth>) -> Landing {
        if let Some(health) = health {
            let (tenant, endpoint) = lane.clone();
            let change = Transition::Health { tenant, endpoint, health };
            if let Err(error) = self.store.commit(change).await {
                return not_stored("how the endpoint is doing", error);
            }
        }
        Landing::Over { again: None }
    }
}

fn not_stored(what: &str, error: CommitError) -> Landing {
    match error {
        CommitError::Poisoned { .. } | CommitError::Unknown { .. } | CommitError::Closed => Landing::StoreGone(error),
        error => Landing::Failed(format!("cannot store {what}: {error}")),
    }
}

/// Runs a future to its end or its panic, whose message is the error. What the future worked on is not used after a panic.
async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            Poll::Ready(Err(text.unwrap_or_else(|| "without a message".to_owned())))
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[tokio::test]
    async fn a_panic_after_an_await_is_an_error_with_its_message() {
        assert_eq!(caught(async { 5 }).await, Ok(5));
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("boom {}", 1);
        };
        assert_eq!(caught(panicking).await, Err::<(), _>("boom 1".to_owned()));
    }
}
