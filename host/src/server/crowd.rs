//! Who may have a connection: so many in all, so many of one address. Where all are taken, those who have one are told, so that whoever waits
//! gets a turn.

use super::Config;
use super::forwarded::is_trusted;
use crate::model::AddressRange;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// How long between two log lines about addresses with too many connections.
const WORD_EVERY: Duration = Duration::from_secs(1);

/// How many connections each address has; those that have none are not in it.
type Counts = Arc<Mutex<HashMap<IpAddr, u32>>>;

/// The connections of a listener.
pub(super) struct Crowd {
    all: Arc<Semaphore>,
    of_one: Counts,
    of_one_max: u32,
    trusted: Vec<AddressRange>,
    crowded: watch::Sender<bool>,
    /// With so many places free nobody waits any more.
    relaxed_free: usize,
    last_word: Option<Instant>,
}

/// A place among all connections. Dropping it frees it.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    of_one: Option<(Counts, IpAddr)>,
}

impl Crowd {
    pub(super) fn new(config: &Config) -> Self {
        let most = config.connections_max as usize;
        Self {
            all: Arc::new(Semaphore::new(most)),
            of_one: Arc::default(),
            of_one_max: config.connections_per_address_max,
            trusted: config.trusted_proxies.clone(),
            crowded: watch::Sender::new(false),
            relaxed_free: (most / 10).max(1),
            last_word: None,
        }
    }

    /// Waits for a place that is free.
    pub(super) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.all.clone().try_acquire_owned() {
            if self.all.available_permits() >= self.relaxed_free {
                self.crowded.send_if_modified(std::mem::take);
            }
            return Some(permit);
        }
        self.crowded.send_if_modified(|crowded| !std::mem::replace(crowded, true));
        self.all.clone().acquire_owned().await.ok()
    }

    /// Gives the place to a connection from this address; none where it has too many.
    pub(super) fn enter(&mut self, of_all: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        // Behind a proxy there are many clients. It has to count them.
        if is_trusted(address, &self.trusted) {
            return Some(Place { _of_all: of_all, of_one: None });
        }
        let key = counted_as(address);
        let mut all = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(key).or_default();
        if *count < self.of_one_max {
            *count += 1;
            return Some(Place { _of_all: of_all, of_one: Some((self.of_one.clone(), key)) });
        }
        drop(all);
        self.say_too_many(address);
        None
    }

    /// Whether somebody waits for a place.
    pub(super) fn crowded(&self) -> watch::Receiver<bool> {
        self.crowded.subscribe()
    }

    fn say_too_many(&mut self, address: IpAddr) {
        if self.last_word.is_some_and(|last| last.elapsed() < WORD_EVERY) {
            return;
        }
        self.last_word = Some(Instant::now());
        let most = self.of_one_max;
        tracing::warn!(%address, connections_per_address_max = most, "a connection was closed: its address has as many as it may");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((all, key)) = &self.of_one else { return };
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.remove(key);
            }
        }
    }
}

/// An IPv6 client has a /64 and can come by any address of it.
fn counted_as(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(connections_max: u32, connections_per_address_max: u32) -> Crowd {
        let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
        Crowd::new(&Config { connections_max, connections_per_address_max, trusted_proxies, ..Config::default() })
    }

    async fn enter(crowd: &mut Crowd, address: &str) -> Option<Place> {
        let free = crowd.free().await.unwrap();
        crowd.enter(free, address.parse().unwrap())
    }

    #[tokio::test]
    async fn one_address_has_so_many_and_a_listed_proxy_more() {
        let mut crowd = crowd(100, 2);
        let held = (enter(&mut crowd, "192.0.2.1").await.unwrap(), enter(&mut crowd, "192.0.2.1").await.unwrap());
        assert!(enter(&mut crowd, "192.0.2.1").await.is_none());
        assert!(enter(&mut crowd, "192.0.2.2").await.is_some());
        drop(held.0);
        assert!(enter(&mut crowd, "192.0.2.1").await.is_some());
        let mut proxied = Vec::new();
        for _ in 0..3 {
            proxied.push(enter(&mut crowd, "10.0.0.1").await.unwrap());
        }
        drop((held.1, proxied));
        assert!(crowd.of_one.lock().unwrap().is_empty(), "who has none takes no memory");
        assert_eq!(crowd.all.available_permits(), 100);
    }

    #[tokio::test]
    async fn an_ipv6_client_is_its_network() {
        let mut crowd = crowd(100, 1);
        let _held = enter(&mut crowd, "2001:db8::1").await.unwrap();
        assert!(enter(&mut crowd, "2001:db8::ffff").await.is_none());
        assert!(enter(&mut crowd, "2001:db8:0:1::1").await.is_some());
    }

    #[tokio::test]
    async fn those_who_have_a_place_are_told_when_somebody_waits() {
        let mut crowd = crowd(20, 20);
        let crowded = crowd.crowded();
        let mut held = Vec::new();
        for _ in 0..20 {
            held.push(enter(&mut crowd, "192.0.2.1").await.unwrap());
        }
        assert!(!*crowded.borrow());
        assert!(tokio::time::timeout(Duration::from_millis(1), crowd.free()).await.is_err());
        assert!(*crowded.borrow());
        held.truncate(19);
        drop(crowd.free().await);
        assert!(*crowded.borrow(), "one free place is not enough for all who may wait");
        held.truncate(17);
        drop(crowd.free().await);
        assert!(!*crowded.borrow());
    }
}
