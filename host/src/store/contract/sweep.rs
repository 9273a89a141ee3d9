//! What is finished and past its time goes, and nothing else.

use super::*;
use crate::model::Header;
use crate::store::{Day, Replay, RouteRun, Sweep, Swept};

/// How long what is not finished is left alone.
const AGAIN: u64 = 1000;

/// Sweeps what was received before `before_ms`, until there is no more; and what came of it in all.
pub(super) async fn sweep(store: &Store, before_ms: u64, now_ms: u64) -> Swept {
    let mut all = Swept::default();
    loop {
        let sweep = Sweep { tenant: acme(), day: Day::of_ms(NOON), before_ms, now_ms, again_ms: AGAIN };
        let anything = store.reader().anything_to_sweep(&sweep).unwrap();
        let outcome = commit(store, Transition::Sweep(Box::new(sweep))).await;
        let Outcome::Swept(swept) = outcome else { panic!("{outcome:?}") };
        assert!(anything || swept == Swept { until_ms: swept.until_ms, ..Swept::default() }, "{swept:?}");
        all = Swept { events: all.events + swept.events, left: all.left + swept.left, ..swept };
        if !swept.more {
            return all;
        }
    }
}

async fn sweep_day(store: &Store, now_ms: u64) {
    let mut after = None;
    while let Outcome::SweptDay { next: Some(next) } =
        commit(store, Transition::SweepDay { day: Day::of_ms(NOON), after, now_ms }).await
    {
        after = Some(next);
    }
}

fn keys(store: &Store) -> usize {
    store.reader().keys_of(Day::of_ms(NOON))
}

/// An event with everything that an event can have, all of it finished: a long body, a long trace, a run of its own, deliveries with attempts
/// and bodies of their own.
pub(super) async fn finished(store: &Store, id: EventId) -> DeliveryId {
    let mut new = accept(id, vec![1; 100_000]);
    let held: RouteName = "held".parse().unwrap();
    new.runs = vec![
        routed(id, &[endpoint(), "f".parse().unwrap()]),
        RoutedRun { run: run(id, &held, RunStatus::Pending), deliveries: Vec::new() },
    ];
    new.runs[0].run.trace = long_trace();
    new.runs[0].deliveries[0].delivery.body = BodyRef::Own;
    new.runs[0].deliveries[0].body = Some(vec![2; 50_000].into());
    new.runs[0].deliveries[1].delivery.headers = vec![Header { name: "x".to_owned(), value: "v".repeat(40_000) }];
    let deliveries = new.runs[0].run.deliveries.clone();
    commit_accept(store, new).await;
    let filtered =
        RoutedRun { run: Run { trace: long_trace(), ..run(id, &held, RunStatus::Filtered) }, deliveries: vec![] };
    let route = RouteRun { tenant: acme(), routed: filtered, states: vec![] };
    assert_eq!(commit(store, Transition::Route(Box::new(route))).await, Outcome::Done);
    let replay = Replay {
        tenant: acme(),
        event: id,
        runs: vec![(super::route(), Digest::of(b"plan"))],
        asked: None,
        now_ms: NOON,
    };
    let outcome = commit(store, Transition::Replay(Box::new(replay))).await;
    let Outcome::Replayed { runs } = outcome else { panic!("{outcome:?}") };
    let again =
        Run { id: runs[0], generation: 1, origin: Origin::Replay, ..run(id, &super::route(), RunStatus::Dropped) };
    let again = RouteRun { tenant: acme(), routed: RoutedRun { run: again, deliveries: vec![] }, states: vec![] };
    assert_eq!(commit(store, Transition::Route(Box::new(again))).await, Outcome::Done);
    for (number, next) in [(1, Next::RetryAt(NOON)), (2, Next::RetryAt(NOON)), (3, Next::Delivered)] {
        commit(store, settle(deliveries[0], number, next)).await;
    }
    commit(store, settle(deliveries[1], 1, Next::Dead)).await;
    deliveries[0]
}

#[test]
fn what_is_finished_goes_with_all_that_came_of_it() {
    on_each_backend(async |store| {
        let old = event_id(NOON, 1);
        let delivery = finished(&store, old).await;
        let young = event_id(NOON + 10, 1);
        finished(&store, young).await;
        let each = keys(&store) / 2;
        assert!(each > 15, "{each}");
        assert_eq!(sweep(&store, NOON, NOON).await.events, 0);
        assert_eq!(sweep(&store, NOON + 10, NOON).await.events, 1);
        assert_eq!(keys(&store), each + 1, "the young one, and how far it is swept");
        let reader = store.reader();
        assert_eq!(reader.event(&acme(), old).unwrap(), None);
        assert!(reader.body(&acme(), old).unwrap().is_empty() && reader.runs(&acme(), old).unwrap().is_empty());
        assert_eq!(reader.delivery(&acme(), delivery).unwrap(), None);
        assert_eq!(reader.body(&acme(), young).unwrap().len(), 100_000);
        assert_eq!(commit(&store, Transition::Retry { tenant: acme(), delivery, due_ms: 1 }).await, Outcome::NotFound);
        assert_eq!(commit(&store, settle(delivery, 4, Next::Delivered)).await, Outcome::NotFound);
        assert_eq!(sweep(&store, NOON + DAY, NOON).await.events, 1);
        sweep_day(&store, NOON).await;
        assert_eq!(keys(&store), 0);
    });
}

#[test]
fn what_is_not_finished_stays_and_is_looked_at_again() {
    on_each_backend(async |store| {
        let (mut ids, mut deliveries) = (Vec::new(), Vec::new());
        for number in 0..4 {
            let (accept, delivery) = with_delivery(event_id(NOON + number, 0));
            ids.push(accept.event.id);
            deliveries.push(delivery);
            commit_accept(&store, accept).await;
        }
        let mut held = accept(event_id(NOON + 4, 0), "{}");
        held.runs.push(RoutedRun { run: run(held.event.id, &route(), RunStatus::Held), deliveries: Vec::new() });
        let (id, kept) = (held.event.id, held.runs[0].run.id);
        commit_accept(&store, held).await;
        // The third is not due for a long time, the second is given up.
        commit(&store, settle(deliveries[0], 1, Next::Delivered)).await;
        commit(&store, Transition::Cancel { tenant: acme(), delivery: deliveries[1], reason: String::new() }).await;
        commit(&store, settle(deliveries[2], 1, Next::RetryAt(NOON + DAY))).await;
        let swept = sweep(&store, NOON + 100, NOON + AGAIN).await;
        assert_eq!((swept.events, swept.left), (2, 3));
        let reader = store.reader();
        let there: Vec<bool> = ids.iter().map(|id| reader.event(&acme(), *id).unwrap().is_some()).collect();
        assert_eq!(there, [false, false, true, true]);
        assert!(reader.run(&acme(), kept).unwrap().is_some() && reader.event(&acme(), id).unwrap().is_some());
        // Not before its time.
        commit(&store, settle(deliveries[3], 1, Next::Delivered)).await;
        assert_eq!(sweep(&store, NOON + 100, NOON + 2 * AGAIN - 1).await.events, 0);
        let swept = sweep(&store, NOON + 100, NOON + 2 * AGAIN).await;
        assert_eq!((swept.events, swept.left), (1, 2));
        // One that was left is to be had as ever.
        assert_eq!(due_until(&reader, u64::MAX).0, [deliveries[2]]);
        commit(&store, settle(deliveries[2], 2, Next::Dead)).await;
        let rerun = Transition::Rerun { tenant: acme(), run: kept, plan: None, now_ms: NOON };
        assert_eq!(commit(&store, rerun).await, Outcome::Done);
        assert_eq!(sweep(&store, NOON + 100, NOON + 9 * AGAIN).await.events, 1);
        let dropped = RoutedRun { run: run(id, &route(), RunStatus::Dropped), deliveries: vec![] };
        let dropped = RouteRun { tenant: acme(), routed: dropped, states: vec![] };
        commit(&store, Transition::Route(Box::new(dropped))).await;
        assert_eq!(sweep(&store, NOON + 100, NOON + 99 * AGAIN).await.events, 1);
        sweep_day(&store, NOON).await;
        assert_eq!(keys(&store), 0);
    });
}

#[test]
fn a_dedup_key_stays_until_it_has_expired() {
    on_each_backend(async |store| {
        for (number, until_ms) in [(0, NOON + 10), (1, NOON + DAY)] {
            let mut new = accept(event_id(NOON, number), "{}");
            new.event.dedup_key = Some(format!("key {number}"));
            new.dedup_until_ms = Some(until_ms);
            commit_accept(&store, new).await;
        }
        assert_eq!(sweep(&store, NOON + 1, NOON + 10).await.events, 2);
        assert_eq!(keys(&store), 2, "the key that has not expired, and how far it is swept");
        let again = |number: u128| {
            let mut new = accept(event_id(NOON + 20, number), "{}");
            new.event.dedup_key = Some(format!("key {number}"));
            new.dedup_until_ms = Some(NOON + 20 + DAY);
            new
        };
        assert_eq!(commit_accept(&store, again(1)).await, Outcome::Duplicate { first: event_id(NOON, 1) });
        assert!(matches!(commit_accept(&store, again(0)).await, Outcome::Accepted { .. }));
        assert_eq!(sweep(&store, NOON + DAY, NOON + 2 * DAY).await.events, 1);
        sweep_day(&store, NOON + DAY - 1).await;
        assert_eq!(keys(&store), 2);
        sweep_day(&store, NOON + DAY).await;
        assert_eq!(keys(&store), 0);
    });
}

#[test]
fn many_events_go_a_bounded_part_at_a_time() {
    on_each_backend(async |store| {
        let mut all = Vec::new();
        for number in 0..600 {
            let (accept, delivery) = with_delivery(event_id(NOON + number, 0));
            all.push(delivery);
            commit_accept(&store, accept).await;
        }
        for delivery in &all[..599] {
            commit(&store, settle(*delivery, 1, Next::Delivered)).await;
        }
        let whole = Sweep { tenant: acme(), day: Day::of_ms(NOON), before_ms: NOON + DAY, now_ms: NOON, again_ms: DAY };
        let first = commit(&store, Transition::Sweep(Box::new(whole.clone()))).await;
        assert_eq!(first, Outcome::Swept(Swept { events: 256, left: 0, until_ms: NOON + 256, more: true }));
        assert_eq!(store.reader().tenants_of(whole.day).unwrap(), [acme()]);
        let rest = sweep(&store, NOON + DAY, NOON).await;
        assert_eq!((rest.events, rest.left), (343, 1));
    });
}

#[test]
fn one_event_with_very_many_deliveries_is_gone_before_they_are() {
    on_each_backend(async |store| {
        let id = event_id(NOON, 0);
        let endpoints: Vec<EndpointName> = (0..2500).map(|number| format!("e{number}").parse().unwrap()).collect();
        let mut new = accept(id, "{}");
        new.runs.push(routed(id, &endpoints));
        let deliveries = new.runs[0].run.deliveries.clone();
        commit_accept(&store, new).await;
        commit_accept(&store, accept(event_id(NOON + 1, 0), "{}")).await;
        for delivery in &deliveries[1..] {
            commit(&store, settle(*delivery, 1, Next::Dead)).await;
        }
        let one = Sweep { tenant: acme(), day: Day::of_ms(NOON), before_ms: NOON + 9, now_ms: NOON, again_ms: 0 };
        let live = commit(&store, Transition::Sweep(Box::new(Sweep { again_ms: DAY, ..one.clone() }))).await;
        assert_eq!(live, Outcome::Swept(Swept { events: 0, left: 1, until_ms: NOON, more: true }));
        commit(&store, settle(deliveries[0], 1, Next::Dead)).await;
        // Through the other one, and back to the one that was left.
        assert_eq!(sweep_once(&store, &one).await, (1, true));
        assert_eq!(sweep_once(&store, &one).await, (1, true));
        let reader = store.reader();
        assert_eq!(reader.event(&acme(), id).unwrap(), None);
        let left: Vec<DeliveryId> =
            deliveries.into_iter().filter(|id| reader.delivery(&acme(), *id).unwrap().is_some()).collect();
        assert!((1..2500).contains(&left.len()), "{}", left.len());
        let retry = Transition::Retry { tenant: acme(), delivery: left[0], due_ms: NOON };
        assert_eq!(commit(&store, retry).await, Outcome::NotFound);
        sweep(&store, NOON + 9, NOON).await;
        sweep_day(&store, NOON).await;
        assert_eq!(keys(&store), 0);
    });
}

async fn sweep_once(store: &Store, sweep: &Sweep) -> (u64, bool) {
    let outcome = commit(store, Transition::Sweep(Box::new(sweep.clone()))).await;
    let Outcome::Swept(Swept { events, more, .. }) = outcome else { panic!("{outcome:?}") };
    (events, more)
}

#[test]
fn tenants_are_found_whose_events_were_never_swept() {
    on_each_backend(async |store| {
        for name in ["a", "acme", "b", "ab"] {
            let mut new = accept(event_id(NOON, 0), "{}");
            new.event.tenant = name.parse().unwrap();
            commit_accept(&store, new).await;
            if name == "b" {
                sweep(&store, NOON + 1, NOON).await;
            }
        }
        let mut found = store.reader().tenants_of(Day::of_ms(NOON)).unwrap();
        found.sort_unstable();
        assert_eq!(found.iter().map(TenantName::as_str).collect::<Vec<_>>(), ["a", "ab", "acme", "b"]);
        assert_eq!(store.reader().days(), [Day::of_ms(NOON)]);
    });
}

#[test]
fn what_comes_after_the_clock_went_back_goes_in_its_time() {
    on_each_backend(async |store| {
        commit_accept(&store, accept(event_id(NOON, 0), "{}")).await;
        assert_eq!(sweep(&store, NOON + 1000, NOON).await.events, 1);
        commit_accept(&store, accept(event_id(NOON + 500, 0), "{}")).await;
        assert_eq!(sweep(&store, NOON + 400, NOON).await.events, 0);
        assert_eq!(sweep(&store, NOON + 501, NOON).await.events, 1);
    });
}
