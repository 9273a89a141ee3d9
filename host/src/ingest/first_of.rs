//! A list of which no more is kept than may be taken: whoever sends a million items is told how many they are, and has them read, but not kept.

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

use super::batch::EVENTS_PER_BATCH_MAX;

/// As many items of a list as one request may have, and how many it has.
#[derive(Debug)]
pub struct FirstOf<T> {
    /// The first ones: at most [`EVENTS_PER_BATCH_MAX`].
    pub first: Vec<T>,
    /// All of them.
    pub count: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FirstOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
    type Value = FirstOf<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FirstOf<T>, A::Error> {
        let mut first = Vec::new();
        while first.len() < EVENTS_PER_BATCH_MAX {
            match items.next_element()? {
                Some(item) => first.push(item),
                None => return Ok(FirstOf { count: first.len(), first }),
            }
        }
        let mut count = first.len();
        while items.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(FirstOf { first, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_may_be_taken_and_all_are_counted() {
        let read = |json: &str| serde_json::from_str::<FirstOf<u32>>(json).map(|read| (read.first.len(), read.count));
        assert_eq!(read("[]").unwrap(), (0, 0));
        assert_eq!(read("[1, 2]").unwrap(), (2, 2));
        let many = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
        assert_eq!(read(&many(EVENTS_PER_BATCH_MAX)).unwrap(), (EVENTS_PER_BATCH_MAX, EVENTS_PER_BATCH_MAX));
        assert_eq!(read(&many(5_000)).unwrap(), (EVENTS_PER_BATCH_MAX, 5_000));
        assert!(read("{}").is_err() && read("[1, 2").is_err() && read(&format!("{}x]", many(2_000))).is_err());
    }
}
