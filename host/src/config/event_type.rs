//! An event type of a tenant's catalogue: what it means to people, and what its payloads look like.

use super::pattern::EVENT_TYPE_BYTES_MAX;
use super::resolve::at_most;
use super::schema::Schema;
use super::snapshot::Invalid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const TITLE_BYTES_MAX: usize = 128;
const DESCRIPTION_BYTES_MAX: usize = 4_096;
const EXAMPLES_MAX: usize = 10;
const EXAMPLES_BYTES_MAX: usize = 16 * 1024;
/// In how many steps an example has to be held against the schema.
const EXAMPLE_STEPS_MAX: u64 = 20_000;

/// An event type, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTypeSpec {
    /// For people: at most 128 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// For people: at most 4,096 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// A JSON Schema (2020-12) that payloads fit: at most 64 KiB, complete in itself. By itself anything fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// What becomes of an event that does not fit.
    #[serde(default)]
    pub on_invalid: OnInvalid,
    /// Payloads, for people; each fits the schema. At most 10, of 16 KiB in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Value>,
    /// Whether nobody should use it any more. For people: events of it are taken as ever.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deprecated: bool,
}

/// What becomes of an event that does not fit the schema of its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnInvalid {
    /// It is taken, and nobody looks.
    Accept,
    /// It is taken, and says what is wrong with it.
    #[default]
    Flag,
    /// It is refused.
    Refuse,
}

/// What becomes of an event whose type is not in the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownEventTypes {
    /// It is taken.
    #[default]
    Accept,
    /// It is refused.
    Refuse,
}

/// An event type, ready for use.
#[derive(Debug)]
pub struct EventType {
    /// What payloads fit, where it says.
    pub schema: Option<Schema>,
    /// What becomes of an event that does not.
    pub on_invalid: OnInvalid,
}

impl EventType {
    pub(super) fn resolve(name: &str, spec: &EventTypeSpec) -> Result<Self, Invalid> {
        check_name(name)?;
        let EventTypeSpec { title, description, schema, on_invalid, examples, .. } = spec;
        for (pointer, text, most) in
            [("/title", title, TITLE_BYTES_MAX), ("/description", description, DESCRIPTION_BYTES_MAX)]
        {
            if text.len() > most {
                let message = format!("has {} bytes; at most {most} are allowed", text.len());
                return Err(Invalid::new(pointer, message));
            }
        }
        let schema = schema.as_ref().map(Schema::compile).transpose();
        let schema =
            schema.map_err(|Invalid { pointer, message }| Invalid::new(format!("/schema{pointer}"), message))?;
        check_examples(examples, schema.as_ref())?;
        Ok(Self { schema, on_invalid: *on_invalid })
    }
}

/// Whether an event can have this type.
fn check_name(name: &str) -> Result<(), Invalid> {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
    if !name.is_empty() && name.len() <= EVENT_TYPE_BYTES_MAX && plain {
        return Ok(());
    }
    let message =
        format!("the name is the event type: 1 to {EVENT_TYPE_BYTES_MAX} bytes of visible ASCII, without `*`");
    Err(Invalid::new("", message))
}

fn check_examples(examples: &[Value], schema: Option<&Schema>) -> Result<(), Invalid> {
    at_most("/examples", examples.len(), EXAMPLES_MAX)?;
    let bytes: usize = examples.iter().map(|example| example.to_string().len()).sum();
    if bytes > EXAMPLES_BYTES_MAX {
        let message = format!("have {bytes} bytes in all; at most {EXAMPLES_BYTES_MAX} are allowed");
        return Err(Invalid::new("/examples", message));
    }
    let Some(schema) = schema else { return Ok(()) };
    for (place, example) in examples.iter().enumerate() {
        let errors = schema.errors(example, EXAMPLE_STEPS_MAX);
        let errors = errors.map_err(|error| Invalid::new(format!("/examples/{place}"), error.to_string()))?;
        if let Some(error) = errors.first() {
            let message = format!("does not fit the schema: {}", error.message);
            return Err(Invalid::new(format!("/examples/{place}{}", error.pointer), message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_hold_together_is_refused_with_its_place() {
        let cases = [
            ("order.paid", json!({}), None),
            ("orders/create", json!({ "schema": true, "examples": [1] }), None),
            ("a b", json!({}), Some("")),
            ("a.*", json!({}), Some("")),
            ("", json!({}), Some("")),
            ("a", json!({ "title": "x".repeat(129) }), Some("/title")),
            ("a", json!({ "description": "x".repeat(4_097) }), Some("/description")),
            ("a", json!({ "examples": vec![1; 11] }), Some("/examples")),
            ("a", json!({ "examples": ["x".repeat(16_384)] }), Some("/examples")),
            (
                "a",
                json!({ "schema": { "properties": { "n": { "type": "integer" } } }, "examples": [{}, { "n": "1" }] }),
                Some("/examples/1/n"),
            ),
            ("a", json!({ "schema": { "properties": { "n": { "type": "int" } } } }), Some("/schema/properties/n/type")),
        ];
        for (name, spec, pointer) in cases {
            let spec: EventTypeSpec = serde_json::from_value(spec).unwrap();
            let refused = EventType::resolve(name, &spec).err().map(|invalid| invalid.pointer);
            assert_eq!(refused.as_deref(), pointer, "{name} {spec:?}");
        }
    }
}
