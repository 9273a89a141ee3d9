//! Many events of one request. Each is taken or refused by itself, and what is taken has its place in the order as it stands in the list.
//! They share their commits.

use super::reserve::{Guard, Reserved};
use super::take::{Item, Taken, Taker, Way, event_of, id_of, not_stored};
use crate::model::{EventId, SchemaVerdict};
use crate::pipeline::{Accepted, Prepared};
use crate::problem::Problem;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use tokio::task::JoinSet;

/// How many events one request may have.
pub const EVENTS_PER_BATCH_MAX: usize = 1_000;
/// How many of them are held against their schemas, or routed, at once.
const AT_ONCE: usize = 64;

/// What is to become an event and where it comes in, or why it is refused already.
pub type Given = Result<(Way, Item), Problem>;

/// By their places in the list.
type ByPlace<T> = BTreeMap<usize, T>;

/// One that is within its bounds, and what is to be said of it if it does not fit the schema of its type.
type Checked = (Way, Item, Option<SchemaVerdict>);

/// What is known of a batch.
#[derive(Default)]
struct Batch {
    /// What became of each, where it is known.
    taken: Vec<Option<Taken>>,
    /// Who has the dedup key of the one at that place.
    guards: ByPlace<Guard>,
    /// Those that have the same key as an earlier one: both places.
    same: Vec<(usize, usize)>,
    /// Those that do not fit the schema of their type.
    flagged: ByPlace<Way>,
}

impl Taker {
    /// Takes many, and says of each what became of it, as they stand in the list.
    pub(super) async fn take_all(self: &Arc<Self>, all: Vec<Given>, now_ms: u64) -> Vec<Taken> {
        let mut batch = Batch::default();
        let mut items = ByPlace::new();
        for (place, given) in all.into_iter().enumerate() {
            match given {
                Ok(item) => {
                    items.insert(place, item);
                    batch.taken.push(None);
                }
                Err(problem) => batch.taken.push(Some(Err(problem))),
            }
        }
        // Before the keys are taken: what is refused has none, and another one with its key may be well.
        let mut items = self.check_all(&mut batch, items).await;
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

    /// Holds each against the schema of its type.
    async fn check_all(self: &Arc<Self>, batch: &mut Batch, items: ByPlace<(Way, Item)>) -> ByPlace<Checked> {
        let checked = each(items, |(way, item)| {
            let taker = Arc::clone(self);
            async move {
                let schema = taker.check(&way, &item).await?;
                Ok((way, item, schema))
            }
        });
        batch.without_refused(checked.await)
    }

    /// Takes the dedup keys. Everybody who takes several takes the lesser one first, so that no two wait for each other.
    async fn reserve(&self, batch: &mut Batch, items: &mut ByPlace<Checked>) {
        let mut first_with = BTreeMap::new();
        for (place, (way, item, _)) in &*items {
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

    /// Routes each. Their ids are made together, so that they are in the order of the list.
    async fn prepare(self: &Arc<Self>, batch: &mut Batch, items: ByPlace<Checked>, now_ms: u64) -> ByPlace<Prepared> {
        let ids = match self.ids(now_ms, items.len()) {
            Ok(ids) => ids,
            Err(problem) => {
                items.keys().for_each(|place| batch.set(*place, Err(problem.clone())));
                return ByPlace::new();
            }
        };
        let flagged = items.iter().filter(|(_, (_, _, schema))| schema.is_some());
        batch.flagged.extend(flagged.map(|(place, (way, ..))| (*place, way.clone())));
        let with_ids = items.into_iter().zip(ids).map(|((place, checked), id)| (place, (checked, id))).collect();
        let prepared = each(with_ids, |((way, item, schema), id): (Checked, EventId)| {
            let (pipeline, (event, body, dedup_until_ms)) = (self.pipeline.clone(), event_of(&way, item, schema, id));
            async move { pipeline.prepare(event, body, dedup_until_ms).await.map_err(not_stored) }
        });
        batch.without_refused(prepared.await)
    }
}

/// Does something with each, with some of them at once. One at which that breaks down is left out.
async fn each<T, R, F>(items: ByPlace<T>, what: impl Fn(T) -> F) -> ByPlace<Result<R, Problem>>
where
    F: Future<Output = Result<R, Problem>> + Send + 'static,
    R: Send + 'static,
{
    let (mut done, mut going) = (ByPlace::new(), JoinSet::new());
    for (place, item) in items {
        let one = what(item);
        going.spawn(async move { (place, one.await) });
        if going.len() >= AT_ONCE {
            done.extend(going.join_next().await.into_iter().flatten());
        }
    }
    while let Some(one) = going.join_next().await {
        done.extend(one);
    }
    done
}

impl Batch {
    fn set(&mut self, place: usize, taken: Taken) {
        if let Some(at) = self.taken.get_mut(place) {
            *at = Some(taken);
        }
    }

    /// Those that were not refused; the others are noted.
    fn without_refused<T>(&mut self, all: ByPlace<Result<T, Problem>>) -> ByPlace<T> {
        let mut well = ByPlace::new();
        for (place, one) in all {
            match one {
                Ok(one) => drop(well.insert(place, one)),
                Err(problem) => self.set(place, Err(problem)),
            }
        }
        well
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
