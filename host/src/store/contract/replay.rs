//! Replay: an event goes again, as runs of a new generation.

use super::*;
use crate::store::{CommitError, Hint, PendingRun, REPLAYS_PER_EVENT_MAX, Replay};

fn replay(event: EventId, routes: &[&str], asked: Option<&str>) -> Transition {
    let runs = routes.iter().map(|route| (route.parse().unwrap(), Digest::of(b"today"))).collect();
    let asked = asked.map(|asked| Digest::of(asked.as_bytes()));
    Transition::Replay(Box::new(Replay { tenant: acme(), event, runs, asked, now_ms: NOON + 9 }))
}

async fn replayed(store: &Store, event: EventId, routes: &[&str], asked: Option<&str>) -> Vec<RunId> {
    match commit(store, replay(event, routes, asked)).await {
        Outcome::Replayed { runs } => runs,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_replay_makes_pending_runs_of_a_new_generation_in_the_events_place() {
    on_each_backend(async |store| {
        let (first, delivery) = with_delivery(event_id(NOON, 1));
        let id = first.event.id;
        commit_accept(&store, first.clone()).await;
        commit_accept(&store, accept(event_id(NOON, 2), "")).await;
        let mut hints = store.subscribe();
        let once = replayed(&store, id, &["r", "other"], None).await;
        assert_eq!(once, [RunId::new(id, &route(), 1), RunId::new(id, &"other".parse().unwrap(), 1)]);
        let twice = replayed(&store, id, &["r"], None).await;
        assert_eq!(twice, [RunId::new(id, &route(), 2)]);

        let reader = store.reader();
        let run = reader.run(&acme(), once[0]).unwrap().unwrap();
        assert_eq!((run.generation, run.origin, run.status), (1, Origin::Replay, RunStatus::Pending));
        assert_eq!((run.plan, run.created_at_ms), (Digest::of(b"today"), NOON + 9));
        let pending = reader.pending_of(&acme(), &route(), None, 9).unwrap();
        let place = |run| PendingRun { tenant: acme(), route: route(), seq: 1, run };
        let mut expected = [place(once[0]), place(twice[0])];
        expected.sort_by_key(|pending| pending.run);
        assert_eq!(pending, expected);
        assert_eq!(
            hints.recv().await.unwrap()[0],
            Hint::Pending { tenant: acme(), route: route(), seq: 1, run: once[0] }
        );
        // What came of it before is as it was, and what comes of it now has other ids.
        assert_eq!(reader.run(&acme(), first.runs[0].run.id).unwrap(), Some(first.runs[0].run.clone()));
        assert_ne!(DeliveryId::new(once[0], 0, 0, &endpoint()), delivery);
        assert_eq!(commit(&store, replay(event_id(NOON, 9), &["r"], None)).await, Outcome::NotFound);
    });
}

#[test]
fn what_was_asked_for_once_is_not_done_again() {
    on_each_backend(async |store| {
        let id = event_id(NOON, 1);
        commit_accept(&store, accept(id, "")).await;
        let first = replayed(&store, id, &["r"], Some("a")).await;
        let other = replayed(&store, id, &["r"], Some("b")).await;
        assert_ne!(first, other);
        for (asked, runs) in [("a", &first), ("b", &other)] {
            assert_eq!(replayed(&store, id, &["r", "other"], Some(asked)).await, *runs);
        }
        assert_eq!(store.reader().runs(&acme(), id).unwrap().len(), 2);
        for routes in [&[][..], &["r", "r"]] {
            let refused = store.commit(replay(id, routes, None)).await;
            assert!(matches!(refused, Err(CommitError::Invalid { .. })), "{refused:?}");
        }
    });
}

#[test]
fn an_event_is_replayed_only_so_often() {
    let store = Store::in_memory(&Config::default(), &Health::default()).unwrap();
    wait(async {
        let id = event_id(NOON, 1);
        commit_accept(&store, accept(id, "")).await;
        for _ in 0..REPLAYS_PER_EVENT_MAX {
            replayed(&store, id, &["r"], None).await;
        }
        let full = commit(&store, replay(id, &["r"], None)).await;
        assert_eq!(full, Outcome::TooMany { max: REPLAYS_PER_EVENT_MAX });
    });
}

#[test]
fn a_replay_that_was_held_stays_a_replay_when_it_is_rerun() {
    on_each_backend(async |store| {
        let id = event_id(NOON, 1);
        commit_accept(&store, accept(id, "")).await;
        let run = replayed(&store, id, &["r"], None).await[0];
        let reader = store.reader();
        let mut held = reader.run(&acme(), run).unwrap().unwrap();
        held.status = RunStatus::Held;
        let routed = RoutedRun { run: held, deliveries: Vec::new() };
        let outcome = super::super::RouteRun { tenant: acme(), routed, states: Vec::new() };
        commit(&store, Transition::Route(Box::new(outcome))).await;
        let rerun = Transition::Rerun { tenant: acme(), run, plan: None, now_ms: NOON };
        assert_eq!(commit(&store, rerun).await, Outcome::Done);
        let again = reader.run(&acme(), run).unwrap().unwrap();
        assert_eq!((again.status, again.origin), (RunStatus::Pending, Origin::Replay));
    });
}
