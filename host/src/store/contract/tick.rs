//! Ticks: each is made once, and a source that is made anew begins anew.

use super::*;
use crate::store::{CommitError, Configure, ResourceKey, Tick, TickMark};

fn tick(n: u128, schedule: &str, at_ms: u64, with_event: bool) -> Transition {
    let mark = TickMark { schedule: Digest::of(schedule.as_bytes()), at_ms };
    let accept = with_event.then(|| accept(event_id(NOON + at_ms, n), "{}"));
    Transition::Tick(Box::new(Tick { tenant: acme(), source: "s".parse().unwrap(), mark, accept }))
}

async fn configure(store: &Store, expected_revision: u64, there: bool) {
    let source = ResourceKey { tenant: Some(acme()), kind: "source", name: "s".to_owned() };
    let (puts, removes) = if there { (vec![(source, "{}".into())], vec![]) } else { (vec![], vec![source]) };
    let configure = Configure { expected_revision, puts, removes, ..Configure::default() };
    commit(store, Transition::Configure(configure)).await;
}

fn mark(store: &Store) -> Option<u64> {
    store.reader().tick(&acme(), &"s".parse().unwrap()).unwrap().map(|mark| mark.at_ms)
}

#[test]
fn a_tick_is_made_once_and_in_order() {
    on_each_backend(async |store| {
        assert_eq!(commit(&store, tick(1, "a", 1, false)).await, Outcome::NotFound);
        configure(&store, 0, true).await;
        assert!(matches!(commit(&store, tick(1, "a", 1, true)).await, Outcome::Stale { .. }), "it has not begun");
        assert_eq!(commit(&store, tick(1, "a", 1, false)).await, Outcome::Done);
        assert_eq!(commit(&store, tick(1, "a", 9, false)).await, Outcome::Done);
        assert_eq!(mark(&store), Some(1));

        assert_eq!(commit(&store, tick(2, "a", 2, true)).await, Outcome::Accepted { seq: 1 });
        assert_eq!(mark(&store), Some(2));
        for at_ms in [1, 2] {
            assert!(matches!(commit(&store, tick(3, "a", at_ms, true)).await, Outcome::Stale { .. }), "{at_ms}");
        }
        assert_eq!(store.reader().event(&acme(), event_id(NOON + 2, 3)).unwrap(), None);
        assert_eq!(commit(&store, tick(4, "a", 5, true)).await, Outcome::Accepted { seq: 2 });
        assert!(store.reader().event(&acme(), event_id(NOON + 5, 4)).unwrap().is_some());
    });
}

#[test]
fn what_was_changed_or_made_anew_begins_anew() {
    on_each_backend(async |store| {
        configure(&store, 0, true).await;
        commit(&store, tick(1, "a", 7, false)).await;
        assert!(matches!(commit(&store, tick(2, "b", 8, true)).await, Outcome::Stale { .. }));
        assert_eq!(commit(&store, tick(2, "b", 3, false)).await, Outcome::Done);
        assert_eq!(mark(&store), Some(3));
        configure(&store, 1, false).await;
        assert_eq!(mark(&store), None);
        assert_eq!(commit(&store, tick(2, "b", 4, true)).await, Outcome::NotFound);
    });
}

#[test]
fn a_tick_is_of_its_own_source() {
    on_each_backend(async |store| {
        configure(&store, 0, true).await;
        commit(&store, tick(1, "a", 1, false)).await;
        let Transition::Tick(mut wrong) = tick(1, "a", 2, true) else { panic!("it is a tick") };
        wrong.accept.as_mut().unwrap().event.source = "t".parse().unwrap();
        let refused = store.commit(Transition::Tick(wrong)).await;
        assert!(matches!(refused, Err(CommitError::Invalid { .. })), "{refused:?}");
        assert_eq!(mark(&store), Some(1));
    });
}
