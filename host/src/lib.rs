//! Hookswitch: events in over HTTP, WebAssembly modules decide, a durable queue delivers.
//!
//! The modules below stand in layers; each uses only layers above its own line here (`tests/it/layers.rs` holds it to that).
//! Read them in this order, and ARCHITECTURE.md first.

#![deny(unsafe_code)]

// L0: the words everything speaks in.
pub mod clock;
pub mod model;
pub mod shutdown;
// L0, upper half: what is made of them.
pub mod ids;
// L1: pure decisions and descriptions; no sockets, no files, no threads.
pub mod problem;
pub mod retry;
pub mod signing;
pub mod statistics;
pub mod telemetry;
// L1, upper half: the configuration uses the three above.
pub mod config;
// L2: the ways to touch the world: disk, untrusted code, the network in and out.
pub mod runtime;
pub mod server;
pub mod store;
pub mod transport;
// L3: the road of an event.
pub mod deliverer;
pub mod ingest;
pub mod pipeline;
// L3, upper half: one thing done to many; a module tried out by a person, with the pipeline's state.
pub mod jobs;
pub mod trial;
// L4: the admin interface.
pub mod api;
// L5: composition.
pub mod app;
pub mod cli;
