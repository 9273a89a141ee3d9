//! Numbers from a seed, and the ways to break bytes.

/// The same numbers for the same seed and input number.
pub(crate) struct Random(u64);

/// Numbers that code likes to be wrong about.
const ODD: [u32; 12] = [0, 1, 2, 7, 0x7f, 0x80, 0xff, 0x1_0000, 0x28_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX];

impl Random {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut random = Self((seed << 40) ^ number ^ 0x9e37_79b9_7f4a_7c15);
        // Numbers next to one another have little in common after this.
        for _ in 0..8 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `end`, or 0 where there is nothing below it.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    pub(crate) fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub(crate) fn number(&mut self) -> u32 {
        match self.below(3) {
            0 => *self.of(&ODD),
            1 => u32::try_from(self.below(0x1_0000)).unwrap(),
            _ => u32::try_from(self.next() >> 32).unwrap(),
        }
    }

    /// Breaks some bytes, in one of many ways.
    pub(crate) fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + 1 + self.below(16)).min(bytes.len());
        match self.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.byte(),
            2 if at < end => drop(bytes.drain(at..end)),
            3 if at < end => {
                let again = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, again);
            }
            4 => {
                let number = self.number().to_le_bytes();
                let end = (at + 4).min(bytes.len());
                bytes.splice(at..end, number);
            }
            5 => bytes.insert(at, self.byte()),
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
    }
}
