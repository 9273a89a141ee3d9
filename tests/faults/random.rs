//! Seeded chance: what happens is a function of the seed, as far as threads and disks allow.

/// A generator of numbers (SplitMix64). Small, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The one of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The one of a part of what this seed is for.
    pub(crate) fn of(seed: u64, part: u64) -> Self {
        let mut own = Self(seed ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93));
        own.next();
        own
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `least` to `most`, both included.
    pub(crate) fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// Yes, so many times in a hundred.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }
}
