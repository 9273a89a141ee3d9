//! `faults`: what goes wrong short of a crash, one after the other, each with its verdict in a line: the disk, the receivers, the clock.

mod clock;
#[cfg(target_os = "linux")]
mod disk;
mod receivers;

use std::future::Future;
use std::pin::Pin;

type Fault = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Their names, for the command line.
pub(crate) const NAMES: [&str; 8] =
    ["disk-full", "disk-filled", "sync-errors", "database-errors", "write-errors", "slow-disk", "receivers", "clock"];

/// Runs those of these names. Answers whether all is well.
pub(crate) async fn run(names: &[&str], seed: u64) -> bool {
    let mut well = true;
    for name in names {
        let fault = match *name {
            "receivers" => Some(Box::pin(receivers::run()) as Fault),
            "clock" => Some(Box::pin(clock::run()) as Fault),
            other => on_disk(other, seed),
        };
        let Some(fault) = fault else { continue };
        // In a task of its own, so that one that panics says so and the others have their turn.
        let verdict = tokio::spawn(fault).await.unwrap_or_else(|error| Err(error.to_string()));
        well &= verdict.is_ok();
        match verdict {
            Ok(words) => println!("faults: {name}: well: {words}"),
            Err(words) => println!("faults: {name}: FAILED: {words}"),
        }
    }
    well
}

/// A fault of the disk; none where this machine cannot have one.
#[cfg(target_os = "linux")]
fn on_disk(name: &str, seed: u64) -> Option<Fault> {
    if let Err(why) = super::disk::is_there() {
        println!("faults: {name}: skipped: this machine has no FUSE: {why}");
        return None;
    }
    Some(match name {
        "disk-full" => Box::pin(disk::full(seed)),
        "disk-filled" => Box::pin(disk::filled(seed)),
        "sync-errors" => Box::pin(disk::errors(seed, disk::fail_syncs)),
        "database-errors" => Box::pin(disk::errors(seed, disk::fail_syncs_from_database)),
        "write-errors" => Box::pin(disk::errors(seed, disk::fail_writes)),
        "slow-disk" => Box::pin(disk::slow(seed)),
        other => panic!("there is no fault `{other}`"),
    })
}

#[cfg(not(target_os = "linux"))]
fn on_disk(name: &str, _: u64) -> Option<Fault> {
    println!("faults: {name}: skipped: only on Linux");
    None
}
