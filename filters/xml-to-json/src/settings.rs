//! A step's settings, and which elements they make arrays of.

use serde::Deserialize;

/// How many elements `arrays` may name.
pub const ARRAYS_MAX: usize = 200;

/// How to map.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Settings {
    arrays: Vec<Which>,
    /// Whether space at the ends of texts is taken away.
    pub trim: bool,
    /// Whether elements lose their namespace prefix, and `xmlns` attributes are left out.
    pub strip_prefixes: bool,
}

/// Elements that are arrays even where there is one.
#[derive(Debug)]
enum Which {
    /// Of this name, anywhere.
    Named(String),
    /// At this path: the names from the root on.
    At(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    arrays: Vec<String>,
    #[serde(default = "yes")]
    trim: bool,
    #[serde(default)]
    strip_prefixes: bool,
}

fn yes() -> bool {
    true
}

impl TryFrom<Raw> for Settings {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        if raw.arrays.len() > ARRAYS_MAX {
            return Err(format!("`arrays` has {} elements; ARRAYS_MAX is {ARRAYS_MAX}", raw.arrays.len()));
        }
        let arrays = raw.arrays.iter().map(|text| which(text, raw.strip_prefixes)).collect::<Result<_, _>>()?;
        Ok(Self { arrays, trim: raw.trim, strip_prefixes: raw.strip_prefixes })
    }
}

impl Settings {
    /// Whether the element at this path is to be an array even where there is one.
    #[must_use]
    pub fn is_array(&self, path: &[String]) -> bool {
        self.arrays.iter().any(|which| match which {
            Which::Named(name) => path.last() == Some(name),
            Which::At(wanted) => path == wanted,
        })
    }
}

fn which(text: &str, strip_prefixes: bool) -> Result<Which, String> {
    let wrong = |why: &str| {
        format!(
            "arrays: {text:?} {why}; write a name, as in `line`, or a path from the root on, as in `/order/lines/line`"
        )
    };
    let names: Vec<String> = text.strip_prefix('/').unwrap_or(text).split('/').map(str::to_owned).collect();
    match names.iter().any(String::is_empty) {
        true => Err(wrong("is no element")),
        false if names.iter().any(|name| name.starts_with(['@', '#'])) => Err(wrong("is no element")),
        false if strip_prefixes && text.contains(':') => {
            Err(wrong("has a prefix, and `strip_prefixes` takes those away"))
        }
        false if text.starts_with('/') => match names.len() {
            1 => Err(wrong("is the root, of which there is only one")),
            _ => Ok(Which::At(names)),
        },
        false if names.len() == 1 => Ok(Which::Named(text.to_owned())),
        false => Err(wrong("is a path that does not begin with `/`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_refused() {
        for (settings, words) in [
            (r#"{"array": []}"#, "unknown field `array`"),
            (r#"{"arrays": "line"}"#, "expected a sequence"),
            (r#"{"arrays": [""]}"#, "arrays: \"\" is no element"),
            (r#"{"arrays": ["/order//line"]}"#, "is no element"),
            (r#"{"arrays": ["/order/@id"]}"#, "is no element"),
            (r#"{"arrays": ["/order"]}"#, "is the root"),
            (r#"{"arrays": ["order/line"]}"#, "does not begin with `/`"),
            (r#"{"arrays": ["o:line"], "strip_prefixes": true}"#, "has a prefix"),
        ] {
            let problem = serde_json::from_str::<Settings>(settings).unwrap_err().to_string();
            assert!(problem.contains(words), "{settings}: {problem}");
        }
        let many = |count: usize| format!(r#"{{"arrays": [{}]}}"#, vec!["\"a\""; count].join(","));
        assert!(serde_json::from_str::<Settings>(&many(ARRAYS_MAX)).is_ok());
        assert!(
            serde_json::from_str::<Settings>(&many(ARRAYS_MAX + 1))
                .unwrap_err()
                .to_string()
                .contains("ARRAYS_MAX is 200")
        );
    }
}
