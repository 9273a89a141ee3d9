//! Who may have a connection: so many in all, so many of one address. Where all are taken and one more is there, those who have one are told, so
//! that whoever waits gets a turn.

use super::Config;
use super::forwarded::is_trusted;
use crate::model::AddressRange;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// Where nobody has come for so long, nobody waits any more.
const QUIET: Duration = Duration::from_secs(1);
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

/// A place among those of an address, unless that is a listed proxy's. Dropping it frees it.
pub(super) struct PlaceOfOne(Option<(Counts, IpAddr)>);

/// A place among all connections. Dropping it frees it.
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_one: PlaceOfOne,
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
            relaxed_free: (most / 10).max(1).min(most.saturating_sub(1)),
            last_word: None,
        }
    }

    /// A connection from this address is there. None where the address has too many: that one need not wait.
    pub(super) fn enter(&mut self, address: IpAddr) -> Option<PlaceOfOne> {
        // Behind a proxy there are many clients. It has to count them.
        if is_trusted(address, &self.trusted) {
            return Some(PlaceOfOne(None));
        }
        let key = counted_as(address);
        let mut all = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(key).or_default();
        if *count < self.of_one_max {
            *count += 1;
            return Some(PlaceOfOne(Some((self.of_one.clone(), key))));
        }
        drop(all);
        self.say_too_many(address);
        None
    }

    /// Waits until there is a place for a connection that is there.
    pub(super) async fn place(&self, of_one: PlaceOfOne) -> Option<Place> {
        let of_all = match self.all.clone().try_acquire_owned() {
            Ok(of_all) => of_all,
            Err(_) => {
                self.crowded.send_if_modified(|crowded| !std::mem::replace(crowded, true));
                self.all.clone().acquire_owned().await.ok()?
            }
        };
        if self.all.available_permits() >= self.relaxed_free {
            self.relax();
        }
        Some(Place { _of_all: of_all, _of_one: of_one })
    }

    /// Ends when somebody was said to wait, and nobody has come for a while.
    pub(super) async fn nobody_comes(&self) {
        if !*self.crowded.borrow() {
            return std::future::pending().await;
        }
        tokio::time::sleep(QUIET).await;
        self.relax();
    }

    fn relax(&self) {
        self.crowded.send_if_modified(std::mem::take);
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

impl Drop for PlaceOfOne {
    fn drop(&mut self) {
        let Some((all, key)) = &self.0 else { return };
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
        let of_one = crowd.enter(address.parse().unwrap())?;
        crowd.place(of_one).await
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

    #[tokio::test(start_paused = true)]
    async fn those_who_have_a_place_are_told_when_somebody_waits() {
        let mut crowd = crowd(20, 100);
        let crowded = crowd.crowded();
        let mut held = Vec::new();
        for _ in 0..20 {
            held.push(enter(&mut crowd, "192.0.2.1").await.unwrap());
        }
        assert!(!*crowded.borrow(), "all places are taken, and nobody waits");
        let waits = Duration::from_millis(1);
        assert!(tokio::time::timeout(waits, enter(&mut crowd, "192.0.2.1")).await.is_err());
        assert!(*crowded.borrow());
        held.truncate(19);
        held.push(enter(&mut crowd, "192.0.2.1").await.unwrap());
        assert!(*crowded.borrow(), "one free place is not enough for all who may wait");
        held.truncate(17);
        held.push(enter(&mut crowd, "192.0.2.1").await.unwrap());
        assert!(!*crowded.borrow());
        assert!(tokio::time::timeout(QUIET * 2, crowd.nobody_comes()).await.is_err(), "it is said already");
    }

    #[tokio::test(start_paused = true)]
    async fn of_one_place_it_is_told_too_and_where_nobody_comes_any_more_that_is_over() {
        let mut crowd = crowd(1, 1);
        let crowded = crowd.crowded();
        let held = enter(&mut crowd, "192.0.2.1").await.unwrap();
        assert!(enter(&mut crowd, "192.0.2.1").await.is_none(), "who has too many does not wait");
        assert!(!*crowded.borrow());
        let of_one = crowd.enter("192.0.2.2".parse().unwrap()).unwrap();
        let second = {
            let mut waiting = std::pin::pin!(crowd.place(of_one));
            assert!(tokio::time::timeout(Duration::from_millis(1), waiting.as_mut()).await.is_err());
            assert!(*crowded.borrow());
            drop(held);
            waiting.await
        };
        assert!(second.is_some());
        assert!(!*crowded.borrow(), "it has the place it waited for");
        let waits = Duration::from_millis(1);
        let of_one = crowd.enter("192.0.2.3".parse().unwrap()).unwrap();
        assert!(tokio::time::timeout(waits, crowd.place(of_one)).await.is_err());
        assert!(*crowded.borrow());
        crowd.nobody_comes().await;
        assert!(!*crowded.borrow(), "it hung up, maybe");
    }
}
