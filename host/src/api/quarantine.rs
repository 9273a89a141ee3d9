//! The worker that quarantines: it waits for versions that failed too often in a row, has the configuration quarantine them, and says so
//! in an operational event.

use super::change::{ChangeError, Configuration};
use crate::clock::Clock;
use crate::config::QuarantineSpec;
use crate::model::{Event, EventId, InvalidName, OPERATIONAL_SOURCE, TenantName};
use crate::pipeline::{AcceptError, Pipeline, Streak, VersionOf};
use crate::shutdown::Shutdown;
use bytes::Bytes;
use serde_json::json;

/// How old a quarantine may be for its event to be made sure of at a start: a crash may have come between the two.
const ANNOUNCED_AGAIN_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Why the worker stopped; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// The configuration could not be changed.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The event was not taken.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The source's name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// Quarantines what is due until the signal is given.
///
/// # Errors
/// Where the store fails it.
pub async fn work(
    configuration: Configuration,
    pipeline: Pipeline,
    clock: Clock,
    mut told: Shutdown,
) -> Result<(), QuarantineError> {
    announce_recent(&configuration, &pipeline, clock.now_ms()).await?;
    loop {
        let due = tokio::select! {
            () = told.wait() => return Ok(()),
            due = pipeline.failures().due() => due,
        };
        for (version, streak) in due {
            quarantine(&configuration, &pipeline, clock.now_ms(), &version, &streak).await?;
        }
    }
}

async fn quarantine(
    configuration: &Configuration,
    pipeline: &Pipeline,
    now_ms: u64,
    version: &VersionOf,
    streak: &Streak,
) -> Result<(), QuarantineError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    let event = EventId::new(now_ms, u128::from_be_bytes(random));
    let (tenant, module, digest) = (&version.tenant, &version.module, &version.digest);
    let spec = match configuration.quarantine(version, streak, event).await {
        Ok(Some(spec)) => spec,
        Ok(None) => return Ok(()),
        Err(error @ (ChangeError::Commit(_) | ChangeError::Read(_) | ChangeError::Answer(_))) => {
            return Err(error.into());
        }
        // It is this tenant's trouble alone: the others' modules are still watched. The next failures in a row try again.
        Err(error) => {
            tracing::error!(%tenant, %module, %digest, %error, "a failing module cannot be quarantined");
            return Ok(());
        }
    };
    tracing::warn!(%tenant, %module, %digest, failures = streak.failures, code = streak.code, "a module is quarantined");
    announce(configuration, pipeline, tenant, &spec).await
}

/// The event of a quarantine has the id that the quarantine knows: committed twice it is there once.
async fn announce_recent(
    configuration: &Configuration,
    pipeline: &Pipeline,
    now_ms: u64,
) -> Result<(), QuarantineError> {
    let snapshot = configuration.snapshot();
    for name in snapshot.tenant_names() {
        let quarantines = snapshot.tenant(name).into_iter().flat_map(|tenant| tenant.quarantines());
        for (_, spec) in quarantines.filter(|(_, spec)| now_ms.saturating_sub(spec.since_ms) <= ANNOUNCED_AGAIN_MS_MAX)
        {
            announce(configuration, pipeline, name, spec).await?;
        }
    }
    Ok(())
}

async fn announce(
    configuration: &Configuration,
    pipeline: &Pipeline,
    tenant: &TenantName,
    spec: &QuarantineSpec,
) -> Result<(), QuarantineError> {
    let body = Bytes::from(
        json!({
            "tenant": tenant,
            "module": spec.module,
            "digest": spec.digest,
            "since_ms": spec.since_ms,
            "failures": spec.failures,
            "run": spec.run,
            "code": spec.code,
            "message": spec.message,
            "rolled_back_to": spec.rolled_back_to,
        })
        .to_string(),
    );
    let event = Event {
        id: spec.event,
        seq: 0,
        tenant: tenant.clone(),
        source: OPERATIONAL_SOURCE.parse()?,
        event_type: "module.quarantined".to_owned(),
        content_type: "application/json".to_owned(),
        received_at_ms: spec.since_ms,
        headers: Vec::new(),
        body_bytes: body.len() as u64,
        dedup_key: None,
    };
    match pipeline.accept(event, body, None).await {
        Ok(_) => Ok(()),
        // It was removed meanwhile, and everything of it.
        Err(AcceptError::TenantGone) if configuration.snapshot().tenant(tenant).is_none() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
