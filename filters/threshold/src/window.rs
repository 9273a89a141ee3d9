//! What came in the last time, for one key: a sum for each sixtieth of the window. Pure; kept in state as JSON.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;

/// How many parts a window has. What leaves it, leaves a part at a time.
pub const SLOTS: u64 = 60;

/// Sums by time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Numbers of slots since 1970, ascending, and what came in each. At most [`SLOTS`].
    slots: Vec<(u64, Amount)>,
    /// Until when nothing is let through, in milliseconds since 1970.
    pub quiet_until_ms: u64,
}

/// As it is kept: `{"quiet_until_ms":0,"slots":[[28619130,"12.5"]]}`.
#[derive(Serialize, Deserialize)]
struct Kept {
    quiet_until_ms: u64,
    slots: Vec<(u64, String)>,
}

impl Window {
    /// Reads what [`Window::to_bytes`] made; none if it is something else.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let kept: Kept = serde_json::from_slice(bytes).ok()?;
        let slots =
            kept.slots.into_iter().map(|(slot, sum)| Some((slot, Amount::parse_sum(&sum)?))).collect::<Option<_>>()?;
        Some(Self { slots, quiet_until_ms: kept.quiet_until_ms })
    }

    /// Writes it, in at most 4 KiB.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let slots = self.slots.iter().map(|(slot, sum)| (*slot, sum.to_string())).collect();
        let kept = Kept { quiet_until_ms: self.quiet_until_ms, slots };
        serde_json::to_vec(&kept).unwrap_or_default()
    }

    /// Adds what came at this time, forgets what left the window, and answers the sum of the rest. A time before the last one
    /// counts as the last one.
    pub fn add(&mut self, window_ms: u64, now_ms: u64, amount: Amount) -> Amount {
        let slot_ms = window_ms.div_ceil(SLOTS).max(1);
        let now = (now_ms / slot_ms).max(self.slots.last().map_or(0, |(last, _)| *last));
        match self.slots.last_mut() {
            Some((last, sum)) if *last == now => *sum = sum.plus(amount),
            _ => self.slots.push((now, amount)),
        }
        self.slots.retain(|(slot, _)| slot.saturating_add(SLOTS) > now);
        self.slots.iter().fold(Amount::default(), |sum, (_, amount)| sum.plus(*amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    #[test]
    fn what_leaves_the_window_leaves_the_sum() {
        let mut window = Window::default();
        assert_eq!(window.add(60_000, 1_000, amount("1")), amount("1"));
        assert_eq!(window.add(60_000, 30_000, amount("2")), amount("3"));
        assert_eq!(window.add(60_000, 60_999, amount("4")), amount("7"));
        assert_eq!(window.add(60_000, 61_000, amount("8")), amount("14"), "the first has left");
        assert_eq!(window.add(60_000, 500_000, amount("16")), amount("16"));
    }

    #[test]
    fn times_that_go_back_count_as_now() {
        let mut window = Window::default();
        window.add(60_000, 100_000, amount("1"));
        assert_eq!(window.add(60_000, 20_000, amount("1")), amount("2"));
        assert_eq!(window.slots.len(), 1);
    }

    #[test]
    fn a_sum_beyond_what_a_number_may_be_is_kept() {
        let mut window = Window::default();
        window.add(60_000, 1_000, amount("999999999999999999"));
        let sum = window.add(60_000, 1_000, amount("1"));
        let mut read = Window::parse(&window.to_bytes()).unwrap();
        assert_eq!(read.add(60_000, 1_000, amount("-1")).plus(amount("1")), sum);
    }

    #[test]
    fn it_is_bounded_and_reads_back_as_it_was() {
        let mut window = Window { quiet_until_ms: u64::MAX, ..Window::default() };
        for now_ms in 0..10_000_000 {
            if now_ms % 997 == 0 {
                window.add(600_000, 1_700_000_000_000 + now_ms, amount("-999999999999999.999999"));
            }
        }
        assert_eq!(window.slots.len(), 60);
        let bytes = window.to_bytes();
        assert!(bytes.len() <= 4096, "{} bytes", bytes.len());
        assert_eq!(Window::parse(&bytes), Some(window));
        for other in ["", "7", r#"{"quiet_until_ms":1}"#, r#"{"quiet_until_ms":1,"slots":[[1,"x"]]}"#] {
            assert_eq!(Window::parse(other.as_bytes()), None, "{other}");
        }
    }
}
