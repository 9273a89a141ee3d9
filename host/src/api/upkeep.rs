//! What the admin interface keeps up beside requests: once a minute it writes down when keys were used, once an hour it takes away what is too
//! old in the audit logs.

use super::change::Configuration;
use super::key_uses::KeyUses;
use crate::clock::Clock;
use crate::shutdown::Shutdown;
use crate::store::{CommitError, Outcome, ReadError, Store, Transition};
use std::time::Duration;
use tokio::time::sleep;

/// How long between two looks.
const REST: Duration = Duration::from_secs(60);
/// How many looks there are from one that takes away old entries to the next.
const LOOKS_PER_SWEEP: u32 = 60;

/// Why the worker stopped; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store takes no more.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Works until the signal is given, and writes down at the end what is new.
///
/// # Errors
/// Where the store takes no more.
pub async fn work(
    uses: KeyUses,
    configuration: Configuration,
    store: Store,
    clock: Clock,
    audit_s: u64,
    mut told: Shutdown,
) -> Result<(), UpkeepError> {
    for look in (0..LOOKS_PER_SWEEP).cycle() {
        if look == 0 {
            sweep(&store, clock.now_ms().saturating_sub(audit_s.saturating_mul(1000)), &told).await?;
        }
        tokio::select! {
            () = told.wait() => break,
            () = sleep(REST) => keep(&uses, &configuration, &store).await?,
        }
    }
    keep(&uses, &configuration, &store).await
}

async fn keep(uses: &KeyUses, configuration: &Configuration, store: &Store) -> Result<(), UpkeepError> {
    let new = uses.take_new(&configuration.snapshot());
    if !new.is_empty() {
        store.commit(Transition::KeysUsed(new)).await?;
    }
    Ok(())
}

async fn sweep(store: &Store, before_ms: u64, told: &Shutdown) -> Result<(), UpkeepError> {
    for scope in store.read(move |reader| reader.old_audits(before_ms)).await? {
        let sweep = || Transition::SweepAudit { scope: scope.clone(), before_ms };
        while !told.fired() && store.commit(sweep()).await? == Outcome::More {}
    }
    Ok(())
}
