//! Does the condition hold for this message? If not, why not, in words.

use hookswitch_guest::json::{Decimal, Json, Kind};
use hookswitch_guest::{Decision, Event, Failure, Message, accept, reject};

use crate::condition::{Condition, Subject, Test};
use crate::value::Value;

/// How long a reason may be.
pub const REASON_BYTES_MAX: usize = 500;

/// How much of a value a reason shows.
const VALUE_BYTES_MAX: usize = 80;

/// Accepts the message if the condition holds.
///
/// # Errors
/// `input-invalid` if a condition is about the body and the body is not JSON.
pub fn matches(condition: &Condition, event: &Event, message: &Message) -> Result<Decision, Failure> {
    let mut input = Input { event, message, body: None };
    Ok(match input.refusal(condition)? {
        None => accept(),
        Some(reason) => reject(cut(&reason, REASON_BYTES_MAX)),
    })
}

/// The message, its body parsed when the first condition asks for it.
struct Input<'a> {
    event: &'a Event,
    message: &'a Message,
    body: Option<Json<'a>>,
}

impl Input<'_> {
    /// Why the condition does not hold, or none if it does.
    fn refusal(&mut self, condition: &Condition) -> Result<Option<String>, Failure> {
        match condition {
            Condition::All(conditions) => {
                for condition in conditions {
                    if let Some(reason) = self.refusal(condition)? {
                        return Ok(Some(reason));
                    }
                }
                Ok(None)
            }
            Condition::Any(conditions) => {
                let mut reasons = String::from("none of these holds:");
                for condition in conditions {
                    match self.refusal(condition)? {
                        None => return Ok(None),
                        Some(reason) => reasons.push_str(&format!(" ({})", cut(&reason, REASON_BYTES_MAX))),
                    }
                }
                Ok(Some(reasons))
            }
            Condition::Not(condition) => Ok(match self.refusal(condition)? {
                None => Some(format!("this must not hold, and does: {condition}")),
                Some(_) => None,
            }),
            Condition::Leaf(subject, test) => self.leaf(subject, test),
        }
    }

    fn leaf(&mut self, subject: &Subject, test: &Test) -> Result<Option<String>, Failure> {
        let found = self.find(subject)?;
        let holds =
            found.as_ref().map_or(Ok(matches!(test, Test::Exists(false))), |found| found.clone().passes(test))?;
        Ok((!holds).then(|| match found {
            None => format!("{subject} is missing; wanted: {subject} {test}"),
            Some(found) => format!("{subject} is {}; wanted: {subject} {test}", cut(&found.shown(), VALUE_BYTES_MAX)),
        }))
    }

    fn find(&mut self, subject: &Subject) -> Result<Option<Found<'_>>, Failure> {
        Ok(match subject {
            Subject::EventType => Some(Found::Text(&self.message.event_type)),
            Subject::Source => Some(Found::Text(&self.event.source)),
            Subject::Header(name) => self.event.header(name).map(Found::Text),
            Subject::Pointer(pointer) => {
                let body = match &mut self.body {
                    Some(body) => body,
                    empty => empty.insert(Json::parse(&self.message.body).map_err(|failure| {
                        Failure::input_invalid(format!("cannot look up {pointer}: {}", failure.message))
                    })?),
                };
                body.get(pointer)?.map(|json| Found::Json(json.clone()))
            }
        })
    }
}

/// What a subject is in this message.
#[derive(Clone)]
enum Found<'a> {
    /// From the body.
    Json(Json<'a>),
    /// From elsewhere: text that may stand for a number or a time.
    Text(&'a str),
}

impl Found<'_> {
    fn passes(mut self, test: &Test) -> Result<bool, Failure> {
        let number = |found: &Self, wanted: fn(&Decimal, &Decimal) -> bool, bound| {
            Ok(found.number().is_some_and(|number| wanted(&number, bound)))
        };
        let time = |text: Option<String>| text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        match test {
            Test::Exists(exists) => Ok(*exists),
            Test::Equals(value) => self.is(value),
            Test::In(values) => values.iter().try_fold(false, |found, value| Ok(found || self.is(value)?)),
            Test::Contains(value) => self.contains(value),
            Test::Prefix(prefix) => Ok(self.string()?.is_some_and(|text| text.starts_with(prefix))),
            Test::Suffix(suffix) => Ok(self.string()?.is_some_and(|text| text.ends_with(suffix))),
            Test::Regex(regex) => Ok(self.string()?.is_some_and(|text| regex.is_match(&text))),
            Test::Gt(bound) => number(&self, Decimal::gt, bound),
            Test::Gte(bound) => number(&self, Decimal::ge, bound),
            Test::Lt(bound) => number(&self, Decimal::lt, bound),
            Test::Lte(bound) => number(&self, Decimal::le, bound),
            Test::Before(bound) => Ok(time(self.string()?).is_some_and(|time| time < *bound)),
            Test::After(bound) => Ok(time(self.string()?).is_some_and(|time| time > *bound)),
        }
    }

    fn is(&mut self, value: &Value) -> Result<bool, Failure> {
        match (self, value) {
            (Self::Json(json), value) => value.is(json),
            (Self::Text(text), Value::String(string)) => Ok(text == string),
            (Self::Text(text), Value::Number(number)) => Ok(Decimal::parse(text).is_some_and(|other| other == *number)),
            (Self::Text(_), _) => Ok(false),
        }
    }

    fn contains(&mut self, value: &Value) -> Result<bool, Failure> {
        if let Self::Json(json) = self
            && json.kind() == Kind::Array
        {
            let items = json.items()?.map(Vec::as_mut_slice).unwrap_or_default();
            return items.iter_mut().try_fold(false, |found, item| Ok(found || value.is(item)?));
        }
        Ok(match (self.string()?, value) {
            (Some(text), Value::String(part)) => text.contains(part),
            _ => false,
        })
    }

    fn string(&self) -> Result<Option<String>, Failure> {
        match self {
            Self::Json(json) => json.as_string(),
            Self::Text(text) => Ok(Some((*text).to_owned())),
        }
    }

    fn number(&self) -> Option<Decimal> {
        match self {
            Self::Json(json) => json.as_number().and_then(Decimal::parse),
            Self::Text(text) => Decimal::parse(text),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Json(json) => json.to_text(),
            Self::Text(text) => format!("{text:?}"),
        }
    }
}

/// At most this many bytes, the last of them an ellipsis where something was cut off.
fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let kept = text.floor_char_boundary(bytes_max.saturating_sub('…'.len_utf8()));
    format!("{}…", text.get(..kept).unwrap_or_default())
}

#[cfg(test)]
mod tests;
