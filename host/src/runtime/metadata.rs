//! The WIT metadata in a core module: which version of the contract it was built for, and how its texts are encoded.
//!
//! Only these two facts are taken from it. The parser that resolves WIT follows whatever it reads, and hostile metadata can
//! make it recurse without end; a stack that is used up ends the process, and no `catch_unwind` helps. So the module's metadata
//! is cut out and the host's own put in its place: what the encoder resolves is always the host's `wit/`.

use super::module_error::ModuleError;
use super::screen::{METADATA_SECTION, check_shape, interface, validate};
use crate::model::World;
use wasmparser::{ComponentType, ComponentTypeDeclaration, InstanceTypeDeclaration, Parser, Payload};
use wit_component::metadata::encode;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap, WorldId};

/// The host's contract: the files of `wit/`, by name.
pub const WIT_FILES: [(&str, &str); 2] =
    [("types.wit", include_str!("../../../wit/types.wit")), ("worlds.wit", include_str!("../../../wit/worlds.wit"))];

/// The section of the metadata that says how texts are encoded: the format's version, and a number.
const ENCODING_SECTION: &str = "wit-component-encoding";

/// What one module's metadata says.
pub(super) struct Metadata {
    /// The versions of `hookswitch:module` that it names, each once.
    pub(super) versions: Vec<String>,
    encoding: StringEncoding,
}

impl Metadata {
    /// Reads the metadata sections of one module. Each is a component that holds types only.
    pub(super) fn read(sections: &[&[u8]]) -> Result<Self, ModuleError> {
        if sections.is_empty() {
            return Err(ModuleError::NoWit);
        }
        let mut metadata = Self { versions: Vec::new(), encoding: StringEncoding::UTF8 };
        for section in sections {
            check_shape(section)?;
            validate(section).map_err(broken)?;
            metadata.read_valid(section).map_err(|error| broken(ModuleError::invalid(error.message(), None)))?;
        }
        if metadata.versions.is_empty() {
            return Err(ModuleError::world("its WIT metadata does not name hookswitch:module"));
        }
        Ok(metadata)
    }

    fn read_valid(&mut self, section: &[u8]) -> wasmparser::Result<()> {
        for payload in Parser::new(0).parse_all(section) {
            match payload? {
                Payload::ComponentTypeSection(types) => {
                    types.into_iter().try_for_each(|ty| ty.map(|ty| self.look_at(&ty)))?;
                }
                Payload::CustomSection(section) if section.name() == ENCODING_SECTION => {
                    self.encoding = match section.data() {
                        [_, 1] => StringEncoding::UTF16,
                        [_, 2] => StringEncoding::CompactUTF16,
                        _ => StringEncoding::UTF8,
                    };
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Notes the versions in the names of a type. Types nest only as deep as `check_shape` allows.
    fn look_at(&mut self, ty: &ComponentType<'_>) {
        match ty {
            ComponentType::Component(parts) => parts.iter().for_each(|part| match part {
                ComponentTypeDeclaration::Type(ty) => self.look_at(ty),
                ComponentTypeDeclaration::Export { name, .. } => self.note(name.name),
                ComponentTypeDeclaration::Import(import) => self.note(import.name.name),
                _ => {}
            }),
            ComponentType::Instance(parts) => parts.iter().for_each(|part| match part {
                InstanceTypeDeclaration::Type(ty) => self.look_at(ty),
                InstanceTypeDeclaration::Export { name, .. } => self.note(name.name),
                _ => {}
            }),
            _ => {}
        }
    }

    fn note(&mut self, name: &str) {
        if let Some((_, version)) = interface(name)
            && !self.versions.iter().any(|known| known == version)
        {
            self.versions.push(version.to_owned());
        }
    }

    /// The core module, with the host's metadata for `world` in the place of its own.
    pub(super) fn replace(&self, core_module: &[u8], world: World) -> Result<Vec<u8>, ModuleError> {
        let mut module = without_metadata(core_module);
        let (resolve, world) = contract(world)?;
        embed_component_metadata(&mut module, &resolve, world, self.encoding)
            .map_err(|error| broken_contract(&error.to_string()))?;
        Ok(module)
    }
}

/// The metadata of a module of `world`, for the custom section `component-type:…` of what a plain compiler makes.
///
/// # Errors
/// The host's own WIT is broken, which its tests do not let through.
pub fn component_type(world: World) -> Result<Vec<u8>, ModuleError> {
    let (resolve, world) = contract(world)?;
    encode(&resolve, world, StringEncoding::UTF8, None).map_err(|error| broken_contract(&error.to_string()))
}

/// The host's contract, resolved, and a world of it.
pub(super) fn contract(world: World) -> Result<(Resolve, WorldId), ModuleError> {
    let mut sources = SourceMap::default();
    for (name, text) in WIT_FILES {
        sources.push_str(name, text);
    }
    let mut resolve = Resolve::default();
    let group = sources.parse().map_err(|(_, error)| broken_contract(&error.to_string()))?;
    let package = resolve.push_group(group).map_err(|error| broken_contract(&error.to_string()))?;
    let world =
        resolve.select_world(&[package], Some(world.as_str())).map_err(|error| broken_contract(&error.to_string()))?;
    Ok((resolve, world))
}

fn broken_contract(problem: &str) -> ModuleError {
    ModuleError::Host(format!("the host's own WIT: {problem}"))
}

/// Says of a mistake in the metadata that it is there: an offset would be taken for one in the module.
fn broken(error: ModuleError) -> ModuleError {
    match error {
        ModuleError::Invalid { problem, .. } => ModuleError::invalid(
            &format!("its WIT metadata (the section `{METADATA_SECTION}`) is broken: {problem}"),
            None,
        ),
        other => other,
    }
}

/// Leaves out the metadata sections of a valid core module.
fn without_metadata(core_module: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(core_module.len());
    let mut end = 0;
    for payload in Parser::new(0).parse_all(core_module).map_while(Result::ok) {
        let metadata =
            matches!(&payload, Payload::CustomSection(section) if section.name().starts_with(METADATA_SECTION));
        let range = match &payload {
            Payload::Version { range, .. } => range.clone(),
            payload => match payload.as_section() {
                Some((_, range)) => range,
                None => continue,
            },
        };
        // A section's range begins after its number and length, which follow the section before.
        if !metadata {
            kept.extend_from_slice(core_module.get(end..range.end).unwrap_or_default());
        }
        end = range.end;
    }
    kept
}
