//! A snapshot of ours and sled's own, of the same log: opening makes the same of both.

use super::super::backend::{Look as _, Order};
use super::super::key::{Key, KeyRange};
use super::super::sled_backend::{SledBackend, when_unlocked};
use super::super::tree::TreeId;
use super::form::put_varint;
use super::*;
use bytes::Bytes;

const CACHE_BYTES: u64 = 8 << 20;
/// How much is written between two snapshots: two segments.
const BYTES_MIN: u64 = 16 << 20;

fn open(dir: &Path) -> SledBackend {
    when_unlocked(|| SledBackend::open(dir, CACHE_BYTES))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(dir.join("sled")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snap.")).collect();
    found.sort();
    found
}

/// Work as a store has it: records that stay, some that are changed, and entries of a lane that are gone soon. Answers how far it got.
fn work(sled: &SledBackend, rounds: std::ops::Range<u64>) {
    let day = TreeId::days(0, 0).next().unwrap();
    for round in rounds {
        let mut writes = Vec::new();
        for n in 0..100_u64 {
            let number = round * 100 + n;
            let value = Bytes::from(vec![u8::try_from(number % 251).unwrap(); 1200]);
            writes.push((day, Key::of(b'E').bytes(&number.to_be_bytes()), Some(value.clone())));
            writes.push((TreeId::Hot, Key::of(b'Q').bytes(&number.to_be_bytes()), Some(Bytes::new())));
            // A record of a while ago changes; one of long ago goes.
            writes.push((day, Key::of(b'E').bytes(&(number * 7 / 8).to_be_bytes()), Some(value)));
            writes.push((day, Key::of(b'E').bytes(&(number / 3).to_be_bytes()), None));
            writes.push((TreeId::Hot, Key::of(b'Q').bytes(&number.saturating_sub(500).to_be_bytes()), None));
        }
        for of in [day, TreeId::Hot] {
            let own = writes.iter().filter(|(tree, ..)| *tree == of);
            sled.write(of, own.map(|(_, key, value)| (key, value.as_ref()))).unwrap();
        }
    }
}

fn all(dir: &Path) -> Vec<(TreeId, Bytes, Bytes)> {
    let sled = open(dir);
    let mut all = Vec::new();
    for tree in sled.trees() {
        let entries = sled.scan(tree, &KeyRange::all(), Order::Ascending);
        all.extend(entries.map(Result::unwrap).map(|(key, value)| (tree, key, value)));
    }
    all
}

#[test]
fn opening_makes_the_same_of_our_snapshots_as_of_sleds_own() {
    let top = tempfile::tempdir().unwrap();
    let [home, ours, sleds] = ["home", "ours", "sleds"].map(|name| top.path().join(name));
    drop(open(&home));
    for life in 0..2_u64 {
        let sled = open(&home);
        let at_start: Vec<_> = snapshots(&home).iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        let mut renewed = 0;
        for part in 0..6 {
            let first = life * 180 + part * 30;
            let until = place(&home.join("sled")).unwrap();
            work(&sled, first..first + 30);
            // A day goes, as a sweep leaves it.
            if part == 3 {
                let day = TreeId::days(0, 0).next().unwrap();
                let gone: Vec<Key> = sled
                    .scan(day, &KeyRange::all(), Order::Ascending)
                    .map(|entry| Key::from(&entry.unwrap().0[..]))
                    .collect();
                sled.write(day, gone.iter().map(|key| (key, None))).unwrap();
                sled.drop_if_empty(day).unwrap();
                assert!(!sled.trees().contains(&day));
            }
            renewed += u32::from(renew(&home.join("sled"), until, BYTES_MIN).unwrap());
            assert!(snapshots(&home).len() <= 1, "the old one goes");
        }
        assert!(renewed >= 1, "there was enough to write");
        let file_bytes = fs::metadata(home.join("sled/db")).unwrap().len();
        assert!(place(&home.join("sled")).unwrap().unsigned_abs() > file_bytes, "segments were used again");
        // As after a kill: with our last snapshot, and with the one that sled began with.
        for dir in [&ours, &sleds] {
            let _ = fs::remove_dir_all(dir);
            copy(&home, dir);
        }
        snapshots(&sleds).iter().for_each(|path| fs::remove_file(path).unwrap());
        for (path, bytes) in at_start {
            fs::write(sleds.join("sled").join(path.file_name().unwrap()), bytes).unwrap();
        }
        assert_ne!(snapshots(&ours)[0].file_name(), snapshots(&sleds).first().and_then(|path| path.file_name()));
        drop(sled);
        // Each start writes a snapshot of its own.
        let [with_ours, with_sleds] = [&ours, &sleds].map(|dir| all(dir));
        assert!(with_ours == with_sleds, "the same entries");
        let [with_ours, with_sleds] = [&ours, &sleds].map(|dir| {
            let path = snapshots(dir).pop().unwrap();
            (path.file_name().unwrap().to_owned(), fs::read(path).unwrap())
        });
        assert_eq!(with_ours.0, with_sleds.0);
        assert!(with_ours.1 == with_sleds.1, "the same pages at the same places");
    }
}

#[test]
fn little_makes_no_snapshot_and_a_damaged_one_is_left_for_sled_to_refuse() {
    let top = tempfile::tempdir().unwrap();
    let (home, sled_home) = (top.path().join("home"), top.path().join("home/sled"));
    let sled = open(&home);
    work(&sled, 0..20);
    assert!(!renew(&sled_home, place(&sled_home).unwrap(), BYTES_MIN).unwrap());
    drop(sled);
    let sled = open(&home);
    let path = snapshots(&home).pop().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let pages: Vec<Page> = Pages::of(&bytes).unwrap().map(Option::unwrap).collect();
    assert!(pages.len() > 10);
    let mut again = Vec::new();
    let mut writer = Writer::begin(0, |bytes: &[u8]| {
        again.extend_from_slice(bytes);
        Ok(())
    });
    pages.iter().try_for_each(|page| writer.page(page)).unwrap();
    writer.end().unwrap();
    assert!(Pages::of(&again).unwrap().eq(pages.into_iter().map(Some)), "it is written as it was read");
    bytes[9] ^= 1;
    assert!(Pages::of(&bytes).is_none());
    drop(sled);
    for damaged in [bytes, Vec::new()] {
        fs::write(&path, damaged).unwrap();
        assert!(!renew(&sled_home, i64::MAX, 0).unwrap());
    }
}

#[test]
fn numbers_are_written_as_sled_reads_them() {
    for number in
        [0, 1, 240, 241, 2287, 2288, 67823, 67824, 1 << 24, (1 << 32) - 1, 1 << 32, 1 << 40, 1 << 48, u64::MAX]
    {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, number);
        let mut fields = Fields(&bytes);
        assert_eq!((fields.varint(), fields.0.len()), (Some(number), 0), "{number}");
    }
    assert_eq!(Fields(&[249, 1]).varint(), None);
    assert_eq!(Fields(&[255, 1, 2]).varint(), None);
}
