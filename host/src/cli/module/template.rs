//! The templates, kept in the binary: which files a new module begins with.
//!
//! `templates/LANGUAGE/common` and `templates/LANGUAGE/WORLD` are laid over one another. Every module has the contract beside
//! it, and fixtures: `templates/shared` has them once for all languages. A Rust module brings the crate hookswitch-guest along,
//! as this host was built with it, so that it builds anywhere.

use super::language::Language;
use crate::model::World;
use crate::runtime;
use anyhow::Context as _;
use include_dir::{Dir, DirEntry, File, include_dir};
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::{Table, Value};

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static GUEST_SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../guest-sdk");
const GUEST_SDK_MANIFEST: &str = include_str!("../../../../guest-sdk/Cargo.toml");
const WORKSPACE_MANIFEST: &str = include_str!("../../../../Cargo.toml");
/// Cargo drops from it what the module does not use, and keeps the versions of the rest.
const LOCK_FILE: &str = include_str!("../../../../Cargo.lock");

/// The files of a new module, by their place in its folder.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What a new module in this language begins with.
pub(super) fn files(language: Language, world: World, name: &str) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let fill = |text: &str| text.replace("{{name}}", name).replace("{{world}}", world.as_str());
    for part in
        ["shared/common".to_owned(), format!("{}/common", language.as_str()), format!("{}/{world}", language.as_str())]
    {
        for (path, bytes) in below(&TEMPLATES, &part)? {
            let text =
                std::str::from_utf8(bytes).with_context(|| format!("the template {} is text", path.display()))?;
            files.insert(path, fill(text).into_bytes());
        }
    }
    add_fixtures(&mut files, world)?;
    for (file, text) in runtime::WIT_FILES {
        files.insert(PathBuf::from("wit").join(file), text.into());
    }
    match language {
        Language::Rust => add_guest_sdk(&mut files)?,
        Language::C | Language::Zig => {
            files.insert("component-type.bin".into(), runtime::component_type(world)?);
        }
        _ => {}
    }
    Ok(files)
}

/// A fixture is called like the payload that is its body.
fn add_fixtures(files: &mut Files, world: World) -> anyhow::Result<()> {
    for (path, bytes) in below(&TEMPLATES, &format!("shared/fixtures/{world}"))? {
        let fixture = path.parent().context("a fixture is a folder")?;
        let payload = format!("shared/payloads/{}.json", fixture.display());
        let body = TEMPLATES.get_file(&payload).with_context(|| format!("the templates have no {payload}"))?;
        files.insert(PathBuf::from("fixtures").join(fixture).join("body.json"), body.contents().into());
        files.insert(PathBuf::from("fixtures").join(path), bytes.into());
    }
    let format = TEMPLATES.get_file("FIXTURES.md").context("the templates have no FIXTURES.md")?;
    files.insert("fixtures/README.md".into(), format.contents().into());
    Ok(())
}

fn add_guest_sdk(files: &mut Files) -> anyhow::Result<()> {
    let dir = PathBuf::from("hookswitch-guest");
    let mut sources = Vec::new();
    collect(&GUEST_SDK, &mut sources);
    for (path, bytes) in sources {
        files.insert(dir.join(path), bytes.into());
    }
    if let Some(readme) = GUEST_SDK.get_file("README.md").and_then(File::contents_utf8) {
        // There it links to where the format of fixtures is in this repository.
        let readme = readme.replace("../host/templates/FIXTURES.md", "../fixtures/README.md");
        files.insert(dir.join("README.md"), readme.into_bytes());
    }
    files.insert(dir.join("Cargo.toml"), standalone_manifest(GUEST_SDK_MANIFEST, WORKSPACE_MANIFEST)?.into_bytes());
    files.insert("Cargo.lock".into(), LOCK_FILE.into());
    Ok(())
}

/// A manifest with what it takes from its workspace written out.
fn standalone_manifest(manifest: &str, workspace: &str) -> anyhow::Result<String> {
    let mut manifest: Table = manifest.parse()?;
    let workspace: Table = workspace.parse()?;
    let shared = |section: &str, key: &str| workspace.get("workspace")?.get(section)?.get(key).cloned();
    manifest.remove("lints");
    manifest.remove("dev-dependencies");
    for section in ["package", "dependencies"] {
        let Some(table) = manifest.get_mut(section).and_then(Value::as_table_mut) else { continue };
        for (key, value) in table.iter_mut() {
            let Some(own) = value.as_table().filter(|own| own.get("workspace") == Some(&Value::Boolean(true))) else {
                continue;
            };
            let mut own = own.clone();
            own.remove("workspace");
            let found = shared(section, key).with_context(|| format!("the workspace has no {section}.{key}"))?;
            *value = merged(found, own);
        }
    }
    Ok(toml::to_string(&manifest)?)
}

/// A dependency of the workspace, with what a member adds to it.
fn merged(shared: Value, own: Table) -> Value {
    if own.is_empty() {
        return shared;
    }
    let mut table = match shared {
        Value::Table(table) => table,
        version => Table::from_iter([("version".to_owned(), version)]),
    };
    for (key, value) in own {
        match (table.get_mut(&key), value) {
            (Some(Value::Array(items)), Value::Array(more)) => items.extend(more),
            (_, value) => drop(table.insert(key, value)),
        }
    }
    Value::Table(table)
}

/// The files below a folder of the templates, by their place in it.
fn below<'d>(dir: &'d Dir<'d>, part: &str) -> anyhow::Result<Vec<(PathBuf, &'d [u8])>> {
    let found = dir.get_dir(part).with_context(|| format!("the templates have no {part}"))?;
    let mut files = Vec::new();
    collect(found, &mut files);
    let strip = |(path, bytes): (PathBuf, &'d [u8])| Ok((path.strip_prefix(part)?.to_path_buf(), bytes));
    files.into_iter().map(strip).collect()
}

fn collect<'d>(dir: &'d Dir<'d>, files: &mut Vec<(PathBuf, &'d [u8])>) {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => collect(dir, files),
            DirEntry::File(file) => files.push((file.path().to_path_buf(), file.contents())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_stands_alone() {
        let workspace = r#"
            [workspace.package]
            version = "0.1.0"
            [workspace.dependencies]
            serde = { version = "1", features = ["derive"] }
            plain = "2"
        "#;
        let manifest = r#"
            [package]
            name = "x"
            version.workspace = true
            [dependencies]
            serde = { workspace = true, features = ["rc"], optional = true }
            plain.workspace = true
            [lints]
            workspace = true
        "#;
        let expected: Table = r#"
            [package]
            name = "x"
            version = "0.1.0"
            [dependencies]
            serde = { version = "1", features = ["derive", "rc"], optional = true }
            plain = "2"
        "#
        .parse()
        .unwrap();
        let alone: Table = standalone_manifest(manifest, workspace).unwrap().parse().unwrap();
        assert_eq!(alone, expected);
        assert!(!standalone_manifest(GUEST_SDK_MANIFEST, WORKSPACE_MANIFEST).unwrap().contains("workspace"));
    }
}
