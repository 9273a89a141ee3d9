//! Route and Rerun: pending and held runs, in the order of their events.

use super::*;
use crate::store::{CommitError, Hint, PendingRun, RouteRun};

fn with_run(n: u128, route: &RouteName, status: RunStatus) -> Accept {
    let id = event_id(NOON - u64::try_from(n).unwrap(), n);
    let mut accept = accept(id, "{}");
    accept.runs.push(RoutedRun { run: run(id, route, status), deliveries: Vec::new() });
    accept
}

fn outcome_of(routed: RoutedRun) -> Transition {
    Transition::Route(Box::new(RouteRun { tenant: acme(), routed, states: Vec::new() }))
}

fn pending(store: &Store) -> Vec<(u64, RunId)> {
    let pending = store.reader().pending_of(&acme(), &route(), None, 100).unwrap();
    pending.into_iter().map(|run| (run.seq, run.run)).collect()
}

#[test]
fn pending_runs_wait_in_the_order_of_commits_not_of_ids() {
    on_each_backend(async |store| {
        let mut hints = store.subscribe();
        let mut runs = Vec::new();
        // Later ones carry earlier times.
        for n in 1..=3 {
            let given = with_run(n, &route(), RunStatus::Pending);
            runs.push((u64::try_from(n).unwrap(), given.runs[0].run.id));
            commit_accept(&store, given).await;
        }
        let other: RouteName = "other".parse().unwrap();
        commit_accept(&store, with_run(4, &other, RunStatus::Pending)).await;
        assert_eq!(pending(&store), runs);
        let reader = store.reader();
        assert_eq!(reader.pending_routes().unwrap(), [(acme(), other.clone()), (acme(), route())]);
        let after = reader.pending_of(&acme(), &route(), Some(runs[0]), 1).unwrap();
        assert_eq!(after, [PendingRun { tenant: acme(), route: route(), seq: 2, run: runs[1].1 }]);
        let all = reader.pending_runs(None, 100).unwrap();
        assert_eq!(all.iter().map(|run| run.seq).collect::<Vec<_>>(), [4, 1, 2, 3]);
        assert_eq!(reader.pending_runs(Some(&all[1]), 100).unwrap(), all[2..]);
        let (seq, run) = runs[0];
        assert_eq!(*hints.recv().await.unwrap(), [Hint::Pending { tenant: acme(), route: route(), seq, run }]);
    });
}

#[test]
fn a_pending_run_is_routed_once() {
    on_each_backend(async |store| {
        let given = with_run(1, &route(), RunStatus::Pending);
        let id = given.event.id;
        commit_accept(&store, given).await;
        let done = routed(id, &[endpoint()]);
        assert_eq!(commit(&store, outcome_of(done.clone())).await, Outcome::Done);
        assert_eq!(pending(&store), []);
        assert_eq!(store.reader().runs(&acme(), id).unwrap(), std::slice::from_ref(&done.run));
        assert_eq!(due_until(&store.reader(), NOON).0, done.run.deliveries);
        assert!(matches!(commit(&store, outcome_of(done)).await, Outcome::Stale { .. }));
        assert_eq!(commit(&store, outcome_of(routed(event_id(NOON, 7), &[]))).await, Outcome::NotFound);
    });
}

#[test]
fn a_run_that_was_done_at_once_is_neither_routed_nor_rerun() {
    on_each_backend(async |store| {
        let (given, _) = with_delivery(event_id(NOON, 1));
        let run = given.runs[0].run.id;
        commit_accept(&store, given.clone()).await;
        assert!(matches!(commit(&store, outcome_of(given.runs[0].clone())).await, Outcome::Stale { .. }));
        let rerun = Transition::Rerun { tenant: acme(), run, plan: None, now_ms: NOON };
        assert!(matches!(commit(&store, rerun).await, Outcome::Stale { .. }));
    });
}

#[test]
fn a_held_run_waits_and_comes_back_in_its_old_place() {
    on_each_backend(async |store| {
        let first = with_run(1, &route(), RunStatus::Pending);
        let id = first.event.id;
        commit_accept(&store, first).await;
        let second = with_run(2, &route(), RunStatus::Pending);
        let second_run = second.runs[0].run.id;
        commit_accept(&store, second).await;

        let mut held = run(id, &route(), RunStatus::Held);
        held.failure = Some(crate::model::RunFailure { step: 0, code: "trap".to_owned(), message: "boom".to_owned() });
        held.trace = long_trace();
        let reader = store.reader();
        assert!(!reader.has_held(&acme(), &route()).unwrap());
        assert_eq!(
            commit(&store, outcome_of(RoutedRun { run: held.clone(), deliveries: vec![] })).await,
            Outcome::Done
        );
        assert!(reader.has_held(&acme(), &route()).unwrap());
        assert_eq!(pending(&store), [(2, second_run)]);
        let page = reader.list_held(&acme(), Some(&route()), None, 10).unwrap();
        assert_eq!((page.items[0].run, page.items[0].seq, page.next), (held.id, 1, None));

        let plan = Digest::of(b"today");
        let mut hints = store.subscribe();
        let rerun = |plan| Transition::Rerun { tenant: acme(), run: held.id, plan, now_ms: NOON + 5 };
        assert_eq!(commit(&store, rerun(Some(plan))).await, Outcome::Done);
        assert_eq!(pending(&store), [(1, held.id), (2, second_run)]);
        assert!(!reader.has_held(&acme(), &route()).unwrap());
        let now = reader.run(&acme(), held.id).unwrap().unwrap();
        let (status, origin, updated_at_ms) = (RunStatus::Pending, Origin::Rerun, NOON + 5);
        assert_eq!(now, Run { status, origin, plan, updated_at_ms, failure: None, ..held.clone() });
        let hint = Hint::Pending { tenant: acme(), route: route(), seq: 1, run: held.id };
        assert_eq!(*hints.recv().await.unwrap(), [hint]);
        assert!(matches!(commit(&store, rerun(None)).await, Outcome::Stale { .. }));
        let nobody = Transition::Rerun { tenant: acme(), run: RunId::from_parts(id, 1), plan: None, now_ms: 1 };
        assert_eq!(commit(&store, nobody).await, Outcome::NotFound);

        // A shorter record takes the place of the one in parts.
        let done = routed(id, &[endpoint()]);
        assert_eq!(commit(&store, outcome_of(done.clone())).await, Outcome::Done);
        assert_eq!(reader.run(&acme(), held.id).unwrap(), Some(done.run));
    });
}

#[test]
fn a_run_can_be_held_at_once() {
    on_each_backend(async |store| {
        let given = with_run(1, &route(), RunStatus::Held);
        let run = given.runs[0].run.id;
        commit_accept(&store, given).await;
        assert!(store.reader().has_held(&acme(), &route()).unwrap());
        let rerun = Transition::Rerun { tenant: acme(), run, plan: None, now_ms: NOON };
        assert_eq!(commit(&store, rerun).await, Outcome::Done);
        assert_eq!(pending(&store), [(1, run)]);
    });
}

#[test]
fn routing_ends_the_waiting_and_keeps_the_route() {
    on_each_backend(async |store| {
        let given = with_run(1, &route(), RunStatus::Pending);
        let still = given.runs[0].clone();
        commit_accept(&store, given).await;
        let mut elsewhere = still.clone();
        elsewhere.run.status = RunStatus::Filtered;
        elsewhere.run.route = "elsewhere".parse().unwrap();
        for wrong in [still.clone(), elsewhere] {
            let refused = store.commit(outcome_of(wrong)).await;
            assert!(matches!(refused, Err(CommitError::Invalid { .. })), "{refused:?}");
        }
        assert_eq!(pending(&store), [(1, still.run.id)]);
    });
}
