//! The event that the benchmarks of modules call them with.

use hookswitch::model::{Event, EventId, Header};

/// A pull request of GitHub's. The body is not in it.
pub(crate) fn pull_request_event() -> Event {
    Event {
        event_type: "pull_request".into(),
        content_type: "application/json".into(),
        headers: vec![Header { name: "x-github-event".into(), value: "pull_request".into() }],
        ..Event::new(EventId::new(1_700_000_000_000, 7), "acme".parse().unwrap(), "github".parse().unwrap(), 0)
    }
}
