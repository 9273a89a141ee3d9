//! Settings: JSON of the kind that our own modules take, broken as a text and as JSON, for every module that `make wasm` built.
//! A module takes its settings or refuses them; it does neither trap nor run out of anything.

use super::{Random, Target, runtime, target_dir};
use hookswitch::runtime::{Module, Runtime};
use serde_json::{Value, json};

pub(crate) struct Settings {
    modules: Vec<(String, Module)>,
    seeds: Vec<Value>,
    _runtime: Runtime,
}

impl Settings {
    pub(crate) fn new() -> Self {
        let (runtime, dir) = (runtime(), target_dir().join("guests"));
        let files =
            std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}; run `make wasm`", dir.display()));
        let wasm = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "wasm"));
        let compile = |path: std::path::PathBuf| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, runtime.compile(&std::fs::read(path).unwrap()).unwrap())
        };
        let mut modules: Vec<_> = wasm.map(compile).collect();
        modules.sort_by(|one, other| one.0.cmp(&other.0));
        let seeds = vec![
            json!({}),
            json!(null),
            json!({ "pointer": "/amount", "gte": 100 }),
            json!({ "all": [{ "pointer": "/a", "equals": { "b": [1, 2.5, null] } }, { "not": { "event": "type", "in": ["push"] } }] }),
            json!({ "template": { "total": { "$pointer": "/amount" }, "by": "${/who}" }, "each": "/items", "event_type": "item" }),
            json!({ "do": "spin", "rounds": 1 }),
            json!({ "name": "team", "value": "core" }),
            json!({ "channel": "#dev", "fields": ["/password"], "rate": 0.5, "key": "/id", "window_s": 60, "items": 10 }),
            json!({ "pointer": "/x", "matches": "^(a+)+$" }),
        ];
        Self { modules, seeds, _runtime: runtime }
    }

    fn value(&self, random: &mut Random, depth: usize) -> Value {
        match random.below(9) {
            0 => Value::Null,
            1 => json!(random.one_in(2)),
            2 => json!(random.number()),
            3 => json!(f64::from(random.number()) * 1e300),
            4 => json!("/".repeat(random.below(2000))),
            5 => json!(["/a~1b~0", "${/x}", "${", "(((((", "\\p{L}{1000}", "push.*", "ä\u{0}"][random.below(7)]),
            6 if depth > 0 => (0..random.below(4)).map(|_| self.value(random, depth - 1)).collect(),
            7 if depth > 0 => {
                let (a, b) = (random.of(&self.seeds).clone(), self.value(random, depth - 1));
                json!({ "not": a, "all": b, "template": a, "$each": b })
            }
            _ => random.of(&self.seeds).clone(),
        }
    }

    /// Puts something else somewhere into a value.
    fn break_in(&self, random: &mut Random, value: &mut Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() && !random.one_in(4) => {
                let at = random.below(fields.len());
                self.break_in(random, fields.values_mut().nth(at).unwrap());
            }
            Value::Array(items) if !items.is_empty() && !random.one_in(4) => {
                let at = random.below(items.len());
                self.break_in(random, &mut items[at]);
            }
            other => *other = self.value(random, 3),
        }
    }
}

impl Target for Settings {
    fn make(&mut self, random: &mut Random) -> Vec<u8> {
        if random.one_in(50) {
            // Deep enough to be a danger to whoever reads it by recursion.
            let depth = random.below(50_000);
            return ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes();
        }
        let mut value = random.of(&self.seeds).clone();
        (0..random.below(4)).for_each(|_| self.break_in(random, &mut value));
        let mut text = value.to_string().into_bytes();
        if random.one_in(2) {
            (0..=random.below(3)).for_each(|_| random.mutate(&mut text));
        }
        text
    }

    fn throw(&mut self, input: &[u8]) -> Result<&'static str, String> {
        let text = String::from_utf8_lossy(input);
        let mut end = "refused by all";
        for (name, module) in &self.modules {
            match module.configure(&text).result {
                Ok(()) => end = "taken by some",
                Err(error) if error.code() == "settings_invalid" => {}
                Err(error) => return Err(format!("{name}: {}: {error}", error.code())),
            }
        }
        Ok(end)
    }
}
