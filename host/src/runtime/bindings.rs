//! What wasmtime generates from `wit/`, in quarantine: the types of the contract, and typed calls into the three worlds.
//! Nothing else is here, and no other file of the crate holds generated code.

/// The world `filter`, and the types and interfaces that all worlds share.
pub(super) mod filter {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "filter",
        imports: { default: trappable },
    });
}

/// The world `transform`.
pub(super) mod transform {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "transform",
        imports: { default: trappable },
        with: {
            "hookswitch:module/types": crate::runtime::bindings::filter::hookswitch::module::types,
            "hookswitch:module/context": crate::runtime::bindings::filter::hookswitch::module::context,
            "hookswitch:module/log": crate::runtime::bindings::filter::hookswitch::module::log,
            "hookswitch:module/state": crate::runtime::bindings::filter::hookswitch::module::state,
        },
    });
}

/// The world `router`; the only one that imports `endpoints`.
pub(super) mod router {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "router",
        imports: { default: trappable },
        with: {
            "hookswitch:module/types": crate::runtime::bindings::filter::hookswitch::module::types,
            "hookswitch:module/context": crate::runtime::bindings::filter::hookswitch::module::context,
            "hookswitch:module/log": crate::runtime::bindings::filter::hookswitch::module::log,
            "hookswitch:module/state": crate::runtime::bindings::filter::hookswitch::module::state,
        },
    });
}

pub(super) use filter::hookswitch::module::{context, log, state, types};
pub(super) use router::hookswitch::module::endpoints;
