//! How an endpoint is doing, by what came of the attempts: a record that is there once something went wrong, and changes only with its state.

use serde::{Deserialize, Serialize};

/// How an endpoint is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointHealth {
    /// Counts up with each change, from 1; 0 where nothing ever went wrong.
    pub revision: u64,
    /// What is done with it.
    pub state: EndpointState,
    /// Since when, in milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: u64,
    /// Since when nothing got through: the first failure after the last success. None while it is `working`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since_ms: Option<u64>,
    /// Why, for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What is done with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// Deliveries are sent, and get through as far as is known.
    Working,
    /// Deliveries are sent, and the last ones failed.
    Failing,
    /// Deliveries wait; one is tried from time to time.
    Held,
    /// Deliveries wait until a person does something.
    Disabled,
}

impl EndpointState {
    /// Whether deliveries wait in it, whatever their own schedules say.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Held | Self::Disabled)
    }
}

impl EndpointHealth {
    /// That of an endpoint of which nothing is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self { revision: 0, state: EndpointState::Working, since_ms: 0, failing_since_ms: None, reason: String::new() }
    }

    /// What follows it: in this state, from now on.
    #[must_use]
    pub fn then(&self, state: EndpointState, now_ms: u64, reason: impl Into<String>) -> Self {
        let failing_since_ms = match state {
            EndpointState::Working => None,
            _ => Some(self.failing_since_ms.unwrap_or(now_ms)),
        };
        let revision = self.revision.saturating_add(1);
        Self { revision, state, since_ms: now_ms, failing_since_ms, reason: reason.into() }
    }
}
