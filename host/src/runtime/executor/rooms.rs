//! The places in the executor's queues: `queue_max` in each lane, and half as many for one tenant, so that one alone does not
//! keep others out.

use super::{Account, Lane, lock};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The fewest tenants' rooms to look through for some that are empty.
const ROOMS_KEPT: usize = 64;

/// The room of each lane, and in it of each tenant that has jobs.
#[derive(Debug)]
pub(super) struct Rooms {
    inline: Arc<Semaphore>,
    background: Arc<Semaphore>,
    tenants: Mutex<Tenants>,
    tenant_max: usize,
}

#[derive(Debug, Default)]
struct Tenants {
    rooms: HashMap<(Account, Lane), Arc<Semaphore>>,
    look_through_at: usize,
}

/// The tenant's permit and the lane's. Dropping it gives the place back.
pub(super) type Place = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Rooms {
    pub(super) fn new(queue_max: usize) -> Self {
        let lane = || Arc::new(Semaphore::new(queue_max));
        Self { inline: lane(), background: lane(), tenants: Mutex::default(), tenant_max: queue_max.div_ceil(2) }
    }

    /// A place, if there is one now.
    pub(super) fn try_enter(&self, account: &Account, lane: Lane) -> Option<Place> {
        let own = self.tenant(account, lane).try_acquire_owned().ok()?;
        Some((own, self.lane(lane).try_acquire_owned().ok()?))
    }

    /// A place, as soon as there is one; none at the end.
    pub(super) async fn enter(&self, account: &Account, lane: Lane) -> Option<Place> {
        let own = self.tenant(account, lane).acquire_owned().await.ok()?;
        Some((own, self.lane(lane).acquire_owned().await.ok()?))
    }

    /// Nobody enters any more, and who waits learns it.
    pub(super) fn close(&self) {
        self.inline.close();
        self.background.close();
        lock(&self.tenants).rooms.values().for_each(|room| room.close());
    }

    fn lane(&self, lane: Lane) -> Arc<Semaphore> {
        match lane {
            Lane::Inline => self.inline.clone(),
            Lane::Background => self.background.clone(),
        }
    }

    fn tenant(&self, account: &Account, lane: Lane) -> Arc<Semaphore> {
        let mut tenants = lock(&self.tenants);
        if tenants.rooms.len() > tenants.look_through_at {
            // Whoever is in a room, or waits for one, holds it.
            tenants.rooms.retain(|_, room| Arc::strong_count(room) > 1);
            tenants.look_through_at = (tenants.rooms.len() * 2).max(ROOMS_KEPT);
        }
        let room = || Arc::new(Semaphore::new(self.tenant_max));
        tenants.rooms.entry((account.clone(), lane)).or_insert_with(room).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_gets_half_of_a_lane_and_empty_rooms_are_forgotten() {
        let rooms = Rooms::new(3);
        let account = |name: &str| Some(name.parse().expect("a name"));
        let enter = |name: &str, lane| rooms.try_enter(&account(name), lane);
        let places = [enter("a", Lane::Inline), enter("a", Lane::Inline)];
        assert!(places.iter().all(Option::is_some) && enter("a", Lane::Inline).is_none(), "two of three");
        let third = enter("b", Lane::Inline);
        assert!(third.is_some() && enter("c", Lane::Inline).is_none(), "three in all");
        assert!(enter("a", Lane::Background).is_some(), "the other lane");
        drop(places);
        assert!(enter("c", Lane::Inline).is_some());
        for tenant in 0..10 * ROOMS_KEPT {
            drop(enter(&format!("t{tenant}"), Lane::Inline));
        }
        let kept = lock(&rooms.tenants).rooms.len();
        assert!(kept <= ROOMS_KEPT + 1, "{kept}");
        assert!(lock(&rooms.tenants).rooms.contains_key(&(account("b"), Lane::Inline)), "its place is held");
    }
}
