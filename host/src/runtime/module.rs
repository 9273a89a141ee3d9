//! A compiled module version: linked and type-checked once, instantiated anew for every call.

use super::Shared;
use super::bindings::{filter, router, transform, types};
use super::host::HostState;
use crate::model::{Digest, World};
use std::fmt;
use std::sync::Arc;
use wasmtime::Store;

/// A module version, ready to run. Cheap to clone; it keeps its runtime alive.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    digest: Digest,
    code_bytes: usize,
    pre: Pre,
    shared: Arc<Shared>,
}

/// The module with its imports linked and its exports found, by world.
pub(super) enum Pre {
    Filter(filter::FilterPre<HostState>),
    Transform(transform::TransformPre<HostState>),
    Router(router::RouterPre<HostState>),
}

/// One instance, by world.
pub(super) enum Instance {
    Filter(filter::Filter),
    Transform(transform::Transform),
    Router(router::Router),
}

impl Module {
    pub(super) fn new(shared: &Arc<Shared>, digest: Digest, code_bytes: usize, pre: Pre) -> Self {
        Self(Arc::new(Inner { digest, code_bytes, pre, shared: Arc::clone(shared) }))
    }

    /// The sha256 of the bytes that were uploaded: the version's address.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The world it targets.
    #[must_use]
    pub fn world(&self) -> World {
        match self.0.pre {
            Pre::Filter(_) => World::Filter,
            Pre::Transform(_) => World::Transform,
            Pre::Router(_) => World::Router,
        }
    }

    /// How large its compiled code is, with all that belongs to it, in bytes: about the memory that it takes.
    #[must_use]
    pub fn code_bytes(&self) -> usize {
        self.0.code_bytes
    }

    /// Whether somebody beside the one who asks has it in hand.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    pub(super) fn pre(&self) -> &Pre {
        &self.0.pre
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl Pre {
    pub(super) fn instantiate(&self, store: &mut Store<HostState>) -> wasmtime::Result<Instance> {
        Ok(match self {
            Self::Filter(pre) => Instance::Filter(pre.instantiate(store)?),
            Self::Transform(pre) => Instance::Transform(pre.instantiate(store)?),
            Self::Router(pre) => Instance::Router(pre.instantiate(store)?),
        })
    }
}

impl Instance {
    pub(super) fn configure(
        &self,
        store: &mut Store<HostState>,
        settings: &str,
    ) -> wasmtime::Result<Result<(), types::Failure>> {
        match self {
            Self::Filter(instance) => instance.call_configure(store, settings),
            Self::Transform(instance) => instance.call_configure(store, settings),
            Self::Router(instance) => instance.call_configure(store, settings),
        }
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("digest", &self.0.digest).field("world", &self.world()).finish_non_exhaustive()
    }
}
