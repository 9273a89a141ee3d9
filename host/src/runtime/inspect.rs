//! What can be told of a module by looking at it, for its author: also of one that the host refuses, and without compiling it.

use super::logs::cut;
use super::metadata::Metadata;
use super::screen::{Found, check_shape};
use crate::model::World;
use std::collections::HashSet;
use std::fmt;
use wasmparser::Parser;

/// The most names of one list, and the longest name, in bytes: they come out of the upload.
const NAMES_MAX: usize = 20;
const NAME_BYTES_MAX: usize = 200;

/// What is in a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is a component; otherwise it is a core module.
    pub component: bool,
    /// The world whose function it exports.
    pub world: Option<World>,
    /// The versions of `hookswitch:module` that it names, each once, the first 20.
    pub wit_versions: Vec<String>,
    /// What it imports, the first 20.
    pub imports: Vec<Import>,
    /// What it exports, the first 20.
    pub exports: Vec<String>,
    /// The bytes with which its linear memories begin.
    pub memory_bytes_min: u64,
    /// Whether its functions have names, which a trap then tells.
    pub has_names: bool,
    /// The bytes of debug information, which the host does not use.
    pub debug_bytes: usize,
}

/// What a module imports from one place.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Import {
    /// From where: an interface, or the name of a core module.
    pub from: String,
    /// What, the first 20; a component's imports do not say.
    pub names: Vec<String>,
}

impl Import {
    /// All that comes from there.
    pub(super) fn all_from(from: &str, imports: &[(&str, &str)]) -> Self {
        let names = imports.iter().filter(|(other, name)| *other == from && !name.is_empty());
        Self { from: cut(from, NAME_BYTES_MAX), names: few(names.map(|(_, name)| *name)) }
    }
}

/// `` `place` (`this`, `that`) ``
impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.from)?;
        if self.names.is_empty() { Ok(()) } else { write!(f, " (`{}`)", self.names.join("`, `")) }
    }
}

/// Looks at an upload; none where it is no WebAssembly.
pub(super) fn facts(upload: &[u8]) -> Option<Facts> {
    if !upload.starts_with(b"\0asm") {
        return None;
    }
    let found = Found::in_any(upload);
    let component = Parser::is_component(upload);
    let wit_versions = match Metadata::read(&found.metadata) {
        Ok(metadata) if !component => metadata.versions,
        // Without any, or broken: the refusal says so.
        _ => few(each_once(found.wit_versions())),
    };
    let places = each_once(found.imports.iter().map(|(from, _)| *from)).take(NAMES_MAX);
    Some(Facts {
        component,
        world: check_shape(upload).ok().and_then(|()| found.likely_world()),
        wit_versions,
        imports: places.map(|from| Import::all_from(from, &found.imports)).collect(),
        exports: few(found.exports.iter().copied()),
        memory_bytes_min: found.memory_bytes_min,
        has_names: found.has_names,
        debug_bytes: found.debug_bytes,
    })
}

/// Each name where it first comes.
fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let mut known = HashSet::new();
    names.filter(move |name| known.insert(*name))
}

fn few<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.take(NAMES_MAX).map(|name| cut(name, NAME_BYTES_MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_once_wherever_it_is_named() {
        let import = |interface: &str| format!("(import \"hookswitch:module/{interface}\" (instance))");
        let imports = ["log@0.1.0", "state@0.2.0", "event-body@0.1.0", "context@0.2.0"].map(import).concat();
        let facts = facts(&wat::parse_str(format!("(component {imports})")).unwrap()).unwrap();
        assert_eq!((facts.wit_versions, facts.imports.len()), (vec!["0.1.0".to_owned(), "0.2.0".to_owned()], 4));
    }
}
