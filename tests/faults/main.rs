//! `make crash`, `make powercut`, `make faults`: a real host under load, killed, cut off its disk, and worse, and the books of what was
//! acknowledged and what arrived. Everything random comes of `SEED`, which is printed; everything is on loopback.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on says why by a panic"
)]

mod crash;
#[cfg(target_os = "linux")]
mod disk;
mod ledger;
mod lines;
mod load;
#[cfg(target_os = "linux")]
mod powercut;
mod random;
#[path = "../it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;
mod traffic;
mod trouble;
mod world;

use hookswitch::runtime::COMPILE_COMMAND;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    // The host of one of the faults runs in this process, and has itself started again to see that it can compile.
    if std::env::args().any(|argument| argument == COMPILE_COMMAND) {
        return hookswitch::cli::main();
    }
    let what = std::env::args().find(|argument| !argument.starts_with('-') && !argument.contains('/'));
    let seed = number("SEED").unwrap_or_else(|| getrandom::u64().expect("the machine gives random numbers") >> 32);
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let what = what.as_deref().unwrap_or("crash");
    println!("{what}: SEED={seed}");
    let well = tokio.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        let run = async {
            match what {
                "crash" => crash::run(number("ROUNDS").unwrap_or(100), seed).await,
                #[cfg(target_os = "linux")]
                "powercut" => powercut::run(number("ROUNDS").unwrap_or(50), seed, number("UNSYNCED") == Some(1)).await,
                "faults" => trouble::run(&trouble::NAMES, seed).await,
                one if trouble::NAMES.contains(&one) => trouble::run(&[one], seed).await,
                other => panic!("there is no fault test `{other}`"),
            }
        };
        // What is dropped then kills its host, unmounts its disk and removes its directory.
        tokio::select! {
            well = run => well,
            _ = tokio::signal::ctrl_c() => false,
            _ = terminate.recv() => false,
        }
    });
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
