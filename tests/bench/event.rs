//! The event that the benchmarks of modules call them with.

use hookswitch::model::{Event, EventId, Header};

/// A pull request of GitHub's. The body is not in it.
pub(crate) fn pull_request_event() -> Event {
    Event {
        id: EventId::new(1_700_000_000_000, 7),
        seq: 1,
        tenant: "acme".parse().unwrap(),
        source: "github".parse().unwrap(),
        event_type: "pull_request".into(),
        content_type: "application/json".into(),
        received_at_ms: 1_700_000_000_000,
        headers: vec![Header { name: "x-github-event".into(), value: "pull_request".into() }],
        body_bytes: 0,
        dedup_key: None,
    }
}
