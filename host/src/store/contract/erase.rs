//! An event is erased on request, whatever is still to be done with it.

use super::*;
use crate::model::Erased;
use crate::store::{Day, Hint, Sweep};

fn erase(event: EventId, now_ms: u64) -> Transition {
    Transition::Erase { tenant: acme(), event, now_ms }
}

fn keys(store: &Store) -> usize {
    store.reader().keys_of(Day::of_ms(NOON))
}

#[test]
fn what_is_erased_is_gone_from_everywhere_and_says_so() {
    on_each_backend(async |store| {
        let (mut new, delivery) = with_delivery(event_id(NOON, 1));
        let id = new.event.id;
        for (name, status) in [("n", RunStatus::Pending), ("h", RunStatus::Held)] {
            let run = run(id, &name.parse().unwrap(), status);
            new.runs.push(RoutedRun { run, deliveries: Vec::new() });
        }
        new.event.dedup_key = Some("key".to_owned());
        new.dedup_until_ms = Some(NOON + DAY);
        commit_accept(&store, new.clone()).await;
        commit_accept(&store, with_delivery(event_id(NOON, 2)).0).await;
        let other = keys(&store);
        assert_eq!(commit(&store, erase(event_id(NOON, 3), NOON)).await, Outcome::NotFound);
        assert_eq!(commit(&store, erase(id, NOON + 5)).await, Outcome::Done);
        let reader = store.reader();
        let left = Erased {
            id,
            seq: 1,
            source: "s".parse().unwrap(),
            received_at_ms: NOON,
            erased_at_ms: NOON + 5,
            runs_given_up: 2,
            deliveries_given_up: 1,
        };
        assert_eq!(reader.erased(&acme(), id).unwrap(), Some(left.clone()));
        assert_eq!(keys(&store), other - 3, "two runs and a delivery");
        assert_eq!((reader.event(&acme(), id).unwrap(), reader.delivery(&acme(), delivery).unwrap()), (None, None));
        assert!(reader.runs(&acme(), id).unwrap().is_empty() && reader.body(&acme(), id).unwrap().is_empty());
        assert!(reader.pending_routes().unwrap().is_empty());
        assert!(reader.list_held(&acme(), None, None, 9).unwrap().items.is_empty());
        assert_eq!(due_until(&reader, u64::MAX).0.len(), 1);
        assert_eq!(store.to_send(&acme(), delivery).await.unwrap(), None);
        assert_eq!(reader.list_events(&acme(), &super::super::EventFilter::default(), None, 9).unwrap().items.len(), 1);
        // Whoever was at it finds nothing to change.
        assert_eq!(commit(&store, settle(delivery, 1, Next::Delivered)).await, Outcome::NotFound);
        let again = Outcome::Duplicate { first: id };
        assert_eq!(commit_accept(&store, new.clone()).await, again);
        let mut same_key = accept(event_id(NOON + 1, 9), "{}");
        same_key.event.dedup_key = Some("key".to_owned());
        same_key.dedup_until_ms = Some(NOON + 1 + DAY);
        assert_eq!(commit_accept(&store, same_key).await, again);
        assert_eq!(commit(&store, erase(id, NOON + 9)).await, Outcome::Done);
        assert_eq!(reader.erased(&acme(), id).unwrap(), Some(left));
        // The trace is kept for as long as an event that came when it was erased.
        for (before_ms, there) in [(NOON + 5, true), (NOON + 6, false)] {
            let sweep = Sweep { tenant: acme(), day: Day::of_ms(NOON), before_ms, now_ms: before_ms, again_ms: 0 };
            while let Outcome::Swept(swept) = commit(&store, Transition::Sweep(Box::new(sweep.clone()))).await {
                if !swept.more || swept.events == 0 {
                    break;
                }
            }
            commit(&store, Transition::Sweep(Box::new(sweep))).await;
            assert_eq!(reader.erased(&acme(), id).unwrap().is_some(), there);
        }
    });
}

#[test]
fn the_next_in_line_has_its_turn() {
    on_each_backend(async |store| {
        let mut deliveries = Vec::new();
        for number in 0..2 {
            let (mut new, delivery) = with_delivery(event_id(NOON + number, 0));
            let first = &mut new.runs[0].deliveries[0].delivery;
            first.ordering_key = Some("k".to_owned());
            first.turn = Some(crate::model::Turn { seq: 0, ordinal: 0 });
            commit_accept(&store, new).await;
            deliveries.push(delivery);
        }
        assert_eq!(due_until(&store.reader(), u64::MAX).0, deliveries[..1]);
        let mut hints = store.subscribe();
        commit(&store, erase(deliveries[0].event(), NOON)).await;
        assert_eq!(due_until(&store.reader(), u64::MAX).0, deliveries[1..]);
        let told = hints.try_recv().unwrap();
        assert!(matches!(&told[..], [Hint::Due { delivery, .. }] if *delivery == deliveries[1]), "{told:?}");
    });
}

#[test]
fn a_long_event_is_gone_at_once_and_its_deliveries_step_by_step() {
    on_each_backend(async |store| {
        let id = event_id(NOON, 0);
        let endpoints: Vec<EndpointName> = (0..3000).map(|number| format!("e{number}").parse().unwrap()).collect();
        let mut new = accept(id, "{}");
        new.runs.push(routed(id, &endpoints));
        for new in new.runs[0].deliveries.iter_mut().step_by(2) {
            new.delivery.body = BodyRef::Own;
            new.body = Some(Bytes::from("own"));
        }
        let deliveries = new.runs[0].run.deliveries.clone();
        commit_accept(&store, new).await;
        assert_eq!(commit(&store, erase(id, NOON)).await, Outcome::More);
        let reader = store.reader();
        assert_eq!(reader.event(&acme(), id).unwrap(), None);
        assert_eq!(reader.erasures(9).unwrap(), [(acme(), id)]);
        for delivery in &deliveries {
            assert_eq!(store.to_send(&acme(), *delivery).await.unwrap(), None, "what it carries is gone");
        }
        assert_eq!(commit(&store, erase(id, NOON)).await, Outcome::Done);
        assert_eq!(reader.erased(&acme(), id).unwrap().unwrap().deliveries_given_up, 3000);
        assert!(reader.erasures(9).unwrap().is_empty() && reader.lanes().unwrap().is_empty());
        assert_eq!(keys(&store), 1);
    });
}
