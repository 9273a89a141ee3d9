//! How endpoints are doing, and what tenants are told.

use super::*;
use crate::model::{EndpointHealth, EndpointState, OPERATIONAL_SOURCE};
use crate::store::{Configure, Hint, HostFact, Notice, ResourceKey};
use serde_json::json;

fn resource(kind: &'static str, name: &str) -> ResourceKey {
    ResourceKey { tenant: Some(acme()), kind, name: name.to_owned() }
}

async fn put_endpoint(store: &Store, expected_revision: u64, value: &'static str) {
    let puts = vec![(resource("endpoint", "e"), Bytes::from(value))];
    let configure = Configure { expected_revision, puts, now_ms: NOON + 500, ..Configure::default() };
    assert!(matches!(commit(store, Transition::Configure(configure)).await, Outcome::Configured { .. }));
}

fn health(revision: u64, state: EndpointState) -> EndpointHealth {
    let failing_since_ms = (state != EndpointState::Working).then_some(NOON);
    EndpointHealth { revision, state, since_ms: NOON + revision, failing_since_ms, reason: "because".to_owned() }
}

/// The outcome of an attempt, with how the endpoint is doing from then on.
fn settle_with(delivery: DeliveryId, number: u32, next: Next, health: EndpointHealth) -> Transition {
    let (tenant, attempt) = (acme(), attempt(number));
    Transition::Settle(Box::new(Settle { tenant, delivery, attempt, next, health: Some(health), tell: true }))
}

fn known(store: &Store) -> EndpointHealth {
    store.reader().health(&acme(), &endpoint()).unwrap()
}

fn told(store: &Store) -> Vec<String> {
    store.reader().notices(100, 100).unwrap().into_iter().map(|(_, notice)| notice.event_type).collect()
}

/// The event that a notice becomes.
fn event_of(notice: &Notice) -> Accept {
    let mut accept = accept(notice.event, notice.body.to_string());
    accept.event.source = OPERATIONAL_SOURCE.parse().unwrap();
    accept
}

#[test]
fn a_change_comes_with_its_attempt_and_only_what_matters_is_told() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        assert_eq!((known(&store), store.reader().healths(None).unwrap()), (EndpointHealth::unknown(), vec![]));
        let states = [EndpointState::Failing, EndpointState::Held, EndpointState::Working, EndpointState::Disabled];
        for (number, state) in (1..).zip(states) {
            let changed = health(number.into(), state);
            let settle = settle_with(id, number, Next::Again(NOON), changed.clone());
            assert_eq!(commit(&store, settle).await, Outcome::Done);
            assert_eq!(known(&store), changed);
        }
        let mut all = told(&store);
        all.sort();
        assert_eq!(all, ["endpoint.disabled", "endpoint.held", "endpoint.resumed"]);
        let of_acme = store.reader().healths(Some(&acme())).unwrap();
        assert_eq!(of_acme, [(acme(), endpoint(), health(4, EndpointState::Disabled))]);
        assert_eq!(store.reader().healths(Some(&"acm".parse().unwrap())).unwrap(), []);
    });
}

#[test]
fn the_latest_change_stays_whatever_comes_in_which_order() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        commit(&store, settle_with(id, 1, Next::Again(NOON), health(2, EndpointState::Held))).await;
        for revision in [1, 2] {
            let late = health(revision, EndpointState::Failing);
            assert_eq!(
                commit(&store, settle_with(id, 1 + u32::try_from(revision).unwrap(), Next::Again(NOON), late)).await,
                Outcome::Done
            );
            assert_eq!(known(&store), health(2, EndpointState::Held));
        }
    });
}

#[test]
fn a_change_whose_attempt_is_stale_comes_alone() {
    on_each_backend(async |store| {
        put_endpoint(&store, 0, "1").await;
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        let held = health(1, EndpointState::Held);
        let stale = commit(&store, settle_with(id, 7, Next::Delivered, held.clone())).await;
        assert!(matches!(stale, Outcome::Stale { .. }));
        assert_eq!((known(&store), told(&store)), (EndpointHealth::unknown(), vec![]));
        let change = |endpoint| Transition::Health { tenant: acme(), endpoint, health: held.clone() };
        assert_eq!(commit(&store, change(endpoint())).await, Outcome::Done);
        assert_eq!(known(&store), held);
        assert_eq!(commit(&store, change("gone".parse().unwrap())).await, Outcome::NotFound);
    });
}

#[test]
fn an_attempt_that_is_spared_counts_but_takes_no_step_on_the_schedule() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        commit(&store, settle(id, 1, Next::RetryAt(NOON + 1))).await;
        commit(&store, settle(id, 2, Next::Again(NOON + 9))).await;
        let stored = store.reader().delivery(&acme(), id).unwrap().unwrap();
        assert_eq!((stored.attempts, stored.schedule_position, stored.due_ms), (2, 1, NOON + 9));
        assert_eq!(due_until(&store.reader(), NOON + 9), (vec![id], None));
    });
}

#[test]
fn enabling_or_configuring_an_endpoint_begins_anew() {
    on_each_backend(async |store| {
        let enable = |now_ms| Transition::Enable { tenant: acme(), endpoint: endpoint(), now_ms };
        assert_eq!(commit(&store, enable(1)).await, Outcome::NotFound);
        put_endpoint(&store, 0, "1").await;
        assert_eq!(commit(&store, enable(1)).await, Outcome::Done);
        assert_eq!((known(&store), told(&store)), (EndpointHealth::unknown(), vec![]), "it works already");

        let set = |health| Transition::Health { tenant: acme(), endpoint: endpoint(), health };
        commit(&store, set(health(1, EndpointState::Disabled))).await;
        let mut hints = store.subscribe();
        assert_eq!(commit(&store, enable(NOON + 9)).await, Outcome::Done);
        let enabled = known(&store);
        assert_eq!(
            (enabled.revision, enabled.state, enabled.since_ms, enabled.failing_since_ms),
            (2, EndpointState::Working, NOON + 9, None)
        );
        let hint = Hint::Endpoint { tenant: acme(), endpoint: endpoint(), health: Some(enabled) };
        assert!(hints.recv().await.unwrap().contains(&hint));

        commit(&store, set(health(3, EndpointState::Held))).await;
        put_endpoint(&store, 1, "2").await;
        assert_eq!((known(&store).revision, known(&store).since_ms), (4, NOON + 500));
        let removes = vec![resource("endpoint", "e")];
        let configure = Configure { expected_revision: 2, removes, ..Configure::default() };
        commit(&store, Transition::Configure(configure)).await;
        assert_eq!(store.reader().healths(None).unwrap(), []);
        assert_eq!(told(&store).iter().filter(|told| *told == "endpoint.resumed").count(), 2);
    });
}

#[test]
fn a_dead_delivery_is_told_but_for_one_of_an_operational_event() {
    on_each_backend(async |store| {
        for (n, operational) in [(1, false), (2, true)] {
            let (mut given, id) = with_delivery(event_id(NOON, n));
            given.runs[0].deliveries[0].delivery.operational = operational;
            commit_accept(&store, given).await;
            commit(&store, settle(id, 1, Next::Dead)).await;
        }
        let notices = store.reader().notices(100, 100).unwrap();
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert_eq!((&notices[0].0, notices[0].1.event_type.as_str()), (&Some(acme()), "delivery.dead"));
        assert_eq!(notices[0].1.event.received_at_ms(), NOON + 6, "when the attempt was over");
        assert_eq!((&notices[0].1.body["endpoint"], &notices[0].1.body["attempts"]), (&json!("e"), &json!(1)));
        // Dead again after a retry by hand is another one.
        let (given, id) = with_delivery(event_id(NOON, 3));
        commit_accept(&store, given).await;
        commit(&store, settle(id, 1, Next::Dead)).await;
        commit(&store, Transition::Retry { tenant: acme(), delivery: id, due_ms: NOON }).await;
        commit(&store, settle(id, 2, Next::Dead)).await;
        assert_eq!(store.reader().notices(100, 100).unwrap().len(), 3);
    });
}

#[test]
fn a_notice_goes_with_the_commit_of_its_event() {
    on_each_backend(async |store| {
        let notice = Notice {
            event: event_id(NOON, 5),
            event_type: "module.quarantined".to_owned(),
            body: json!({ "long": "x".repeat(20_000) }),
        };
        let notices = vec![(acme(), notice.clone())];
        let mut hints = store.subscribe();
        commit(&store, Transition::Configure(Configure { notices, ..Configure::default() })).await;
        assert!(hints.recv().await.unwrap().contains(&Hint::Notice));
        assert_eq!(store.reader().notices(1, 1).unwrap(), [(Some(acme()), notice.clone())]);
        assert!(matches!(commit_accept(&store, event_of(&notice)).await, Outcome::Accepted { .. }));
        assert_eq!(store.reader().notices(1, 1).unwrap(), []);
        let first = notice.event;
        assert_eq!(commit_accept(&store, event_of(&notice)).await, Outcome::Duplicate { first });
    });
}

#[test]
fn a_tenant_that_is_removed_is_told_nothing_more() {
    on_each_backend(async |store| {
        for n in [1, 2] {
            let (given, id) = with_delivery(event_id(NOON, n));
            commit_accept(&store, given).await;
            commit(&store, settle(id, 1, Next::Dead)).await;
        }
        let removes = vec![resource("tenant", "acme")];
        commit(&store, Transition::Configure(Configure { removes, ..Configure::default() })).await;
        assert_eq!(store.reader().notices(9, 9).unwrap(), []);
    });
}

#[test]
fn nobody_is_told_of_a_dead_delivery_that_nobody_wants_to_hear_of() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        let Transition::Settle(mut settle) = settle(id, 1, Next::Dead) else { panic!() };
        settle.tell = false;
        assert_eq!(commit(&store, Transition::Settle(settle)).await, Outcome::Done);
        assert_eq!(told(&store), [""; 0]);
    });
}

#[test]
fn a_disk_with_little_room_is_told_once_and_so_is_its_end() {
    on_each_backend(async |store| {
        let low = || HostFact::DiskLow { free_bytes: 1, low_bytes: 2 };
        let ok = || HostFact::DiskOk { free_bytes: 3, low_since_ms: NOON };
        let happened = |fact, now_ms| Transition::Happened { fact, now_ms };
        let is_stale = |outcome| matches!(outcome, Outcome::Stale { .. });
        assert!(is_stale(commit(&store, happened(ok(), NOON)).await));
        assert_eq!(commit(&store, happened(low(), NOON)).await, Outcome::Done);
        assert!(is_stale(commit(&store, happened(low(), NOON + 1)).await));
        assert_eq!(store.reader().disk_low_since_ms().unwrap(), Some(NOON));
        assert_eq!(commit(&store, happened(ok(), NOON + 2)).await, Outcome::Done);
        assert!(is_stale(commit(&store, happened(ok(), NOON + 3)).await));
        assert_eq!(commit(&store, happened(low(), NOON + 4)).await, Outcome::Done);
        let restarted = HostFact::Restarted { reason: "an I/O error".to_owned() };
        assert_eq!(commit(&store, happened(restarted, NOON + 5)).await, Outcome::Done);
        let notices = store.reader().notices(9, 9).unwrap();
        assert!(notices.iter().all(|(scope, _)| scope.is_none()));
        assert_eq!(told(&store), ["disk.low", "disk.ok", "disk.low", "host.restarted"]);
        for (scope, notice) in notices {
            assert_eq!(commit(&store, Transition::Told { scope, event: notice.event }).await, Outcome::Done);
        }
        assert_eq!(told(&store), [""; 0]);
    });
}

#[test]
fn of_each_tenant_some_notices_are_read_and_no_tenant_waits_for_anothers() {
    on_each_backend(async |store| {
        let notice =
            |number: u128| Notice { event: event_id(NOON, number), event_type: "x".to_owned(), body: json!({}) };
        let tenant = |name: &str| -> TenantName { name.parse().unwrap() };
        let many = (0..5).map(|number| (tenant("acme"), notice(number)));
        let notices = many.chain([(tenant("acme2"), notice(9)), (tenant("b"), notice(9))]).collect();
        commit(&store, Transition::Configure(Configure { notices, ..Configure::default() })).await;
        let fact = HostFact::Restarted { reason: String::new() };
        commit(&store, Transition::Happened { fact, now_ms: NOON }).await;
        let read = |each_max, limit| -> Vec<String> {
            let notices = store.reader().notices(each_max, limit).unwrap();
            notices.into_iter().map(|(scope, _)| scope.map_or_else(String::new, |tenant| tenant.to_string())).collect()
        };
        assert_eq!(read(2, 9), ["", "acme", "acme", "acme2", "b"]);
        assert_eq!(read(2, 3), ["", "acme", "acme"]);
        assert_eq!(read(9, 99).len(), 8);
    });
}
