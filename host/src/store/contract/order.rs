//! Lines: deliveries of one ordering key go one after the other.

use super::*;
use crate::model::Turn;
use crate::store::{Configure, DeliveryFilter, Hint};

/// An event with one delivery for each of these keys, in this order; a key that is empty is none.
fn with_keys(n: u128, keys: &[&str]) -> (Accept, Vec<DeliveryId>) {
    let id = event_id(NOON, n);
    let mut accept = accept(id, "{}");
    let mut run = run(id, &route(), RunStatus::Routed);
    let mut deliveries = Vec::new();
    for (ordinal, key) in (0..).zip(keys) {
        let mut new = delivery(&run, &endpoint());
        new.id = DeliveryId::new(run.id, 0, ordinal, &endpoint());
        new.due_ms = NOON + u64::try_from(n).unwrap();
        if !key.is_empty() {
            new.ordering_key = Some((*key).to_owned());
            new.turn = Some(Turn { seq: 0, ordinal });
        }
        deliveries.push(NewDelivery { delivery: new, body: None });
    }
    run.deliveries = deliveries.iter().map(|new| new.delivery.id).collect();
    let ids = run.deliveries.clone();
    accept.runs.push(RoutedRun { run, deliveries });
    (accept, ids)
}

/// Commits such an event.
async fn add(store: &Store, n: u128, keys: &[&str]) -> Vec<DeliveryId> {
    let (accept, ids) = with_keys(n, keys);
    commit_accept(store, accept).await;
    ids
}

fn lane(store: &Store) -> Vec<DeliveryId> {
    due_until(&store.reader(), u64::MAX).0
}

#[test]
fn only_the_first_of_each_key_stands_in_the_lane() {
    on_each_backend(async |store| {
        let first = add(&store, 1, &["a", "b", ""]).await;
        let second = add(&store, 2, &["b", "a", ""]).await;
        let mut expected = [&first[..], &second[2..]].concat();
        expected.sort();
        let mut found = lane(&store);
        found.sort();
        assert_eq!(found, expected);
        let stored = store.reader().delivery(&acme(), second[0]).unwrap().unwrap();
        assert_eq!(stored.turn, Some(Turn { seq: 2, ordinal: 0 }));
    });
}

#[test]
fn the_turn_passes_on_with_the_commit_that_ends_the_one_before() {
    on_each_backend(async |store| {
        let mut ids = Vec::new();
        for n in 1..=4 {
            ids.extend(add(&store, n, &["a"]).await);
        }
        let mut hints = store.subscribe();
        commit(&store, settle(ids[0], 1, Next::RetryAt(NOON + 900))).await;
        assert_eq!(lane(&store), [ids[0]], "a retry keeps the turn");
        hints.recv().await.unwrap();
        commit(&store, settle(ids[0], 2, Next::Delivered)).await;
        let next = Hint::Due { tenant: acme(), endpoint: endpoint(), due_ms: NOON + 2, delivery: ids[1] };
        assert_eq!(*hints.recv().await.unwrap(), [next]);
        assert_eq!(due_until(&store.reader(), NOON + 2), (vec![ids[1]], None));
        commit(&store, settle(ids[1], 1, Next::Dead)).await;
        assert_eq!(lane(&store), [ids[2]], "a dead one frees its key");
        let cancel = |delivery| Transition::Cancel { tenant: acme(), delivery, reason: "no".to_owned() };
        commit(&store, cancel(ids[2])).await;
        assert_eq!(lane(&store), [ids[3]]);
        commit(&store, settle(ids[3], 1, Next::Again(NOON + 901))).await;
        assert_eq!(due_until(&store.reader(), u64::MAX), (vec![ids[3]], None));
        commit(&store, settle(ids[3], 2, Next::Delivered)).await;
        assert_eq!((lane(&store), store.reader().lanes().unwrap()), (vec![], vec![]));
        assert_eq!(add(&store, 5, &["a"]).await, lane(&store), "an empty line begins anew");
    });
}

#[test]
fn one_that_waits_can_be_cancelled_and_retried() {
    on_each_backend(async |store| {
        let mut ids = Vec::new();
        for n in 1..=3 {
            ids.extend(add(&store, n, &["a"]).await);
        }
        let cancel = Transition::Cancel { tenant: acme(), delivery: ids[1], reason: "no".to_owned() };
        assert_eq!(commit(&store, cancel).await, Outcome::Done);
        assert_eq!(lane(&store), [ids[0]]);
        commit(&store, Transition::Retry { tenant: acme(), delivery: ids[1], due_ms: NOON + 77 }).await;
        assert_eq!(lane(&store), [ids[0]], "it waits again");
        commit(&store, settle(ids[0], 1, Next::Delivered)).await;
        assert_eq!(due_until(&store.reader(), NOON + 77), (vec![ids[1]], None), "in its old place");
        commit(&store, settle(ids[1], 1, Next::Delivered)).await;
        assert_eq!(lane(&store), [ids[2]]);
    });
}

#[test]
fn several_of_one_event_go_in_the_order_in_which_they_were_made() {
    on_each_backend(async |store| {
        let ids = add(&store, 1, &["a"; 20]).await;
        for id in ids {
            assert_eq!(lane(&store), [id]);
            commit(&store, settle(id, 1, Next::Delivered)).await;
        }
        assert_eq!(lane(&store), []);
    });
}

#[test]
fn what_was_routed_late_goes_before_what_waits_but_takes_no_turn_away() {
    on_each_backend(async |store| {
        // The run of the first event stays pending while others come.
        let (late, late_ids) = with_keys(1, &["a"]);
        let mut pending = accept(late.event.id, "{}");
        let run = run(late.event.id, &route(), RunStatus::Pending);
        pending.runs.push(RoutedRun { run, deliveries: Vec::new() });
        commit_accept(&store, pending).await;
        let second = add(&store, 2, &["a"]).await;
        let third = add(&store, 3, &["a"]).await;
        let routed = late.runs.into_iter().next().unwrap();
        let route = crate::store::RouteRun { tenant: acme(), routed, states: Vec::new() };
        assert_eq!(commit(&store, Transition::Route(Box::new(route))).await, Outcome::Done);
        for id in [second[0], late_ids[0], third[0]] {
            assert_eq!(lane(&store), [id]);
            commit(&store, settle(id, 1, Next::Delivered)).await;
        }
    });
}

#[test]
fn what_waits_is_listed_and_keeps_its_endpoint() {
    on_each_backend(async |store| {
        let mut ids = Vec::new();
        for n in 1..=5 {
            ids.extend(add(&store, n, &["a", ""]).await);
        }
        let filter = DeliveryFilter {
            endpoint: Some(endpoint()),
            status: Some(DeliveryStatus::Pending),
            ..DeliveryFilter::default()
        };
        let (mut listed, mut cursor) = (Vec::new(), None);
        loop {
            let page = store.reader().list_deliveries(&acme(), &filter, cursor.as_deref(), 3).unwrap();
            listed.extend(page.items.into_iter().map(|delivery| delivery.id));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(listed.len(), ids.len(), "each once");
        assert_eq!(listed[listed.len() - 4..], [ids[2], ids[4], ids[6], ids[8]], "those that wait come last, in order");
        listed.sort();
        ids.sort();
        assert_eq!(listed, ids);
        let removal = Configure { unused: vec![(acme(), endpoint())], ..Configure::default() };
        assert_eq!(commit(&store, Transition::Configure(removal)).await, Outcome::InUse { endpoint: endpoint() });
    });
}
