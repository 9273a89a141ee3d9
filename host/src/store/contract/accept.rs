//! Accept: everything of an event is there at once, and a dedup key lets one event through.

use super::*;
use crate::store::{CommitError, Hint};

#[test]
fn an_event_its_run_and_its_deliveries_are_there_at_once() {
    on_each_backend(async |store| {
        let id = event_id(NOON, 1);
        let mut given = accept(id, "{\"a\":1}");
        let other: EndpointName = "other".parse().unwrap();
        given.runs.push(routed(id, &[endpoint(), other.clone()]));
        given.runs[0].deliveries[1].delivery.body = BodyRef::Own;
        given.runs[0].deliveries[1].body = Some("mine".into());
        let mut hints = store.subscribe();
        assert_eq!(commit_accept(&store, given.clone()).await, Outcome::Accepted { seq: 1 });

        let reader = store.reader();
        let stored = reader.event(&acme(), id).unwrap().unwrap();
        assert_eq!(stored, Event { seq: 1, ..given.event });
        assert_eq!(reader.body(&acme(), id).unwrap(), given.body);
        assert_eq!(reader.runs(&acme(), id).unwrap(), [given.runs[0].run.clone()]);
        assert_eq!(reader.run(&acme(), given.runs[0].run.id).unwrap(), Some(given.runs[0].run.clone()));
        for (new, body) in given.runs[0].deliveries.iter().zip([&given.body[..], b"mine"]) {
            let stored = reader.delivery(&acme(), new.delivery.id).unwrap().unwrap();
            assert_eq!(stored, new.delivery);
            assert_eq!(reader.delivery_body(&acme(), &stored).unwrap().unwrap(), body);
            assert_eq!(reader.attempts(&acme(), stored.id).unwrap(), []);
        }
        assert_eq!(reader.lanes().unwrap(), [(acme(), endpoint()), (acme(), other)]);
        let told = hints.recv().await.unwrap();
        let due: Vec<_> = told.iter().map(|hint| matches!(hint, Hint::Due { due_ms: NOON, .. })).collect();
        assert_eq!(due, [true, true]);
    });
}

#[test]
fn nothing_of_one_tenant_is_another_ones() {
    on_each_backend(async |store| {
        let (given, delivery) = with_delivery(event_id(NOON, 1));
        let id = given.event.id;
        commit_accept(&store, given.clone()).await;
        let (reader, other) = (store.reader(), "acme2".parse().unwrap());
        assert_eq!(reader.event(&other, id).unwrap(), None);
        assert_eq!(reader.body(&other, id).unwrap(), "");
        assert_eq!(reader.run(&other, given.runs[0].run.id).unwrap(), None);
        assert_eq!(reader.delivery(&other, delivery).unwrap(), None);
        assert_eq!(reader.due(&other, &endpoint(), None, u64::MAX, 10).unwrap(), crate::store::Due::default());
        assert_eq!(commit(&store, Transition::Retry { tenant: other, delivery, due_ms: 1 }).await, Outcome::NotFound);
    });
}

#[test]
fn events_get_their_places_in_the_order_of_commits() {
    on_each_backend(async |store| {
        for (n, seq) in [(9, 1), (3, 2), (5, 3)] {
            assert_eq!(commit_accept(&store, accept(event_id(NOON, n), "")).await, Outcome::Accepted { seq });
        }
    });
}

fn keyed(ms: u64, n: u128, key: &str, keep_ms: u64) -> Accept {
    let mut accept = accept(event_id(ms, n), "");
    accept.event.dedup_key = Some(key.to_owned());
    accept.dedup_until_ms = Some(ms + keep_ms);
    accept
}

#[test]
fn a_dedup_key_lets_one_event_through_until_it_expires() {
    on_each_backend(async |store| {
        let reader = store.reader();
        let has = |now_ms| reader.dedup(&acme(), &"s".parse().unwrap(), "k", now_ms - DAY, now_ms).unwrap();
        let first = keyed(NOON, 1, "k", DAY);
        let first_id = first.event.id;
        assert_eq!(has(NOON), None);
        assert_eq!(commit_accept(&store, first).await, Outcome::Accepted { seq: 1 });
        let duplicate = Outcome::Duplicate { first: first_id };
        // At the same moment, on the next day, and where clocks disagree about which was first, across midnight too.
        for (n, ms) in [NOON, NOON + DAY - 1, NOON - 1, NOON - DAY / 2 - 1].into_iter().enumerate() {
            assert_eq!(commit_accept(&store, keyed(ms, n as u128 + 2, "k", DAY)).await, duplicate, "{n}");
        }
        assert_eq!(store.reader().event(&acme(), event_id(NOON, 2)).unwrap(), None);
        assert_eq!((has(NOON), has(NOON + DAY - 1), has(NOON + DAY)), (Some(first_id), Some(first_id), None));
        // Another key, another source, another tenant.
        assert_eq!(commit_accept(&store, keyed(NOON, 10, "l", DAY)).await, Outcome::Accepted { seq: 2 });
        let mut elsewhere = keyed(NOON, 11, "k", DAY);
        elsewhere.event.source = "t".parse().unwrap();
        assert_eq!(commit_accept(&store, elsewhere).await, Outcome::Accepted { seq: 3 });
        let mut elsewhere = keyed(NOON, 12, "k", DAY);
        elsewhere.event.tenant = "other".parse().unwrap();
        assert_eq!(commit_accept(&store, elsewhere).await, Outcome::Accepted { seq: 4 });
        // Once it has expired, the next one takes it.
        let second = keyed(NOON + DAY, 20, "k", DAY);
        let second_id = second.event.id;
        assert_eq!(commit_accept(&store, second).await, Outcome::Accepted { seq: 5 });
        assert_eq!(has(NOON + DAY), Some(second_id));
    });
}

#[test]
fn an_event_that_is_committed_twice_is_there_once() {
    on_each_backend(async |store| {
        let (given, _) = with_delivery(event_id(NOON, 1));
        let first = given.event.id;
        assert_eq!(commit_accept(&store, given.clone()).await, Outcome::Accepted { seq: 1 });
        assert_eq!(commit_accept(&store, given).await, Outcome::Duplicate { first });
        assert_eq!(commit_accept(&store, accept(event_id(NOON, 2), "")).await, Outcome::Accepted { seq: 2 });
    });
}

#[test]
fn of_two_with_one_key_in_one_group_the_second_is_the_duplicate() {
    on_each_backend(async |store| {
        // All are in the queue before the committer can have taken the first: they share groups, however these fall.
        let commits = (0..64).map(|n| commit_accept_owned(store.clone(), keyed(NOON, n + 1, "k", DAY)));
        let outcomes = join_all(commits).await;
        let accepted = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Accepted { seq: 1 })).count();
        assert_eq!(accepted, 1);
        let first = store.reader().dedup(&acme(), &"s".parse().unwrap(), "k", NOON - DAY, NOON).unwrap().unwrap();
        let duplicates = outcomes.iter().filter(|outcome| **outcome == Outcome::Duplicate { first }).count();
        assert_eq!(duplicates, 63);
    });
}

async fn commit_accept_owned(store: Store, accept: Accept) -> Outcome {
    commit_accept(&store, accept).await
}

async fn join_all<F: Future<Output = Outcome> + 'static>(futures: impl Iterator<Item = F>) -> Vec<Outcome> {
    let local = tokio::task::LocalSet::new();
    let tasks: Vec<_> = futures.map(|future| local.spawn_local(future)).collect();
    local.await;
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[test]
fn bodies_come_back_byte_for_byte() {
    const CHUNK: usize = crate::store::backend::VALUE_BYTES_MAX;
    on_each_backend(async |store| {
        let sizes = [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 << 20];
        for (n, size) in (0..).zip(sizes) {
            let body: Bytes = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let own: Bytes = body.iter().rev().copied().collect();
            let id = event_id(NOON, n);
            let mut given = accept(id, body.clone());
            given.runs.push(routed(id, &[endpoint()]));
            given.runs[0].deliveries[0].delivery.body = BodyRef::Own;
            given.runs[0].deliveries[0].body = Some(own.clone());
            let delivery = given.runs[0].deliveries[0].delivery.clone();
            commit_accept(&store, given).await;
            assert!(store.reader().body(&acme(), id).unwrap() == body, "{size}");
            assert!(store.reader().delivery_body(&acme(), &delivery).unwrap().unwrap() == own, "{size}");
        }
    });
}

#[test]
fn a_record_that_is_longer_than_a_value_comes_back_whole() {
    on_each_backend(async |store| {
        let id = event_id(NOON, 1);
        let mut given = accept(id, "{}");
        for (n, status) in [RunStatus::Filtered, RunStatus::Pending].into_iter().enumerate() {
            let route = format!("r{n}").parse().unwrap();
            let run = Run { trace: long_trace(), ..run(id, &route, status) };
            given.runs.push(RoutedRun { run, deliveries: Vec::new() });
        }
        let runs: Vec<_> = given.runs.iter().map(|routed| routed.run.clone()).collect();
        commit_accept(&store, given).await;
        assert_eq!(store.reader().runs(&acme(), id).unwrap(), runs);
        assert_eq!(store.reader().body(&acme(), id).unwrap(), "{}");
    });
}

#[test]
fn what_contradicts_itself_is_refused_and_nothing_is_written() {
    type Spoil = (&'static str, fn(&mut Accept));
    let spoils: [Spoil; 9] = [
        ("time", |accept| accept.event.received_at_ms += 1),
        ("length", |accept| accept.event.body_bytes += 1),
        ("expiry without a key", |accept| accept.dedup_until_ms = Some(NOON)),
        ("too long a memory", |accept| {
            accept.event.dedup_key = Some("k".to_owned());
            accept.dedup_until_ms = Some(NOON + 8 * DAY);
        }),
        ("a run twice", |accept| accept.runs.push(accept.runs[0].clone())),
        ("another event's run", |accept| accept.runs[0].run.id = RunId::new(event_id(NOON, 9), &route(), 0)),
        ("an unnamed delivery", |accept| accept.runs[0].run.deliveries.clear()),
        ("a pending run's delivery", |accept| accept.runs[0].run.status = RunStatus::Pending),
        ("no body of its own", |accept| accept.runs[0].deliveries[0].delivery.body = BodyRef::Own),
    ];
    on_each_backend(async |store| {
        for (what, spoil) in spoils {
            let (mut given, _) = with_delivery(event_id(NOON, 1));
            spoil(&mut given);
            let refused = store.commit(Transition::Accept(Box::new(given))).await;
            assert!(matches!(refused, Err(CommitError::Invalid { .. })), "{what}: {refused:?}");
        }
        assert_eq!(store.reader().lanes().unwrap(), []);
        assert_eq!(commit_accept(&store, accept(event_id(NOON, 1), "")).await, Outcome::Accepted { seq: 1 });
    });
}
