//! JSON values as JSON Schema sees them: an integer is a number without a fraction however it is written, and 1 is 1.0.

use serde_json::{Number, Value};
use std::cmp::Ordering;

/// How much of a text is looked at in one step, in bytes.
const BYTES_PER_STEP: usize = 64;

/// Some of the types of JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types(u8);

const NAMES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

impl Types {
    /// With one more; none where there is no type of this name.
    pub(super) fn with(self, name: &str) -> Option<Self> {
        let place = NAMES.iter().position(|known| *known == name)?;
        Some(Self(self.0 | 1 << place))
    }

    /// Whether a value is of one of them.
    pub(super) fn has(self, value: &Value) -> bool {
        let name = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Object(_) => "object",
            Value::Array(_) => "array",
            Value::Number(_) => "number",
            Value::String(_) => "string",
        };
        self.has_name(name) || matches!(value, Value::Number(number) if self.has_name("integer") && is_integer(number))
    }

    fn has_name(self, name: &str) -> bool {
        Self::default().with(name).is_some_and(|one| self.0 & one.0 != 0)
    }

    /// For people.
    pub(super) fn names(self) -> String {
        NAMES.into_iter().filter(|name| self.has_name(name)).collect::<Vec<_>>().join(" or ")
    }
}

fn is_integer(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

/// Whole numbers exactly.
fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

/// A number that counts something: 2 and 2.0 are the same.
pub(super) fn counted(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_f64().filter(|float| float.fract() == 0.0).and_then(|_| canonical(value).parse().ok()))
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

/// Which number is greater.
pub(super) fn compare(a: &Number, b: &Number) -> Ordering {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => float(a).partial_cmp(&float(b)).unwrap_or(Ordering::Equal),
    }
}

/// Whether a number is a multiple of another one; of numbers with a fraction within a billionth.
pub(super) fn is_multiple(number: &Number, of: &Number) -> bool {
    if let (Some(number), Some(of)) = (whole(number), whole(of)) {
        return of != 0 && number % of == 0;
    }
    let quotient = float(number) / float(of);
    // The quotient of a very large and a very small one is no number any more; the remainder is.
    float(number) % float(of) == 0.0 || (quotient - quotient.round()).abs() < 1e-9
}

/// Whether two values are the same.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(a, b) == Ordering::Equal,
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// One text for all values that are the same.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match (whole(number), float(number)) {
            // Each of these is exactly one integer.
            (None, float) if float.fract() == 0.0 && float.abs() < 9e15 => format!("{float:.0}"),
            _ => number.to_string(),
        },
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let mut members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        value => value.to_string(),
    }
}

/// How many steps it takes to look at all of a value: one for each value in it, and more for long texts.
pub(super) fn steps(value: &Value) -> u64 {
    match value {
        Value::Array(items) => items.iter().fold(1, |sum, item| sum + steps(item)),
        Value::Object(members) => {
            members.iter().fold(1, |sum, (name, member)| sum + steps_of_text(name) + steps(member))
        }
        Value::String(text) => 1 + steps_of_text(text),
        _ => 1,
    }
}

/// How many steps it takes to look at a text.
pub(super) const fn steps_of_text(text: &str) -> u64 {
    (text.len() / BYTES_PER_STEP) as u64
}
