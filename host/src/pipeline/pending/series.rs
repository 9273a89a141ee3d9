//! Runs of a route that keeps state, one after the other: each begins when the one before is routed, though not on disk yet. So what
//! a run costs is its own work, and many share one sync of the disk.
//!
//! What must hold: outcomes are put in the store's queue in order; a run that built on one that was not stored after all is refused by
//! the store, for the state is not as it saw it, and is made again. A route that is `ordered` has no series: a run without state would
//! not be refused.

use super::lanes::{Key, Place};
use super::route::{Fate, Routed};
use crate::pipeline::Pipeline;
use crate::pipeline::state::Carried;
use crate::shutdown::Shutdown;
use crate::store::Reader;

/// How many runs are routed before the first is looked after: what is not stored yet is kept in memory.
const SERIES_MAX: usize = 64;
/// How many bytes of state that is not stored yet one series keeps in memory, about, before it waits for the store.
const SERIES_BYTES_MAX: usize = 4 << 20;

impl Pipeline {
    /// Routes the run at this place, and those behind it where its route keeps state. Answers the first one's fate; of the others
    /// those that are not through are still pending, and found again.
    pub(super) async fn route_series(self, key: Key, place: Place, told: Shutdown) -> Fate {
        let (mut storing, mut stopped) = (Vec::new(), None);
        let mut next = Some((place, Carried::default()));
        while let Some((place, carried)) = next.take() {
            match self.route_pending(&key.0, place.1, carried, &told).await {
                Ok(Routed { stored, carried }) => {
                    storing.push(stored);
                    if let Some(carried) = carried.filter(|carried| {
                        storing.len() < SERIES_MAX && carried.bytes() < SERIES_BYTES_MAX && !told.fired()
                    }) {
                        next = self.behind(&key, place).await.map(|place| (place, carried));
                    }
                }
                Err(fate) => stopped = Some(fate),
            }
        }
        let mut fates = Vec::with_capacity(storing.len() + 1);
        for stored in storing {
            fates.push(stored.await.unwrap_or_else(|error| Fate::Failed(error.to_string())));
        }
        fates.extend(stopped);
        let gone = fates.iter().position(|fate| matches!(fate, Fate::StoreGone(_)));
        fates.into_iter().nth(gone.unwrap_or(0)).unwrap_or(Fate::Over)
    }

    /// The next run of a route that has series, if there is one.
    async fn behind(&self, (tenant, route): &Key, place: Place) -> Option<Place> {
        let snapshot = self.published.snapshot();
        let found = snapshot.tenant(tenant)?.routes.get(route)?;
        if found.ordered || !found.plan.keeps_state() {
            return None;
        }
        let (tenant, route) = (tenant.clone(), route.clone());
        let look = move |reader: &Reader| reader.pending_of(&tenant, &route, Some(place), 1);
        // What cannot be read now ends the series, and is asked for again.
        let found = self.store.read(look).await.ok()?;
        found.first().map(|pending| (pending.seq, pending.run))
    }
}
