//! Holds the layers of `host/src` to their order: a module may name only modules of layers below its own.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first. A module may use those of the lines before its own, and itself.
const LAYERS: [&[&str]; 10] = [
    &["clock", "model", "shutdown"],
    &["ids"],
    &["problem", "retry", "signing", "statistics", "telemetry"],
    &["config"],
    &["runtime", "server", "store", "transport"],
    // Within L3 the road has a direction: ingest hands events to the pipeline, jobs read its configuration, and a trial borrows its state.
    &["deliverer", "pipeline"],
    &["ingest", "jobs", "trial"],
    &["api"],
    &["app"],
    &["cli"],
];

/// Crates that only one layer may name.
const QUARANTINED: [(&str, &str); 8] = [
    ("wasmtime", "runtime"),
    ("rlimit", "runtime"),
    ("landlock", "runtime"),
    ("close_fds", "runtime"),
    ("sled", "store"),
    ("reqwest", "transport"),
    ("hickory_resolver", "transport"),
    ("tokio_rustls", "server"),
];

fn rank(module: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&module)).unwrap_or_else(|| panic!("`{module}` stands in no layer"))
}

fn sources() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut dirs = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let first = path.strip_prefix(&root).unwrap().components().next().unwrap();
                let module = first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
                found.push((module, path));
            }
        }
    }
    found.retain(|(module, _)| module != "lib" && module != "main");
    found
}

/// Every module of this crate that a text names as `crate::module`, also inside braces: `crate::{a, b::C}`.
fn named(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in text.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            names.push(identifier(rest));
            continue;
        };
        let (mut depth, mut at_start) = (0, true);
        for (index, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => at_start = true,
                c if at_start && (c.is_alphanumeric() || c == '_') => {
                    names.push(identifier(&group[index..]));
                    at_start = false;
                }
                _ => {}
            }
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The violations in a text of `module`.
fn violations(module: &str, text: &str) -> Vec<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let upward = named(&code).into_iter().filter(|other| other != module).filter(|other| rank(other) >= rank(module));
    let mut found: Vec<String> = upward.map(|other| format!("`{module}` names `{other}`")).collect();
    for (krate, owner) in QUARANTINED {
        let names_it = code.contains(&format!("{krate}::")) || code.contains(&format!("use {krate}"));
        if module != owner && names_it {
            found.push(format!("`{module}` names the crate {krate}, which is `{owner}`'s"));
        }
    }
    found
}

#[test]
fn a_layer_uses_only_layers_below_it() {
    let sources = sources();
    assert!(sources.len() > 30, "the sources are not where this test looks");
    let mut wrong = Vec::new();
    for (module, path) in sources {
        let text = fs::read_to_string(&path).unwrap();
        wrong.extend(violations(&module, &text).into_iter().map(|what| format!("{}: {what}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_what_is_wrong() {
    assert_eq!(violations("store", "use crate::model::Event;\nuse crate::{clock::Clock, telemetry::{A, B}};"), [""; 0]);
    assert_eq!(violations("store", "use crate::pipeline::Pipeline;"), ["`store` names `pipeline`"]);
    assert_eq!(violations("store", "use crate::{clock::Clock, api::Api};"), ["`store` names `api`"]);
    assert_eq!(violations("store", "fn f() { crate::runtime::x() }"), ["`store` names `runtime`"]);
    assert_eq!(violations("api", "let x = sled::open(p);"), ["`api` names the crate sled, which is `store`'s"]);
    assert_eq!(violations("api", "// crate::app::Host\nuse crate::store::Store;"), [""; 0]);
}
