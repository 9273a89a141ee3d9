//! JSON Pointer (RFC 6901): `/commits/0/id`. The empty pointer points at the whole.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// How many tokens a pointer may have. It bounds how deep a payload is ever opened.
pub const POINTER_TOKENS_MAX: usize = 64;

/// A checked JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// Why a text is no pointer; the text says which and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointerError(String);

impl Pointer {
    /// Reads a pointer.
    ///
    /// # Errors
    /// If it neither is empty nor starts with `/`, if a `~` is not part of `~0` (for `~`) or `~1` (for `/`), or if it has more than
    /// 64 tokens.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let wrong = |why: &str| PointerError(format!("`{text}` is not a JSON pointer: {why}"));
        let tokens = match text.split_once('/') {
            None if text.is_empty() => Vec::new(),
            Some(("", rest)) => rest
                .split('/')
                .map(|token| unescape(token).ok_or_else(|| wrong("write `~0` for `~` and `~1` for `/` in a key")))
                .collect::<Result<_, _>>()?,
            _ => return Err(wrong("it starts with `/`, as in `/repository/name`; `\"\"` points at the whole body")),
        };
        if tokens.len() > POINTER_TOKENS_MAX {
            return Err(wrong(&format!("it has more than {POINTER_TOKENS_MAX} parts")));
        }
        Ok(Self { text: text.to_owned(), tokens })
    }

    /// As it is written; each pointer in one way only.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The keys and indices on the way.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(String::as_str)
    }

    /// All but the last token, and the last; none for the empty pointer.
    pub(super) fn split_last(&self) -> Option<(&[String], &str)> {
        self.tokens.split_last().map(|(last, parents)| (parents, last.as_str()))
    }
}

/// An index into an array: digits without a leading zero.
pub(super) fn index(token: &str) -> Option<usize> {
    let is_canonical = token == "0" || token.starts_with(|first: char| matches!(first, '1'..='9'));
    if is_canonical { token.parse().ok() } else { None }
}

fn unescape(token: &str) -> Option<String> {
    let mut plain = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(char) = chars.next() {
        plain.push(match (char, char == '~') {
            (char, false) => char,
            (_, true) => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
        });
    }
    Some(plain)
}

/// In settings a pointer is a text.
impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(if self.text.is_empty() { "the whole body" } else { &self.text })
    }
}

impl fmt::Display for PointerError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for PointerError {}
