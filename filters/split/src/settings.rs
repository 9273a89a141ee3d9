//! A step's settings: as they are written, then checked.

use hookswitch_guest::json::Pointer;
use hookswitch_guest::place::Place;
use serde::Deserialize;
use serde::de::Error;

/// How to split.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Settings {
    /// The array.
    pub pointer: Pointer,
    /// How many items a page has at most.
    pub items_max: Option<usize>,
    /// How many bytes a page's body has at most, with all that is around the items.
    pub bytes_max: Option<usize>,
    /// What is around the items of a page.
    pub keep: Keep,
    /// Where the page's number goes, from 1.
    pub number: Option<Target>,
    /// Where the number of pages goes.
    pub total: Option<Target>,
    /// The ordering key of all pages.
    pub ordering_key: Option<Place>,
}

/// What is around the items of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The payload as it is, with the page's items as the array.
    #[default]
    Payload,
    /// Nothing: the body is the array.
    Items,
}

/// Where a number goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Into the payload.
    Pointer(Pointer),
    /// Into a header, by its name in lower case.
    Header(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    pointer: Pointer,
    items_max: Option<usize>,
    bytes_max: Option<usize>,
    #[serde(default)]
    keep: Keep,
    number: Option<Target>,
    total: Option<Target>,
    ordering_key: Option<Place>,
}

impl TryFrom<Raw> for Settings {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let Raw { pointer, items_max, bytes_max, keep, number, total, ordering_key } = raw;
        match (items_max, bytes_max) {
            (None, None) => return Err("say how large a page may be: `items_max`, `bytes_max` or both".to_owned()),
            (Some(0), _) => return Err("`items_max` is at least 1".to_owned()),
            (_, Some(0)) => return Err("`bytes_max` is at least 1".to_owned()),
            _ => {}
        }
        for (name, target) in [("number", &number), ("total", &total)] {
            let Some(Target::Pointer(target)) = target else { continue };
            if keep == Keep::Items {
                return Err(format!(
                    "`{name}` cannot be in the payload where `keep` is `items`; name a header: `header:x-page`"
                ));
            }
            if is_within(target, &pointer) {
                return Err(format!("`{name}` is {target}, and there is the array, {pointer}; name another place"));
            }
        }
        if number.is_some() && number == total {
            return Err("`number` and `total` are the same place".to_owned());
        }
        if let (Some(Target::Pointer(number)), Some(Target::Pointer(total))) = (&number, &total)
            && is_within(number, total)
        {
            return Err(format!(
                "`number` is {number}, and `total` is {total}: one is in the other; name another place"
            ));
        }
        Ok(Self { pointer, items_max, bytes_max, keep, number, total, ordering_key })
    }
}

/// Whether one of the places is the other or in it.
fn is_within(one: &Pointer, other: &Pointer) -> bool {
    one.tokens().zip(other.tokens()).all(|(one, other)| one == other)
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match Place::parse(&text) {
            Ok(Place::Pointer(pointer)) => Ok(Self::Pointer(pointer)),
            Ok(Place::Header(name)) => Ok(Self::Header(name)),
            _ => Err(D::Error::custom(format!(
                "`{text}` is nowhere to put a number; write a JSON pointer such as `/page`, or `header:x-page`"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_refused() {
        for (settings, words) in [
            ("{}", "missing field `pointer`"),
            (r#"{"pointer": "items", "items_max": 1}"#, "`items` is not a JSON pointer"),
            (r#"{"pointer": "/items"}"#, "say how large a page may be"),
            (r#"{"pointer": "/items", "items_max": 0}"#, "`items_max` is at least 1"),
            (r#"{"pointer": "/items", "bytes_max": 0}"#, "`bytes_max` is at least 1"),
            (r#"{"pointer": "/items", "items_max": -1}"#, "invalid value: integer `-1`"),
            (r#"{"pointer": "/items", "items_max": 1, "keep": "rest"}"#, "expected `payload` or `items`"),
            (r#"{"pointer": "/items", "items_max": 1, "number": "page"}"#, "`page` is nowhere to put a number"),
            (r#"{"pointer": "/items", "items_max": 1, "number": "event:id"}"#, "nowhere to put a number"),
            (
                r#"{"pointer": "/items", "items_max": 1, "number": "/items/0"}"#,
                "`number` is /items/0, and there is the array",
            ),
            (r#"{"pointer": "/a/items", "items_max": 1, "total": "/a"}"#, "`total` is /a, and there is the array"),
            (r#"{"pointer": "", "items_max": 1, "number": "/page"}"#, "there is the array, the whole body"),
            (r#"{"pointer": "/items", "items_max": 1, "number": "/p", "total": "/p"}"#, "are the same place"),
            (
                r#"{"pointer": "/items", "items_max": 1, "number": "/p", "total": "/p/of"}"#,
                "`number` is /p, and `total` is /p/of: one is in the other; name another place",
            ),
            (r#"{"pointer": "/items", "items_max": 1, "number": "/p/at/0", "total": "/p/at"}"#, "one is in the other"),
            (r#"{"pointer": "", "items_max": 1, "keep": "items", "number": "/p"}"#, "name a header"),
            (r#"{"pointer": "/items", "items_max": 1, "size": 1}"#, "unknown field `size`"),
        ] {
            let problem = serde_json::from_str::<Settings>(settings).unwrap_err().to_string();
            assert!(problem.contains(words), "{settings}: {problem}");
        }
    }

    #[test]
    fn places_beside_each_other_are_taken() {
        let settings = r#"{"pointer": "/items", "items_max": 1, "number": "/page/at", "total": "/page/of"}"#;
        assert!(serde_json::from_str::<Settings>(settings).is_ok());
    }
}
