//! Paths with wildcards: JSON Pointer (RFC 6901), where a part that is `*` leads to every item of an array and every member of an
//! object. `~*` stands for a key that is `*`.

use std::borrow::Cow;

use hookswitch_guest::Failure;
use hookswitch_guest::json::{Entries, Json, Kind};
use serde::Deserialize;
use serde::de::Error;

/// How many parts a path may have. It bounds how deep a payload is opened.
pub const PARTS_MAX: usize = 64;

/// A path with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Any,
    Key(String),
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// If it does not begin with `/`, has a `~` that is not part of `~0`, `~1` or `~*`, or more than [`PARTS_MAX`] parts.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is no path: {why}");
        let rest = text.strip_prefix('/').ok_or_else(|| wrong("it begins with `/`, as in `/items/*/email`"))?;
        let escapes = "write `~0` for `~`, `~1` for `/` and `~*` for `*` in a key";
        let parts = rest
            .split('/')
            .map(|part| Part::parse(part).ok_or_else(|| wrong(escapes)))
            .collect::<Result<Vec<_>, _>>()?;
        match parts.len() {
            ..=PARTS_MAX => Ok(Self { text: text.to_owned(), parts }),
            _ => Err(wrong(&format!("it has more than PARTS_MAX, {PARTS_MAX} parts"))),
        }
    }

    /// Takes away all that it leads to, and answers how much that was.
    pub(crate) fn remove(&self, json: &mut Json) -> Result<usize, Failure> {
        let Some((last, parents)) = self.parts.split_last() else { return Ok(0) };
        let mut removed = 0_usize;
        walk(json, parents, &mut |parent| {
            match parent.kind() {
                Kind::Array => parent.items()?.into_iter().for_each(|items| removed += last.remove_items(items)),
                _ => parent.entries()?.into_iter().for_each(|entries| removed += last.remove_entries(entries)),
            }
            Ok(())
        })?;
        Ok(removed)
    }

    /// Puts something else in the place of all that it leads to, where `change` answers something, and answers how often.
    pub(crate) fn replace<'a>(
        &self,
        json: &mut Json<'a>,
        change: &mut impl FnMut(&Json<'a>) -> Result<Option<Json<'a>>, Failure>,
    ) -> Result<usize, Failure> {
        let mut replaced = 0_usize;
        walk(json, &self.parts, &mut |found| {
            let at = |failure: Failure| Failure { message: format!("{}: {}", self.text, failure.message), ..failure };
            if let Some(new) = change(found).map_err(at)? {
                *found = new;
                replaced += 1;
            }
            Ok(())
        })?;
        Ok(replaced)
    }
}

/// Calls `visit` with all that the parts lead to from here.
fn walk<'a>(
    here: &mut Json<'a>,
    parts: &[Part],
    visit: &mut dyn FnMut(&mut Json<'a>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Some((part, rest)) = parts.split_first() else { return visit(here) };
    match here.kind() {
        Kind::Array => {
            for (index, item) in here.items()?.into_iter().flatten().enumerate() {
                if part.is_index(index) {
                    walk(item, rest, visit)?;
                }
            }
        }
        Kind::Object => {
            for (key, value) in here.entries()?.into_iter().flatten() {
                if part.is_key(key) {
                    walk(value, rest, visit)?;
                }
            }
        }
        Kind::Null | Kind::Bool | Kind::Number | Kind::String => {}
    }
    Ok(())
}

impl Part {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Any);
        }
        let mut key = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            key.push(match (char, char == '~') {
                (char, false) => char,
                (_, true) => match chars.next()? {
                    '0' => '~',
                    '1' => '/',
                    '*' => '*',
                    _ => return None,
                },
            });
        }
        Some(Self::Key(key))
    }

    fn is_key(&self, other: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Key(key) => key == other,
        }
    }

    fn is_index(&self, index: usize) -> bool {
        match self {
            Self::Any => true,
            Self::Key(key) => key.starts_with(|first: char| first.is_ascii_digit()) && *key == index.to_string(),
        }
    }

    fn remove_items(&self, items: &mut Vec<Json>) -> usize {
        let before = items.len();
        let mut index = 0_usize..;
        items.retain(|_| !index.next().is_some_and(|index| self.is_index(index)));
        before.saturating_sub(items.len())
    }

    fn remove_entries(&self, entries: &mut Entries) -> usize {
        let before = entries.len();
        entries.retain(|(key, _): &(Cow<str>, Json)| !self.is_key(key));
        before.saturating_sub(entries.len())
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the path leads to in a payload, as text.
    fn found(path: &str, payload: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut json = Json::parse(payload.as_bytes()).unwrap();
        let replaced = Path::parse(path).unwrap().replace(&mut json, &mut |json| {
            found.push(json.to_text());
            Ok(None)
        });
        assert_eq!((replaced, json.to_text().as_str()), (Ok(0), payload), "what is only looked at stays as it is");
        found
    }

    #[test]
    fn paths_lead_to_all_that_they_match() {
        let payload = r#"{"a":[{"b":1},{"b":2,"c":3},4],"*":5,"~/":6,"a":{"b":7},"d":{"x":{"b":8},"y":[9]}}"#;
        for (path, all) in [
            ("/a/*/b", vec!["1", "2"]),
            ("/a/b", vec!["7"]),
            ("/a/1/b", vec!["2"]),
            ("/a/01/b", vec![]),
            ("/a/+1/b", vec![]),
            ("/~*", vec!["5"]),
            ("/~0~1", vec!["6"]),
            ("/d/*/b", vec!["8"]),
            ("/*/*/b", vec!["1", "2", "8"]),
            ("/d/*/0", vec!["9"]),
            ("/nope/*", vec![]),
            ("/*/x/b/c", vec![]),
        ] {
            assert_eq!(found(path, payload), all, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for (text, words) in
            [("", "it begins with `/`"), ("a", "it begins with `/`"), ("/a~", "write `~0`"), ("/~2", "write `~0`")]
        {
            let problem = Path::parse(text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
        assert!(Path::parse(&"/*".repeat(PARTS_MAX)).is_ok());
        assert!(Path::parse(&"/*".repeat(PARTS_MAX + 1)).unwrap_err().contains("PARTS_MAX, 64"));
    }
}
