//! Makes operational events of what the host has to say: of notices, which stand in the store from the commit that they come of. An event's
//! commit takes its notice away, so each becomes one event, whatever comes between.
//!
//! Such an event goes the road of any other, from the tenant's source `hookswitch`. Nothing that fails of it makes another notice.

use super::{AcceptError, Pipeline};
use crate::model::{Event, InvalidName, OPERATIONAL_SOURCE, TenantName};
use crate::shutdown::Shutdown;
use crate::store::{CommitError, Hint, Notice, ReadError};
use bytes::Bytes;
use tokio::sync::broadcast;

/// How many notices are read at once.
const NOTICES_AT_ONCE: usize = 64;

/// Why the worker stopped; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// An event was not taken.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// The notices could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store takes no more.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The source's name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// Tells what is to be told until the signal is given.
///
/// # Errors
/// Where the store fails it.
pub async fn work(pipeline: Pipeline, mut shutdown: Shutdown) -> Result<(), NoticeError> {
    // Subscribed before the first look: what comes in between is told, not missed.
    let mut hints = pipeline.store.subscribe();
    loop {
        while !shutdown.fired() && tell_some(&pipeline).await? {}
        let mut told = false;
        while !told {
            tokio::select! {
                () = shutdown.wait() => return Ok(()),
                heard = hints.recv() => told = match heard {
                    Ok(hints) => hints.contains(&Hint::Notice),
                    Err(broadcast::error::RecvError::Lagged(_)) => true,
                    Err(broadcast::error::RecvError::Closed) => return Err(CommitError::Closed.into()),
                },
            }
        }
    }
}

/// Whether there was anything to tell.
async fn tell_some(pipeline: &Pipeline) -> Result<bool, NoticeError> {
    let notices = pipeline.store.read(|reader| reader.notices(NOTICES_AT_ONCE)).await?;
    let any = !notices.is_empty();
    for (tenant, notice) in notices {
        tell(pipeline, tenant, notice).await?;
    }
    Ok(any)
}

async fn tell(pipeline: &Pipeline, tenant: TenantName, notice: Notice) -> Result<(), NoticeError> {
    let body = Bytes::from(notice.body.to_string());
    let event = Event {
        id: notice.event,
        seq: 0,
        tenant,
        source: OPERATIONAL_SOURCE.parse()?,
        event_type: notice.event_type,
        content_type: "application/json".to_owned(),
        received_at_ms: notice.event.received_at_ms(),
        headers: Vec::new(),
        body_bytes: body.len() as u64,
        dedup_key: None,
    };
    match pipeline.accept(event, body, None).await {
        // Where the tenant was removed meanwhile, so was the notice.
        Ok(_) | Err(AcceptError::TenantGone) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
