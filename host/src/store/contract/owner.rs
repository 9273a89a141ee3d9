//! Whose an endpoint is: what came of earlier events is neither shown nor sent to those who have it now.

use super::*;
use crate::store::{Configure, DeliveryFilter, ResourceKey};

/// Puts the endpoint, or takes it away; with labels, without, or with those that it has.
async fn configure(store: &Store, put: bool, labels: Option<bool>, now_ms: u64) {
    let key = ResourceKey { tenant: Some(acme()), kind: "endpoint", name: endpoint().to_string() };
    let (puts, removes) = if put { (vec![(key, Bytes::from("{}"))], vec![]) } else { (vec![], vec![key]) };
    let relabelled = labels.into_iter().map(|has_labels| (acme(), endpoint(), has_labels)).collect();
    let expected_revision = store.reader().config().unwrap().revision;
    let configure = Configure { expected_revision, puts, removes, relabelled, now_ms, ..Configure::default() };
    assert!(matches!(commit(store, Transition::Configure(configure)).await, Outcome::Configured { .. }));
}

/// An event whose delivery is dead.
async fn dead(store: &Store, n: u128) -> DeliveryId {
    let (new, delivery) = with_delivery(event_id(NOON, n));
    commit_accept(store, new).await;
    commit(store, settle(delivery, 1, Next::Dead)).await;
    delivery
}

async fn retry(store: &Store, delivery: DeliveryId) -> bool {
    match commit(store, Transition::Retry { tenant: acme(), delivery, due_ms: NOON }).await {
        Outcome::Done => {
            commit(store, settle(delivery, 2, Next::Dead)).await;
            true
        }
        Outcome::Stale { why } => {
            assert!(why.contains("another customer's"), "{why}");
            false
        }
        other => panic!("{other:?}"),
    }
}

fn seen(store: &Store) -> Vec<DeliveryId> {
    let reader = store.reader();
    let after_seq = Some(reader.owner_since_seq(&acme(), &endpoint()).unwrap());
    let filter = DeliveryFilter { endpoint: Some(endpoint()), after_seq, ..DeliveryFilter::default() };
    let items = reader.list_deliveries(&acme(), &filter, None, 9).unwrap().items;
    for delivery in &items {
        assert!(reader.is_of_owner(&acme(), &endpoint(), delivery.id.event()).unwrap());
    }
    items.into_iter().map(|delivery| delivery.id).collect()
}

#[test]
fn an_endpoint_made_anew_with_labels_has_nothing_of_the_one_before() {
    on_each_backend(async |store| {
        configure(&store, true, Some(true), NOON).await;
        let before = dead(&store, 1).await;
        assert_eq!(seen(&store), [before], "of the same moment, and behind it in the order");
        configure(&store, false, None, NOON).await;
        // By a clock that was set back: it has no say in this.
        configure(&store, true, Some(true), NOON - DAY).await;
        assert_eq!(seen(&store), []);
        assert!(!store.reader().is_of_owner(&acme(), &endpoint(), before.event()).unwrap());
        assert!(!retry(&store, before).await);
        let after = dead(&store, 2).await;
        assert_eq!(seen(&store), [after]);
        assert!(retry(&store, after).await);
    });
}

#[test]
fn so_it_is_where_its_labels_change_and_not_where_something_else_does() {
    on_each_backend(async |store| {
        configure(&store, true, Some(true), NOON).await;
        let first = dead(&store, 1).await;
        configure(&store, true, None, NOON + 1).await;
        assert_eq!(seen(&store), [first]);
        configure(&store, true, Some(true), NOON + 2).await;
        assert_eq!(seen(&store), []);
        assert!(!retry(&store, first).await);
    });
}

#[test]
fn one_without_labels_is_known_by_its_name() {
    on_each_backend(async |store| {
        configure(&store, true, None, NOON).await;
        let delivery = dead(&store, 1).await;
        configure(&store, false, None, NOON).await;
        configure(&store, true, None, NOON).await;
        assert!(retry(&store, delivery).await);
        // Labels make it somebody's, and without them it is the tenant's own again.
        configure(&store, true, Some(true), NOON).await;
        let delivery = dead(&store, 2).await;
        configure(&store, true, Some(false), NOON).await;
        assert_eq!(store.reader().owner_since_seq(&acme(), &endpoint()).unwrap(), 0);
        assert!(retry(&store, delivery).await);
    });
}
