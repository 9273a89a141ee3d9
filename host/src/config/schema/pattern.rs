//! Regular expressions as JSON Schema means them (draft 2020-12, core section 6.4): those of ECMA-262 with the `u` flag, written as the `regex` crate
//! reads them. What both write alike and read differently is `.`, `\d`, `\w`, `\s`, `\b` and most of what stands in brackets.
//!
//! Where ECMA-262 is strict and its old form (Annex B) is not, the old form is taken: `\_` is `_`, and `[\w-.]` has a hyphen. Look-around and
//! back-references are left as they are, and refused by the crate.

use regex::{Regex, RegexBuilder};
use std::iter::Peekable;
use std::str::Chars;

/// How much memory each may take when it is compiled, in bytes.
const COMPILED_BYTES_MAX: usize = 64 * 1024;

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Z_a-z";
/// White space and line terminators.
const SPACE: &str = r"\t\n\x0B\x0C\r \u{A0}\u{1680}\u{2000}-\u{200A}\u{2028}\u{2029}\u{202F}\u{205F}\u{3000}\u{FEFF}";
/// What `.` does not match.
const LINE_ENDS: &str = r"\n\r\u{2028}\u{2029}";

/// A regular expression of a schema.
#[derive(Debug)]
pub(super) struct Pattern {
    written: String,
    regex: Regex,
}

impl Pattern {
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn compile(written: &str) -> Result<Self, String> {
        let mut builder = RegexBuilder::new(&translated(written)?);
        let built = builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX).build();
        let regex = built.map_err(|error| {
            let words = error.to_string();
            words.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
        Ok(Self { written: written.to_owned(), regex })
    }

    /// As the schema has it.
    pub(super) fn as_str(&self) -> &str {
        &self.written
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// One thing of an expression.
enum Atom {
    /// One character, as the crate writes it.
    One(String),
    /// A class of characters, as it is written within brackets.
    Class(String),
    /// Something else, which only stands outside of brackets.
    Other(String),
}

/// The expression as the `regex` crate reads it.
///
/// # Errors
/// What is wrong with it, in words. What the crate finds itself is left to it.
fn translated(pattern: &str) -> Result<String, String> {
    let (mut rest, mut to) = (pattern.chars().peekable(), String::new());
    while let Some(char) = rest.next() {
        match char {
            '\\' => match escape(&mut rest)? {
                Atom::One(text) | Atom::Other(text) => to += &text,
                Atom::Class(text) => to += &format!("[{text}]"),
            },
            '.' => to += &format!("[^{LINE_ENDS}]"),
            '[' => to += &brackets(&mut rest)?,
            '(' => to += &group(&mut rest)?,
            _ => to.push(char),
        }
    }
    Ok(to)
}

/// How a group begins. The crate knows more ways, flags among them, that ECMA-262 does not have.
fn group(rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    if rest.next_if_eq(&'?').is_none() {
        return Ok("(".to_owned());
    }
    match rest.next() {
        Some(kind @ (':' | '=' | '!' | '<')) => Ok(format!("(?{kind}")),
        other => Err(format!("`(?{}` is not supported", other.map(String::from).unwrap_or_default())),
    }
}

/// What stands in brackets; the opening one is read already.
fn brackets(rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let is_negated = rest.next_if_eq(&'^').is_some();
    let mut to = String::new();
    loop {
        let first = match next_in_brackets(rest)? {
            Some(Atom::One(one)) => one,
            Some(Atom::Class(class)) => {
                to += &class;
                continue;
            }
            Some(Atom::Other(other)) => return Err(format!("`{other}` stands in brackets")),
            None => break,
        };
        to += &first;
        if rest.next_if_eq(&'-').is_none() {
            continue;
        }
        match next_in_brackets(rest)? {
            Some(Atom::One(last)) => to += &format!("-{last}"),
            // It was no range.
            Some(Atom::Class(class)) => to += &format!(r"\-{class}"),
            Some(Atom::Other(other)) => return Err(format!("`{other}` stands in brackets")),
            None => {
                to += r"\-";
                break;
            }
        }
    }
    Ok(match (to.is_empty(), is_negated) {
        (false, false) => format!("[{to}]"),
        (false, true) => format!("[^{to}]"),
        // Nothing, and anything.
        (true, false) => r"[^\x00-\u{10FFFF}]".to_owned(),
        (true, true) => r"[\x00-\u{10FFFF}]".to_owned(),
    })
}

/// The next atom in brackets; none where these end.
fn next_in_brackets(rest: &mut Peekable<Chars<'_>>) -> Result<Option<Atom>, String> {
    match rest.next() {
        None => Err("a bracket is not closed".to_owned()),
        Some(']') => Ok(None),
        Some('\\') => match rest.next_if_eq(&'b') {
            Some(_) => Ok(Some(Atom::One(r"\x08".to_owned()))),
            None => escape(rest).map(Some),
        },
        Some(char) => Ok(Some(Atom::One(literal(char)))),
    }
}

/// What follows a backslash.
fn escape(rest: &mut Peekable<Chars<'_>>) -> Result<Atom, String> {
    let char = rest.next().ok_or("it ends in a backslash")?;
    Ok(match char {
        'd' => Atom::Class(DIGIT.to_owned()),
        'w' => Atom::Class(WORD.to_owned()),
        's' => Atom::Class(SPACE.to_owned()),
        'D' => Atom::Class(format!("[^{DIGIT}]")),
        'W' => Atom::Class(format!("[^{WORD}]")),
        'S' => Atom::Class(format!("[^{SPACE}]")),
        'p' | 'P' => Atom::Class(property(char, rest)?),
        'b' => Atom::Other(r"(?-u:\b)".to_owned()),
        't' | 'n' | 'r' | 'f' | 'v' => Atom::One(format!(r"\{char}")),
        '0' if !rest.peek().is_some_and(char::is_ascii_digit) => Atom::One(r"\x00".to_owned()),
        'c' => {
            let letter = rest.next_if(char::is_ascii_alphabetic).ok_or(r"no letter follows `\c`")?;
            Atom::One(code(u32::from(letter) % 32)?)
        }
        'x' => Atom::One(code(hex(rest, 2)?)?),
        'u' => Atom::One(code(unicode(rest)?)?),
        _ if char.is_ascii_alphanumeric() => return Err(format!(r"`\{char}` is not supported")),
        _ => Atom::One(literal(char)),
    })
}

/// `\p{…}`, whose name both write alike.
fn property(which: char, rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    rest.next_if_eq(&'{').ok_or_else(|| format!(r"no `{{` follows `\{which}`"))?;
    Ok(format!(r"\{which}{{{}}}", in_braces(rest)?))
}

/// What stands before the closing brace.
fn in_braces(rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match rest.next().ok_or("a brace is not closed")? {
            '}' => return Ok(text),
            char => text.push(char),
        }
    }
}

/// The code point behind `\u`: in braces, or of four digits, or a pair of surrogates.
fn unicode(rest: &mut Peekable<Chars<'_>>) -> Result<u32, String> {
    if rest.next_if_eq(&'{').is_some() {
        let digits = in_braces(rest)?;
        return u32::from_str_radix(&digits, 16).map_err(|_| format!(r"`\u{{{digits}}}` is no character"));
    }
    let high = hex(rest, 4)?;
    if !(0xD800..0xDC00).contains(&high) {
        return Ok(high);
    }
    let mut behind = rest.clone();
    if (behind.next(), behind.next()) == (Some('\\'), Some('u'))
        && let Ok(low @ 0xDC00..0xE000) = hex(&mut behind, 4)
    {
        *rest = behind;
        return Ok(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00));
    }
    Ok(high)
}

fn hex(rest: &mut Peekable<Chars<'_>>, digits: usize) -> Result<u32, String> {
    let mut value = 0;
    for _ in 0..digits {
        let digit = rest.next().and_then(|char| char.to_digit(16));
        value = value * 16 + digit.ok_or_else(|| format!("{digits} hex digits are wanted"))?;
    }
    Ok(value)
}

/// A character by its number, as the crate writes it.
fn code(number: u32) -> Result<String, String> {
    char::from_u32(number).map(|_| format!(r"\x{{{number:X}}}")).ok_or_else(|| format!("{number:#X} is no character"))
}

/// A character that stands for itself.
fn literal(char: char) -> String {
    regex::escape(char.encode_utf8(&mut [0; 4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_match_what_ecma_262_says() {
        // An expression, what it matches, what it does not.
        let cases: [(&str, &[&str], &[&str]); 28] = [
            (r"^\d$", &["7"], &["\u{7C0}", "a"]),
            (r"^\D$", &["\u{7C0}", "a"], &["7"]),
            (r"^\w$", &["a", "_", "7"], &["é", "-"]),
            (r"^\W$", &["é", "-"], &["a"]),
            (r"^\s$", &["\u{FEFF}", "\u{2029}", " ", "\u{B}", "\u{3000}"], &["\u{85}", "x", "\u{180E}"]),
            (r"^\S$", &["\u{85}", "x"], &["\u{FEFF}", "\n"]),
            (r"^[\d-]$", &["7", "-"], &["\u{7C0}", "d"]),
            (r"^[^\W_]$", &["a"], &["_", "é"]),
            (r"^[\w-.]+$", &["a-b.c"], &["a+b"]),
            (r"^[a-\d]$", &["a", "-", "5"], &["b"]),
            ("^.$", &["a", "\u{85}", "😀"], &["\n", "\r", "\u{2028}", ""]),
            (r"\bcat\b", &["a cat.", "écat!"], &["cats"]),
            (r"é\bcat", &["écat"], &["é cat"]),
            ("^[[]$", &["["], &["]"]),
            ("^[a&&b]+$", &["a&b"], &["c"]),
            ("^[a~~b]+$", &["a~b"], &["c"]),
            ("^[+--]+$", &["+,-"], &["."]),
            ("^[--/]+$", &["-./"], &[","]),
            ("^[a-]+$", &["a-"], &["b"]),
            ("^[^]$", &["a", "\n"], &[""]),
            ("^[]$|^x$", &["x"], &["]", ""]),
            (r"^\cC\x41\u0042\u{43}\0$", &["\u{3}ABC\0"], &["cABC0"]),
            (r"^\ud83d\ude00$", &["😀"], &["😁"]),
            (r"^\/\-\<\_\é$", &["/-<_é"], &["/"]),
            (r"^[\b\]\\]+$", &["\u{8}]\\"], &["b"]),
            (r"^\p{Script=Greek}[\P{Greek}\d]$", &["Αa", "Α1"], &["aΑ", "ΑΑ"]),
            (r"^\p{Letter}+$", &["éß"], &["1"]),
            (r"^(?<year>\d{4})-(?:a|b)?$", &["2024-a", "2024-"], &["2024"]),
        ];
        for (pattern, fits, others) in cases {
            let regex = Pattern::compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            fits.iter().for_each(|text| assert!(regex.is_match(text), "{pattern} matches {text:?}"));
            others.iter().for_each(|text| assert!(!regex.is_match(text), "{pattern} does not match {text:?}"));
        }
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let said = |pattern: &str| Pattern::compile(pattern).unwrap_err();
        assert_eq!(said(r"\A"), r"`\A` is not supported");
        assert_eq!(said("(?x)a b"), "`(?x` is not supported");
        assert_eq!(said("(?P<n>a)"), "`(?P` is not supported");
        assert_eq!(said(r"a\B"), r"`\B` is not supported");
        assert_eq!(said(r"(a)\1"), r"`\1` is not supported");
        assert_eq!(said(r"\ud800"), "0xD800 is no character");
        assert_eq!(said(r"\u12"), "4 hex digits are wanted");
        assert_eq!(said(r"\c1"), r"no letter follows `\c`");
        assert_eq!(said(r"\pL"), r"no `{` follows `\p`");
        assert_eq!(said(r"\p{L"), "a brace is not closed");
        assert_eq!(said("[a"), "a bracket is not closed");
        assert_eq!(said("a\\"), "it ends in a backslash");
        for pattern in ["(?=a)", "(?<!a)", "[b-a]", "a{2,1}", r"\p{Nothing}", "("] {
            assert!(Pattern::compile(pattern).is_err(), "{pattern}");
        }
    }
}
