//! {{name}}: a filter. It accepts messages of some types, and with some value in their body:
//!
//! ```json
//! {"events": ["push"], "pointer": "/ref", "equals": "refs/heads/main"}
//! ```

use hookswitch_guest::{Decision, Event, Failure, Message, accept, filter, reject};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

filter!(decide);

fn decide(settings: &Settings, _: &Event, message: &Message) -> Result<Decision, Failure> {
    let event_type = &message.event_type;
    if settings.events.as_ref().is_some_and(|events| !events.contains(event_type)) {
        return Ok(reject(format!("the event type is {event_type}")));
    }
    let Some(pointer) = &settings.pointer else { return Ok(accept()) };
    let body: Value =
        serde_json::from_slice(&message.body).map_err(|_| Failure::input_invalid("the body is not JSON"))?;
    Ok(match body.pointer(pointer) {
        None => reject(format!("{pointer} is not there")),
        value if value != settings.equals.as_ref() => reject(format!("{pointer} is something else")),
        _ => accept(),
    })
}

#[derive(Deserialize)]
#[serde(try_from = "Given")]
struct Settings {
    events: Option<Vec<String>>,
    pointer: Option<String>,
    equals: Option<Value>,
}

/// The settings as they are written, before they are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default, deserialize_with = "given")]
    events: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    pointer: Option<String>,
    #[serde(default, deserialize_with = "given")]
    equals: Option<Value>,
}

/// What is written is there, `null` too.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl TryFrom<Given> for Settings {
    type Error = &'static str;

    fn try_from(Given { events, pointer, equals }: Given) -> Result<Self, Self::Error> {
        if pointer.is_some() != equals.is_some() {
            return Err("`pointer` and `equals` go together");
        }
        if pointer.as_ref().is_some_and(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            return Err("`pointer` begins with `/`, or is empty");
        }
        match &equals {
            Some(Value::Array(_) | Value::Object(_)) => Err("`equals` is a string, an integer, true, false or null"),
            Some(Value::Number(number)) if number.as_str().contains(['.', 'e', 'E']) => {
                Err("`equals` is an integer, if it is a number")
            }
            _ => Ok(Self { events, pointer, equals }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_another_type_is_rejected() {
        let settings: Settings = serde_json::from_str(r#"{"events": ["push"]}"#).unwrap();
        let message = Message { event_type: "star".to_owned(), ..Message::from_json("{}") };
        assert_eq!(decide(&settings, &Event::default(), &message), Ok(reject("the event type is star")));
    }
}
