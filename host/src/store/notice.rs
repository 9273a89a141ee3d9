//! What the host has to say to a tenant, from the commit that it comes of until it is an operational event: so none is lost, and none is told
//! twice. The event's commit takes the notice away.

use super::key::Key;
use super::tree::TreeId;
use super::{HostFact, ReadError, View, keys, record};
use crate::model::{
    Attempt, DELIVERY_DEAD, Delivery, Digest, EndpointHealth, EndpointName, EndpointState, EventId, TenantName,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// An operational event that is still to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The id it will have, and with it the time.
    pub event: EventId,
    /// What kind of event.
    pub event_type: String,
    /// Its body.
    pub body: Value,
}

impl Notice {
    /// One of this moment. `unique` tells it from all others of its kind: the same facts have the same id.
    fn new(event_type: &str, now_ms: u64, unique: &str, body: Value) -> Self {
        let hash = Digest::of(format!("{event_type}\n{unique}").as_bytes());
        let random = hash.as_bytes().first_chunk().map_or(0, |half| u128::from_be_bytes(*half));
        Self { event: EventId::new(now_ms, random), event_type: event_type.to_owned(), body }
    }

    /// What a tenant is told of a change of its endpoint, if anything: `endpoint.held`, `endpoint.disabled`, `endpoint.resumed`.
    pub(super) fn of_health(
        tenant: &TenantName,
        endpoint: &EndpointName,
        before: EndpointState,
        health: &EndpointHealth,
    ) -> Option<Self> {
        let event_type = match health.state {
            EndpointState::Held => "endpoint.held",
            EndpointState::Disabled => "endpoint.disabled",
            EndpointState::Working if before.waits() => "endpoint.resumed",
            EndpointState::Working | EndpointState::Failing => return None,
        };
        let body = json!({
            "tenant": tenant,
            "endpoint": endpoint,
            "state": health.state,
            "since_ms": health.since_ms,
            "failing_since_ms": health.failing_since_ms,
            "reason": health.reason,
        });
        let unique = format!("{tenant}\n{endpoint}\n{}", health.revision);
        Some(Self::new(event_type, health.since_ms, &unique, body))
    }

    /// `delivery.dead`: the last attempt failed.
    pub(super) fn of_dead(tenant: &TenantName, delivery: &Delivery, last: &Attempt) -> Self {
        let body = json!({
            "tenant": tenant,
            "endpoint": delivery.endpoint,
            "delivery": delivery.id,
            "route": delivery.route,
            "event_type": delivery.event_type,
            "created_at_ms": delivery.created_at_ms,
            "attempts": delivery.attempts,
            "status": last.status,
            "error": last.error,
        });
        let ended_at_ms = last.started_at_ms.saturating_add(last.duration_ms);
        Self::new(DELIVERY_DEAD, ended_at_ms, &format!("{}\n{}", delivery.id, delivery.attempts), body)
    }

    /// What happened to the host itself: `disk.low`, `disk.ok`, `certificate.refused`, `host.restarted`.
    pub(super) fn of_host(fact: &HostFact, now_ms: u64) -> Self {
        let (event_type, body) = match fact {
            HostFact::DiskLow { free_bytes, low_bytes } => {
                ("disk.low", json!({ "free_bytes": free_bytes, "free_bytes_low": low_bytes }))
            }
            HostFact::DiskOk { free_bytes, low_since_ms } => {
                ("disk.ok", json!({ "free_bytes": free_bytes, "low_since_ms": low_since_ms }))
            }
            HostFact::CertificateRefused { listener, reason } => {
                ("certificate.refused", json!({ "listener": listener, "reason": reason }))
            }
            HostFact::Restarted { reason } => ("host.restarted", json!({ "reason": reason })),
        };
        Self::new(event_type, now_ms, &now_ms.to_string(), body)
    }

    /// The same for another tenant, which is told what happens to all: an event of its own, whose id is the same however often it is made.
    #[must_use]
    pub fn copy_for(&self, tenant: &TenantName) -> Self {
        let unique = format!("{tenant}\n{}", self.event);
        Self::new(&self.event_type, self.event.received_at_ms(), &unique, self.body.clone())
    }
}

/// Keeps a notice until it is told: a tenant's, or the host's own.
pub(super) fn put(view: &mut View<'_>, scope: Option<&TenantName>, notice: &Notice) -> Result<(), ReadError> {
    record::put(view, TreeId::Hot, keys::notice(scope, notice.event), notice)
}

/// The notice has become an event, or nobody will be told any more.
pub(super) fn remove(view: &mut View<'_>, key: Key) -> Result<(), ReadError> {
    record::remove(view, TreeId::Hot, key)
}
