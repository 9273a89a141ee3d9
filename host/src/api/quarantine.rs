//! The worker that quarantines: it waits for versions that failed too often in a row, and has the configuration quarantine them, which says so
//! in an operational event.

use super::change::{ChangeError, Configuration};
use crate::clock::Clock;
use crate::ids::Ids;
use crate::model::EventId;
use crate::pipeline::{Pipeline, Streak, VersionOf};
use crate::shutdown::Shutdown;

/// Why the worker stopped; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The configuration could not be changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// Quarantines what is due until the signal is given.
///
/// # Errors
/// Where the store fails it.
pub async fn work(
    configuration: Configuration,
    pipeline: Pipeline,
    clock: Clock,
    ids: Ids,
    mut told: Shutdown,
) -> Result<(), QuarantineError> {
    loop {
        let due = tokio::select! {
            () = told.wait() => return Ok(()),
            due = pipeline.failures().due() => due,
        };
        for (version, streak) in due {
            quarantine(&configuration, ids.event(clock.now_ms())?, &version, &streak).await?;
        }
    }
}

async fn quarantine(
    configuration: &Configuration,
    event: EventId,
    version: &VersionOf,
    streak: &Streak,
) -> Result<(), QuarantineError> {
    let (tenant, module, digest) = (&version.tenant, &version.module, &version.digest);
    match configuration.quarantine(version, streak, event).await {
        Ok(Some(_)) => {
            tracing::warn!(%tenant, %module, %digest, failures = streak.failures, code = streak.code, "a module is quarantined");
        }
        Ok(None) => {}
        Err(error @ (ChangeError::Commit(_) | ChangeError::Read(_) | ChangeError::Answer(_))) => {
            return Err(error.into());
        }
        // It is this tenant's trouble alone: the others' modules are still watched. The next failures in a row try again.
        Err(error) => tracing::error!(%tenant, %module, %digest, %error, "a failing module cannot be quarantined"),
    }
    Ok(())
}
