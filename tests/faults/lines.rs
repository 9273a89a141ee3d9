//! The lines of an endpoint that keeps the order of a key: one delivery after the other, each when the one before it was taken.

use std::collections::HashMap;

/// For each ordering key, what arrived last.
#[derive(Default)]
pub(crate) struct Lines {
    last: HashMap<usize, Place>,
}

struct Place {
    number: u64,
    taken: bool,
}

impl Lines {
    /// A delivery of an event arrives, and is taken by the receiver or refused. Answers whether it is its turn: it is the one that arrived
    /// last, again, or one behind that, which was taken. Numbers grow within a key in the order in which the events were acknowledged.
    pub(crate) fn arrived(&mut self, key: usize, number: u64, taken: bool) -> bool {
        let Some(last) = self.last.insert(key, Place { number, taken }) else { return true };
        let in_turn = number == last.number || (number > last.number && last.taken);
        if number < last.number {
            // Told once: what comes behind the later one is in order again.
            self.last.insert(key, last);
        }
        in_turn
    }

    /// What waits is given up: whatever arrives next has its turn.
    pub(crate) fn clear(&mut self) {
        self.last.clear();
    }
}
