//! Looks through an upload before anything is compiled: is it WebAssembly, valid, of the features and sizes that the host
//! takes, and what does it import and export. It only reads; it runs in time linear to the upload.

use super::engine::FEATURES;
use super::limits::WASM_PAGE_BYTES;
use super::module_error::ModuleError;
use super::{Config, WIT_VERSION, World};
use wasmparser::{ComponentTypeRef, MemoryType, Parser, Payload, TableType, Validator, WasmFeatures};

/// How the package of the contract begins in an import's name.
const PACKAGE: &str = "hookswitch:module/";
/// Where in a core module the WIT metadata is.
const METADATA_SECTION: &str = "component-type";

const WASI_ADVICE: &str = "it has no files, no network, no clock and no environment. Build for wasm32-unknown-unknown (Rust), \
                           with --stub-wasi (componentize-py), or with all features disabled (componentize-js)";
const OTHER_ADVICE: &str = "a module may import the interfaces of hookswitch:module, and nothing else";
const ENDPOINTS_ADVICE: &str = "only routers see the endpoints";

/// A valid upload.
pub(super) enum Screened {
    /// A core module that carries WIT metadata.
    Core,
    /// A component of this world.
    Component(World),
}

/// Looks through an upload.
pub(super) fn screen(upload: &[u8], config: &Config) -> Result<Screened, ModuleError> {
    if upload.len() > config.module_bytes_max {
        return Err(ModuleError::TooLarge { given: upload.len(), max: config.module_bytes_max });
    }
    if !upload.starts_with(b"\0asm") {
        return Err(ModuleError::not_wasm(upload));
    }
    validate(upload)?;
    let found = Found::in_binary(upload, config)?;
    if Parser::is_component(upload) {
        return found.world().map(Screened::Component);
    }
    if !found.metadata {
        return Err(ModuleError::NoWit);
    }
    // The imports of the contract have a package, an interface and mostly a version; what the tools generate begins with a
    // sign of its own. A bare name is something that only a runtime of another kind would give.
    match found.core_imports.iter().find(|name| !name.contains([':', '$', '[', '|'])) {
        Some(import) if import.starts_with("wasi") => Err(ModuleError::import(import, WASI_ADVICE)),
        Some(import) => Err(ModuleError::import(import, OTHER_ADVICE)),
        None => Ok(Screened::Core),
    }
}

fn validate(upload: &[u8]) -> Result<(), ModuleError> {
    let check = |features| Validator::new_with_features(features).validate_all(upload).map(drop);
    let Err(error) = check(FEATURES) else { return Ok(()) };
    // The parser names the feature in some of its errors only. Otherwise it is the one with which the upload is valid, or at
    // least up to a later place.
    let helps = |feature: &WasmFeatures| match check(FEATURES | *feature) {
        Ok(()) => true,
        Err(later) => later.offset() > error.offset(),
    };
    let refused = || WasmFeatures::all().difference(FEATURES).iter().find(helps);
    match error.missing_wasm_feature().or_else(refused) {
        Some(missing) => Err(ModuleError::feature(missing, &error)),
        None => Err(ModuleError::invalid(error.message(), Some(error.offset()))),
    }
}

/// What is in a binary.
#[derive(Default)]
struct Found<'a> {
    /// Whether a core module says which world it targets.
    metadata: bool,
    /// The module names that the outermost core module imports from.
    core_imports: Vec<&'a str>,
    /// What the outermost component imports.
    imports: Vec<&'a str>,
    /// What it exports.
    exports: Vec<&'a str>,
}

impl<'a> Found<'a> {
    fn in_binary(binary: &'a [u8], config: &Config) -> Result<Self, ModuleError> {
        Self::read(binary, config).map_err(|problem| match problem {
            Problem::Parse(error) => ModuleError::invalid(error.message(), Some(error.offset())),
            Problem::Module(error) => error,
        })
    }

    fn read(binary: &'a [u8], config: &Config) -> Result<Self, Problem> {
        let mut found = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(binary) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::MemorySection(memories) => {
                    memories.into_iter().try_for_each(|memory| memory_fits(memory?, config))?;
                }
                Payload::TableSection(tables) => {
                    tables.into_iter().try_for_each(|table| table_fits(table?.ty, config))?;
                }
                Payload::CustomSection(section) if depth == 0 => {
                    found.metadata |= section.name().starts_with(METADATA_SECTION);
                }
                Payload::ImportSection(imports) if depth == 0 => {
                    for import in imports.into_imports() {
                        found.core_imports.push(import?.module);
                    }
                }
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        let import = import?;
                        // A type is imported for its name alone, and asks for nothing.
                        if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                            found.imports.push(import.name.name);
                        }
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        found.exports.push(export?.name.name);
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Which world the component targets.
    fn world(&self) -> Result<World, ModuleError> {
        // Before its exports: a module of another version may well have others.
        for name in &self.imports {
            if let Some((_, version)) = interface(name).filter(|(_, version)| *version != WIT_VERSION) {
                return Err(ModuleError::wit_version(version));
            }
        }
        let worlds = [World::Filter, World::Transform, World::Router];
        let mut targets = worlds.into_iter().filter(|world| self.exports.contains(&world.export()));
        let world = match (targets.next(), targets.next(), self.exports.contains(&"configure")) {
            (Some(world), None, true) => world,
            _ if self.exports.is_empty() => return Err(ModuleError::world("it exports nothing")),
            _ => return Err(ModuleError::world(&format!("it exports `{}`", self.exports.join("`, `")))),
        };
        for name in &self.imports {
            match interface(name) {
                Some(("types" | "context" | "log" | "state", _)) => {}
                Some(("endpoints", _)) if world == World::Router => {}
                Some(("endpoints", _)) => return Err(ModuleError::import(name, ENDPOINTS_ADVICE)),
                None if name.starts_with("wasi:") => return Err(ModuleError::import(name, WASI_ADVICE)),
                _ => return Err(ModuleError::import(name, OTHER_ADVICE)),
            }
        }
        Ok(world)
    }
}

/// The interface and the version of an import from the contract's package.
fn interface(import: &str) -> Option<(&str, &str)> {
    let name = import.strip_prefix(PACKAGE)?;
    Some(name.split_once('@').unwrap_or((name, "")))
}

fn memory_fits(memory: MemoryType, config: &Config) -> Result<(), Problem> {
    let max = config.memory_bytes_max;
    if memory.initial.saturating_mul(WASM_PAGE_BYTES as u64) <= max as u64 {
        return Ok(());
    }
    let problem =
        format!("a memory begins with {} pages of 64 KiB, and `runtime.memory_bytes_max` is {max}", memory.initial);
    Err(Problem::Module(ModuleError::limits(&problem)))
}

fn table_fits(table: TableType, config: &Config) -> Result<(), Problem> {
    let max = config.table_elements_max;
    if table.initial <= max as u64 {
        return Ok(());
    }
    let problem = format!("a table begins with {} elements, and `runtime.table_elements_max` is {max}", table.initial);
    Err(Problem::Module(ModuleError::limits(&problem)))
}

enum Problem {
    Parse(wasmparser::Error),
    Module(ModuleError),
}

impl From<wasmparser::Error> for Problem {
    fn from(error: wasmparser::Error) -> Self {
        Self::Parse(error)
    }
}
