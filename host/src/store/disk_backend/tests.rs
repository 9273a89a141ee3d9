//! The journal and sled together are one set of trees, at every moment and after every end.

use super::super::memory_backend::MemoryBackend;
use super::super::sled_backend::when_unlocked;
use super::*;
use crate::telemetry::Health;
use std::collections::BTreeMap;

/// Every commit is a generation of its own.
fn tiny() -> Config {
    Config { journal_bytes_max: 1, ..Config::default() }
}

fn open(dir: &Path, config: &Config) -> DiskBackend {
    when_unlocked(|| DiskBackend::open(dir, config, Health::default().worker("checkpoint")))
}

fn key(number: u32) -> Key {
    Key::from(format!("k{number:03}").as_bytes())
}

fn batch(writes: &[(u32, Option<String>)]) -> Batch {
    let mut batch = Batch::default();
    for (number, value) in writes {
        // Two trees, so that what belongs to one does not show in the other.
        let tree = if number % 3 == 0 { TreeId::Hot } else { TreeId::days(0, 0).next().unwrap() };
        batch.set(tree, key(*number), value.clone().map(Bytes::from));
    }
    batch
}

/// All that `look` holds of the keys that [`batch`] writes, by get and by scan, both ways.
fn seen(look: &dyn Look) -> Vec<Option<(TreeId, Bytes, Bytes)>> {
    let mut all = Vec::new();
    for tree in look.trees() {
        let mut entries: Vec<_> = Vec::new();
        for order in [Order::Ascending, Order::Descending] {
            let found: Vec<_> = look.scan(tree, &Key::of(b'k').prefix(), order).map(Result::unwrap).collect();
            assert!(found.iter().all(|(k, v)| look.get(tree, &Key::from(&k[..])).unwrap().as_ref() == Some(v)));
            entries.push(found);
        }
        entries[1].reverse();
        assert_eq!(entries[0], entries[1]);
        all.extend(entries.swap_remove(0).into_iter().map(|(key, value)| Some((tree, key, value))));
    }
    all
}

#[test]
fn it_holds_what_a_backend_in_memory_holds_whatever_is_written_out_by_then() {
    for config in [tiny(), Config { journal_bytes_max: 300, ..Config::default() }, Config::default()] {
        let dir = tempfile::tempdir().unwrap();
        let model = MemoryBackend::default();
        let mut disk = open(dir.path(), &config);
        for round in 0..120_u32 {
            // Some keys come again and again, some are removed soon, some late, some never.
            let writes =
                [(round, Some(format!("a{round}"))), (round % 7, Some(format!("b{round}"))), (round * 2 / 3, None)];
            disk.commit(batch(&writes)).unwrap();
            model.commit(batch(&writes)).unwrap();
            if round % 10 == 9 {
                assert_eq!(seen(&disk), seen(&model), "{round}");
            }
            if round % 40 == 39 {
                drop(disk);
                disk = open(dir.path(), &config);
                assert_eq!(seen(&disk), seen(&model), "{round}");
            }
        }
        assert_eq!(disk.get(TreeId::Hot, &key(999)).unwrap(), None);
    }
}

#[test]
fn a_scan_under_way_does_not_mind_what_is_written_out_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), &tiny());
    disk.commit(batch(&(0..30).map(|n| (n * 3, Some(n.to_string()))).collect::<Vec<_>>())).unwrap();
    let mut scan = disk.scan(TreeId::Hot, &Key::of(b'k').prefix(), Order::Ascending);
    let mut found = vec![scan.next().unwrap().unwrap().0];
    for n in 0..5 {
        // Each waits until the one before it is in sled.
        disk.commit(batch(&[(1000 + n, Some("later".to_owned()))])).unwrap();
    }
    found.extend(scan.map(|entry| entry.unwrap().0));
    assert_eq!(found, (0..30).map(|n| Bytes::copy_from_slice(key(n * 3).as_bytes())).collect::<Vec<_>>());
}

#[test]
fn what_is_in_sled_is_not_read_from_the_journal_again() {
    let dir = tempfile::tempdir().unwrap();
    let (value, one) = (Bytes::from("new"), Bytes::copy_from_slice(&1_u64.to_be_bytes()));
    let sled = SledBackend::open(dir.path(), 1 << 20).unwrap();
    let writes = [
        (keys::format(), Bytes::copy_from_slice(&meta::FORMAT.to_be_bytes())),
        (key(0), value.clone()),
        (keys::generation(), one),
    ];
    sled.write(TreeId::Hot, writes.each_ref().map(|(key, value)| (key, Some(value)))).unwrap();
    drop(sled);
    let (mut journal, _) = Journal::open(dir.path(), 0, [7; 16]).unwrap();
    journal.append(&batch(&[(0, Some("old".to_owned())), (3, Some("old".to_owned()))])).unwrap();
    journal.turn();
    journal.append(&batch(&[(6, Some("newer".to_owned()))])).unwrap();
    let disk = open(dir.path(), &Config::default());
    assert_eq!(disk.get(TreeId::Hot, &key(0)).unwrap(), Some(value));
    assert_eq!(disk.get(TreeId::Hot, &key(3)).unwrap(), None);
    assert_eq!(disk.get(TreeId::Hot, &key(6)).unwrap(), Some("newer".into()));
}

#[test]
fn a_lost_generation_is_an_error_not_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(dir.path(), 0, [7; 16]).unwrap();
    journal.append(&batch(&[(0, Some("1".to_owned()))])).unwrap();
    journal.turn();
    journal.append(&batch(&[(0, Some("2".to_owned()))])).unwrap();
    std::fs::write(super::super::journal::file_of(dir.path(), 1), "").unwrap();
    let error =
        DiskBackend::open(dir.path(), &Config::default(), Health::default().worker("checkpoint")).err().unwrap();
    assert!(error.to_string().contains("generation 1 is missing and 2 is there"), "{error}");
}

#[test]
fn a_start_that_was_killed_keeps_no_other_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), &tiny());
    disk.commit(batch(&[(0, Some("1".to_owned()))])).unwrap();
    drop(disk);
    // As sled names what it has not written to its end yet.
    let unfinished = dir.path().join("sled/snap.FFFFFFFFFFFFFFFF.generating");
    std::fs::write(&unfinished, "half").unwrap();
    let disk = open(dir.path(), &tiny());
    assert_eq!(disk.get(TreeId::Hot, &key(0)).unwrap(), Some("1".into()));
    assert!(!unfinished.exists());
}

#[test]
fn after_sled_failed_nothing_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), &Config::default());
    disk.commit(batch(&[(0, Some("1".to_owned()))])).unwrap();
    disk.shared.state().failed = Some(BackendError { doing: "flush", why: "No space left on device".to_owned() });
    disk.shared.changed.notify_all();
    let error = disk.commit(batch(&[(0, Some("2".to_owned()))])).unwrap_err();
    assert_eq!(error.to_string(), "the database failed to flush: No space left on device");
    assert_eq!(disk.get(TreeId::Hot, &key(0)).unwrap(), Some("1".into()));
}

#[test]
fn what_is_gone_is_not_stepped_over() {
    let dir = tempfile::tempdir().unwrap();
    let disk = open(dir.path(), &Config::default());
    let numbers = || (0..200_u32).map(|n| n * 3);
    disk.commit(batch(&numbers().map(|n| (n, Some("there".to_owned()))).collect::<Vec<_>>())).unwrap();
    disk.commit(batch(&numbers().take(190).map(|n| (n, None)).collect::<Vec<_>>())).unwrap();
    assert_eq!(disk.shared.state().open.read().trees.values().map(BTreeMap::len).sum::<usize>(), 10);
    assert_eq!(seen(&disk).len(), 10);
    drop(disk);
    assert_eq!(seen(&open(dir.path(), &tiny())).len(), 10);
}
