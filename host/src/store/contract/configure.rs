//! Configure: fenced by revision, whole or not at all.

use super::sweep::{finished, sweep};
use super::*;
use crate::store::{CommitError, Configuration, Configure, Former, Hint, ResourceKey};

fn key(tenant: Option<&str>, kind: &'static str, name: &str) -> ResourceKey {
    ResourceKey { tenant: tenant.map(|tenant| tenant.parse().unwrap()), kind, name: name.to_owned() }
}

fn put(expected_revision: u64, puts: &[(ResourceKey, &'static str)]) -> Configure {
    let puts = puts.iter().map(|(key, value)| (key.clone(), Bytes::from(*value))).collect();
    Configure { expected_revision, puts, ..Configure::default() }
}

async fn configure(store: &Store, configure: Configure) -> Outcome {
    commit(store, Transition::Configure(configure)).await
}

#[test]
fn resources_are_put_replaced_and_removed_revision_by_revision() {
    on_each_backend(async |store| {
        let reader = store.reader();
        assert_eq!(reader.config().unwrap(), Configuration::default());
        let mut hints = store.subscribe();
        let (module, a, ab) =
            (key(None, "module", "m"), key(Some("acme"), "route", "a"), key(Some("acme"), "route", "ab"));
        let first = put(0, &[(ab.clone(), "1"), (module.clone(), "2"), (a.clone(), "3")]);
        assert_eq!(configure(&store, first).await, Outcome::Configured { revision: 1 });
        assert_eq!(*hints.recv().await.unwrap(), [Hint::Configured { revision: 1 }]);
        let now = reader.config().unwrap();
        let resource = |key: &ResourceKey, value: &'static str| (key.clone(), Bytes::from(value));
        assert_eq!(now.revision, 1);
        assert_eq!(now.resources, [resource(&module, "2"), resource(&a, "3"), resource(&ab, "1")]);

        let second = Configure { removes: vec![module], ..put(1, &[(a.clone(), "4")]) };
        assert_eq!(configure(&store, second).await, Outcome::Configured { revision: 2 });
        assert_eq!(reader.config().unwrap().resources, [resource(&a, "4"), resource(&ab, "1")]);
        // What is not there can be removed all the same.
        let third = Configure { expected_revision: 2, removes: vec![key(None, "key", "k")], ..Configure::default() };
        assert_eq!(configure(&store, third).await, Outcome::Configured { revision: 3 });
    });
}

#[test]
fn who_knows_an_old_revision_changes_nothing() {
    on_each_backend(async |store| {
        let a = key(Some("acme"), "route", "a");
        for expected in [1, 7] {
            assert!(matches!(configure(&store, put(expected, &[(a.clone(), "x")])).await, Outcome::Stale { .. }));
        }
        assert_eq!(store.reader().config().unwrap(), Configuration::default());
    });
}

#[test]
fn long_values_come_back_whole_and_go_whole() {
    on_each_backend(async |store| {
        let (a, ab) = (key(Some("acme"), "route", "a"), key(Some("acme"), "route", "ab"));
        let long = |byte: u8| Bytes::from(vec![byte; 100_000]);
        let both = Configure { puts: vec![(a.clone(), long(1)), (ab.clone(), long(2))], ..Configure::default() };
        configure(&store, both).await;
        let reader = store.reader();
        assert_eq!(reader.config().unwrap().resources, [(a.clone(), long(1)), (ab.clone(), long(2))]);
        let one = Configure { expected_revision: 1, removes: vec![a], ..put(1, &[(ab.clone(), "short")]) };
        configure(&store, one).await;
        assert_eq!(reader.config().unwrap().resources, [(ab, "short".into())]);
    });
}

#[test]
fn plans_are_kept_by_their_digest() {
    on_each_backend(async |store| {
        let plans = ["a plan".to_owned(), "a long one ".repeat(10_000)].map(Bytes::from);
        let plans = plans.map(|plan| (Digest::of(&plan), plan));
        configure(&store, Configure { plans: plans.to_vec(), ..Configure::default() }).await;
        for (digest, plan) in plans {
            assert_eq!(store.reader().plan(digest).unwrap(), Some(plan));
        }
        assert_eq!(store.reader().plan(Digest::of(b"none")).unwrap(), None);
    });
}

#[test]
fn an_endpoint_with_deliveries_under_way_stays() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        let a = key(Some("acme"), "route", "a");
        let drop_endpoint = || Configure { unused: vec![(acme(), endpoint())], ..put(0, &[(a.clone(), "x")]) };
        assert_eq!(configure(&store, drop_endpoint()).await, Outcome::InUse { endpoint: endpoint() });
        assert_eq!(store.reader().config().unwrap(), Configuration::default());
        commit(&store, settle(id, 1, Next::Delivered)).await;
        assert_eq!(configure(&store, drop_endpoint()).await, Outcome::Configured { revision: 1 });
    });
}

#[test]
fn what_contradicts_itself_is_refused() {
    on_each_backend(async |store| {
        let twice = key(None, "key", "k");
        let spoiled = [
            put(0, &[(key(None, "thing", "x"), "")]),
            put(0, &[(key(None, "key", "x\0y"), "")]),
            Configure { removes: vec![twice.clone()], ..put(0, &[(twice, "")]) },
        ];
        for configure in spoiled {
            let refused = store.commit(Transition::Configure(configure)).await;
            assert!(matches!(refused, Err(CommitError::Invalid { .. })), "{refused:?}");
        }
        let too_long =
            Configure { puts: vec![(key(None, "key", "k"), vec![0; 3 << 20].into())], ..Configure::default() };
        let refused = store.commit(Transition::Configure(too_long)).await;
        assert!(matches!(&refused, Err(error) if error.code() == "transition_too_long"), "{refused:?}");
        assert!(refused.unwrap_err().to_string().contains("transition_bytes_max"));
        assert_eq!(store.reader().config().unwrap(), Configuration::default());
    });
}

#[test]
fn plans_that_nothing_needs_go_a_while_after_they_are_found() {
    on_each_backend(async |store| {
        let (plan, other) = (Digest::of(b"plan"), Digest::of(b"other"));
        let plans = vec![(plan, Bytes::from_static(b"plan")), (other, Bytes::from_static(b"other"))];
        let configure = |expected_revision, plans| {
            Transition::Configure(Configure { expected_revision, plans, ..Configure::default() })
        };
        commit(&store, configure(0, plans.clone())).await;
        let mut waits = accept(event_id(NOON, 1), "{}");
        waits.runs.push(RoutedRun { run: run(waits.event.id, &route(), RunStatus::Held), deliveries: vec![] });
        commit_accept(&store, waits).await;
        let reader = store.reader();
        assert_eq!(reader.pinned_plans(9).unwrap(), Some([plan].into()));
        assert_eq!(reader.pinned_plans(0).unwrap(), None);
        assert_eq!(reader.plans(None, 1).unwrap().len(), 1);
        let sweep = |expected_revision, now_ms| Transition::SweepPlans {
            expected_revision,
            unused: vec![other],
            now_ms,
            marked_by_ms: now_ms - 10,
        };
        assert!(matches!(commit(&store, sweep(0, NOON)).await, Outcome::Stale { .. }));
        for (now_ms, there) in [(NOON, true), (NOON + 9, true), (NOON + 10, false)] {
            assert_eq!(commit(&store, sweep(1, now_ms)).await, Outcome::Done);
            assert_eq!(reader.plan(other).unwrap().is_some(), there, "{now_ms}");
        }
        // One that is configured again begins anew.
        commit(&store, configure(1, plans.clone())).await;
        commit(&store, sweep(2, NOON + 20)).await;
        commit(&store, configure(2, plans)).await;
        commit(&store, sweep(3, NOON + 99)).await;
        assert!(reader.plan(other).unwrap().is_some() && reader.plan(plan).unwrap().is_some());
    });
}

#[test]
fn a_tenant_is_not_made_where_it_would_find_what_a_former_one_left() {
    on_each_backend(async |store| {
        let make = || put(0, &[(key(Some("acme"), "tenant", "acme"), "{}")]);
        finished(&store, event_id(NOON, 1)).await;
        let with_key = accept(event_id(NOON, 2), "{}");
        let (event, dedup_until_ms) = (Event { dedup_key: Some("k".to_owned()), ..with_key.event }, Some(NOON + DAY));
        commit_accept(&store, Accept { event, dedup_until_ms, ..with_key }).await;
        let day_end_ms = NOON + DAY / 2;
        let left = |events_ms| {
            let dedup_ms = Some(day_end_ms + 7 * DAY);
            Outcome::Former { tenant: acme(), former: Former { events_ms, dedup_ms } }
        };
        assert_eq!(configure(&store, make()).await, left(Some(day_end_ms)));
        assert_eq!(store.reader().config().unwrap(), Configuration::default());
        // Another name, and other resources, are no matter of this.
        let other = put(0, &[(key(Some("other"), "tenant", "other"), "{}"), (key(Some("acme"), "route", "r"), "1")]);
        assert_eq!(configure(&store, other).await, Outcome::Configured { revision: 1 });
        // By a dedup key that is left an event of the new tenant would be taken for one of the former.
        sweep(&store, NOON + DAY / 4, NOON + DAY / 4).await;
        let make = |expected_revision| Configure { expected_revision, ..make() };
        assert_eq!(configure(&store, make(1)).await, left(None));
        let kept = Configure { keeps_former: true, ..make(1) };
        assert_eq!(configure(&store, kept).await, Outcome::Configured { revision: 2 });
        // One that is there finds its own.
        assert_eq!(configure(&store, make(2)).await, Outcome::Configured { revision: 3 });
        let day = crate::store::Day::of_ms(NOON);
        commit(&store, Transition::SweepDay { day, after: None, now_ms: NOON + DAY }).await;
        let gone = Configure { removes: vec![key(Some("acme"), "tenant", "acme")], ..put(3, &[]) };
        configure(&store, gone).await;
        assert_eq!(configure(&store, make(4)).await, Outcome::Configured { revision: 5 });
    });
}
