//! The code that wit-bindgen generates from `../wit`, in quarantine: nothing else in the crate is generated, and nobody
//! edits what is. One module per world; the worlds of transforms and routers use the types and imports of `filter`, so that there
//! is one `Event`, one `Message` and so on.
//!
//! What must hold: no world is exported from here. Each world's `export!` macro runs in the module author's crate, where
//! `filter!`, `transform!` or `router!` calls it, and only there does the binary say which world it is built for.

/// The world `filter`, and everything that all worlds share.
pub mod filter {
    wit_bindgen::generate!({
        world: "filter",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "export_filter",
        default_bindings_module: "hookswitch_guest::bindings::filter",
        runtime_path: "::hookswitch_guest::bindings::rt",
        additional_derives: [PartialEq, Default],
        additional_derives_ignore: ["decision", "level"],
        generate_unused_types: true,
        generate_all,
    });
}

/// The world `transform`.
pub mod transform {
    wit_bindgen::generate!({
        world: "transform",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "export_transform",
        default_bindings_module: "hookswitch_guest::bindings::transform",
        runtime_path: "::hookswitch_guest::bindings::rt",
        with: {
            "hookswitch:module/types@0.1.0": crate::bindings::filter::hookswitch::module::types,
            "hookswitch:module/context@0.1.0": crate::bindings::filter::hookswitch::module::context,
            "hookswitch:module/log@0.1.0": crate::bindings::filter::hookswitch::module::log,
            "hookswitch:module/state@0.1.0": crate::bindings::filter::hookswitch::module::state,
        },
    });
}

/// The world `router`.
pub mod router {
    wit_bindgen::generate!({
        world: "router",
        path: "../wit",
        pub_export_macro: true,
        export_macro_name: "export_router",
        default_bindings_module: "hookswitch_guest::bindings::router",
        runtime_path: "::hookswitch_guest::bindings::rt",
        with: {
            "hookswitch:module/types@0.1.0": crate::bindings::filter::hookswitch::module::types,
            "hookswitch:module/context@0.1.0": crate::bindings::filter::hookswitch::module::context,
            "hookswitch:module/log@0.1.0": crate::bindings::filter::hookswitch::module::log,
            "hookswitch:module/state@0.1.0": crate::bindings::filter::hookswitch::module::state,
        },
        generate_all,
    });
}

/// What the generated code calls at run time, so that a module's crate needs no dependency on wit-bindgen.
pub use wit_bindgen::rt;
