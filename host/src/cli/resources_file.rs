//! A file of resources: TOML in, a list of PUTs out, in the order in which they can be applied. Pure, but for the values that the file
//! takes from the environment, which come in as a function.
//!
//! All mistakes of a file are found at once: whoever mends one is not to come back for the next.
//!
//! The file mirrors the paths of the admin interface: `[tenants.acme.sources.github]` is `PUT /v1/tenants/acme/sources/github`.

mod mistake;

pub(super) use mistake::{Mistake, Mistakes};

use super::upload_query;
use crate::config::{Invalid, Kind, ModuleOptions, parse, parse_as};
use crate::model::TenantName;
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// Where a table `{ env = "NAME" }` is what it says.
const PLAIN: [&str; 3] = ["settings", "schema", "examples"];

/// One resource of the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    /// Where it is put, from `/v1` on.
    pub(super) path: String,
    /// The keys that lead to it in the file.
    pub(super) keys: Vec<String>,
    /// What it says.
    pub(super) content: Content,
}

/// What a resource says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// JSON.
    Spec(Value),
    /// A tenant of which the file says nothing but that it has what stands below it: it is made where it is not there, and otherwise left as
    /// it is.
    Implied,
    /// A module.
    Module(ModuleFile),
}

/// A module as the file has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModuleFile {
    /// Where its bytes are, as seen from the file of resources.
    pub(super) file: String,
    max_time_ms: Option<u64>,
    quarantine_after: Option<u32>,
    rollback_on_quarantine: Option<bool>,
}

impl ModuleFile {
    /// What is said of the module beside its bytes, as the upload's query has it.
    pub(super) fn query(&self) -> String {
        let Self { max_time_ms, quarantine_after, rollback_on_quarantine, .. } = *self;
        upload_query(&ModuleOptions { max_time_ms, quarantine_after, rollback_on_quarantine }).join("&")
    }
}

/// A file that was read.
pub(super) struct ResourcesFile<'a> {
    name: &'a str,
    text: &'a str,
}

/// What was found in it.
struct Found {
    /// Each with its place in the order.
    all: Vec<(u8, Resource)>,
    mistakes: Mistakes,
}

const SECTIONS: [(&str, Kind); 5] = [
    ("modules", Kind::Module),
    ("event-types", Kind::EventType),
    ("sources", Kind::Source),
    ("endpoints", Kind::Endpoint),
    ("routes", Kind::Route),
];

impl<'a> ResourcesFile<'a> {
    pub(super) const fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text }
    }

    /// The resources of the file, those first that others refer to; and every mistake in it.
    pub(super) fn resources(&self, env: impl Fn(&str) -> Option<String>) -> (Vec<Resource>, Mistakes) {
        let mut found = Found { all: Vec::new(), mistakes: Mistakes::default() };
        match toml::from_str::<toml::Table>(self.text) {
            Ok(table) => self.read(&table, &env, &mut found),
            Err(error) => {
                let line = error.span().map(|span| self.line_at(span.start));
                found.mistakes.add(Mistake::new(self.name, line, String::new(), error.message()));
            }
        }
        // A stable sort: within a kind the file's own order stays.
        found.all.sort_by_key(|(order, _)| *order);
        (found.all.into_iter().map(|(_, resource)| resource).collect(), found.mistakes)
    }

    fn read(&self, table: &toml::Table, env: &impl Fn(&str) -> Option<String>, found: &mut Found) {
        if table.is_empty() {
            let message = "there is nothing in it; a file has [operator.…] and [tenants.…]";
            found.mistakes.add(Mistake::new(self.name, None, String::new(), message));
        }
        for (key, value) in table {
            match key.as_str() {
                "operator" => self.scope(&["operator".to_owned()], "/v1/operator", value, env, found),
                "tenants" => {
                    for (tenant, value) in self.table(&["tenants".to_owned()], value, found).into_iter().flatten() {
                        let keys = ["tenants".to_owned(), tenant.clone()];
                        if self.check_name(&keys, tenant, found) {
                            self.scope(&keys, &format!("/v1/tenants/{tenant}"), value, env, found);
                        }
                    }
                }
                other => {
                    let message = "is not known here; a file has [operator.…] and [tenants.…]";
                    found.mistakes.add(self.mistake(&[other.to_owned()], "", message));
                }
            }
        }
    }

    /// A mistake in the resource at `keys`, at the JSON pointer `pointer` in it.
    pub(super) fn mistake(&self, keys: &[String], pointer: &str, message: &str) -> Mistake {
        let inner = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
        let path: Vec<String> = keys.iter().cloned().chain(inner).collect();
        let line = self.line_of(&path);
        Mistake::new(self.name, line, path.join("."), message)
    }

    fn scope(
        &self,
        keys: &[String],
        path: &str,
        value: &toml::Value,
        env: &impl Fn(&str) -> Option<String>,
        found: &mut Found,
    ) {
        let operator = keys.len() == 1;
        let (mut own, mut is_wrong) = (Map::new(), value.as_table().is_none());
        for (key, value) in self.table(keys, value, found).into_iter().flatten() {
            let here: Vec<String> = keys.iter().cloned().chain([key.clone()]).collect();
            match SECTIONS.iter().find(|(section, _)| section == key) {
                Some((section, kind)) if !operator || *kind == Kind::Module => {
                    let path = format!("{path}/{section}");
                    for (name, value) in self.table(&here, value, found).into_iter().flatten() {
                        self.one(&here, *kind, &path, (name, value), env, found);
                    }
                }
                _ if operator => {
                    found.mistakes.add(self.mistake(&here, "", "is not known here; the operator's scope has modules"));
                }
                _ => {
                    let known = found.mistakes.len();
                    own.insert(key.clone(), self.json(&here, value, env, &mut found.mistakes));
                    is_wrong |= found.mistakes.len() > known;
                }
            }
        }
        if operator || is_wrong {
            return;
        }
        let content = match own.is_empty() {
            true => Some(Content::Implied),
            false => self.content(keys, Kind::Tenant, Value::Object(own), found),
        };
        let resource = |content| (0, Resource { path: path.to_owned(), keys: keys.to_vec(), content });
        found.all.extend(content.map(resource));
    }

    /// One resource of the section that is put below `path`.
    fn one(
        &self,
        section: &[String],
        kind: Kind,
        path: &str,
        (name, value): (&String, &toml::Value),
        env: &impl Fn(&str) -> Option<String>,
        found: &mut Found,
    ) {
        let keys: Vec<String> = section.iter().cloned().chain([name.clone()]).collect();
        if kind != Kind::EventType && !self.check_name(&keys, name, found) {
            return;
        }
        let known = found.mistakes.len();
        let json = self.json(&keys, value, env, &mut found.mistakes);
        if found.mistakes.len() > known {
            return;
        }
        let in_operators_scope = section.first().is_some_and(|scope| scope == "operator");
        let order = kind as u8 + u8::from(!in_operators_scope);
        if let Some(content) = self.content(&keys, kind, json, found) {
            found.all.push((order, Resource { path: format!("{path}/{}", segment(name)), keys, content }));
        }
    }

    /// One rule for all names. A name becomes a part of a path: what is none must not lead elsewhere.
    fn check_name(&self, keys: &[String], name: &str, found: &mut Found) -> bool {
        let wrong = name.parse::<TenantName>().err();
        found.mistakes.extend(wrong.iter().map(|error| self.mistake(keys, "", &error.to_string())));
        wrong.is_none()
    }

    fn content(&self, keys: &[String], kind: Kind, json: Value, found: &mut Found) -> Option<Content> {
        // The host reads it in the same way: what it would refuse for its form is found here, with its line, before anything is sent.
        let text = json.to_string();
        let content = match kind {
            Kind::Module => parse_as(text.as_bytes()).map(Content::Module),
            _ => parse(kind, text.as_bytes()).map(|_| Content::Spec(json)),
        };
        let mistake = |Invalid { pointer, message }| self.mistake(keys, &pointer, &message);
        content.map_err(|invalid| found.mistakes.add(mistake(invalid))).ok()
    }

    fn table<'t>(&self, keys: &[String], value: &'t toml::Value, found: &mut Found) -> Option<&'t toml::Table> {
        let table = value.as_table();
        if table.is_none() {
            found.mistakes.add(self.mistake(keys, "", "is not a table"));
        }
        table
    }

    /// A TOML value as JSON, with null where there is a mistake. Outside of module settings, schemas and their examples, labels and the table of
    /// headers `{ env = "NAME" }` stands for a value of the environment.
    fn json(
        &self,
        keys: &[String],
        value: &toml::Value,
        env: &impl Fn(&str) -> Option<String>,
        mistakes: &mut Mistakes,
    ) -> Value {
        let inner = |key: String, value, mistakes: &mut Mistakes| {
            let keys: Vec<String> = keys.iter().cloned().chain([key]).collect();
            self.json(&keys, value, env, mistakes)
        };
        let mut wrong = |message: &str| {
            mistakes.add(self.mistake(keys, "", message));
            Value::Null
        };
        // A table whose keys people choose is never a reference itself: `labels = { env = "prod" }` is a label.
        let chosen_keys = keys.last().is_some_and(|key| key == "labels" || key == "headers");
        let plain = chosen_keys || keys.iter().any(|key| PLAIN.contains(&key.as_str()));
        match value {
            toml::Value::Table(table) => match table.get("env") {
                Some(toml::Value::String(name)) if table.len() == 1 && !plain => {
                    env(name).map_or_else(|| wrong(&format!("the environment has no `{name}`")), Value::String)
                }
                _ => table.iter().map(|(key, value)| (key.clone(), inner(key.clone(), value, mistakes))).collect(),
            },
            toml::Value::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, value)| inner(index.to_string(), value, mistakes)).collect()
            }
            toml::Value::String(text) => Value::String(text.clone()),
            toml::Value::Integer(number) => Value::from(*number),
            toml::Value::Boolean(truth) => Value::Bool(*truth),
            toml::Value::Float(number) => serde_json::Number::from_f64(*number)
                .map_or_else(|| wrong("is not a number that JSON has"), Value::Number),
            toml::Value::Datetime(_) => wrong("JSON has no dates: write it as a string"),
        }
    }

    /// The line of the innermost of these keys that the file has.
    fn line_of(&self, path: &[String]) -> Option<usize> {
        let root = DeTable::parse(self.text).ok()?;
        let mut table = Some(root.get_ref());
        let mut array: Option<&toml::de::DeArray<'_>> = None;
        let mut found = None;
        for key in path {
            let (start, value) = match (table, array) {
                (Some(table), _) => {
                    let Some((key, value)) = table.iter().find(|(name, _)| name.get_ref() == key) else { break };
                    (key.span().start, value)
                }
                (None, Some(array)) => {
                    let Some(value) = key.parse::<usize>().ok().and_then(|index| array.get(index)) else { break };
                    (value.span().start, value)
                }
                (None, None) => break,
            };
            found = Some(start);
            (table, array) = match value.get_ref() {
                DeValue::Table(table) => (Some(table), None),
                DeValue::Array(items) => (None, Some(items)),
                _ => (None, None),
            };
        }
        found.map(|start| self.line_at(start))
    }

    fn line_at(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// A name as one segment of a path: that of an event type may have a slash, or dots that would lead elsewhere.
fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let dots_only = name.bytes().all(|byte| byte == b'.');
    let encoded = name.bytes().map(|byte| match byte {
        b'.' if !dots_only => ".".to_owned(),
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests;
