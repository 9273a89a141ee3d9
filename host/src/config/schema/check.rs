//! Holds a payload against a schema. Every look costs a step, so it ends, whatever the two are.

use super::pattern::Pattern;
use super::value::{canonical, compare, is_multiple, is_same, steps, steps_of_text};
use super::{ERRORS_MAX, Node, Place, Rule, Schema};
use crate::config::resolve::escaped;
use crate::model::SchemaError;
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

/// How deep subschemas are followed into one another. A payload has 128 levels at most; what goes on at one level is a schema that never ends.
const DEPTH_MAX: u32 = 256;
/// How many times as long a regular expression takes to look at a text.
const PATTERN_STEPS: u64 = 4;
/// How long a pointer is told, in bytes.
const POINTER_BYTES_MAX: usize = 200;

/// It is not known yet whether a payload fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("holding it against the schema takes too many steps")]
pub struct OutOfSteps;

/// Why one stops.
enum Stop {
    /// Steps, or levels, are used up.
    OutOfSteps,
    /// Enough is known to be wrong.
    Enough,
}

/// The way from the payload's root to a value.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

/// Whether what is wrong is told, and what was found.
enum Report {
    /// Only whether anything is.
    Silent,
    /// What is, until there is enough.
    Told(Vec<SchemaError>),
}

struct Checker<'s> {
    nodes: &'s [Node],
    steps_left: u64,
    depth: u32,
}

pub(super) fn errors(schema: &Schema, payload: &Value, steps_max: u64) -> Result<Vec<SchemaError>, OutOfSteps> {
    let mut checker = Checker { nodes: &schema.nodes, steps_left: steps_max, depth: 0 };
    let mut report = Report::Told(Vec::new());
    let ended = checker.node(0, payload, Path::Root, &mut report);
    match (ended, report) {
        (Err(Stop::OutOfSteps), _) => Err(OutOfSteps),
        (_, Report::Told(errors)) => Ok(errors),
        (_, Report::Silent) => Ok(Vec::new()),
    }
}

impl Report {
    /// Notes what is wrong. Nobody goes on who only wants to know whether anything is.
    fn wrong(&mut self, path: Path<'_>, message: impl FnOnce() -> String) -> Result<bool, Stop> {
        if let Self::Told(errors) = self {
            errors.push(SchemaError { pointer: path.pointer(), message: message() });
            if errors.len() >= ERRORS_MAX {
                return Err(Stop::Enough);
            }
        }
        Ok(false)
    }

    /// Whether one goes on after this.
    const fn goes_on(&self, holds: bool) -> bool {
        holds || matches!(self, Self::Told(_))
    }
}

impl Checker<'_> {
    fn step(&mut self, steps: u64) -> Result<(), Stop> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or(Stop::OutOfSteps)?;
        Ok(())
    }

    /// Whether a value fits a subschema.
    fn node(&mut self, place: Place, value: &Value, path: Path<'_>, report: &mut Report) -> Result<bool, Stop> {
        self.step(1)?;
        let nodes = self.nodes;
        let rules = match nodes.get(place) {
            Some(Node::Rules(rules)) => rules,
            Some(Node::Always(true)) | None => return Ok(true),
            Some(Node::Always(false)) => return report.wrong(path, || "is not allowed here".to_owned()),
        };
        if self.depth >= DEPTH_MAX {
            return Err(Stop::OutOfSteps);
        }
        self.depth += 1;
        let mut all = true;
        for rule in rules {
            self.step(1)?;
            all &= self.rule(rule, value, path, report)?;
            if !report.goes_on(all) {
                break;
            }
        }
        self.depth -= 1;
        Ok(all)
    }

    /// The same, without a word of what is wrong.
    fn holds(&mut self, place: Place, value: &Value) -> Result<bool, Stop> {
        self.node(place, value, Path::Root, &mut Report::Silent)
    }

    fn rule(&mut self, rule: &Rule, value: &Value, path: Path<'_>, report: &mut Report) -> Result<bool, Stop> {
        match rule {
            Rule::Type(types) if !types.has(value) => {
                report.wrong(path, || format!("is not of the type {}", types.names()))
            }
            Rule::Const(wanted) => {
                self.step(steps(wanted))?;
                let same = is_same(value, wanted);
                if same { Ok(true) } else { report.wrong(path, || "is not the one value that is allowed".to_owned()) }
            }
            Rule::Enum(allowed) => {
                self.step(allowed.iter().map(steps).sum())?;
                let found = allowed.iter().any(|one| is_same(value, one));
                if found {
                    Ok(true)
                } else {
                    report.wrong(path, || format!("is none of the {} values that are allowed", allowed.len()))
                }
            }
            Rule::All(places) => self.all(places, value, path, report),
            Rule::Any(places) => match self.how_many(places, value, 1)? {
                0 => report.wrong(path, || format!("fits none of {} alternatives", places.len())),
                _ => Ok(true),
            },
            Rule::One(places) => match self.how_many(places, value, 2)? {
                0 => report.wrong(path, || format!("fits none of {} alternatives", places.len())),
                1 => Ok(true),
                _ => report.wrong(path, || "fits more than one alternative".to_owned()),
            },
            Rule::Not(place) if self.holds(*place, value)? => report.wrong(path, || "fits what it must not".to_owned()),
            Rule::If { holds, then, otherwise } => {
                let next = if self.holds(*holds, value)? { then } else { otherwise };
                next.map_or(Ok(true), |place| self.node(place, value, path, report))
            }
            rule => match value {
                Value::Number(number) => number_rule(rule, number, path, report),
                Value::String(text) => self.string_rule(rule, text, path, report),
                Value::Array(items) => self.array_rule(rule, items, path, report),
                Value::Object(members) => self.object_rule(rule, (value, members), path, report),
                Value::Null | Value::Bool(_) => Ok(true),
            },
        }
    }

    fn all(&mut self, places: &[Place], value: &Value, path: Path<'_>, report: &mut Report) -> Result<bool, Stop> {
        let mut all = true;
        for place in places {
            all &= self.node(*place, value, path, report)?;
            if !report.goes_on(all) {
                break;
            }
        }
        Ok(all)
    }

    /// How many of these a value fits; no more than `most` are looked for.
    fn how_many(&mut self, places: &[Place], value: &Value, most: usize) -> Result<usize, Stop> {
        let mut fits = 0;
        for place in places {
            fits += usize::from(self.holds(*place, value)?);
            if fits >= most {
                break;
            }
        }
        Ok(fits)
    }

    fn string_rule(&mut self, rule: &Rule, text: &str, path: Path<'_>, report: &mut Report) -> Result<bool, Stop> {
        let is_pattern = matches!(rule, Rule::Pattern(_));
        self.step(steps_of_text(text) * if is_pattern { PATTERN_STEPS } else { 1 })?;
        match rule {
            Rule::MinLength(least) if (text.chars().count() as u64) < *least => {
                report.wrong(path, || format!("is shorter than {least} characters"))
            }
            Rule::MaxLength(most) if text.chars().count() as u64 > *most => {
                report.wrong(path, || format!("is longer than {most} characters"))
            }
            Rule::Pattern(pattern) if !pattern.is_match(text) => {
                report.wrong(path, || format!("does not match `{}`", shortened(pattern.as_str())))
            }
            _ => Ok(true),
        }
    }

    fn array_rule(&mut self, rule: &Rule, items: &[Value], path: Path<'_>, report: &mut Report) -> Result<bool, Stop> {
        let length = items.len() as u64;
        match rule {
            Rule::MinItems(least) if length < *least => report.wrong(path, || format!("has fewer than {least} items")),
            Rule::MaxItems(most) if length > *most => report.wrong(path, || format!("has more than {most} items")),
            Rule::UniqueItems => {
                self.step(items.iter().map(steps).sum())?;
                let mut seen = HashSet::new();
                match items.iter().position(|item| !seen.insert(canonical(item))) {
                    Some(place) => report.wrong(Path::Item(&path, place), || "is there a second time".to_owned()),
                    None => Ok(true),
                }
            }
            Rule::Items { first, others } => {
                let mut all = true;
                for (place, item) in items.iter().enumerate() {
                    let Some(node) = first.get(place).or(others.as_ref()) else { break };
                    all &= self.node(*node, item, Path::Item(&path, place), report)?;
                    if !report.goes_on(all) {
                        break;
                    }
                }
                Ok(all)
            }
            Rule::Contains { what, least, most } => {
                let mut found = 0;
                for item in items {
                    found += u64::from(self.holds(*what, item)?);
                }
                match most {
                    _ if found < *least => {
                        report.wrong(path, || format!("has fewer than {least} items of the kind that is wanted"))
                    }
                    Some(most) if found > *most => {
                        report.wrong(path, || format!("has more than {most} items of the kind that is wanted"))
                    }
                    _ => Ok(true),
                }
            }
            _ => Ok(true),
        }
    }

    fn object_rule(
        &mut self,
        rule: &Rule,
        (value, members): (&Value, &Map<String, Value>),
        path: Path<'_>,
        report: &mut Report,
    ) -> Result<bool, Stop> {
        let length = members.len() as u64;
        match rule {
            Rule::MinProperties(least) if length < *least => {
                report.wrong(path, || format!("has fewer than {least} members"))
            }
            Rule::MaxProperties(most) if length > *most => {
                report.wrong(path, || format!("has more than {most} members"))
            }
            Rule::Required(names) => self.required(names, members, path, report),
            Rule::DependentRequired(dependent) => {
                self.step(dependent.len() as u64)?;
                let mut all = true;
                for (_, names) in dependent.iter().filter(|(name, _)| members.contains_key(*name)) {
                    all &= self.required(names, members, path, report)?;
                }
                Ok(all)
            }
            Rule::DependentSchemas(dependent) => {
                self.step(dependent.len() as u64)?;
                let there = dependent.iter().filter(|(name, _)| members.contains_key(*name));
                let places: Vec<Place> = there.map(|(_, place)| *place).collect();
                self.all(&places, value, path, report)
            }
            Rule::PropertyNames(place) => {
                let mut all = true;
                for name in members.keys() {
                    self.step(1 + steps_of_text(name))?;
                    if !self.holds(*place, &Value::from(name.as_str()))? {
                        all = report.wrong(Path::Member(&path, name), || "has a name that does not fit".to_owned())?;
                    }
                    if !report.goes_on(all) {
                        break;
                    }
                }
                Ok(all)
            }
            Rule::Properties { named, patterns, others } => {
                let mut all = true;
                for (name, member) in members {
                    self.step(1 + patterns.len() as u64 * (1 + PATTERN_STEPS * steps_of_text(name)))?;
                    let here = Path::Member(&path, name);
                    let places = places_of(name, named, patterns, *others);
                    all &= self.all(&places, member, here, report)?;
                    if !report.goes_on(all) {
                        break;
                    }
                }
                Ok(all)
            }
            _ => Ok(true),
        }
    }

    fn required(
        &mut self,
        names: &[String],
        members: &Map<String, Value>,
        path: Path<'_>,
        report: &mut Report,
    ) -> Result<bool, Stop> {
        self.step(names.len() as u64)?;
        let mut all = true;
        for name in names.iter().filter(|name| !members.contains_key(*name)) {
            all = report.wrong(path, || format!("needs `{}`", shortened(name)))?;
            if !report.goes_on(all) {
                break;
            }
        }
        Ok(all)
    }
}

/// The subschemas that a member of this name has to fit.
fn places_of(
    name: &str,
    named: &BTreeMap<String, Place>,
    patterns: &[(Pattern, Place)],
    others: Option<Place>,
) -> Vec<Place> {
    let matching = patterns.iter().filter(|(pattern, _)| pattern.is_match(name)).map(|(_, place)| *place);
    let mut places: Vec<Place> = named.get(name).copied().into_iter().chain(matching).collect();
    if places.is_empty() {
        places.extend(others);
    }
    places
}

fn number_rule(rule: &Rule, number: &Number, path: Path<'_>, report: &mut Report) -> Result<bool, Stop> {
    let against = |bound: &Number| compare(number, bound);
    match rule {
        Rule::Minimum(bound) if against(bound) == Ordering::Less => {
            report.wrong(path, || format!("is less than {bound}"))
        }
        Rule::ExclusiveMinimum(bound) if against(bound) != Ordering::Greater => {
            report.wrong(path, || format!("is not more than {bound}"))
        }
        Rule::Maximum(bound) if against(bound) == Ordering::Greater => {
            report.wrong(path, || format!("is more than {bound}"))
        }
        Rule::ExclusiveMaximum(bound) if against(bound) != Ordering::Less => {
            report.wrong(path, || format!("is not less than {bound}"))
        }
        Rule::MultipleOf(of) if !is_multiple(number, of) => report.wrong(path, || format!("is no multiple of {of}")),
        _ => Ok(true),
    }
}

impl Path<'_> {
    fn pointer(self) -> String {
        let mut parts = Vec::new();
        let mut at = self;
        loop {
            at = match at {
                Path::Root => break,
                Path::Member(before, name) => {
                    parts.push(escaped(name));
                    *before
                }
                Path::Item(before, place) => {
                    parts.push(place.to_string());
                    *before
                }
            };
        }
        let mut pointer = String::new();
        for part in parts.iter().rev() {
            pointer.push('/');
            pointer.push_str(part);
        }
        bounded(pointer, POINTER_BYTES_MAX)
    }
}

fn shortened(text: &str) -> String {
    bounded(text.to_owned(), 100)
}

fn bounded(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}
