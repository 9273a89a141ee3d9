//! A module of a language whose compiler always imports WASI, such as Go: made one that imports the contract only.
//!
//! WASI's functions get stubs inside of the component. They say that there is nothing: no arguments, no environment, no files, always the
//! same time, zeros for random bytes; to end the process is a trap. So the module has what every other module has.
//!
//! It runs where modules are built, on the author's machine. A host meets the component as it meets any other.

use super::metadata::contract;
use super::module_error::ModuleError;
use crate::model::World;
use std::collections::BTreeMap;
use wasmparser::{FuncType, Parser, Payload, TypeRef, ValType};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

const WASI: &str = "wasi_snapshot_preview1";
/// What a stub answers: that all is well, where zeros in memory say that there is nothing; that no such file is open; that there is no such function.
const SUCCESS: u8 = 0;
const NO_SUCH_FILE: u8 = 8;
const NOT_SUPPORTED: u8 = 52;
/// The functions whose answer lies in memory, which is zero before it is used.
const ANSWER_NOTHING: [&str; 7] =
    ["args_get", "args_sizes_get", "environ_get", "environ_sizes_get", "clock_time_get", "random_get", "sched_yield"];

/// A component of `world` that does what the core module does, without WASI.
///
/// # Errors
/// The module is none, or not of that world.
pub fn without_wasi(core_module: &[u8], world: World) -> Result<Vec<u8>, ModuleError> {
    let stubs = stubs(core_module).map_err(|error| ModuleError::invalid(error.message(), Some(error.offset())))?;
    let stubs = wat::parse_str(stubs).map_err(|error| ModuleError::Host(error.to_string()))?;
    let mut module = core_module.to_vec();
    let (resolve, id) = contract(world)?;
    embed_component_metadata(&mut module, &resolve, id, StringEncoding::UTF8)
        .and_then(|()| ComponentEncoder::default().module(&module))
        .and_then(|encoder| encoder.adapter(WASI, &stubs))
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| ModuleError::world(&format!("it targets {world}, but {error:#}")))
}

/// A module, as text, with a function for each one of WASI that is imported.
fn stubs(core_module: &[u8]) -> wasmparser::Result<String> {
    // A function may be imported twice.
    let (mut types, mut functions) = (Vec::new(), BTreeMap::new());
    for payload in Parser::new(0).parse_all(core_module) {
        match payload? {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if let TypeRef::Func(ty) = import.ty
                        && import.module == WASI
                        && let Some(ty) = usize::try_from(ty).ok().and_then(|ty| types.get(ty))
                    {
                        functions.insert(import.name, stub(import.name, ty));
                    }
                }
            }
            _ => {}
        }
    }
    let functions: String = functions.into_values().collect();
    Ok(format!(r#"(module (import "env" "memory" (memory 0)) {functions})"#))
}

fn stub(name: &str, ty: &FuncType) -> String {
    let values = |values: &[ValType]| values.iter().map(|value| format!(" {value}")).collect::<String>();
    let answer = match name {
        name if ANSWER_NOTHING.contains(&name) => SUCCESS,
        name if name.starts_with("fd_") => NO_SUCH_FILE,
        _ => NOT_SUPPORTED,
    };
    let set_time = if name == "clock_time_get" { "(i64.store (local.get 2) (i64.const 1)) " } else { "" };
    let body = if ty.results() == [ValType::I32] { format!("i32.const {answer}") } else { "unreachable".to_owned() };
    format!(
        "\n(func (export \"{name}\") (param{}) (result{}) {set_time}{body})",
        values(ty.params()),
        values(ty.results())
    )
}
