//! What stands at a place of a body that may be JSON. The body is read through, and nothing of it is kept but that: a few bytes of it could
//! take a hundred times as many in memory.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A body that may be JSON.
pub(super) struct Json<'a> {
    bytes: &'a [u8],
}

impl<'a> Json<'a> {
    pub(super) const fn of(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// As it came.
    pub(super) const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether there is anything at this JSON pointer.
    pub(super) fn has(&self, pointer: &str) -> bool {
        self.at(pointer).is_some()
    }

    /// The string or the whole number at this JSON pointer; none where the body is no JSON, or has neither there. Other numbers, and those
    /// beyond 64 bits, are not told apart once they are read. Of members with the same name the last one counts.
    pub(super) fn text_at(&self, pointer: &str) -> Option<String> {
        match self.at(pointer)? {
            Found::Text(text) => Some(text),
            Found::Other => None,
        }
    }

    /// What a pointer leads to (RFC 6901).
    fn at(&self, pointer: &str) -> Option<Found> {
        let way: Vec<Cow<'_, str>> = match pointer.strip_prefix('/') {
            Some(rest) => rest.split('/').map(unescaped).collect(),
            None if pointer.is_empty() => Vec::new(),
            None => return None,
        };
        let mut reader = serde_json::Deserializer::from_slice(self.bytes);
        let found = At(&way).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        found
    }
}

fn unescaped(name: &str) -> Cow<'_, str> {
    if name.contains('~') { Cow::Owned(name.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(name) }
}

/// What is there.
enum Found {
    /// A string, or a whole number as it is written.
    Text(String),
    /// Something else.
    Other,
}

/// Looks for what is so many names below.
struct At<'w>(&'w [Cow<'w, str>]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Found>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl At<'_> {
    /// A value that has nothing below it.
    fn leaf<E>(&self, found: impl FnOnce() -> Found) -> Result<Option<Found>, E> {
        Ok(self.0.is_empty().then(found))
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Found>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.leaf(|| Found::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        self.leaf(|| Found::Other)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        self.leaf(|| Found::Other)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        self.leaf(|| Found::Text(number.to_string()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        self.leaf(|| Found::Text(number.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.leaf(|| Found::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let next = self.0.split_first().map(|(name, rest)| (place_of(name), At(rest)));
        let mut found = self.0.is_empty().then_some(Found::Other);
        if let Some((Some(place), below)) = next {
            for _ in 0..place {
                if items.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = items.next_element_seed(below)?.flatten();
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Some((name, rest)) = self.0.split_first() else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Some(Found::Other));
        };
        let mut found = None;
        while let Some(is_it) = members.next_key_seed(IsName(name))? {
            if is_it {
                found = members.next_value_seed(At(rest))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A place in a list, as a pointer has it.
fn place_of(name: &str) -> Option<usize> {
    let is_one = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    name.parse().ok().filter(|_| is_one)
}

/// Whether a member has this name.
struct IsName<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn what_a_pointer_leads_to_is_what_a_whole_reader_finds() {
        let bodies = [
            r#"{"a": {"b/c": "x", "~": 7, "": [null, "y", {"z": -3}]}, "t": true, "f": 1.0, "big": 18446744073709551616}"#,
            r#"{"a": 1, "a": "second", "b": {"c": 1}, "b": 2}"#,
            r#"["first", ["second"], "\u00fc\n"]"#,
            r#""text""#,
            "12",
            "null",
            "",
            "{",
            r#"{"a": "x"} y"#,
            r#"{"a": "x", "b": [}"#,
        ];
        let pointers = [
            "", "/a", "/a/b~1c", "/a/~0", "/a/", "/a//1", "/a//2/z", "/a//2", "/a//3", "/t", "/f", "/big", "/b",
            "/b/c", "/0", "/1/0", "/2", "/00", "/+1", "/-", "/x", "a", "/a/b", "/1/",
        ];
        let mut found = 0;
        for body in bodies {
            let whole: Option<Value> = serde_json::from_str(body).ok();
            for pointer in pointers {
                let there = whole.as_ref().and_then(|value| value.pointer(pointer));
                let text = there.and_then(|value| match value {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) if !number.is_f64() => Some(number.to_string()),
                    _ => None,
                });
                let json = Json::of(body.as_bytes());
                assert_eq!((json.text_at(pointer), json.has(pointer)), (text, there.is_some()), "{body} {pointer}");
                found += usize::from(there.is_some());
            }
        }
        assert!(found > 20, "{found}");
    }
}
