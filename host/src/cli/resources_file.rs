//! A file of resources: TOML in, a list of PUTs out, in the order in which they can be applied. Pure, but for the values that the file
//! takes from the environment, which come in as a function.
//!
//! The file mirrors the paths of the admin interface: `[tenants.acme.sources.github]` is `PUT /v1/tenants/acme/sources/github`.

use super::upload_query;
use crate::config::{Invalid, Kind, ModuleOptions, parse, parse_as};
use crate::model::TenantName;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;
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

/// A mistake in the file, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) struct Mistake {
    file: String,
    line: Option<usize>,
    keys: String,
    message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))?;
        write!(f, ": {}{}{}", self.keys, if self.keys.is_empty() { "" } else { ": " }, self.message)
    }
}

/// A file that was read.
pub(super) struct ResourcesFile<'a> {
    name: &'a str,
    text: &'a str,
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

    /// The resources of the file, those first that others refer to.
    ///
    /// # Errors
    /// The first mistake in it.
    pub(super) fn resources(&self, env: impl Fn(&str) -> Option<String>) -> Result<Vec<Resource>, Mistake> {
        let table: toml::Table = toml::from_str(self.text).map_err(|error| {
            let line = error.span().map(|span| self.line_at(span.start));
            Mistake { file: self.name.to_owned(), line, keys: String::new(), message: error.message().to_owned() }
        })?;
        let mut all: Vec<(u8, Resource)> = Vec::new();
        for (key, value) in &table {
            match key.as_str() {
                "operator" => self.scope(&["operator".to_owned()], "/v1/operator", value, &env, &mut all)?,
                "tenants" => {
                    for (tenant, value) in self.table(&["tenants".to_owned()], value)? {
                        let keys = ["tenants".to_owned(), tenant.clone()];
                        self.check_name(&keys, tenant)?;
                        self.scope(&keys, &format!("/v1/tenants/{tenant}"), value, &env, &mut all)?;
                    }
                }
                other => {
                    let message = "is not known here; a file has [operator.…] and [tenants.…]";
                    return Err(self.mistake(&[other.to_owned()], "", message));
                }
            }
        }
        // A stable sort: within a kind the file's own order stays.
        all.sort_by_key(|(order, _)| *order);
        Ok(all.into_iter().map(|(_, resource)| resource).collect())
    }

    /// A mistake in the resource at `keys`, at the JSON pointer `pointer` in it.
    pub(super) fn mistake(&self, keys: &[String], pointer: &str, message: &str) -> Mistake {
        let inner = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
        let path: Vec<String> = keys.iter().cloned().chain(inner).collect();
        let line = self.line_of(&path);
        Mistake { file: self.name.to_owned(), line, keys: path.join("."), message: message.to_owned() }
    }

    fn scope(
        &self,
        keys: &[String],
        path: &str,
        value: &toml::Value,
        env: &impl Fn(&str) -> Option<String>,
        all: &mut Vec<(u8, Resource)>,
    ) -> Result<(), Mistake> {
        let operator = keys.len() == 1;
        let mut own = Map::new();
        for (key, value) in self.table(keys, value)? {
            let here: Vec<String> = keys.iter().cloned().chain([key.clone()]).collect();
            match SECTIONS.iter().find(|(section, _)| section == key) {
                Some((section, kind)) if !operator || *kind == Kind::Module => {
                    for (name, value) in self.table(&here, value)? {
                        let keys: Vec<String> = here.iter().cloned().chain([name.clone()]).collect();
                        if *kind != Kind::EventType {
                            self.check_name(&keys, name)?;
                        }
                        let json = self.json(&keys, value, env)?;
                        let content = self.content(&keys, *kind, json)?;
                        let order = *kind as u8 + u8::from(!operator);
                        all.push((
                            order,
                            Resource { path: format!("{path}/{section}/{}", segment(name)), keys, content },
                        ));
                    }
                }
                _ if operator => {
                    return Err(self.mistake(&here, "", "is not known here; the operator's scope has modules"));
                }
                _ => {
                    own.insert(key.clone(), self.json(&here, value, env)?);
                }
            }
        }
        if !operator {
            let content = self.content(keys, Kind::Tenant, Value::Object(own))?;
            all.push((0, Resource { path: path.to_owned(), keys: keys.to_vec(), content }));
        }
        Ok(())
    }

    /// One rule for all names. A name becomes a part of a path: what is none must not lead elsewhere.
    fn check_name(&self, keys: &[String], name: &str) -> Result<(), Mistake> {
        name.parse::<TenantName>().map(drop).map_err(|error| self.mistake(keys, "", &error.to_string()))
    }

    fn content(&self, keys: &[String], kind: Kind, json: Value) -> Result<Content, Mistake> {
        // The host reads it in the same way: what it would refuse for its form is found here, with its line, before anything is sent.
        let text = json.to_string();
        let content = match kind {
            Kind::Module => parse_as(text.as_bytes()).map(Content::Module),
            _ => parse(kind, text.as_bytes()).map(|_| Content::Spec(json)),
        };
        content.map_err(|Invalid { pointer, message }| self.mistake(keys, &pointer, strip_place(&message)))
    }

    fn table<'t>(&self, keys: &[String], value: &'t toml::Value) -> Result<&'t toml::Table, Mistake> {
        value.as_table().ok_or_else(|| self.mistake(keys, "", "is not a table"))
    }

    /// A TOML value as JSON. Outside of module settings, schemas and their examples, labels and the table of headers `{ env = "NAME" }` stands for a value of the environment.
    fn json(
        &self,
        keys: &[String],
        value: &toml::Value,
        env: &impl Fn(&str) -> Option<String>,
    ) -> Result<Value, Mistake> {
        let inner = |key: String, value| {
            let keys: Vec<String> = keys.iter().cloned().chain([key]).collect();
            self.json(&keys, value, env)
        };
        // A table whose keys people choose is never a reference itself: `labels = { env = "prod" }` is a label.
        let chosen_keys = keys.last().is_some_and(|key| key == "labels" || key == "headers");
        let plain = chosen_keys || keys.iter().any(|key| PLAIN.contains(&key.as_str()));
        Ok(match value {
            toml::Value::Table(table) => match table.get("env") {
                Some(toml::Value::String(name)) if table.len() == 1 && !plain => Value::String(
                    env(name).ok_or_else(|| self.mistake(keys, "", &format!("the environment has no `{name}`")))?,
                ),
                _ => {
                    let members = table.iter().map(|(key, value)| Ok((key.clone(), inner(key.clone(), value)?)));
                    Value::Object(members.collect::<Result<_, Mistake>>()?)
                }
            },
            toml::Value::Array(items) => {
                let items = items.iter().enumerate().map(|(index, value)| inner(index.to_string(), value));
                Value::Array(items.collect::<Result<_, Mistake>>()?)
            }
            toml::Value::String(text) => Value::String(text.clone()),
            toml::Value::Integer(number) => Value::from(*number),
            toml::Value::Boolean(truth) => Value::Bool(*truth),
            toml::Value::Float(number) => serde_json::Number::from_f64(*number)
                .map(Value::Number)
                .ok_or_else(|| self.mistake(keys, "", "is not a number that JSON has"))?,
            toml::Value::Datetime(_) => return Err(self.mistake(keys, "", "JSON has no dates: write it as a string")),
        })
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

/// serde_json's words without the place in a JSON text that nobody has seen.
fn strip_place(message: &str) -> &str {
    message.find(" at line ").and_then(|end| message.get(..end)).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const GOOD: &str = r#"
[operator.modules.match]
file = "match.wasm"

[tenants.acme.routes.all]
source = "in"
steps = [ { module = "operator/match", settings = { env = "kept" } } ]
to = { endpoints = ["out"] }

[tenants.acme.sources.in]
verify = { scheme = "github", secrets = [{ env = "SECRET" }] }

[tenants.acme.endpoints.out]
url = { env = "URL" }
"#;

    fn read(text: &str) -> Result<Vec<Resource>, String> {
        let env = |name: &str| (name != "MISSING").then(|| format!("http://{}.example/", name.to_lowercase()));
        ResourcesFile::new("r.toml", text).resources(env).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn resources_come_in_the_order_in_which_they_can_be_applied() {
        let resources = read(GOOD).unwrap();
        let paths: Vec<_> = resources.iter().map(|resource| resource.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/v1/tenants/acme",
                "/v1/operator/modules/match",
                "/v1/tenants/acme/sources/in",
                "/v1/tenants/acme/endpoints/out",
                "/v1/tenants/acme/routes/all",
            ]
        );
        let Content::Module(module) = &resources[1].content else { panic!("a module is a file") };
        assert_eq!((module.file.as_str(), module.query().as_str()), ("match.wasm", ""));
        assert_eq!(resources[3].content, Content::Spec(json!({ "url": "http://url.example/" })));
        let Content::Spec(route) = &resources[4].content else { panic!("a route is a spec") };
        assert_eq!(route["steps"][0]["settings"], json!({ "env": "kept" }));
    }

    #[test]
    fn the_name_of_an_event_type_leads_nowhere_else() {
        let text = "[tenants.acme.event-types.\"orders/create\"]\nexamples = [{ env = \"prod\" }]\n[tenants.acme.event-types.\"..\"]\n";
        let resources = read(text).unwrap();
        let paths: Vec<_> = resources[1..].iter().map(|resource| resource.path.as_str()).collect();
        assert_eq!(paths, ["/v1/tenants/acme/event-types/%2E%2E", "/v1/tenants/acme/event-types/orders%2Fcreate"]);
        let Content::Spec(spec) = &resources[2].content else { panic!("an event type is a spec") };
        assert_eq!(spec["examples"], json!([{ "env": "prod" }]));
    }

    #[test]
    fn a_label_or_header_named_env_is_no_reference() {
        let text = r#"
[tenants.acme.endpoints.out]
url = "http://x/"
labels = { env = "prod" }
headers = { env = "prod" }
[tenants.acme.endpoints.other]
url = "http://x/"
headers = { authorization = { env = "TOKEN" } }
"#;
        let resources = read(text).unwrap();
        let specs: Vec<_> = resources.iter().map(|resource| resource.content.clone()).collect();
        let plain = json!({ "env": "prod" });
        assert!(specs.contains(&Content::Spec(json!({ "url": "http://x/", "labels": plain, "headers": plain }))));
        let headers = json!({ "authorization": "http://token.example/" });
        assert!(specs.contains(&Content::Spec(json!({ "url": "http://x/", "headers": headers }))));
    }

    #[test]
    fn a_mistake_is_told_with_file_line_and_keys() {
        let cases = [
            ("[tenants.acme\n", "r.toml:1: "),
            ("\n[tenant.acme]\n", "r.toml:2: tenant: is not known here"),
            ("[operator.sources.x]\n", "r.toml:1: operator.sources: is not known here"),
            ("[tenants.acme.endpoints.e]\nurl = 3\n", "r.toml:2: tenants.acme.endpoints.e.url: invalid type"),
            (
                "[tenants.acme.endpoints.e]\nurl = \"http://x\"\nlables = {}\n",
                "r.toml:3: tenants.acme.endpoints.e.lables: unknown field",
            ),
            ("[tenants.acme.endpoints.e]\n", "r.toml:1: tenants.acme.endpoints.e: missing field `url`"),
            (
                "[tenants.acme.endpoints.e]\nurl = { env = \"MISSING\" }\n",
                "r.toml:2: tenants.acme.endpoints.e.url: the environment has no `MISSING`",
            ),
            ("[tenants.acme.modules.m]\nfile = 3\n", "r.toml:2: tenants.acme.modules.m.file: invalid type"),
            (
                "[tenants.acme.modules.m]\nfile = \"m\"\nmax_time = 3\n",
                "r.toml:3: tenants.acme.modules.m.max_time: unknown field",
            ),
            (
                "[tenants.\"../operator\".modules.m]\nfile = \"m\"\n",
                "r.toml:1: tenants.../operator: `../operator` is not a name",
            ),
            ("[tenants.acme.endpoints.\"a/b\"]\n", "r.toml:1: tenants.acme.endpoints.a/b: `a/b` is not a name"),
            ("[tenants.acme]\ntitle = 2020-01-01\n", "r.toml:2: tenants.acme.title: JSON has no dates"),
            (
                "[tenants.acme.routes.r]\nsource = \"s\"\nsteps = [\n  { module = \"a\" },\n  { modul = \"b\" },\n]\n",
                "r.toml:5: tenants.acme.routes.r.steps.1",
            ),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}\nshould begin with\n{expected}");
        }
    }
}
