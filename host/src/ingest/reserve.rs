//! One event at a time for each dedup key: a second request with the key waits for what becomes of the first, so that it is neither
//! routed twice nor acknowledged before the first is durable.

use crate::model::{EventId, SourceName, TenantName};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// A dedup key at its source.
pub(super) type Key = (TenantName, SourceName, String);

type Table = HashMap<Key, watch::Receiver<Option<EventId>>>;

/// The keys whose events are on their way now. Bounded by the number of requests in flight.
#[derive(Debug, Default)]
pub(super) struct Reservations {
    table: Arc<Mutex<Table>>,
}

/// The answer to [`Reservations::reserve`].
#[derive(Debug)]
pub(super) enum Reserved {
    /// Nobody else has the key: it is the caller's until the guard is dropped.
    First(Guard),
    /// Another request had it, and its event (or the one that was there before it) is durable.
    Taken(EventId),
}

/// Holds a key.
#[derive(Debug)]
pub(super) struct Guard {
    key: Key,
    sender: watch::Sender<Option<EventId>>,
    table: Arc<Mutex<Table>>,
}

impl Reservations {
    /// Takes the key, or waits for the one who has it. Where that one fails, the next in line takes it.
    pub(super) async fn reserve(&self, key: Key) -> Reserved {
        loop {
            let mut other = match lock(&self.table).entry(key.clone()) {
                Entry::Occupied(entry) => entry.get().clone(),
                Entry::Vacant(entry) => {
                    let (sender, receiver) = watch::channel(None);
                    entry.insert(receiver);
                    return Reserved::First(Guard { key, sender, table: self.table.clone() });
                }
            };
            if let Ok(outcome) = other.wait_for(Option::is_some).await
                && let Some(first) = *outcome
            {
                return Reserved::Taken(first);
            }
        }
    }
}

impl Guard {
    /// Tells those who wait which event has the key.
    pub(super) fn taken_by(self, event: EventId) {
        self.sender.send_replace(Some(event));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Off the table before the sender goes: whoever wakes finds the key free.
        lock(&self.table).remove(&self.key);
    }
}

fn lock(table: &Mutex<Table>) -> std::sync::MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        ("t".parse().unwrap(), "s".parse().unwrap(), "k".to_owned())
    }

    #[tokio::test]
    async fn the_second_waits_for_the_first_and_gets_its_id() {
        let reservations = Arc::new(Reservations::default());
        let Reserved::First(guard) = reservations.reserve(key()).await else { panic!("the key is free") };
        let waiting = {
            let r = reservations.clone();
            tokio::spawn(async move { r.reserve(key()).await })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        guard.taken_by(EventId::new(1, 2));
        assert!(matches!(waiting.await.unwrap(), Reserved::Taken(id) if id == EventId::new(1, 2)));
        assert!(lock(&reservations.table).is_empty());
    }

    #[tokio::test]
    async fn the_second_takes_over_where_the_first_fails() {
        let reservations = Arc::new(Reservations::default());
        let Reserved::First(guard) = reservations.reserve(key()).await else { panic!("the key is free") };
        let waiting = {
            let r = reservations.clone();
            tokio::spawn(async move { r.reserve(key()).await })
        };
        tokio::task::yield_now().await;
        drop(guard);
        assert!(matches!(waiting.await.unwrap(), Reserved::First(_)));
    }
}
