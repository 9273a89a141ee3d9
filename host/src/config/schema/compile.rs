//! From a schema's JSON to its rules. Each place of it is compiled once, however often it is referred to.

use super::pattern::Pattern;
use super::value::{Types, counted};
use super::{Node, PATTERNS_MAX, Place, Rule, SCHEMA_BYTES_MAX, Schema};
use crate::config::Invalid;
use crate::config::resolve::escaped;
use serde_json::{Map, Number, Value};
use std::collections::{BTreeMap, HashMap};

/// How draft 2020-12 names itself.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Keywords that would change what fits, and are not supported, with what there is in their place.
const UNSUPPORTED: [(&str, &str); 6] = [
    ("unevaluatedProperties", "use `additionalProperties`"),
    ("unevaluatedItems", "use `items`"),
    ("$dynamicRef", "use `$ref`"),
    ("$recursiveRef", "use `$ref`"),
    ("dependencies", "use `dependentRequired` or `dependentSchemas`"),
    ("additionalItems", "use `items`, which is for those behind `prefixItems`"),
];

/// How deep subschemas may lie in one another, references followed.
const DEPTH_MAX: u32 = 128;

struct Compiler<'a> {
    root: &'a Value,
    depth: u32,
    nodes: Vec<Node>,
    /// Where the subschema at a pointer is.
    known: HashMap<String, Place>,
    patterns: usize,
}

/// A schema's object, and where it stands.
struct At<'a> {
    members: &'a Map<String, Value>,
    pointer: &'a str,
}

pub(super) fn compile(schema: &Value) -> Result<Schema, Invalid> {
    let bytes = schema.to_string().len();
    if bytes > SCHEMA_BYTES_MAX {
        return Err(Invalid::new("", format!("has {bytes} bytes; at most {SCHEMA_BYTES_MAX} are allowed")));
    }
    let mut compiler = Compiler { root: schema, depth: 0, nodes: Vec::new(), known: HashMap::new(), patterns: 0 };
    compiler.place(schema, String::new())?;
    Ok(Schema { nodes: compiler.nodes, bytes, patterns: compiler.patterns })
}

impl Compiler<'_> {
    /// Where a subschema is, compiled now or before.
    fn place(&mut self, schema: &Value, pointer: String) -> Result<Place, Invalid> {
        if let Some(place) = self.known.get(&pointer) {
            return Ok(*place);
        }
        // Before what it refers to, which may be itself.
        let place = self.nodes.len();
        self.nodes.push(Node::Always(true));
        self.known.insert(pointer.clone(), place);
        let node = match schema {
            Value::Bool(always) => Node::Always(*always),
            Value::Object(_) if self.depth >= DEPTH_MAX => {
                return Err(Invalid::new(pointer, format!("lies deeper than {DEPTH_MAX} schemas in one another")));
            }
            Value::Object(members) => {
                self.depth += 1;
                let rules = self.rules(&At { members, pointer: &pointer })?;
                self.depth -= 1;
                Node::Rules(rules)
            }
            _ => return Err(Invalid::new(pointer, "is no schema: an object, `true` or `false`")),
        };
        if let Some(there) = self.nodes.get_mut(place) {
            *there = node;
        }
        Ok(place)
    }

    fn rules(&mut self, at: &At<'_>) -> Result<Vec<Rule>, Invalid> {
        check_dialect(at)?;
        let mut rules = Vec::new();
        if let Some(target) = at.text("$ref")? {
            rules.push(Rule::All(vec![self.referred(target, at)?]));
        }
        values(at, &mut rules)?;
        numbers(at, &mut rules)?;
        self.strings(at, &mut rules)?;
        self.arrays(at, &mut rules)?;
        self.objects(at, &mut rules)?;
        self.combined(at, &mut rules)?;
        Ok(rules)
    }

    fn strings(&mut self, at: &At<'_>, rules: &mut Vec<Rule>) -> Result<(), Invalid> {
        rules.extend(at.count("minLength")?.map(Rule::MinLength));
        rules.extend(at.count("maxLength")?.map(Rule::MaxLength));
        if let Some(pattern) = at.text("pattern")? {
            rules.push(Rule::Pattern(self.regex(pattern, &at.place("pattern"))?));
        }
        Ok(())
    }

    fn arrays(&mut self, at: &At<'_>, rules: &mut Vec<Rule>) -> Result<(), Invalid> {
        rules.extend(at.count("minItems")?.map(Rule::MinItems));
        rules.extend(at.count("maxItems")?.map(Rule::MaxItems));
        if at.truth("uniqueItems")? {
            rules.push(Rule::UniqueItems);
        }
        let first = self.list("prefixItems", at)?.unwrap_or_default();
        if matches!(at.members.get("items"), Some(Value::Array(_))) {
            return Err(at.wrong("items", "is a list: draft 2020-12 has `prefixItems` for that"));
        }
        let others = self.one("items", at)?;
        if !first.is_empty() || others.is_some() {
            rules.push(Rule::Items { first, others });
        }
        if let Some(what) = self.one("contains", at)? {
            let least = at.count("minContains")?.unwrap_or(1);
            rules.push(Rule::Contains { what, least, most: at.count("maxContains")? });
        }
        Ok(())
    }

    fn objects(&mut self, at: &At<'_>, rules: &mut Vec<Rule>) -> Result<(), Invalid> {
        rules.extend(at.count("minProperties")?.map(Rule::MinProperties));
        rules.extend(at.count("maxProperties")?.map(Rule::MaxProperties));
        if at.members.contains_key("required") {
            rules.push(Rule::Required(at.texts("required")?));
        }
        let named = self.named("properties", at)?.unwrap_or_default();
        let mut patterns = Vec::new();
        for (pattern, place) in self.named("patternProperties", at)?.unwrap_or_default() {
            let pointer = format!("{}/{}", at.place("patternProperties"), escaped(&pattern));
            patterns.push((self.regex(&pattern, &pointer)?, place));
        }
        let others = self.one("additionalProperties", at)?;
        if !named.is_empty() || !patterns.is_empty() || others.is_some() {
            rules.push(Rule::Properties { named, patterns, others });
        }
        rules.extend(self.one("propertyNames", at)?.map(Rule::PropertyNames));
        if let Some(dependent) = at.object("dependentRequired")? {
            let pointer = at.place("dependentRequired");
            let inner = At { members: dependent, pointer: &pointer };
            let each = dependent.keys().map(|name| Ok((name.clone(), inner.texts(name)?)));
            rules.push(Rule::DependentRequired(each.collect::<Result<_, Invalid>>()?));
        }
        rules.extend(self.named("dependentSchemas", at)?.map(Rule::DependentSchemas));
        Ok(())
    }

    fn combined(&mut self, at: &At<'_>, rules: &mut Vec<Rule>) -> Result<(), Invalid> {
        rules.extend(self.list("allOf", at)?.map(Rule::All));
        rules.extend(self.list("anyOf", at)?.map(Rule::Any));
        rules.extend(self.list("oneOf", at)?.map(Rule::One));
        rules.extend(self.one("not", at)?.map(Rule::Not));
        let (then, otherwise) = (self.one("then", at)?, self.one("else", at)?);
        if let Some(holds) = self.one("if", at)? {
            rules.push(Rule::If { holds, then, otherwise });
        }
        Ok(())
    }

    /// The subschema that a keyword is.
    fn one(&mut self, keyword: &str, at: &At<'_>) -> Result<Option<Place>, Invalid> {
        at.members.get(keyword).map(|schema| self.place(schema, at.place(keyword))).transpose()
    }

    /// Those that it lists.
    fn list(&mut self, keyword: &str, at: &At<'_>) -> Result<Option<Vec<Place>>, Invalid> {
        let Some(value) = at.members.get(keyword) else { return Ok(None) };
        let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
            return Err(at.wrong(keyword, "has to be a list of schemas, with one at least"));
        };
        let each = items.iter().enumerate().map(|(n, item)| self.place(item, format!("{}/{n}", at.place(keyword))));
        each.collect::<Result<_, _>>().map(Some)
    }

    /// Those that it names.
    fn named(&mut self, keyword: &str, at: &At<'_>) -> Result<Option<BTreeMap<String, Place>>, Invalid> {
        let Some(members) = at.object(keyword)? else { return Ok(None) };
        let pointer = at.place(keyword);
        let each = members
            .iter()
            .map(|(name, schema)| Ok((name.clone(), self.place(schema, format!("{pointer}/{}", escaped(name)))?)));
        each.collect::<Result<_, _>>().map(Some)
    }

    /// The subschema that `$ref` leads to.
    fn referred(&mut self, target: &str, at: &At<'_>) -> Result<Place, Invalid> {
        let Some(fragment) = target.strip_prefix('#').filter(|place| place.is_empty() || place.starts_with('/')) else {
            return Err(at.wrong(
                "$ref",
                "leads out of the schema, or to an anchor: only `#` and `#/…`, places in the schema itself, are followed; nothing is fetched",
            ));
        };
        let root = self.root;
        let found = percent_decoded(fragment).and_then(|pointer| Some((root.pointer(&pointer)?, pointer)));
        let (schema, pointer) = found.ok_or_else(|| at.wrong("$ref", "leads to nothing in the schema"))?;
        self.place(schema, pointer)
    }

    fn regex(&mut self, pattern: &str, pointer: &str) -> Result<Pattern, Invalid> {
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            let message =
                format!("is one regular expression more than {PATTERNS_MAX}, the most that a schema may have");
            return Err(Invalid::new(pointer, message));
        }
        Pattern::compile(pattern)
            .map_err(|what| Invalid::new(pointer, format!("is no regular expression that the host takes: {what}")))
    }
}

fn check_dialect(at: &At<'_>) -> Result<(), Invalid> {
    for (keyword, instead) in UNSUPPORTED {
        if at.members.contains_key(keyword) {
            return Err(at.wrong(keyword, &format!("is not supported here: {instead}")));
        }
    }
    if at.text("$schema")?.is_some_and(|dialect| dialect.trim_end_matches('#') != DIALECT) {
        return Err(at.wrong("$schema", &format!("is not `{DIALECT}`, which is what the host reads")));
    }
    if at.text("$id")?.is_some() && !at.pointer.is_empty() {
        return Err(at.wrong("$id", "makes a schema of its own within this one: leave it out"));
    }
    Ok(())
}

fn values(at: &At<'_>, rules: &mut Vec<Rule>) -> Result<(), Invalid> {
    let names: Vec<&str> = match at.members.get("type") {
        None => Vec::new(),
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) if !names.is_empty() => {
            names.iter().map(|name| name.as_str().unwrap_or("")).collect()
        }
        Some(_) => return Err(at.wrong("type", "has to be the name of a type, or a list of them")),
    };
    let all = names.iter().try_fold(Types::default(), |types, name| types.with(name));
    let all = all.ok_or_else(|| {
        at.wrong("type", "is none of `null`, `boolean`, `object`, `array`, `number`, `integer` and `string`")
    })?;
    if !names.is_empty() {
        rules.push(Rule::Type(all));
    }
    rules.extend(at.members.get("const").cloned().map(Rule::Const));
    match at.members.get("enum") {
        None => Ok(()),
        Some(Value::Array(values)) => {
            rules.push(Rule::Enum(values.clone()));
            Ok(())
        }
        Some(_) => Err(at.wrong("enum", "has to be a list of values")),
    }
}

fn numbers(at: &At<'_>, rules: &mut Vec<Rule>) -> Result<(), Invalid> {
    rules.extend(at.number("minimum")?.map(Rule::Minimum));
    rules.extend(at.number("exclusiveMinimum")?.map(Rule::ExclusiveMinimum));
    rules.extend(at.number("maximum")?.map(Rule::Maximum));
    rules.extend(at.number("exclusiveMaximum")?.map(Rule::ExclusiveMaximum));
    if let Some(of) = at.number("multipleOf")? {
        if of.as_f64().is_none_or(|of| of <= 0.0) {
            return Err(at.wrong("multipleOf", "has to be a number above 0"));
        }
        rules.push(Rule::MultipleOf(of));
    }
    Ok(())
}

impl At<'_> {
    fn place(&self, keyword: &str) -> String {
        format!("{}/{}", self.pointer, escaped(keyword))
    }

    fn wrong(&self, keyword: &str, message: &str) -> Invalid {
        Invalid::new(self.place(keyword), message)
    }

    fn text(&self, keyword: &str) -> Result<Option<&str>, Invalid> {
        let value = self.members.get(keyword);
        value.map(|value| value.as_str().ok_or_else(|| self.wrong(keyword, "has to be a string"))).transpose()
    }

    fn texts(&self, keyword: &str) -> Result<Vec<String>, Invalid> {
        let texts =
            self.members.get(keyword).and_then(Value::as_array).and_then(|items| {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
            });
        texts.ok_or_else(|| self.wrong(keyword, "has to be a list of strings"))
    }

    fn truth(&self, keyword: &str) -> Result<bool, Invalid> {
        let value = self.members.get(keyword);
        value.map_or(Ok(false), |value| {
            value.as_bool().ok_or_else(|| self.wrong(keyword, "has to be `true` or `false`"))
        })
    }

    fn number(&self, keyword: &str) -> Result<Option<Number>, Invalid> {
        match self.members.get(keyword) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.clone())),
            Some(_) => Err(self.wrong(keyword, "has to be a number")),
        }
    }

    fn count(&self, keyword: &str) -> Result<Option<u64>, Invalid> {
        let value = self.members.get(keyword);
        value
            .map(|value| counted(value).ok_or_else(|| self.wrong(keyword, "has to be a whole number from 0 on")))
            .transpose()
    }

    fn object(&self, keyword: &str) -> Result<Option<&Map<String, Value>>, Invalid> {
        let value = self.members.get(keyword);
        value.map(|value| value.as_object().ok_or_else(|| self.wrong(keyword, "has to be an object"))).transpose()
    }
}

/// A URI's fragment as the pointer that it stands for; none where it is not one.
fn percent_decoded(fragment: &str) -> Option<String> {
    let mut bytes = fragment.bytes();
    let mut decoded = Vec::with_capacity(fragment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}
