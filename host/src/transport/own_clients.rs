//! Clients for requests with TLS of their own. Each has its certificate and its authorities, and so connections that it shares with nobody: a
//! connection that was opened with one endpoint's certificate never carries another's deliveries.

use super::{Client, Factory, SendError};
use crate::config::Tls;
use crate::model::Digest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The most that are kept; past it the one that was not used for longest goes, and its idle connections with it.
const OWN_CLIENTS_MAX: usize = 256;

/// Which TLS, and which of the ports that have a guard of their own.
type Key = (Digest, Option<u16>);

#[derive(Debug, Default)]
pub(super) struct OwnClients {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    clients: HashMap<Key, Entry>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    client: Arc<OnceCell<Arc<Client>>>,
    used: u64,
}

impl OwnClients {
    /// The client for this TLS and port, made if need be: once, however many ask.
    pub(super) async fn get(
        &self,
        tls: &Arc<Tls>,
        port: Option<u16>,
        factory: &Arc<Factory>,
    ) -> Result<Arc<Client>, SendError> {
        let cell = self.kept.lock().unwrap_or_else(PoisonError::into_inner).cell((tls.digest(), port));
        let client = cell.get_or_try_init(|| async {
            let (factory, tls) = (Arc::clone(factory), Arc::clone(tls));
            // It reads the system's authorities from disk.
            let made = tokio::task::spawn_blocking(move || factory.client(port, Some(&tls))).await;
            made.map_err(|error| error.to_string()).flatten().map(Arc::new)
        });
        client
            .await
            .cloned()
            .map_err(|why| SendError::Tls { why: format!("the endpoint's `tls` cannot be used: {why}") })
    }
}

impl Kept {
    fn cell(&mut self, key: Key) -> Arc<OnceCell<Arc<Client>>> {
        self.uses += 1;
        if self.clients.len() >= OWN_CLIENTS_MAX && !self.clients.contains_key(&key) {
            let oldest = self.clients.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
            oldest.and_then(|key| self.clients.remove(&key));
        }
        let entry = self.clients.entry(key).or_insert_with(|| Entry { client: Arc::default(), used: 0 });
        entry.used = self.uses;
        Arc::clone(&entry.client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_kept_and_the_one_that_was_not_used_for_longest_goes() {
        let mut kept = Kept::default();
        let key = |number: usize| (Digest::of(&number.to_be_bytes()), None);
        let first = kept.cell(key(0));
        for number in 1..OWN_CLIENTS_MAX {
            kept.cell(key(number));
        }
        assert!(Arc::ptr_eq(&first, &kept.cell(key(0))));
        kept.cell(key(OWN_CLIENTS_MAX));
        assert_eq!(kept.clients.len(), OWN_CLIENTS_MAX);
        assert!(kept.clients.contains_key(&key(0)) && !kept.clients.contains_key(&key(1)));
    }
}
