//! What the tests of this layer start from: one delivery, and endpoints as people write them.

use crate::config::{Endpoint, Kind, MasterKey, ResourceId, Snapshot, parse};
use crate::model::{Delivery, Digest, EventId, Run, TenantName};
use std::sync::Arc;

pub(super) fn tenant() -> TenantName {
    "acme".parse().unwrap()
}

/// A pending delivery to the endpoint `x`, never tried and due at once, with the event's body.
pub(super) fn delivery() -> Delivery {
    delivery_to("x", 1)
}

/// Such a delivery to any endpoint; `number` tells it from others.
pub(super) fn delivery_to(endpoint: &str, number: u64) -> Delivery {
    let now_ms = 1_674_087_000_000;
    let event = EventId::new(now_ms, number.into());
    let run = Run::new(event, &"route".parse().unwrap(), 0, Digest::of(b"plan"), now_ms);
    Delivery {
        event_type: "push".to_owned(),
        content_type: "application/json".to_owned(),
        ..Delivery::new(&run, 0, 0, &endpoint.parse().unwrap(), now_ms)
    }
}

/// The endpoint `x` with these fields besides its URL.
pub(super) fn endpoint(fields: &str) -> Arc<Endpoint> {
    let comma = if fields.is_empty() { "" } else { "," };
    endpoint_of(format!(r#"{{"url": "http://127.0.0.1:9/x"{comma} {fields}}}"#))
}

/// The endpoint `x` at a URL.
pub(super) fn endpoint_at(url: &str) -> Arc<Endpoint> {
    endpoint_of(format!(r#"{{"url": "{url}"}}"#))
}

fn endpoint_of(spec: String) -> Arc<Endpoint> {
    let snapshot = snapshot(&[("x", spec)]);
    Arc::clone(snapshot.endpoint(&tenant(), &"x".parse().unwrap()).unwrap())
}

/// A configuration with these endpoints, by name and JSON; their secrets stand there in plain.
pub(super) fn snapshot(endpoints: &[(&str, String)]) -> Snapshot {
    let key = MasterKey::new([7; 32]);
    let acme = ResourceId { tenant: Some(tenant()), kind: Kind::Tenant, name: tenant().to_string() };
    let acme = (acme, parse(Kind::Tenant, b"{}").unwrap());
    let endpoints = endpoints.iter().map(|(name, json)| {
        let id = ResourceId { tenant: Some(tenant()), kind: Kind::Endpoint, name: (*name).to_owned() };
        let mut spec = parse(Kind::Endpoint, json.as_bytes()).unwrap();
        for (_, secret) in spec.secrets_mut() {
            *secret = key.seal(&id.to_string(), secret, [1; 24]).unwrap();
        }
        (id, spec)
    });
    Snapshot::build(1, std::iter::once(acme).chain(endpoints), &key).unwrap()
}
