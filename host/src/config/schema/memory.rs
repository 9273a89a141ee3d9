//! How much memory a payload takes once it is read. A tenant's text of a few bytes can become a hundred times as much: so it is
//! looked at before.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What a value takes, in bytes; lists have room for more than they hold.
const VALUE_BYTES: u64 = 64;
/// What a list takes besides its items, in bytes.
const LIST_BYTES: u64 = 64;
/// What members take besides their names and values, in bytes, and how many have that together. It is half of a full node.
const NODE_BYTES: u64 = 640;
const NODE_MEMBERS: u64 = 5;

/// How many bytes a JSON text takes in memory as a [`serde_json::Value`], about: no less, and no more than some three times that.
///
/// # Errors
/// Where it is no JSON.
pub fn memory_of(json: &[u8]) -> Result<u64, serde_json::Error> {
    serde_json::from_slice::<Memory>(json).map(|memory| memory.0)
}

struct Memory(u64);

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

/// What has a text of so many bytes, or none.
const fn text(bytes: usize) -> Memory {
    Memory(VALUE_BYTES + bytes as u64)
}

impl<'de> Visitor<'de> for Look {
    type Value = Memory;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Memory, E> {
        Ok(text(0))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Memory, E> {
        Ok(text(0))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Memory, E> {
        Ok(text(0))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Memory, E> {
        Ok(text(0))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Memory, E> {
        Ok(text(0))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Memory, E> {
        Ok(text(value.len()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Memory, A::Error> {
        let mut sum = VALUE_BYTES + LIST_BYTES;
        while let Some(Memory(item)) = items.next_element()? {
            sum += item;
        }
        Ok(Memory(sum))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Memory, A::Error> {
        let (mut sum, mut count) = (VALUE_BYTES, 0_u64);
        while let Some((name, Memory(member))) = members.next_entry::<Cow<'_, str>, Memory>()? {
            sum += member + name.len() as u64;
            count += 1;
        }
        Ok(Memory(sum + NODE_BYTES * count.div_ceil(NODE_MEMBERS)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_of_many_small_things_takes_much() {
        let of = |json: &str| memory_of(json.as_bytes()).unwrap();
        assert_eq!(of("null"), 64);
        assert_eq!(of(r#""abcd""#), 68);
        assert_eq!(of("[1,2.5,true]"), 320);
        assert_eq!(of(r#"{"name":"x"}"#), 64 + 64 + 1 + 4 + 640);
        let many = format!("[{}0]", r#"{"":0},"#.repeat(1_000));
        assert!(of(&many) > 100 * many.len() as u64, "{}", of(&many));
        let one = format!("\"{}\"", "x".repeat(1_000_000));
        assert!(of(&one) < 2 * one.len() as u64);
        for wrong in ["", "{", "[1", "1 2", &"[".repeat(1_000)] {
            assert!(memory_of(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
