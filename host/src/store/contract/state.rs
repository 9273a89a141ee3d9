//! The state that modules keep: written with a run's outcome or not at all, and gone with its route.

use super::*;
use crate::model::StepKey;
use crate::store::{CommitError, Configure, Hint, ResourceKey, RouteRun, StateChange, StateEntry, StateHead};

fn step() -> StepKey {
    "operator/m".parse().unwrap()
}

fn resource(route: &RouteName) -> ResourceKey {
    ResourceKey { tenant: Some(acme()), kind: "route", name: route.to_string() }
}

/// Makes the route `r`, at this revision.
async fn make_route(store: &Store, expected_revision: u64) {
    let puts = vec![(resource(&route()), Bytes::from("{}"))];
    let configure = Configure { expected_revision, puts, ..Configure::default() };
    assert!(matches!(commit(store, Transition::Configure(configure)).await, Outcome::Configured { .. }));
}

async fn remove_route(store: &Store, expected_revision: u64) {
    let configure = Configure { expected_revision, removes: vec![resource(&route())], ..Configure::default() };
    assert!(matches!(commit(store, Transition::Configure(configure)).await, Outcome::Configured { .. }));
}

/// Entries to put, with the times at which they expire.
fn puts(entries: &[(&str, &str, Option<u64>)]) -> Vec<(String, Option<StateEntry>)> {
    let put = |(key, value, expires_ms): &(&str, &str, Option<u64>)| {
        let value = Bytes::copy_from_slice(value.as_bytes());
        ((*key).to_owned(), Some(StateEntry { value, expires_ms: *expires_ms }))
    };
    entries.iter().map(put).collect()
}

/// An event with a pending run, and what routes that run while it writes this.
async fn run_that_writes(store: &Store, n: u128, status: RunStatus, change: Option<StateChange>) -> Transition {
    let id = event_id(NOON, n);
    let mut given = accept(id, "{}");
    given.runs.push(RoutedRun { run: run(id, &route(), RunStatus::Pending), deliveries: Vec::new() });
    commit_accept(store, given).await;
    let routed = RoutedRun { run: run(id, &route(), status), deliveries: Vec::new() };
    Transition::Route(Box::new(RouteRun { tenant: acme(), routed, states: change.into_iter().collect() }))
}

async fn write(store: &Store, n: u128, writes: Vec<(String, Option<StateEntry>)>) -> StateHead {
    let change = StateChange { step: step(), seen: head(store), time_ms: NOON + u64::try_from(n).unwrap(), writes };
    let route_it = run_that_writes(store, n, RunStatus::Filtered, Some(change)).await;
    assert_eq!(commit(store, route_it).await, Outcome::Done);
    head(store).unwrap()
}

fn head(store: &Store) -> Option<StateHead> {
    store.reader().state(&acme(), &route(), &step()).unwrap()
}

/// Keys and values of a page without an end.
fn listed(store: &Store, prefix: &str) -> Vec<(String, String)> {
    let page = store.reader().list_state(&acme(), &route(), &step(), prefix, None, 1000).unwrap();
    assert_eq!(page.next, None);
    let text = |entry: &StateEntry| String::from_utf8(entry.value.to_vec()).unwrap();
    page.items.iter().map(|(key, entry)| (key.clone(), text(entry))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_run_writes_its_state_with_its_outcome_and_the_head_counts() {
    on_each_backend(async |store| {
        make_route(&store, 0).await;
        assert_eq!(head(&store), None);
        let first = write(&store, 1, puts(&[("a", "1", None), ("ab", "22", Some(NOON + 50)), ("b", "", None)])).await;
        assert_eq!((first.revision, first.keys, first.bytes, first.time_ms), (1, 3, 7, NOON + 1));
        let reader = store.reader();
        let entry = reader.state_entry(&first, "ab").unwrap().unwrap();
        assert_eq!((&entry.value[..], entry.expires_ms), (&b"22"[..], Some(NOON + 50)));
        assert!(entry.expired(NOON + 50) && !entry.expired(NOON + 49));
        assert_eq!(listed(&store, ""), pairs(&[("a", "1"), ("ab", "22"), ("b", "")]));
        assert_eq!(listed(&store, "a"), pairs(&[("a", "1"), ("ab", "22")]));

        // One is replaced and stays from now on, one removed, one that is not there too.
        let mut writes = puts(&[("ab", "3", None)]);
        writes.extend([("b".to_owned(), None), ("zz".to_owned(), None)]);
        let second = write(&store, 2, writes).await;
        assert_eq!((second.id, second.revision, second.keys, second.bytes), (first.id, 2, 2, 5));
        assert_eq!(reader.state_entry(&second, "b").unwrap(), None);
        assert_eq!(reader.state_expired(&second, None, u64::MAX, 10).unwrap(), []);
        assert_eq!(reader.states_of(&acme(), &route()).unwrap(), [(step(), second)]);
        let other: TenantName = "acm".parse().unwrap();
        assert_eq!(reader.states_of(&other, &route()).unwrap(), []);
    });
}

#[test]
fn a_state_that_changed_since_it_was_read_is_not_overwritten() {
    on_each_backend(async |store| {
        make_route(&store, 0).await;
        let change = |seen, writes| StateChange { step: step(), seen, time_ms: NOON, writes };
        let late =
            run_that_writes(&store, 1, RunStatus::Filtered, Some(change(None, puts(&[("a", "late", None)])))).await;
        let only_read = run_that_writes(&store, 2, RunStatus::Filtered, Some(change(None, Vec::new()))).await;
        let first = write(&store, 3, puts(&[("a", "1", None)])).await;
        for transition in [late, only_read] {
            assert_eq!(commit(&store, transition).await, Outcome::StateChanged);
        }
        assert_eq!((head(&store), store.reader().pending_runs(None, 10).unwrap().len()), (Some(first), 2));

        // Taken away and begun anew: another one, though it has been written as often.
        let stale = Some(change(Some(first), puts(&[("a", "stale", None)])));
        let stale = run_that_writes(&store, 4, RunStatus::Filtered, stale).await;
        let forget = Transition::ForgetState { tenant: acme(), route: route(), step: Some(step()) };
        assert_eq!(commit(&store, forget).await, Outcome::Done);
        let again = write(&store, 5, puts(&[("a", "2", None)])).await;
        assert_eq!(again.revision, first.revision);
        assert_eq!(commit(&store, stale).await, Outcome::StateChanged);
        assert_eq!(listed(&store, ""), pairs(&[("a", "2")]));
    });
}

#[test]
fn long_values_come_back_whole_and_leave_nothing_behind() {
    on_each_backend(async |store| {
        make_route(&store, 0).await;
        let long = "v".repeat(3 * crate::store::backend::VALUE_BYTES_MAX);
        let first = write(&store, 1, puts(&[("k", &long, None), ("kk", &long, None)])).await;
        assert_eq!(first.bytes, (2 * long.len() + 3) as u64);
        assert_eq!(store.reader().state_entry(&first, "k").unwrap().unwrap().value, long.as_bytes());
        let second = write(&store, 2, puts(&[("k", "short", None)])).await;
        assert_eq!(second.bytes, (long.len() + 8) as u64);
        assert_eq!(listed(&store, ""), pairs(&[("k", "short"), ("kk", &long)]));
    });
}

#[test]
fn what_is_expired_is_found_by_its_time_and_is_not_listed() {
    on_each_backend(async |store| {
        make_route(&store, 0).await;
        let at = |ms| Some(NOON + ms);
        let head = write(&store, 20, puts(&[("c", "", at(30)), ("a", "", at(10)), ("b", "", at(20)), ("s", "", None)]));
        let head = head.await;
        let reader = store.reader();
        let expired = reader.state_expired(&head, None, NOON + 20, 10).unwrap();
        assert_eq!(expired, [(NOON + 10, "a".to_owned()), (NOON + 20, "b".to_owned())]);
        assert_eq!(reader.state_expired(&head, None, NOON + 20, 1).unwrap(), expired[..1]);
        assert_eq!(reader.state_expired(&head, Some(&expired[0]), NOON + 20, 10).unwrap(), expired[1..]);
        // By the time of the state: that of its last event.
        assert_eq!(listed(&store, ""), pairs(&[("c", ""), ("s", "")]));
    });
}

#[test]
fn a_list_goes_on_where_it_ended() {
    on_each_backend(async |store| {
        make_route(&store, 0).await;
        write(&store, 1, puts(&[("a", "1", None), ("b", "2", None), ("c", "3", None)])).await;
        let reader = store.reader();
        let page =
            |prefix: &str, cursor: Option<&str>| reader.list_state(&acme(), &route(), &step(), prefix, cursor, 2);
        let first = page("", None).unwrap();
        assert_eq!(first.items.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let second = page("", first.next.as_deref()).unwrap();
        assert_eq!((second.items[0].0.as_str(), second.items.len(), second.next), ("c", 1, None));
        assert!(page("c", first.next.as_deref()).is_err(), "a cursor is good for its list");
    });
}

#[test]
fn state_goes_with_its_route_little_by_little_and_the_next_one_begins_empty() {
    on_each_backend(async |store| {
        make_route(&store, 0).await;
        let mut hints = store.subscribe();
        let long = "v".repeat(crate::store::backend::VALUE_BYTES_MAX + 1);
        let many: Vec<(String, Option<StateEntry>)> = (0..300)
            .map(|n| {
                let value = Bytes::from(if n == 7 { long.clone() } else { String::new() });
                (format!("k{n:03}"), Some(StateEntry { value, expires_ms: Some(NOON + DAY) }))
            })
            .collect();
        let old = write(&store, 1, many).await;
        remove_route(&store, 1).await;
        assert_eq!((head(&store), listed(&store, "")), (None, Vec::new()));
        while !hints.recv().await.unwrap().contains(&Hint::StateForgotten) {}

        // The route comes again before the old state is gone from the disk.
        make_route(&store, 2).await;
        let new = write(&store, 2, puts(&[("k000", "new", None)])).await;
        assert_ne!(new.id, old.id);
        let mut sweeps = 0;
        while commit(&store, Transition::SweepState).await == Outcome::Done {
            sweeps += 1;
        }
        assert_eq!(sweeps, 3, "300 entries and their 300 times, 256 at once");
        assert_eq!(listed(&store, ""), pairs(&[("k000", "new")]));
        for key in ["k000", "k007", "k299"] {
            assert_eq!(store.reader().state_entry(&old, key).unwrap(), None);
        }
        assert_eq!(store.reader().state_expired(&old, None, u64::MAX, 10).unwrap(), []);
        let nothing = Transition::ForgetState { tenant: acme(), route: "other".parse().unwrap(), step: None };
        assert_eq!(commit(&store, nothing).await, Outcome::NotFound);
    });
}

#[test]
fn a_run_of_a_route_that_is_gone_keeps_nothing() {
    on_each_backend(async |store| {
        let change = StateChange { step: step(), seen: None, time_ms: NOON, writes: puts(&[("a", "1", None)]) };
        let route_it = run_that_writes(&store, 1, RunStatus::Routed, Some(change)).await;
        assert_eq!(commit(&store, route_it).await, Outcome::Done);
        assert_eq!(head(&store), None);
    });
}

#[test]
fn what_contradicts_itself_writes_neither_run_nor_state() {
    on_each_backend(async |store| {
        make_route(&store, 0).await;
        let change = |writes| StateChange { step: step(), seen: None, time_ms: NOON, writes };
        let one = || puts(&[("a", "1", None)]);
        let cases = [
            (RunStatus::Held, one()),
            (RunStatus::Dropped, one()),
            (RunStatus::Routed, puts(&[("a", "1", None), ("a", "2", None)])),
            (RunStatus::Routed, puts(&[("", "1", None)])),
            (RunStatus::Routed, puts(&[("a\0b", "1", None)])),
        ];
        for (n, (status, writes)) in (1..).zip(cases) {
            let transition = run_that_writes(&store, n, status, Some(change(writes))).await;
            let refused = store.commit(transition).await;
            assert!(matches!(refused, Err(CommitError::Invalid { .. })), "{refused:?}");
        }
        assert_eq!((head(&store), store.reader().pending_runs(None, 10).unwrap().len()), (None, 5));
    });
}

#[test]
fn state_is_there_after_a_cut_and_its_ids_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let before = wait(async {
        let store = open(dir.path());
        make_route(&store, 0).await;
        let head = write(&store, 1, puts(&[("a", "1", Some(NOON + DAY))])).await;
        store.close().await;
        head
    });
    wait(async {
        let store = open(dir.path());
        assert_eq!((head(&store), listed(&store, "")), (Some(before), pairs(&[("a", "1")])));
        let forget = Transition::ForgetState { tenant: acme(), route: route(), step: None };
        assert_eq!(commit(&store, forget).await, Outcome::Done);
        assert!(write(&store, 2, puts(&[("a", "2", None)])).await.id > before.id);
        store.close().await;
    });
}
