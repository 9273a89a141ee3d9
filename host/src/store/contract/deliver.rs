//! Settle, Retry, Cancel: a delivery's way through its lane.

use super::*;
use crate::store::Hint;

#[test]
fn a_lane_gives_what_is_due_and_says_when_the_next_one_is() {
    on_each_backend(async |store| {
        let mut ids = Vec::new();
        for (n, due_ms) in [(1, NOON + 10), (2, NOON), (3, NOON + 20)] {
            let (mut given, id) = with_delivery(event_id(NOON, n));
            given.runs[0].deliveries[0].delivery.due_ms = due_ms;
            commit_accept(&store, given).await;
            ids.push(id);
        }
        let reader = store.reader();
        assert_eq!(due_until(&reader, NOON - 1), (vec![], Some(NOON)));
        assert_eq!(due_until(&reader, NOON + 10), (vec![ids[1], ids[0]], Some(NOON + 20)));
        assert_eq!(due_until(&reader, u64::MAX), (vec![ids[1], ids[0], ids[2]], None));
        let after = |after, limit| reader.due(&acme(), &endpoint(), after, u64::MAX, limit).unwrap();
        let one = after(Some((NOON, ids[1])), 1);
        assert_eq!((one.items, one.next_due_ms), (vec![(NOON + 10, ids[0])], Some(NOON + 20)));
        assert_eq!(after(Some((NOON + 20, ids[2])), 1), crate::store::Due::default());
    });
}

#[test]
fn a_delivery_that_succeeds_leaves_its_lane() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        assert_eq!(commit(&store, settle(id, 1, Next::Delivered)).await, Outcome::Done);
        let reader = store.reader();
        assert_eq!(due_until(&reader, u64::MAX), (vec![], None));
        assert_eq!(reader.lanes().unwrap(), []);
        let stored = reader.delivery(&acme(), id).unwrap().unwrap();
        assert_eq!((stored.status, stored.attempts), (DeliveryStatus::Delivered, 1));
        assert_eq!(reader.attempts(&acme(), id).unwrap(), [attempt(1)]);
    });
}

#[test]
fn a_delivery_that_fails_moves_in_its_lane_until_it_is_dead() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        let mut hints = store.subscribe();
        assert_eq!(commit(&store, settle(id, 1, Next::RetryAt(NOON + 5))).await, Outcome::Done);
        let told = Hint::Due { tenant: acme(), endpoint: endpoint(), due_ms: NOON + 5, delivery: id };
        assert_eq!(*hints.recv().await.unwrap(), [told]);
        let reader = store.reader();
        assert_eq!(due_until(&reader, NOON + 4), (vec![], Some(NOON + 5)));
        assert_eq!(commit(&store, settle(id, 2, Next::RetryAt(NOON + 9))).await, Outcome::Done);
        assert_eq!(due_until(&reader, NOON + 9), (vec![id], None));
        assert_eq!(commit(&store, settle(id, 3, Next::Dead)).await, Outcome::Done);
        assert_eq!(due_until(&reader, u64::MAX), (vec![], None));
        let stored = reader.delivery(&acme(), id).unwrap().unwrap();
        assert_eq!((stored.status, stored.attempts, stored.schedule_position), (DeliveryStatus::Dead, 3, 3));
        assert_eq!(reader.attempts(&acme(), id).unwrap(), [attempt(1), attempt(2), attempt(3)]);
    });
}

#[test]
fn an_attempt_counts_once_and_in_its_turn() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        let stale = async |transition| matches!(commit(&store, transition).await, Outcome::Stale { .. });
        assert!(stale(settle(id, 2, Next::Delivered)).await);
        assert!(stale(settle(id, 0, Next::Delivered)).await);
        assert_eq!(commit(&store, settle(id, 1, Next::RetryAt(NOON))).await, Outcome::Done);
        assert!(stale(settle(id, 1, Next::Delivered)).await);
        assert_eq!(commit(&store, settle(id, 2, Next::Delivered)).await, Outcome::Done);
        assert!(stale(settle(id, 3, Next::Dead)).await);
        assert_eq!(store.reader().attempts(&acme(), id).unwrap().len(), 2);
        let nobody = DeliveryId::from_parts(id.event(), 1);
        assert_eq!(commit(&store, settle(nobody, 1, Next::Dead)).await, Outcome::NotFound);
        assert_eq!(store.reader().attempts(&acme(), nobody).unwrap(), []);
    });
}

#[test]
fn a_retry_starts_the_schedule_anew_and_keeps_the_count() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        let retry = || Transition::Retry { tenant: acme(), delivery: id, due_ms: NOON + 7 };
        assert!(matches!(commit(&store, retry()).await, Outcome::Stale { .. }));
        for (number, next) in [(1, Next::Dead), (2, Next::Delivered)] {
            commit(&store, settle(id, number, next)).await;
            let mut hints = store.subscribe();
            assert_eq!(commit(&store, retry()).await, Outcome::Done);
            let stored = store.reader().delivery(&acme(), id).unwrap().unwrap();
            assert_eq!((stored.status, stored.schedule_position), (DeliveryStatus::Pending, 0));
            assert_eq!(stored.attempts, number);
            assert_eq!(due_until(&store.reader(), NOON + 7), (vec![id], None));
            assert!(matches!(hints.recv().await.unwrap()[..], [Hint::Due { due_ms, .. }] if due_ms == NOON + 7));
        }
    });
}

#[test]
fn a_cancelled_delivery_is_dead_with_a_reason_and_can_be_retried() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        let cancel = || Transition::Cancel { tenant: acme(), delivery: id, reason: "asked to".to_owned() };
        assert_eq!(commit(&store, cancel()).await, Outcome::Done);
        assert!(matches!(commit(&store, cancel()).await, Outcome::Stale { .. }));
        let reader = store.reader();
        let stored = reader.delivery(&acme(), id).unwrap().unwrap();
        assert_eq!((stored.status, stored.reason.as_deref()), (DeliveryStatus::Dead, Some("asked to")));
        assert_eq!(due_until(&reader, u64::MAX), (vec![], None));
        // What was in flight then comes too late.
        assert!(matches!(commit(&store, settle(id, 1, Next::Delivered)).await, Outcome::Stale { .. }));
        commit(&store, Transition::Retry { tenant: acme(), delivery: id, due_ms: NOON }).await;
        assert_eq!(reader.delivery(&acme(), id).unwrap().unwrap().reason, None);
        let nobody = DeliveryId::from_parts(id.event(), 1);
        let cancel = Transition::Cancel { tenant: acme(), delivery: nobody, reason: String::new() };
        assert_eq!(commit(&store, cancel).await, Outcome::NotFound);
    });
}
