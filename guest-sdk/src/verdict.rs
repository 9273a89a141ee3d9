//! A filter's verdict, and the failures that any module may answer.

use std::fmt;

use crate::{Decision, Failure};

/// The message goes on to the next step.
#[must_use]
pub fn accept() -> Decision {
    Decision::Accept
}

/// The run stops here. The reason is shown in the event's trace: say what the message had, not only what was wanted.
pub fn reject(reason: impl Into<String>) -> Decision {
    Decision::Reject(reason.into())
}

// By hand: the generator derives the same for all types, and a decision has no default.
impl PartialEq for Decision {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Accept, Self::Accept) => true,
            (Self::Reject(one), Self::Reject(two)) => one == two,
            _ => false,
        }
    }
}

impl Failure {
    /// A failure with a code of the module's own, in lower case with dashes.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// `input-invalid`: the message is not what the module works on.
    pub fn input_invalid(message: impl fmt::Display) -> Self {
        Self::new("input-invalid", message.to_string())
    }

    /// `settings-invalid`: the step's settings make no sense.
    pub fn settings_invalid(message: impl fmt::Display) -> Self {
        Self::new("settings-invalid", message.to_string())
    }

    /// `limit`: a bound of the module was reached; the message names it.
    pub fn limit(message: impl fmt::Display) -> Self {
        Self::new("limit", message.to_string())
    }

    /// `denied`: the module may not do what it would have to do.
    pub fn denied(message: impl fmt::Display) -> Self {
        Self::new("denied", message.to_string())
    }
}

/// JSON that does not parse is taken for bad input: that is where modules meet it.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::input_invalid(format!("not the JSON this module works on: {error}"))
    }
}
