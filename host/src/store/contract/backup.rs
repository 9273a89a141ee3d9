//! Backup: taken piece by piece while commits go on, it is the store as it was when the copy was done; and what is no whole backup is refused.

use super::durable::{fill, seen};
use super::*;
use crate::clock::Clock;
use crate::store::{DataFiles, RestoreError, Restored, WaitingUploads, restore, verify_backup};
use std::collections::BTreeMap;
use std::fs;

/// A data directory with a module, an upload that waits, and things that are in no backup.
fn data(top: &Path) -> DataFiles {
    let data = top.join("data");
    let (uploads, _) = WaitingUploads::open::<String>(&data.join("uploads")).unwrap();
    fs::create_dir_all(data.join("modules")).unwrap();
    fs::write(data.join(module()), "wasm").unwrap();
    uploads.put(Digest::of(b"later"), &"later", b"later").unwrap();
    fs::write(data.join("master.key"), "secret").unwrap();
    fs::write(data.join("master.fingerprint"), "known").unwrap();
    fs::create_dir(data.join("compiled")).unwrap();
    DataFiles { data, uploads }
}

fn module() -> String {
    format!("modules/{}.wasm", Digest::of(b"wasm"))
}

/// A file with a whole backup, taken while nothing else happens.
fn backup(store: &Store, top: &Path) -> std::path::PathBuf {
    let path = top.join("backup");
    let mut bytes = Vec::new();
    wait(async {
        let mut backup = store.backup(data(top), Clock::manual(NOON)).await.unwrap();
        while let Some(piece) = backup.next().await.unwrap() {
            bytes.extend_from_slice(&piece);
        }
    });
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_restored_is_the_store_as_it_was_when_the_copy_was_done() {
    on_each_backend(|store| async move {
        let top = tempfile::tempdir().unwrap();
        fill(&store).await;
        let mut bytes = Vec::new();
        let mut seen_at = BTreeMap::new();
        let mut backup = store.backup(data(top.path()), Clock::manual(NOON)).await.unwrap();
        let mut settled = Vec::new();
        for n in 0_u32.. {
            // Each piece is asked for after commits that put, change and remove what may be copied already, or not yet.
            let id = event_id(NOON - u64::from(n % 5) * DAY, (5000 + n).into());
            let (mut given, delivery) = with_delivery(id);
            given.body = vec![u8::try_from(n % 256).unwrap(); 300_000].into();
            given.event.body_bytes = 300_000;
            let Outcome::Accepted { seq } = commit_accept(&store, given).await else { panic!("it was not accepted") };
            settled.push(delivery);
            if n % 2 == 0 {
                commit(&store, settle(settled.remove(settled.len() / 2), 1, Next::Delivered)).await;
            }
            seen_at.insert(seq, seen(&store));
            match backup.next().await.unwrap() {
                Some(piece) => bytes.extend_from_slice(&piece),
                None => break,
            }
        }
        let path = top.path().join("backup");
        fs::write(&path, bytes).unwrap();
        let to = top.path().join("restored");
        let restored = restore(&path, &to).unwrap();
        let again = open(&to.join("store"));
        assert!(seen(&again) == seen_at[&restored.end.last_seq], "as of {}", restored.end.last_seq);
        assert!(restored.end.last_seq > 53, "some were accepted under way: {restored:?}");
        assert_eq!(restored.events, restored.end.last_seq, "none was removed");
        assert!(
            restored.events > restored.end.events_copied,
            "some came by what was committed meanwhile: {restored:?}"
        );
        // And it goes on from there.
        let next = commit_accept(&again, accept(event_id(NOON, 9000), "")).await;
        assert_eq!(next, Outcome::Accepted { seq: restored.end.last_seq + 1 });
        again.close().await;
    });
}

#[test]
fn the_files_that_the_configuration_needs_are_in_it_and_no_key() {
    let top = tempfile::tempdir().unwrap();
    let store = open(&top.path().join("store"));
    wait(fill(&store));
    let path = backup(&store, top.path());
    let to = top.path().join("restored");
    // The keys may be there first.
    fs::create_dir(&to).unwrap();
    fs::write(to.join("master.key"), "put by hand").unwrap();
    let restored = restore(&path, &to).unwrap();
    assert_eq!((restored.modules, restored.uploads, restored.events), (1, 1, 51));
    assert_eq!(restored.bytes, fs::metadata(&path).unwrap().len());
    assert_eq!(verify_backup(&path).unwrap(), Restored { events: 0, entries: 0, ..restored });
    assert_eq!(fs::read(to.join(module())).unwrap(), b"wasm");
    assert_eq!(fs::read_to_string(to.join("master.fingerprint")).unwrap(), "known");
    assert_eq!(fs::read_to_string(to.join("master.key")).unwrap(), "put by hand");
    let (uploads, found) = WaitingUploads::open::<String>(&to.join("uploads")).unwrap();
    assert_eq!(uploads.get(found[0].number).unwrap(), "later");
    let mut names: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["master.fingerprint", "master.key", "modules", "store", "uploads"]);
    assert!(!fs::read(&path).unwrap().windows(14).any(|window| window == b"journal secret"));
    wait(store.close());
}

#[test]
fn what_is_no_whole_backup_is_refused_and_nothing_is_made_of_it() {
    let top = tempfile::tempdir().unwrap();
    let store = open(&top.path().join("store"));
    wait(fill(&store));
    let path = backup(&store, top.path());
    let (whole, to) = (fs::read(&path).unwrap(), top.path().join("restored"));
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = restore(&path, &to).unwrap_err();
        assert!(!to.exists(), "{error}");
        error.to_string()
    };
    let end = whole.windows(8).position(|window| window == b"as_of_ms").unwrap() - 19;
    assert_eq!(
        refused(&whole[..end]),
        format!(
            "it is not whole: its end mark is missing behind byte {end}; make another backup, or copy the file again"
        )
    );
    let cut = refused(&whole[..end + 5]);
    assert!(cut.contains(&format!("ends in the frame that begins at byte {end}")), "{cut}");
    let mut flipped = whole.clone();
    flipped[end / 2] ^= 4;
    assert!(refused(&flipped).contains("a check sum is wrong, in the frame that begins at byte"));
    assert!(refused(b"PK\x03\x04").contains("it is no backup of a hookswitch"));
    assert!(refused(b"hookswitch backup 2\nwhat is this").contains("of a form that this hookswitch does not know"));
    assert!(refused(&[&whole[..], &whole[20..]].concat()).contains(&format!("begins at byte {}", whole.len())));
    // One that the host itself gave up says why.
    let failed = wait(async {
        let backup = store.backup(data(&top.path().join("other")), Clock::manual(NOON)).await.unwrap();
        backup.failure(&crate::store::BackupError::TooSlow { bytes_max: 7 })
    });
    let error = refused(&[b"hookswitch backup 1\n", &failed[..]].concat());
    assert!(error.contains("does not begin with what it is a backup of"), "{error}");
    // The whole one is taken.
    fs::write(&path, &whole).unwrap();
    restore(&path, &to).unwrap();
    let error = restore(&path, &to).unwrap_err();
    assert!(matches!(&error, RestoreError::NotEmpty { dir, .. } if *dir == to), "{error}");
    wait(store.close());
}

#[test]
fn one_backup_at_a_time_and_a_store_that_takes_no_more_gives_none() {
    let top = tempfile::tempdir().unwrap();
    let store = open(&top.path().join("store"));
    let files = data(top.path());
    wait(async {
        let first = store.backup(files.clone(), Clock::manual(NOON)).await.unwrap();
        let second = store.backup(files.clone(), Clock::manual(NOON)).await.err().unwrap();
        assert_eq!(second.code(), "backup_running");
        drop(first);
        let third = store.backup(files.clone(), Clock::manual(NOON)).await;
        assert!(third.is_ok(), "the first one is gone");
        drop(third);
        store.close().await;
        let late = store.backup(files, Clock::manual(NOON)).await.err().unwrap();
        assert_eq!(late.code(), "store_closed");
    });
}

#[test]
fn a_backup_that_cannot_keep_up_fails_and_commits_go_on() {
    let top = tempfile::tempdir().unwrap();
    let config = Config { backup_redo_bytes_max: 2_000, ..Config::default() };
    let store = Store::open(&top.path().join("store"), &config, &Health::default()).unwrap();
    wait(async {
        let mut backup = store.backup(data(top.path()), Clock::manual(NOON)).await.unwrap();
        backup.next().await.unwrap().unwrap();
        for n in 0..20 {
            commit_accept(&store, accept(event_id(NOON, n), vec![1; 200])).await;
        }
        let error = backup.next().await.unwrap_err();
        assert_eq!(error.code(), "backup_too_slow");
        assert!(error.to_string().contains("store.backup_redo_bytes_max = 2000"), "{error}");
        assert_eq!(
            store.reader().list_events(&acme(), &crate::store::EventFilter::default(), None, 100).unwrap().items.len(),
            20
        );
        store.close().await;
    });
}
