//! What a tenant has in the store is counted by every commit that changes it.

use super::sweep::{finished, sweep};
use super::*;
use crate::store::Usage;

fn usage(store: &Store) -> (u64, u64) {
    let Usage { waiting_deliveries, stored_bytes } = store.reader().usage(&acme()).unwrap();
    (waiting_deliveries, stored_bytes)
}

#[test]
fn deliveries_count_while_they_wait() {
    on_each_backend(async |store| {
        let (first, delivery) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, first).await;
        let (second, other) = with_delivery(event_id(NOON, 2));
        commit_accept(&store, second.clone()).await;
        commit_accept(&store, second).await;
        assert_eq!(usage(&store), (2, 4), "the second was taken once");
        commit(&store, settle(delivery, 1, Next::RetryAt(NOON + 1))).await;
        assert_eq!(usage(&store).0, 2);
        commit(&store, settle(delivery, 2, Next::Delivered)).await;
        commit(&store, settle(other, 1, Next::Dead)).await;
        assert_eq!(usage(&store).0, 0);
        commit(&store, Transition::Retry { tenant: acme(), delivery: other, due_ms: NOON }).await;
        assert_eq!(usage(&store).0, 1);
        let reason = "gone".to_owned();
        commit(&store, Transition::Cancel { tenant: acme(), delivery: other, reason }).await;
        assert_eq!(usage(&store), (0, 4));
    });
}

#[test]
fn bytes_count_until_they_are_swept_or_erased() {
    on_each_backend(async |store| {
        finished(&store, event_id(NOON, 1)).await;
        assert_eq!(usage(&store), (0, 150_000), "the event's body, and one that is a delivery's own");
        commit_accept(&store, with_delivery(event_id(NOON, 2)).0).await;
        assert_eq!(usage(&store), (1, 150_002));
        sweep(&store, NOON + 1, NOON + DAY).await;
        assert_eq!(usage(&store), (1, 2), "what waits stays");
        let erase = |n| Transition::Erase { tenant: acme(), event: event_id(NOON, n), now_ms: NOON };
        assert_eq!(commit(&store, erase(2)).await, Outcome::Done);
        assert_eq!(usage(&store), (0, 0));
        finished(&store, event_id(NOON, 3)).await;
        while commit(&store, erase(3)).await == Outcome::More {}
        assert_eq!(usage(&store), (0, 0));
        let mut many = accept(event_id(NOON, 4), "{}");
        let endpoints: Vec<EndpointName> = (0..3_000).map(|n| format!("e{n}").parse().unwrap()).collect();
        many.runs.push(routed(many.event.id, &endpoints));
        commit_accept(&store, many).await;
        assert_eq!(usage(&store), (3_000, 2));
        while commit(&store, erase(4)).await == Outcome::More {}
        assert_eq!(usage(&store), (0, 0));
    });
}

#[test]
fn a_store_that_did_not_count_counts_from_the_beginning_on() {
    on_each_backend(async |store| {
        finished(&store, event_id(NOON, 1)).await;
        let (new, delivery) = with_delivery(event_id(NOON, 2));
        commit_accept(&store, new).await;
        let (new, dead) = with_delivery(event_id(NOON, 3));
        commit_accept(&store, new).await;
        commit(&store, settle(dead, 1, Next::Dead)).await;
        let counted = usage(&store);
        assert_eq!(counted, (1, 150_004));
        // It counts once, over what was counted before: the same comes of both.
        commit(&store, Transition::CountUsage).await;
        assert_eq!(usage(&store), counted);
        commit(&store, settle(delivery, 1, Next::Delivered)).await;
        commit(&store, Transition::CountUsage).await;
        assert_eq!(usage(&store), (0, 150_004));
    });
}
