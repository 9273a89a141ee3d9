//! From an upload to a module: screen it, make a component of a core module, compile; then load, link, check its types.
//!
//! The parsers and the compiler meet bytes that anyone may have written: see `compiler` for where they run. There they have a
//! thread of their own with a large stack, and should one of them panic, that is an error of the upload.

use super::bindings::{filter, router, transform};
use super::compiled::{self, Compiled};
use super::module::Pre;
use super::module_error::ModuleError;
use super::screen::{Screened, screen};
use super::{Config, Module, Shared, engine};
use crate::model::Digest;
use crate::model::World;
use std::borrow::Cow;
use std::sync::Arc;
use std::thread;
use wasmtime::Engine;
use wasmtime::component::Component;
use wit_component::ComponentEncoder;

/// The stack of the thread that compiles, in bytes. It is address space; only what is used takes memory.
const COMPILE_STACK_BYTES: usize = 64 << 20;

/// Checks and compiles an upload. It blocks until that is done.
pub(super) fn precompile(engine: &Engine, config: &Config, upload: &[u8]) -> Result<Compiled, ModuleError> {
    on_own_thread(|| {
        let (component, world) = to_component(config, upload)?;
        // It was valid before: what is left are the limits of the compiler.
        let code =
            engine.precompile_component(&component).map_err(|error| ModuleError::limits(&format!("{error:#}")))?;
        Ok(Compiled::new(world, code))
    })
}

/// Makes a module of compiled code: milliseconds.
pub(super) fn load(shared: &Arc<Shared>, digest: Digest, compiled: &Compiled) -> Result<Module, ModuleError> {
    // It was compiled for this engine: what is left are the limits of the pool.
    let component = compiled::component(&shared.engine, compiled)
        .map_err(|error| over_the_pool(&shared.config, compiled, &error))?;
    Ok(Module::new(shared, digest, compiled.code().len(), link(shared, &component, compiled.world())?))
}

/// Which of the pool's bounds a component is over: an engine without a pool tells what it needs.
fn over_the_pool(config: &Config, compiled: &Compiled, error: &wasmtime::Error) -> ModuleError {
    let component = engine::compile_only(config).and_then(|engine| compiled::component(&engine, compiled));
    let Some(needs) = component.ok().and_then(|component| component.resources_required()) else {
        return ModuleError::limits(&format!("{error:#}"));
    };
    let (memories, tables) = (config.memories_max_per_component, config.tables_max_per_component);
    let problem = if needs.num_memories > memories {
        format!("it has {} linear memories, and `runtime.memories_max_per_component` is {memories}", needs.num_memories)
    } else if needs.num_tables > tables {
        format!("it has {} tables, and `runtime.tables_max_per_component` is {tables}", needs.num_tables)
    } else {
        let instances = config.instances_max_per_component;
        format!("{error:#}; `runtime.instances_max_per_component` is {instances}")
    };
    ModuleError::limits(&problem)
}

pub(super) fn on_own_thread<T: Send>(work: impl FnOnce() -> Result<T, ModuleError> + Send) -> Result<T, ModuleError> {
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("compile".into()).stack_size(COMPILE_STACK_BYTES);
        let thread = builder.spawn_scoped(scope, work).map_err(|error| ModuleError::Host(error.to_string()))?;
        thread.join().unwrap_or_else(|_| Err(ModuleError::invalid("it made the compiler panic", None)))
    })
}

/// The component in an upload, and its world.
fn to_component<'a>(config: &Config, upload: &'a [u8]) -> Result<(Cow<'a, [u8]>, World), ModuleError> {
    match screen(upload, config)? {
        Screened::Component(world) => Ok((Cow::Borrowed(upload), world)),
        Screened::Core(world, metadata) => Ok((Cow::Owned(encode(&metadata.replace(upload, world)?, world)?), world)),
    }
}

fn encode(core_module: &[u8], world: World) -> Result<Vec<u8>, ModuleError> {
    // The bytes are a valid module with the host's metadata: what the encoder has to say is about imports and exports.
    let misfit = |error| ModuleError::world(&format!("it targets {world}, but {error:#}"));
    ComponentEncoder::default().module(core_module).and_then(|mut encoder| encoder.encode()).map_err(misfit)
}

fn link(shared: &Shared, component: &Component, world: World) -> Result<Pre, ModuleError> {
    let linker = if world == World::Router { &shared.router_linker } else { &shared.linker };
    let misfit = |error: wasmtime::Error| ModuleError::world(&format!("it targets {world}, but {error:#}"));
    let pre = linker.instantiate_pre(component).map_err(misfit)?;
    match world {
        World::Filter => filter::FilterPre::new(pre).map(Pre::Filter),
        World::Transform => transform::TransformPre::new(pre).map(Pre::Transform),
        World::Router => router::RouterPre::new(pre).map(Pre::Router),
    }
    .map_err(misfit)
}
