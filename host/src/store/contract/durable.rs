//! What the store on disk promises: that what was answered is there after any end, and that nothing hides outside its log.

use super::*;
use crate::store::keys;
use crate::store::sled_backend::SledBackend;
use crate::store::tree::TreeId;
use crate::store::{Configure, OpenError, meta};
use std::fs;
use std::path::PathBuf;

/// Some of everything; what it looks like is compared before and after.
pub(super) async fn fill(store: &Store) {
    for n in 0..50_u64 {
        let (mut given, id) = with_delivery(event_id(NOON + n % 3 * DAY, n.into()));
        given.event.dedup_key = Some(n.to_string());
        given.dedup_until_ms = Some(given.event.received_at_ms + DAY);
        // Due in another order than accepted.
        given.runs[0].deliveries[0].delivery.due_ms = NOON + n * 7 % 50;
        commit_accept(store, given).await;
        if n % 5 == 0 {
            commit(store, settle(id, 1, if n % 2 == 0 { Next::Delivered } else { Next::RetryAt(NOON + n) })).await;
        }
    }
    let mut pending = accept(event_id(NOON, 1000), vec![7; 100_000]);
    pending.runs.push(RoutedRun { run: run(pending.event.id, &route(), RunStatus::Pending), deliveries: vec![] });
    commit_accept(store, pending).await;
    let plans = vec![(Digest::of(b"plan"), "plan".into())];
    commit(store, Transition::Configure(Configure { plans, ..Configure::default() })).await;
}

/// All that can be asked, as text.
pub(super) fn seen(store: &Store) -> String {
    let reader = store.reader();
    let events = reader.list_events(&acme(), &crate::store::EventFilter::default(), None, 1000).unwrap();
    let deliveries = reader.list_deliveries(&acme(), &crate::store::DeliveryFilter::default(), None, 1000).unwrap();
    let bodies: Vec<_> =
        events.items.iter().map(|event| Digest::of(&reader.body(&acme(), event.id).unwrap())).collect();
    let due = reader.due(&acme(), &endpoint(), None, u64::MAX, 1000).unwrap();
    let plan = reader.plan(Digest::of(b"plan")).unwrap();
    let pending = reader.pending_runs(None, 1000).unwrap();
    format!("{events:?} {deliveries:?} {bodies:?} {due:?} {plan:?} {pending:?} {:?}", reader.config().unwrap())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn what_was_answered_is_there_after_a_clean_end_and_after_a_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (home, cut) = (dir.path().join("home"), dir.path().join("cut"));
    let before = wait(async {
        let store = open(&home);
        fill(&store).await;
        let before = seen(&store);
        // The files as they stand while the store is open: as after a kill.
        copy(&home, &cut);
        store.close().await;
        before
    });
    for dir in [home, cut] {
        wait(async {
            let store = open(&dir);
            assert_eq!(seen(&store), before, "{}", dir.display());
            // And it goes on from there: the next place in the order, the keys that are taken.
            assert_eq!(commit_accept(&store, accept(event_id(NOON, 2000), "")).await, Outcome::Accepted { seq: 52 });
            let mut duplicate = accept(event_id(NOON, 2001), "");
            duplicate.event.dedup_key = Some("0".to_owned());
            duplicate.dedup_until_ms = Some(NOON + DAY);
            assert_eq!(commit_accept(&store, duplicate).await, Outcome::Duplicate { first: event_id(NOON, 0) });
            store.close().await;
        });
    }
}

#[test]
fn no_body_and_no_record_becomes_a_file_that_is_never_synced() {
    let dir = tempfile::tempdir().unwrap();
    // A short journal: nearly all of it gets into the database.
    let config = Config { journal_bytes_max: 1 << 20, ..Config::default() };
    let store = Store::open(dir.path(), &config, &Health::default()).unwrap();
    wait(async {
        for (n, size) in (0..).zip([1 << 20, 10 << 20].into_iter().chain([16 * 1024; 200])) {
            let id = event_id(NOON, n);
            let body: Bytes = vec![u8::try_from(n % 256).unwrap(); size].into();
            let mut given = accept(id, body.clone());
            let run = Run { trace: long_trace(), ..run(id, &route(), RunStatus::Filtered) };
            given.runs.push(RoutedRun { run, deliveries: vec![] });
            commit_accept(&store, given).await;
            assert!(store.reader().body(&acme(), id).unwrap() == body);
        }
        store.close().await;
    });
    let blobs: Vec<PathBuf> = fs::read_dir(dir.path().join("sled/blobs")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(blobs, Vec::<PathBuf>::new());
}

#[test]
fn one_directory_is_one_stores() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = Store::open(dir.path(), &Config::default(), &Health::default());
    let error = second.err().unwrap();
    assert!(matches!(&error, OpenError::Locked { dir: locked } if locked == dir.path()), "{error:?}");
    assert!(error.to_string().starts_with("another hookswitch is running on this data directory"), "{error}");
    wait(first.close());
    drop(first);
    wait(open(dir.path()).close());
}

#[test]
fn a_store_of_another_format_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    for (written, found) in [(vec![0, 0, 0, 99], 99), (vec![1], 0)] {
        let backend = SledBackend::open(dir.path(), 1 << 20).unwrap();
        backend.write(TreeId::Hot, [(&keys::format(), Some(&Bytes::from(written)))]).unwrap();
        drop(backend);
        let error = Store::open(dir.path(), &Config::default(), &Health::default()).err().unwrap();
        assert!(
            matches!(error, OpenError::Format { found: other, known: meta::FORMAT, .. } if other == found),
            "{error:?}"
        );
    }
}
