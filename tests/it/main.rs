//! The integration tests: one binary, a real host in a process of its own, real receivers on loopback, real files.
//!
//! `support` has what they share. The guests that they upload are built by `make wasm`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says why by a panic"
)]

mod access;
mod addresses;
mod apply;
mod audit;
mod backup;
mod challenges;
mod cloudevents_in;
mod compiling;
mod compressed;
mod configuration;
mod containment;
mod crashes;
mod credentials;
mod deliveries;
mod docs;
mod endpoints;
mod event_types;
mod formats;
mod front;
mod golden;
mod handshake;
mod health;
#[path = "../hostile/mod.rs"]
mod hostile;
#[path = "../hostile/call.rs"]
mod hostile_call;
mod ingest;
mod intake;
mod jobs;
mod keys;
mod languages;
mod layers;
mod master_key;
mod module_commands;
mod module_trials;
mod modules;
mod operational;
mod publish;
mod quotas;
mod refused;
mod remembering;
mod replays;
mod requests;
mod retention;
mod schedules;
mod signing;
mod sources;
mod state;
mod statistics;
mod stored_formats;
#[expect(dead_code, reason = "the fault tests use more of it")]
mod support;
mod tls;
mod tokens;
mod uploads;
mod verification;
mod versions;
#[path = "../edge/wire.rs"]
mod wire;
