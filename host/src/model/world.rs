//! The kinds of modules: the worlds of the WIT contract.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What kind of module it is: the world of the WIT contract that it targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum World {
    /// Says whether a message goes on.
    Filter,
    /// Turns one message into zero, one or many.
    Transform,
    /// Names the endpoints itself.
    Router,
}

impl World {
    /// As people write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Transform => "transform",
            Self::Router => "router",
        }
    }

    /// The function that makes a module one of this world.
    #[must_use]
    pub const fn export(self) -> &'static str {
        match self {
            Self::Filter => "accept",
            Self::Transform => "apply",
            Self::Router => "route",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
