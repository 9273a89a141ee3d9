//! From the settings' JSON to a [`Condition`]. Whatever is wrong is refused with the path to it, as in `all[1].any[0]: …`.

use hookswitch_guest::json::{Decimal, Json, Kind, Pointer};
use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::condition::{Condition, Subject, Test};
use crate::value::Value;

/// How many conditions a tree may have, lists and negations included.
pub const CONDITIONS_MAX: usize = 200;
/// How deep conditions, and values to compare with, may be nested.
pub const DEPTH_MAX: usize = 16;
/// How large a regular expression may be, and how large what it compiles to: a hundred times that.
pub const REGEX_BYTES_MAX: usize = 4 * 1024;

const SUBJECTS: &str = "`pointer`, `header` or `event`";
const TESTS: &str =
    "`equals`, `in`, `exists`, `prefix`, `suffix`, `contains`, `regex`, `gt`, `gte`, `lt`, `lte`, `before`, `after`";

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let mut reader = Reader { left: CONDITIONS_MAX };
        reader.condition(&mut Json::raw(&raw), "", DEPTH_MAX).map_err(serde::de::Error::custom)
    }
}

struct Reader {
    /// How many more conditions there may be.
    left: usize,
}

impl Reader {
    fn condition(&mut self, json: &mut Json, path: &str, depth: usize) -> Result<Condition, String> {
        let at = |problem: String| if path.is_empty() { problem } else { format!("{path}: {problem}") };
        let over = |what, max| at(format!("there are {what} than {max}; split them over two steps"));
        self.left = self.left.checked_sub(1).ok_or_else(|| over("more conditions", CONDITIONS_MAX))?;
        let depth = depth.checked_sub(1).ok_or_else(|| over("conditions nested deeper", DEPTH_MAX))?;
        let kind = json.kind();
        let Some(entries) = json.entries().map_err(|failure| at(failure.message))? else {
            return Err(at(format!("a condition is an object, not {}", kind.name())));
        };
        match entries.as_mut_slice() {
            [(key, list)] if key == "all" => Ok(Condition::All(self.list(list, &join(path, "all"), depth)?)),
            [(key, list)] if key == "any" => Ok(Condition::Any(self.list(list, &join(path, "any"), depth)?)),
            [(key, inner)] if key == "not" => {
                Ok(Condition::Not(Box::new(self.condition(inner, &join(path, "not"), depth)?)))
            }
            entries => leaf(entries, path).map_err(at),
        }
    }

    fn list(&mut self, json: &mut Json, path: &str, depth: usize) -> Result<Vec<Condition>, String> {
        let kind = json.kind();
        let items = match json.items().map_err(|failure| format!("{path}: {}", failure.message))? {
            Some(items) if !items.is_empty() => items,
            Some(_) => return Err(format!("{path}: the list is empty; name at least one condition")),
            None => return Err(format!("{path}: a list of conditions is an array, not {}", kind.name())),
        };
        items
            .iter_mut()
            .enumerate()
            .map(|(place, item)| self.condition(item, &format!("{path}[{place}]"), depth))
            .collect()
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// One subject and one test.
fn leaf<K: AsRef<str>>(entries: &mut [(K, Json)], path: &str) -> Result<Condition, String> {
    let (mut subject, mut test) = (None, None);
    for (key, value) in entries {
        let key = key.as_ref();
        let in_key = |problem: String| format!("`{key}`: {problem}");
        if let Some(read) = read_subject(key, value) {
            if subject.replace(read.map_err(in_key)?).is_some() {
                return Err(format!("there are two subjects; keep one of {SUBJECTS}"));
            }
        } else if let Some(read) = read_test(key, value) {
            if test.replace(read.map_err(in_key)?).is_some() {
                return Err(format!(
                    "there are two tests, one of them `{key}`; give each a condition of its own, in `all`"
                ));
            }
        } else if matches!(key, "all" | "any" | "not") {
            return Err(format!("`{key}` stands alone; nothing else may be beside it"));
        } else {
            return Err(format!("unknown key `{key}`; a condition has one of {SUBJECTS} and one of {TESTS}"));
        }
    }
    match (subject, test) {
        (Some(subject), Some(test)) => Ok(Condition::Leaf(subject, test)),
        (Some(_), None) => Err(format!("there is no test; add one of {TESTS}")),
        (None, Some(_)) => Err(format!("there is no subject; add one of {SUBJECTS}")),
        (None, None) if path.is_empty() => Err("there is no condition; begin with `all`, or see the README".to_owned()),
        (None, None) => Err("the condition is empty".to_owned()),
    }
}

/// The subject under this key; none if the key is no subject's.
fn read_subject(key: &str, value: &Json) -> Option<Result<Subject, String>> {
    let read = match key {
        "pointer" => |text: String| Pointer::parse(&text).map(Subject::Pointer).map_err(|error| error.to_string()),
        "header" => |text: String| {
            let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
            if is_name {
                Ok(Subject::Header(text.to_ascii_lowercase()))
            } else {
                Err(format!("{text:?} is no header name"))
            }
        },
        "event" => |text: String| match text.as_str() {
            "type" => Ok(Subject::EventType),
            "source" => Ok(Subject::Source),
            _ => Err(format!("{text:?} is unknown; there are `type` and `source`")),
        },
        _ => return None,
    };
    Some(string(value).and_then(read))
}

/// The test under this key; none if the key is no test's.
fn read_test(key: &str, value: &mut Json) -> Option<Result<Test, String>> {
    Some(match key {
        "equals" => Value::read(value, DEPTH_MAX).map(Test::Equals),
        "in" => match Value::read(value, DEPTH_MAX) {
            Ok(Value::Array(values)) if !values.is_empty() => Ok(Test::In(values)),
            Ok(_) => Err("it takes an array of at least one value".to_owned()),
            Err(problem) => Err(problem),
        },
        "exists" => match Value::read(value, DEPTH_MAX) {
            Ok(Value::Bool(exists)) => Ok(Test::Exists(exists)),
            _ => Err(format!("it takes true or false, not {}", value.kind().name())),
        },
        "prefix" => string(value).map(Test::Prefix),
        "suffix" => string(value).map(Test::Suffix),
        "contains" => Value::read(value, DEPTH_MAX).map(Test::Contains),
        "regex" => string(value).and_then(|text| regex(&text)).map(Test::Regex),
        "gt" => number(value).map(Test::Gt),
        "gte" => number(value).map(Test::Gte),
        "lt" => number(value).map(Test::Lt),
        "lte" => number(value).map(Test::Lte),
        "before" => time(value).map(Test::Before),
        "after" => time(value).map(Test::After),
        _ => return None,
    })
}

fn string(value: &Json) -> Result<String, String> {
    let text = value.as_string().map_err(|failure| failure.message)?;
    text.ok_or_else(|| format!("it takes a string, not {}", value.kind().name()))
}

fn number(value: &Json) -> Result<Decimal, String> {
    let number = value.as_number().and_then(Decimal::parse);
    number.ok_or_else(|| match value.kind() {
        Kind::String => "it takes a number; for a time there are `before` and `after`".to_owned(),
        kind => format!("it takes a number, not {}", kind.name()),
    })
}

fn time(value: &Json) -> Result<jiff::Timestamp, String> {
    let text = string(value)?;
    text.parse().map_err(|error| format!("{text:?} is not a time like 2024-05-31T09:30:00Z: {error}"))
}

fn regex(text: &str) -> Result<Regex, String> {
    if text.len() > REGEX_BYTES_MAX {
        return Err(format!("it has {} bytes; REGEX_BYTES_MAX is {REGEX_BYTES_MAX}", text.len()));
    }
    RegexBuilder::new(text)
        .size_limit(REGEX_BYTES_MAX.saturating_mul(100))
        .build()
        .map_err(|error| format!("it does not compile: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &str) -> Result<Condition, String> {
        serde_json::from_str(settings).map_err(|error| error.to_string())
    }

    #[test]
    fn a_tree_reads_as_it_is_written() {
        let settings = r#"{"all": [
            {"pointer": "/ref", "equals": "refs/heads/main"},
            {"any": [{"event": "type", "in": ["push", 1]}, {"header": "X-Urgent", "exists": true}]},
            {"not": {"pointer": "/n", "gt": 1.50}}, {"event": "source", "regex": "^git"},
            {"pointer": "/t", "before": "2024-05-31T09:30:00+02:00"}
        ]}"#;
        let words = "all of (/ref equals \"refs/heads/main\") (any of (the event type is one of \"push\", 1) (header x-urgent \
                     exists)) (not (/n is above 1.50)) (the source matches `^git`) (/t is before 2024-05-31T07:30:00Z)";
        assert_eq!(read(settings).unwrap().to_string(), words);
    }

    /// Each pair: settings, and what the refusal has to say.
    #[test]
    fn wrong_settings_are_refused_with_the_path_to_them() {
        for (settings, words) in [
            ("{}", "there is no condition"),
            ("[]", "a condition is an object, not an array"),
            (r#"{"all": []}"#, "all: the list is empty"),
            (r#"{"all": {}}"#, "all: a list of conditions is an array, not an object"),
            (r#"{"all": [{"any": [{"pointer": "/a", "equal": 1}]}]}"#, "all[0].any[0]: unknown key `equal`"),
            (r#"{"not": {"not": {"pointer": "a", "exists": true}}}"#, "not.not: `pointer`: `a` is not a JSON pointer"),
            (r#"{"any": [{"event": "type"}]}"#, "any[0]: there is no test; add one of `equals`"),
            (r#"{"exists": true}"#, "there is no subject; add one of `pointer`"),
            (r#"{"event": "type", "header": "x", "exists": true}"#, "there are two subjects"),
            (r#"{"event": "type", "prefix": "a", "suffix": "b"}"#, "there are two tests, one of them `suffix`"),
            (r#"{"event": "type", "prefix": "a", "prefix": "b"}"#, "there are two tests, one of them `prefix`"),
            (r#"{"all": [{"event": "type", "prefix": "a"}], "any": []}"#, "`all` stands alone"),
            (r#"{"event": "typ", "prefix": "a"}"#, "`event`: \"typ\" is unknown"),
            (r#"{"header": "a b", "prefix": "a"}"#, "`header`: \"a b\" is no header name"),
            (r#"{"event": "type", "in": "a"}"#, "`in`: it takes an array"),
            (r#"{"event": "type", "exists": 1}"#, "`exists`: it takes true or false, not a number"),
            (r#"{"event": "type", "prefix": 1}"#, "`prefix`: it takes a string, not a number"),
            (r#"{"event": "type", "gt": "1"}"#, "`gt`: it takes a number; for a time there are `before` and `after`"),
            (r#"{"event": "type", "after": "yesterday"}"#, "`after`: \"yesterday\" is not a time"),
            (r#"{"event": "type", "regex": "("}"#, "`regex`: it does not compile"),
            (r#"{"event": "type", "regex": "(\\w{200}){200}"}"#, "`regex`: it does not compile"),
        ] {
            let problem = read(settings).unwrap_err();
            assert!(problem.contains(words), "{settings}: {problem}");
        }
    }

    #[test]
    fn number_depth_and_size_are_bounded() {
        let leaf = r#"{"event":"type","exists":true}"#;
        let wide = |count: usize| format!(r#"{{"all":[{}]}}"#, vec![leaf; count].join(","));
        assert!(read(&wide(CONDITIONS_MAX - 1)).is_ok());
        let refusal = read(&wide(CONDITIONS_MAX)).unwrap_err();
        assert!(refusal.contains("all[199]: there are more conditions than 200"), "{refusal}");

        let deep = |count: usize| format!("{}{leaf}{}", r#"{"not":"#.repeat(count), "}".repeat(count));
        assert!(read(&deep(DEPTH_MAX - 1)).is_ok());
        let refusal = read(&deep(DEPTH_MAX)).unwrap_err();
        assert!(refusal.contains("nested deeper than 16"), "{refusal}");

        let long = |bytes: usize| format!(r#"{{"event":"type","regex":"{}"}}"#, "a".repeat(bytes));
        assert!(read(&long(REGEX_BYTES_MAX)).is_ok());
        assert!(read(&long(REGEX_BYTES_MAX + 1)).unwrap_err().contains("REGEX_BYTES_MAX is 4096"));
    }
}
