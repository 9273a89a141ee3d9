//! Looks through an upload before anything is compiled: is it WebAssembly, valid, of the features and sizes that the host
//! takes, and what does it import and export. It only reads; it runs in time linear to the upload.

use super::engine::FEATURES;
use super::limits::WASM_PAGE_BYTES;
use super::metadata::Metadata;
use super::module_error::ModuleError;
use super::{Config, Import, WIT_VERSION};
use crate::model::World;
use wasmparser::{
    ComponentType, ComponentTypeDeclaration, ComponentTypeRef, InstanceTypeDeclaration, MemoryType, Parser, Payload,
    TableType, Validator, WasmFeatures,
};

/// How the package of the contract begins in an import's name.
const PACKAGE: &str = "hookswitch:module/";
/// How the custom sections with WIT metadata begin in a core module.
pub(super) const METADATA_SECTION: &str = "component-type";

/// How deep components, and their types, may lie in one another. Tools make three levels.
const NESTING_MAX: usize = 16;
/// The largest section of component types, in bytes; a world has a few thousand. The parser reads a type inside a type by
/// recursion, one level for each three bytes: this bound keeps it within `upload::COMPILE_STACK_BYTES`.
pub(super) const TYPE_SECTION_BYTES_MAX: usize = 64 * 1024;

/// A valid upload, and its world.
pub(super) enum Screened {
    /// A core module that carries WIT metadata.
    Core(World, Metadata),
    /// A component.
    Component(World),
}

/// Looks at what costs nothing to see.
pub(super) fn begins_well(upload: &[u8], config: &Config) -> Result<(), ModuleError> {
    if upload.len() > config.module_bytes_max {
        return Err(ModuleError::TooLarge { given: upload.len(), max: config.module_bytes_max });
    }
    if !upload.starts_with(b"\0asm") {
        return Err(ModuleError::not_wasm(upload));
    }
    Ok(())
}

/// Looks through an upload.
pub(super) fn screen(upload: &[u8], config: &Config) -> Result<Screened, ModuleError> {
    begins_well(upload, config)?;
    check_shape(upload)?;
    validate(upload)?;
    check_functions(upload, config)?;
    let found = Found::in_binary(upload, config)?;
    if Parser::is_component(upload) {
        check_versions(found.wit_versions())?;
        return found.world().map(Screened::Component);
    }
    let metadata = Metadata::read(&found.metadata)?;
    check_versions(metadata.versions.iter().map(String::as_str))?;
    Ok(Screened::Core(found.world()?, metadata))
}

/// Bounds what the validator and the compiler recurse into. What is broken is left for the validator to tell.
pub(super) fn check_shape(binary: &[u8]) -> Result<(), ModuleError> {
    let nested =
        || ModuleError::limits(&format!("components or their types lie more than {NESTING_MAX} deep in one another"));
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(binary).map_while(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentTypeSection(types) => {
                let bytes = types.range().len();
                if bytes > TYPE_SECTION_BYTES_MAX {
                    let problem = format!(
                        "a section of component types has {bytes} bytes, and {TYPE_SECTION_BYTES_MAX} is the most"
                    );
                    return Err(ModuleError::limits(&problem));
                }
                if types.into_iter().map_while(Result::ok).any(|ty| !nests_within(&ty, NESTING_MAX)) {
                    return Err(nested());
                }
            }
            _ => {}
        }
        if depth > NESTING_MAX {
            return Err(nested());
        }
    }
    Ok(())
}

/// Bounds what costs the compiler time: how many functions there are, and how large one is. The upload is valid.
fn check_functions(upload: &[u8], config: &Config) -> Result<(), ModuleError> {
    let within = |given: usize, what: &str, bound: &str, max: usize| {
        let problem = || ModuleError::limits(&format!("it has {given} {what}, and `runtime.{bound}` is {max}"));
        if given <= max { Ok(()) } else { Err(problem()) }
    };
    let mut functions = 0_usize;
    for payload in Parser::new(0).parse_all(upload).map_while(Result::ok) {
        match payload {
            Payload::CodeSectionStart { count, .. } => functions = functions.saturating_add(count as usize),
            Payload::CodeSectionEntry(body) => {
                within(body.range().len(), "bytes in one function", "function_bytes_max", config.function_bytes_max)?;
            }
            _ => {}
        }
    }
    within(functions, "functions in all", "functions_max", config.functions_max)
}

/// Whether a type holds types at most so many levels deep.
fn nests_within(ty: &ComponentType<'_>, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return false };
    match ty {
        ComponentType::Component(parts) => parts.iter().all(|part| match part {
            ComponentTypeDeclaration::Type(ty) => nests_within(ty, levels),
            _ => true,
        }),
        ComponentType::Instance(parts) => parts.iter().all(|part| match part {
            InstanceTypeDeclaration::Type(ty) => nests_within(ty, levels),
            _ => true,
        }),
        _ => true,
    }
}

/// Whether a binary is valid, and uses no feature that the host refuses.
pub(super) fn validate(binary: &[u8]) -> Result<(), ModuleError> {
    let check = |features| Validator::new_with_features(features).validate_all(binary).map(drop);
    let Err(error) = check(FEATURES) else { return Ok(()) };
    // The parser names the feature in some of its errors only. Otherwise it is the one with which the binary is valid, or at
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

/// The interface and the version of an import from the contract's package.
pub(super) fn interface(import: &str) -> Option<(&str, &str)> {
    let name = import.strip_prefix(PACKAGE)?;
    Some(name.split_once('@').unwrap_or((name, "")))
}

/// Checked before the rest, because a module of another version may well import and export other things.
fn check_versions<'v>(mut versions: impl Iterator<Item = &'v str>) -> Result<(), ModuleError> {
    versions.find(|version| *version != WIT_VERSION).map_or(Ok(()), |version| Err(ModuleError::wit_version(version)))
}

/// The name without the sign of the newer way to name things in core modules.
fn plain(name: &str) -> &str {
    name.strip_prefix("cm32p2||").or_else(|| name.strip_prefix("cm32p2|")).unwrap_or(name)
}

/// What is in the outermost module or component, and how large the memories of all are at first.
#[derive(Default)]
pub(super) struct Found<'a> {
    /// The metadata sections of a core module.
    pub(super) metadata: Vec<&'a [u8]>,
    /// From where it imports, and of a core module also what.
    pub(super) imports: Vec<(&'a str, &'a str)>,
    /// What it exports.
    pub(super) exports: Vec<&'a str>,
    /// The bytes with which its linear memories begin.
    pub(super) memory_bytes_min: u64,
    /// The bytes of debug information.
    pub(super) debug_bytes: usize,
    /// Whether functions have names.
    pub(super) has_names: bool,
}

impl<'a> Found<'a> {
    fn in_binary(binary: &'a [u8], config: &Config) -> Result<Self, ModuleError> {
        let mut found = Self::default();
        found.read(binary, |memory| memory_fits(memory, config), |table| table_fits(table, config)).map_err(
            |problem| match problem {
                Problem::Parse(error) => ModuleError::invalid(error.message(), Some(error.offset())),
                Problem::Module(error) => error,
            },
        )?;
        Ok(found)
    }

    /// As much as can be read, without any judgement.
    pub(super) fn in_any(binary: &'a [u8]) -> Self {
        let mut found = Self::default();
        // Where it breaks off, `check_shape` and `validate` say why.
        drop(found.read(binary, |_| Ok(()), |_| Ok(())));
        found
    }

    fn read(
        &mut self,
        binary: &'a [u8],
        memory_fits: impl Fn(MemoryType) -> Result<(), Problem>,
        table_fits: impl Fn(TableType) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(binary) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::MemorySection(memories) => memories.into_iter().try_for_each(|memory| {
                    let memory = memory?;
                    let bytes = memory.initial.saturating_mul(WASM_PAGE_BYTES as u64);
                    self.memory_bytes_min = self.memory_bytes_min.saturating_add(bytes);
                    memory_fits(memory)
                })?,
                Payload::TableSection(tables) => tables.into_iter().try_for_each(|table| table_fits(table?.ty))?,
                Payload::CustomSection(section) if section.name() == "name" => self.has_names = true,
                Payload::CustomSection(section) if section.name().starts_with(".debug") => {
                    self.debug_bytes = self.debug_bytes.saturating_add(section.data().len());
                }
                payload if depth == 0 => self.note(payload)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn note(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
        match payload {
            Payload::CustomSection(section) if section.name().starts_with(METADATA_SECTION) => {
                self.metadata.push(section.data());
            }
            Payload::ImportSection(imports) => {
                let all = imports.into_imports();
                all.into_iter()
                    .try_for_each(|import| import.map(|import| self.imports.push((import.module, import.name))))?;
            }
            Payload::ExportSection(exports) => {
                exports.into_iter().try_for_each(|export| export.map(|export| self.exports.push(export.name)))?;
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    let import = import?;
                    // A type is imported for its name alone, and asks for nothing.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        self.imports.push((import.name.name, ""));
                    }
                }
            }
            Payload::ComponentExportSection(exports) => {
                exports.into_iter().try_for_each(|export| export.map(|export| self.exports.push(export.name.name)))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The versions of the contract that a component's imports name.
    pub(super) fn wit_versions(&self) -> impl Iterator<Item = &'a str> {
        self.imports.iter().filter_map(|(from, _)| interface(from)).map(|(_, version)| version)
    }

    fn exports(&self, name: &str) -> bool {
        self.exports.iter().any(|export| plain(export) == name)
    }

    /// The worlds whose own function it exports.
    fn worlds(&self) -> impl Iterator<Item = World> {
        [World::Filter, World::Transform, World::Router].into_iter().filter(|world| self.exports(world.export()))
    }

    /// Which world it seems to target.
    pub(super) fn likely_world(&self) -> Option<World> {
        self.worlds().next()
    }

    /// Which world it targets: by what it exports. It may import what that world has.
    fn world(&self) -> Result<World, ModuleError> {
        let mut worlds = self.worlds();
        let world = match (worlds.next(), worlds.next(), self.exports("configure")) {
            (Some(world), None, true) => world,
            (first, second, _) => return Err(ModuleError::world(&self.misfit(first, second))),
        };
        for (from, _) in &self.imports {
            match interface(plain(from)) {
                Some(("types" | "context" | "log" | "state", _)) => {}
                Some(("endpoints", _)) if world == World::Router => {}
                _ => return Err(ModuleError::import(Import::all_from(from, &self.imports))),
            }
        }
        Ok(world)
    }

    /// What keeps it from being of one world.
    fn misfit(&self, first: Option<World>, second: Option<World>) -> String {
        match (first, second) {
            (Some(first), Some(second)) => {
                let (one, other) = (first.export(), second.export());
                format!("it exports both `{one}` and `{other}`: make two modules of it")
            }
            (Some(world), None) => format!("it exports `{}`, as a {world} does, and lacks `configure`", world.export()),
            (None, _) if self.exports.is_empty() => "it exports nothing".to_owned(),
            (None, _) if self.exports("_start") || self.exports.iter().any(|name| name.starts_with("wasi:cli/run")) => {
                "it is a command, with a `main`: build a library (Rust: `crate-type = [\"cdylib\"]`, C and Zig: \
                 `-mexec-model=reactor`)"
                    .to_owned()
            }
            (None, _) => {
                let lacks = if self.exports("configure") { ", and lacks `accept`, `apply` or `route`" } else { "" };
                format!("it exports `{}`{lacks}", self.exports.join("`, `"))
            }
        }
    }
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
