//! The JSON Schema of an event type: the vocabularies of draft 2020-12 for applying and validating, compiled once, and held against payloads
//! in a bounded number of steps.
//!
//! It is our own because of the bounds: schemas are a tenant's, and a small one can ask for any amount of work. Here each step is counted, a
//! reference leads nowhere but into the schema itself, regular expressions take a time linear in the text, and of what is wrong only
//! the first few things are told, without the payload's values. What is not supported is refused when it is compiled, never passed over.

mod check;
mod compile;
mod memory;
mod pattern;
mod value;

pub use check::OutOfSteps;
pub use memory::memory_of;

use super::Invalid;
use crate::model::SchemaError;
use pattern::Pattern;
use serde_json::{Number, Value};
use std::collections::BTreeMap;
use value::Types;

/// The longest schema, in bytes of JSON.
const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// How many regular expressions a schema may have.
const PATTERNS_MAX: usize = 20;
/// How many things that are wrong with one payload are told.
const ERRORS_MAX: usize = 4;

/// A schema, ready for use.
#[derive(Debug)]
pub struct Schema {
    /// Every subschema; they refer to each other by their place. The first one is the whole.
    nodes: Vec<Node>,
    bytes: usize,
    patterns: usize,
}

/// One subschema.
#[derive(Debug)]
enum Node {
    /// Everything fits, or nothing.
    Always(bool),
    /// What follows each of these fits.
    Rules(Vec<Rule>),
}

/// The place of a subschema.
type Place = usize;

/// What one keyword says, or several that say one thing together.
#[derive(Debug)]
enum Rule {
    Type(Types),
    Const(Value),
    Enum(Vec<Value>),
    Minimum(Number),
    ExclusiveMinimum(Number),
    Maximum(Number),
    ExclusiveMaximum(Number),
    MultipleOf(Number),
    MinLength(u64),
    MaxLength(u64),
    Pattern(Pattern),
    MinItems(u64),
    MaxItems(u64),
    UniqueItems,
    Items { first: Vec<Place>, others: Option<Place> },
    Contains { what: Place, least: u64, most: Option<u64> },
    MinProperties(u64),
    MaxProperties(u64),
    Required(Vec<String>),
    Properties { named: BTreeMap<String, Place>, patterns: Vec<(Pattern, Place)>, others: Option<Place> },
    PropertyNames(Place),
    DependentRequired(BTreeMap<String, Vec<String>>),
    DependentSchemas(BTreeMap<String, Place>),
    All(Vec<Place>),
    Any(Vec<Place>),
    One(Vec<Place>),
    Not(Place),
    If { holds: Place, then: Option<Place>, otherwise: Option<Place> },
}

impl Schema {
    /// Compiles one.
    ///
    /// # Errors
    /// Where it is no schema, or one that is not supported; points at the place.
    pub(super) fn compile(schema: &Value) -> Result<Self, Invalid> {
        compile::compile(schema)
    }

    /// How long it is, in bytes of JSON, and how many regular expressions it has.
    pub(super) const fn weight(&self) -> (usize, usize) {
        (self.bytes, self.patterns)
    }

    /// What is wrong with a payload, the first few things of it; nothing where it fits.
    ///
    /// # Errors
    /// Where that is not known after so many steps.
    pub fn errors(&self, payload: &Value, steps_max: u64) -> Result<Vec<SchemaError>, OutOfSteps> {
        check::errors(self, payload, steps_max)
    }
}

#[cfg(test)]
mod tests;
