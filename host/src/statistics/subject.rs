//! What is counted separately.

use crate::model::{Digest, EndpointName, SourceName};
use std::sync::Arc;

/// The kinds of subjects there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Ways in.
    Source,
    /// Modules.
    Module,
    /// Ways out.
    Endpoint,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Source, Self::Module, Self::Endpoint];

    /// As the configuration calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Module => "module",
            Self::Endpoint => "endpoint",
        }
    }
}

/// What of a tenant is counted separately.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A way in.
    Source(SourceName),
    /// A version of a module.
    Module {
        /// As the tenant's routes name it: the operator's begin with `operator/`.
        name: Arc<str>,
        /// Which version.
        version: Digest,
    },
    /// A way out.
    Endpoint(EndpointName),
    /// All of the tenant's of one kind together.
    All(Kind),
}

impl Subject {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Source(_) => Kind::Source,
            Self::Module { .. } => Kind::Module,
            Self::Endpoint(_) => Kind::Endpoint,
            Self::All(kind) => *kind,
        }
    }

    /// Its name; empty for all of a kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Source(name) => name.as_str(),
            Self::Module { name, .. } => name,
            Self::Endpoint(name) => name.as_str(),
            Self::All(_) => "",
        }
    }
}
