//! A test event for one endpoint. It is an event like any other, of the host's own source, and goes to that endpoint alone, by a run that
//! goes through no route. What fails of it makes no operational event and counts for nothing in how the endpoint is doing.

use super::run::{Job, execute};
use super::{AcceptError, Pipeline};
use crate::config::{OnFailure, Plan, Target, Tenant};
use crate::model::{
    AuditEntry, DeliveryId, Digest, EndpointName, Event, EventId, OPERATIONAL_SOURCE, Origin, Run, TEST_ROUTE,
    TenantName,
};
use crate::store::{Accept, Audited, Outcome, RoutedRun, Transition};
use bytes::Bytes;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

/// What to send, and where.
#[derive(Clone, Debug)]
pub struct EndpointTest {
    /// Whose.
    pub tenant: TenantName,
    /// To which endpoint.
    pub endpoint: EndpointName,
    /// The event's id, and with it the time.
    pub event: EventId,
    /// What kind of event.
    pub event_type: String,
    /// The media type of the body.
    pub content_type: String,
    /// Sent as it is.
    pub body: Bytes,
    /// What the audit log tells of it, by whom.
    pub told: AuditEntry,
}

/// Why nothing is sent.
#[derive(Debug, thiserror::Error)]
pub enum EndpointTestError {
    /// There is no such endpoint.
    #[error("the tenant has no such endpoint")]
    EndpointGone,
    /// The event was not taken.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// The host made a mistake.
    #[error("the test event could not be made: {0}")]
    Internal(String),
}

fn internal(error: &dyn std::fmt::Display) -> EndpointTestError {
    EndpointTestError::Internal(error.to_string())
}

impl Pipeline {
    /// Makes the event durable, with the delivery that it is for.
    ///
    /// # Errors
    /// Where the endpoint is gone, or the store does not take it.
    pub async fn test_endpoint(&self, test: EndpointTest) -> Result<DeliveryId, EndpointTestError> {
        let EndpointTest { tenant, endpoint, event: id, event_type, content_type, body, told } = test;
        let event = Event {
            event_type,
            content_type,
            ..Event::new(id, tenant, OPERATIONAL_SOURCE.parse().map_err(|error| internal(&error))?, body.len())
        };
        let still = self.published.still().await;
        let tenant = still.snapshot.tenant(&event.tenant).ok_or(AcceptError::TenantGone)?;
        // One that became another customer's meanwhile is as good as gone.
        let mut there = tenant.endpoints.get(&endpoint).into_iter();
        if !there.any(|found| told.by.may_change(Some(&found.labels), None)) {
            return Err(EndpointTestError::EndpointGone);
        }
        let routed = self.run_of_test(tenant, &event, &body, endpoint)?;
        let made = routed.run.deliveries.first().copied();
        let delivery = made.ok_or_else(|| internal(&"the run made no delivery"))?;
        let accept = Accept { event, body, dedup_until_ms: None, runs: vec![routed] };
        let (scope, change) = (Some(accept.event.tenant.clone()), Transition::Accept(Box::new(accept)));
        let audited = Audited { scope, entry: told, change };
        match self.store.commit(Transition::Audited(Box::new(audited))).await.map_err(AcceptError::from)? {
            Outcome::Accepted { .. } => Ok(delivery),
            other => Err(AcceptError::Answer(other).into()),
        }
    }

    /// The run that makes the delivery.
    fn run_of_test(
        &self,
        tenant: &Arc<Tenant>,
        event: &Event,
        body: &Bytes,
        endpoint: EndpointName,
    ) -> Result<RoutedRun, EndpointTestError> {
        let plan = Plan { steps: Vec::new(), to: Some(Target::Endpoints(vec![endpoint])), on_failure: OnFailure::Hold };
        let digest = Digest::of(&plan.to_bytes().map_err(|error| internal(&error))?);
        let now_ms = self.clock.now_ms();
        let route = TEST_ROUTE.parse().map_err(|error| internal(&error))?;
        let run = Run { origin: Origin::Test, ..Run::new(event.id, &route, 0, digest, now_ms) };
        let observed = RefCell::default();
        let job = Job {
            event,
            body,
            tenant,
            plan: &plan,
            modules: &[],
            config: &self.config,
            call_time_max: Duration::ZERO,
            inline_deadline: None,
            run_deadline: None,
            observed: &observed,
            times: &self.module_times,
            told: None,
            now_ms,
            state: None,
        };
        execute(&job, run).map_err(|unfinished| internal(&format!("{unfinished:?}")))
    }
}
