//! What is left when the power goes.

use super::super::random::Random;
use super::{Dir, Disk, File, Ino, ROOT, What, Write, apply};
use std::collections::BTreeSet;

/// What a disk writes at once.
const SECTOR_BYTES: usize = 512;

/// What of what was not synced is there after a cut, in per cent.
#[derive(Clone, Copy, Debug)]
struct Shares {
    sectors: u64,
    changes: u64,
}

impl Disk {
    /// Cuts the power: what is left is what the host finds when it is on again. Answers how many bytes were written and not synced.
    pub(crate) fn cut(&mut self, random: &mut Random) -> u64 {
        // All, none, and what is between: each shows what others hide.
        let share = |random: &mut Random| [0, 5, 50, 95, 100][usize::try_from(random.within(0, 4)).unwrap()];
        let mut unsynced = 0;
        // In the order of their numbers, so that the seed says what happens.
        let mut inos: Vec<Ino> = self.nodes.keys().copied().collect();
        inos.sort_unstable();
        for ino in inos {
            let shares = Shares { sectors: share(random), changes: share(random) };
            match &mut self.nodes.get_mut(&ino).unwrap().what {
                What::File(file) => unsynced += file.cut(random, shares),
                What::Dir(dir) => dir.cut(random, shares),
            }
        }
        self.forget_what_has_no_name();
        unsynced
    }

    fn forget_what_has_no_name(&mut self) {
        let (mut reached, mut next) = (BTreeSet::from([ROOT]), vec![ROOT]);
        while let Some(ino) = next.pop() {
            let Some(What::Dir(dir)) = self.nodes.get(&ino).map(|node| &node.what) else { continue };
            next.extend(dir.live.values().copied().filter(|ino| reached.insert(*ino)));
        }
        self.nodes.retain(|ino, _| reached.contains(ino));
        for node in self.nodes.values_mut() {
            (node.opened, node.linked) = (0, true);
        }
    }
}

impl File {
    fn cut(&mut self, random: &mut Random, shares: Shares) -> u64 {
        let mut unsynced = 0;
        self.unsynced_bytes = 0;
        for write in std::mem::take(&mut self.writes) {
            match write {
                Write::Length(length) if random.percent(shares.sectors) => self.kept.resize(length, 0),
                Write::Length(_) => {}
                Write::Bytes { at, bytes } => {
                    unsynced += bytes.len() as u64;
                    let mut from = at;
                    while from < at + bytes.len() {
                        let until = (from / SECTOR_BYTES + 1) * SECTOR_BYTES;
                        let until = until.min(at + bytes.len());
                        // Behind the end that the file has on the disk there is nothing to write to.
                        let end = until.min(self.kept.len());
                        if random.percent(shares.sectors) && from < end {
                            self.kept[from..end].copy_from_slice(&bytes[from - at..end - at]);
                        }
                        from = until;
                    }
                }
            }
        }
        self.live.clone_from(&self.kept);
        unsynced
    }
}

impl Dir {
    fn cut(&mut self, random: &mut Random, shares: Shares) {
        for changes in std::mem::take(&mut self.changes) {
            if random.percent(shares.changes) {
                apply(&mut self.kept, &changes);
            }
        }
        self.live.clone_from(&self.kept);
    }
}
