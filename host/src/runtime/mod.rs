//! Where untrusted code runs: the only layer that names wasmtime.
//!
//! A [`Compiler`] turns an upload into [`Compiled`] code, [`Runtime::load`] that into a [`Module`]. [`Module::call`] makes a fresh instance, gives it one message and
//! takes what it answers; nothing of the instance is left afterwards. Calls are synchronous work, for the threads of an
//! [`Executor`]. Every bound is in [`Config`], and whatever a module does within its bounds or against them, the host goes on:
//! the call has a [`CallError`], the upload a [`ModuleError`].

mod bindings;
mod call;
mod call_error;
mod compiled;
mod compiler;
mod deadline;
mod directory;
mod engine;
mod executor;
mod host;
mod host_calls;
mod import_advice;
mod inspect;
mod limiter;
mod limits;
mod logs;
mod metadata;
mod meter;
mod module;
mod module_error;
mod output;
mod screen;
mod state;
mod ticker;
mod trap;
mod upload;
mod without_wasi;

#[cfg(test)]
pub(crate) mod tests;

pub use call::{Call, Report, Verdict};
pub use call_error::CallError;
pub use compiled::Compiled;
pub use compiler::{COMMAND as COMPILE_COMMAND, Compiler, CompilerError, Confinement, compile_module};
pub use directory::{Directory, EndpointInfo};
pub use executor::{Busy, Closed, Executor, Job, Lane};
pub use inspect::{Facts, Import};
pub use limits::{Config, ConfigError};
pub use metadata::{WIT_FILES, component_type};
pub use meter::{Meter, Metered};
pub use module::Module;
pub use module_error::ModuleError;
pub use state::{StateAccess, StateError, StateHandle};
pub use without_wasi::without_wasi;

use crate::model::Digest;
use std::sync::Arc;

/// The version of the `hookswitch:module` package in `wit/` that this host speaks.
pub const WIT_VERSION: &str = "0.1.0";

/// The engine that compiles modules and runs them. Cheap to clone.
#[derive(Clone)]
pub struct Runtime(Arc<Shared>);

/// What every module needs of the runtime it was compiled by.
struct Shared {
    config: Config,
    engine: wasmtime::Engine,
    linker: wasmtime::component::Linker<host::HostState>,
    router_linker: wasmtime::component::Linker<host::HostState>,
    ticker: ticker::Ticker,
    /// Whether the engine counts fuel.
    metered: bool,
}

/// Where the instances of a runtime come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instances {
    /// From a pool, whose memory is cleaned in this way.
    Pooled(engine::Cleaning),
    /// Made on demand, to count fuel.
    Metered,
}

/// The runtime could not start.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A bound makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The engine refused: most often the machine has too little address space for the instance pool.
    #[error("the WebAssembly engine does not start: {0}; fewer `runtime.threads` or smaller `runtime.*_max` need less")]
    Engine(String),
    /// A thread could not be started.
    #[error("a thread of the runtime does not start: {0}")]
    Thread(#[from] std::io::Error),
}

impl Runtime {
    /// Starts the engine, its instance pool and the thread that stops modules at their deadline.
    ///
    /// # Errors
    /// A bound makes no sense, or the machine does not give what the pool needs.
    pub fn start(config: Config) -> Result<Self, RuntimeError> {
        let cleaning = engine::Cleaning::of_this_machine(&config);
        Self::start_with(config, Instances::Pooled(cleaning))
    }

    fn start_with(config: Config, instances: Instances) -> Result<Self, RuntimeError> {
        config.check()?;
        let refused = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let metered = instances == Instances::Metered;
        let engine = match instances {
            Instances::Pooled(cleaning) => engine::new(&config, cleaning),
            Instances::Metered => engine::metered(&config),
        };
        let engine = engine.map_err(refused)?;
        let linker = host::linker(&engine).map_err(refused)?;
        let router_linker = host::router_linker(&engine).map_err(refused)?;
        let ticker = ticker::Ticker::start(engine.clone())?;
        Ok(Self(Arc::new(Shared { config, engine, linker, router_linker, ticker, metered })))
    }

    /// The bounds it runs by.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Checks an upload, a component or a core module with WIT metadata, and compiles it, in this process. It blocks: 0.1 s for
    /// a Rust module, 15 s for one that carries an interpreter; longer for one that means harm. The host has a [`Compiler`].
    ///
    /// # Errors
    /// The upload is no module that this host can run; the error says why, and what its author can do.
    pub fn compile(&self, upload: &[u8]) -> Result<Module, ModuleError> {
        self.load(Digest::of(upload), &self.precompile(upload)?)
    }

    /// The first half of [`Runtime::compile`].
    ///
    /// # Errors
    /// The same.
    pub fn precompile(&self, upload: &[u8]) -> Result<Compiled, ModuleError> {
        upload::precompile(&self.0.engine, &self.0.config, upload)
    }

    /// Makes a module of code that a [`Compiler`] made of the upload with this digest. It takes milliseconds.
    ///
    /// # Errors
    /// The module does not fit its world or the bounds, or the code is for another engine.
    pub fn load(&self, digest: Digest, compiled: &Compiled) -> Result<Module, ModuleError> {
        upload::load(&self.0, digest, compiled)
    }

    /// Names all that compiled code depends on beside the upload. Code that was compiled under another name is of no use here.
    #[must_use]
    pub fn engine_id(&self) -> Digest {
        compiled::engine_id(&self.0.engine)
    }

    /// What can be told of an upload without compiling it; none where it is no WebAssembly at all.
    #[must_use]
    pub fn inspect(upload: &[u8]) -> Option<Facts> {
        upload::on_own_thread(|| Ok(inspect::facts(upload))).ok().flatten()
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").field("config", &self.0.config).finish_non_exhaustive()
    }
}
