//! Many events of one request. Each is taken or refused by itself, and what is taken has its place in the order as it stands in the list.
//! They share their commits.

use super::reserve::{Guard, Reserved};
use super::take::{Item, Taken, Taker, Way, event_of, id_of, not_stored};
use crate::model::EventId;
use crate::pipeline::{Accepted, Prepared};
use crate::problem::Problem;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use tokio::task::JoinSet;

/// How many events one request may have.
pub const EVENTS_PER_BATCH_MAX: usize = 1_000;
/// How many of them are routed at once.
const ROUTED_AT_ONCE: usize = 64;

/// What is to become an event and where it comes in, or why it is refused already.
pub type Given = Result<(Way, Item), Problem>;

/// What is known of a batch.
struct Batch {
    /// What became of each, where it is known.
    taken: Vec<Option<Taken>>,
    /// Who has the dedup key of the one at that place.
    guards: BTreeMap<usize, Guard>,
    /// Those that have the same key as an earlier one: both places.
    same: Vec<(usize, usize)>,
    /// Those that do not fit the schema of their type.
    flagged: BTreeMap<usize, Way>,
}

/// What one is routed to, and where it came in if it does not fit its schema.
type Routed = Result<(Prepared, Option<Way>), Problem>;

impl Taker {
    /// Takes many, and says of each what became of it, as they stand in the list.
    pub(super) async fn take_all(self: &Arc<Self>, all: Vec<Given>, now_ms: u64) -> Vec<Taken> {
        let mut batch =
            Batch { taken: Vec::new(), guards: BTreeMap::new(), same: Vec::new(), flagged: BTreeMap::new() };
        let mut items: BTreeMap<usize, (Way, Item)> = BTreeMap::new();
        for (place, given) in all.into_iter().enumerate() {
            match given {
                Ok(item) => {
                    items.insert(place, item);
                    batch.taken.push(None);
                }
                Err(problem) => batch.taken.push(Some(Err(problem))),
            }
        }
        self.reserve(&mut batch, &mut items).await;
        let prepared = self.prepare(&mut batch, items, now_ms).await;
        let (places, prepared): (Vec<usize>, Vec<Prepared>) = prepared.into_iter().unzip();
        for (place, accepted) in places.into_iter().zip(self.pipeline.accept_all(prepared).await) {
            let guard = batch.guards.remove(&place);
            if let (Ok(accepted), Some(guard)) = (&accepted, guard) {
                guard.taken_by(id_of(*accepted));
            }
            if let (Ok(accepted), Some(way)) = (&accepted, batch.flagged.remove(&place)) {
                self.count_flagged(&way, *accepted);
            }
            batch.set(place, accepted.map_err(not_stored));
        }
        batch.into_taken()
    }

    /// Takes the dedup keys. Everybody who takes several takes the lesser one first, so that no two wait for each other.
    async fn reserve(&self, batch: &mut Batch, items: &mut BTreeMap<usize, (Way, Item)>) {
        let mut first_with = BTreeMap::new();
        for (place, (way, item)) in &*items {
            let Some(key) = &item.dedup_key else { continue };
            match first_with.entry(way.key(key)) {
                Entry::Vacant(entry) => drop(entry.insert(*place)),
                Entry::Occupied(entry) => batch.same.push((*place, *entry.get())),
            }
        }
        batch.same.iter().for_each(|(later, _)| drop(items.remove(later)));
        for (key, place) in first_with {
            match self.reservations.reserve(key).await {
                Reserved::First(guard) => drop(batch.guards.insert(place, guard)),
                Reserved::Taken(first) => {
                    items.remove(&place);
                    batch.set(place, Ok(Accepted::Duplicate(first)));
                }
            }
        }
    }

    /// Holds each against the schema of its type and routes it, some of them at once.
    async fn prepare(
        self: &Arc<Self>,
        batch: &mut Batch,
        items: BTreeMap<usize, (Way, Item)>,
        now_ms: u64,
    ) -> BTreeMap<usize, Prepared> {
        let mut prepared = BTreeMap::new();
        let mut routing = JoinSet::new();
        let mut note = |batch: &mut Batch, (place, routed): (usize, Routed)| match routed {
            Ok((routed, flagged)) => {
                batch.flagged.extend(flagged.map(|way| (place, way)));
                prepared.insert(place, routed);
            }
            Err(problem) => batch.set(place, Err(problem)),
        };
        for (place, (way, item)) in items {
            // Here, and not where it is routed: ids are in the order of the batch.
            let id = match self.id(now_ms) {
                Ok(id) => id,
                Err(problem) => {
                    note(batch, (place, Err(problem)));
                    continue;
                }
            };
            let taker = Arc::clone(self);
            routing.spawn(async move { (place, taker.prepare_one(way, item, id).await) });
            if routing.len() >= ROUTED_AT_ONCE
                && let Some(Ok(routed)) = routing.join_next().await
            {
                note(batch, routed);
            }
        }
        while let Some(routed) = routing.join_next().await {
            // One that broke down is not noted, and answered so.
            routed.into_iter().for_each(|routed| note(batch, routed));
        }
        prepared
    }

    async fn prepare_one(&self, way: Way, item: Item, id: EventId) -> Routed {
        let schema = self.check(&way, &item).await?;
        let flagged = schema.as_ref().map(|_| way.clone());
        let (event, body, dedup_until_ms) = event_of(&way, item, schema, id);
        let prepared = self.pipeline.prepare(event, body, dedup_until_ms).await.map_err(not_stored)?;
        Ok((prepared, flagged))
    }
}

impl Batch {
    fn set(&mut self, place: usize, taken: Taken) {
        if let Some(at) = self.taken.get_mut(place) {
            *at = Some(taken);
        }
    }

    /// What became of each. One with an earlier one's key is its duplicate, or shares its failure.
    fn into_taken(mut self) -> Vec<Taken> {
        for (later, first) in std::mem::take(&mut self.same) {
            let taken = self.taken.get(first).cloned().flatten().unwrap_or_else(|| Err(Problem::internal()));
            self.set(later, taken.map(|accepted| Accepted::Duplicate(id_of(accepted))));
        }
        self.taken.into_iter().map(|taken| taken.unwrap_or_else(|| Err(Problem::internal()))).collect()
    }
}
