//! Makes operational events of what the host has to say: of notices, which stand in the store from the commit that they come of. An event's
//! commit takes its notice away, so each becomes one event, whatever comes between. Tenants that look after all get one of their own of each.
//!
//! Many are told at once, of each tenant as many as of any other; what is about the same endpoint is told in its order.
//!
//! Such an event goes the road of any other, from the tenant's source `hookswitch`. Nothing that fails of it makes another notice.

use super::{AcceptError, Pipeline};
use crate::model::{Event, InvalidName, OPERATIONAL_SOURCE, TenantName};
use crate::shutdown::Shutdown;
use crate::store::{CommitError, Hint, Notice, ReadError, Transition};
use bytes::Bytes;
use std::collections::HashMap;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

/// How many notices are read at once.
const NOTICES_AT_ONCE: usize = 64;
/// How many of these are of one tenant.
const NOTICES_OF_A_TENANT_AT_ONCE: usize = 16;

/// A notice and whose it is; none for the host's own.
type Scoped = (Option<TenantName>, Notice);

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
    /// The task that told one was lost.
    #[error("a task that tells was lost: {0}")]
    Lost(String),
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
    let notices = pipeline.store.read(|reader| reader.notices(NOTICES_OF_A_TENANT_AT_ONCE, NOTICES_AT_ONCE)).await?;
    let any = !notices.is_empty();
    for together in in_order(notices) {
        let mut telling = JoinSet::new();
        for (scope, notice) in together {
            let pipeline = pipeline.clone();
            telling.spawn(async move { tell(&pipeline, scope, notice).await });
        }
        while let Some(told) = telling.join_next().await {
            told.map_err(|error| NoticeError::Lost(error.to_string()))??;
        }
    }
    Ok(any)
}

/// What can be told at once: nothing about what something before it is about.
fn in_order(notices: Vec<Scoped>) -> Vec<Vec<Scoped>> {
    let mut rounds: Vec<Vec<Scoped>> = Vec::new();
    let mut last_of: HashMap<(Option<TenantName>, String), usize> = HashMap::new();
    for (scope, notice) in notices {
        let last = last_of.entry((scope.clone(), subject(&notice)));
        let round = *last.and_modify(|round| *round += 1).or_insert(0);
        if rounds.len() <= round {
            rounds.resize_with(round + 1, Vec::new);
        }
        if let Some(together) = rounds.get_mut(round) {
            together.push((scope, notice));
        }
    }
    rounds
}

/// What a notice is about: one delivery, one endpoint, or all that is told in the same words.
fn subject(notice: &Notice) -> String {
    let about = match notice.event_type.split_once('.') {
        Some(("delivery", _)) => notice.body.get("delivery"),
        Some(("endpoint", _)) => notice.body.get("endpoint"),
        Some((family, _)) => return family.to_owned(),
        None => None,
    };
    about.map(ToString::to_string).unwrap_or_default()
}

/// Makes the events of one notice: first those of whoever is told all, then its own, whose commit takes the notice away. Made again after a
/// crash, each has the same id, and is there once.
async fn tell(pipeline: &Pipeline, scope: Option<TenantName>, notice: Notice) -> Result<(), NoticeError> {
    let snapshot = pipeline.published.snapshot();
    let is_told = |tenant: &TenantName| snapshot.tenant(tenant).is_some_and(|found| found.is_told(&notice.event_type));
    for overseer in snapshot.overseers().iter().filter(|overseer| scope.as_ref() != Some(overseer) && is_told(overseer))
    {
        make(pipeline, overseer.clone(), notice.copy_for(overseer)).await?;
    }
    match scope {
        Some(tenant) if is_told(&tenant) => make(pipeline, tenant, notice).await,
        scope => Ok(pipeline.store.commit(Transition::Told { scope, event: notice.event }).await.map(drop)?),
    }
}

async fn make(pipeline: &Pipeline, tenant: TenantName, notice: Notice) -> Result<(), NoticeError> {
    let body = Bytes::from(notice.body.to_string());
    let event = Event {
        event_type: notice.event_type,
        content_type: "application/json".to_owned(),
        ..Event::new(notice.event, tenant, OPERATIONAL_SOURCE.parse()?, body.len())
    };
    match pipeline.accept(event, body, None).await {
        // Where the tenant was removed meanwhile, so was the notice.
        Ok(_) | Err(AcceptError::TenantGone) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;
    use serde_json::json;

    #[test]
    fn what_is_about_the_same_is_told_one_after_the_other() {
        let of = |tenant: &str, event_type: &str, about: &str| {
            let body = json!({ "endpoint": "e", "delivery": about });
            let body = if event_type.starts_with("endpoint") { json!({ "endpoint": about }) } else { body };
            let notice = Notice { event: EventId::new(1, 1), event_type: event_type.to_owned(), body };
            (Some(tenant.parse().unwrap()), notice)
        };
        let notices = vec![
            of("a", "endpoint.held", "e"),
            of("a", "delivery.dead", "1"),
            of("a", "endpoint.resumed", "e"),
            of("a", "delivery.dead", "2"),
            of("b", "endpoint.held", "e"),
            of("a", "endpoint.held", "f"),
            of("a", "endpoint.held", "e"),
        ];
        let sizes: Vec<usize> = in_order(notices.clone()).iter().map(Vec::len).collect();
        assert_eq!(sizes, [5, 1, 1]);
        let rounds = in_order(notices);
        assert_eq!(
            (rounds[1][0].1.event_type.as_str(), rounds[2][0].1.event_type.as_str()),
            ("endpoint.resumed", "endpoint.held")
        );
    }
}
