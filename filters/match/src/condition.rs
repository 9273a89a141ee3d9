//! What a step's settings say, checked: a tree of conditions, and how each reads in words.

use std::fmt;

use jiff::Timestamp;
use regex::Regex;

use crate::value::Value;
use hookswitch_guest::json::{Decimal, Pointer};

/// A condition on a message.
#[derive(Debug, Clone)]
pub enum Condition {
    /// Each of these holds. There is at least one.
    All(Vec<Condition>),
    /// At least one of these holds. There is at least one.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
    /// The subject passes the test.
    Leaf(Subject, Test),
}

/// What a test looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A place in the message's JSON body.
    Pointer(Pointer),
    /// A header of the event, as received; in lower case.
    Header(String),
    /// The message's event type, as the step before left it.
    EventType,
    /// The source that the event came in by.
    Source,
}

/// What is asked of the subject. Where there is no subject, and where it is of a kind that the test is not about, no test holds
/// but `Exists(false)`.
#[derive(Debug, Clone)]
pub enum Test {
    /// Is the same JSON value. Numbers are the same if they are equal: `1`, `1.0` and `10e-1`.
    Equals(Value),
    /// Is one of these.
    In(Vec<Value>),
    /// Is there, or is not.
    Exists(bool),
    /// Is a string that begins so.
    Prefix(String),
    /// Is a string that ends so.
    Suffix(String),
    /// Is a string with this in it, or an array with this item.
    Contains(Value),
    /// Is a string in which this matches somewhere.
    Regex(Regex),
    /// Is a number above this.
    Gt(Decimal),
    /// Is a number not below this.
    Gte(Decimal),
    /// Is a number below this.
    Lt(Decimal),
    /// Is a number not above this.
    Lte(Decimal),
    /// Is a time before this.
    Before(Timestamp),
    /// Is a time after this.
    After(Timestamp),
}

impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::All(conditions) => list(out, "all of", conditions),
            Self::Any(conditions) => list(out, "any of", conditions),
            Self::Not(condition) => write!(out, "not ({condition})"),
            Self::Leaf(subject, test) => write!(out, "{subject} {test}"),
        }
    }
}

fn list(out: &mut fmt::Formatter, word: &str, conditions: &[Condition]) -> fmt::Result {
    out.write_str(word)?;
    conditions.iter().try_for_each(|condition| write!(out, " ({condition})"))
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Pointer(pointer) => pointer.fmt(out),
            Self::Header(name) => write!(out, "header {name}"),
            Self::EventType => out.write_str("the event type"),
            Self::Source => out.write_str("the source"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Equals(value) => write!(out, "equals {value}"),
            Self::In(values) => {
                out.write_str("is one of")?;
                let commas = [" "].into_iter().chain(std::iter::repeat(", "));
                values.iter().zip(commas).try_for_each(|(value, comma)| write!(out, "{comma}{value}"))
            }
            Self::Exists(true) => out.write_str("exists"),
            Self::Exists(false) => out.write_str("does not exist"),
            Self::Prefix(text) => write!(out, "begins with {text:?}"),
            Self::Suffix(text) => write!(out, "ends with {text:?}"),
            Self::Contains(value) => write!(out, "contains {value}"),
            Self::Regex(regex) => write!(out, "matches `{regex}`"),
            Self::Gt(number) => write!(out, "is above {number}"),
            Self::Gte(number) => write!(out, "is at least {number}"),
            Self::Lt(number) => write!(out, "is below {number}"),
            Self::Lte(number) => write!(out, "is at most {number}"),
            Self::Before(time) => write!(out, "is before {time}"),
            Self::After(time) => write!(out, "is after {time}"),
        }
    }
}
