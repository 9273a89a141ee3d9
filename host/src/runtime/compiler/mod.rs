//! Compiling an upload where it can do no harm: in a process of its own, which is this program again, with nothing in reach.
//!
//! The parsers and the compiler meet bytes that anyone may have written, and there are modules on which the compiler works for
//! hours or takes all memory there is. So the host starts `hookswitch compile-module` for each: no environment, no files, no
//! more memory, CPU and time than `runtime.compile_*_max`. It gets the upload on stdin and answers code or a refusal on stdout.
//! That is so for both engines, the one that runs modules and the one that counts what they cost.
//!
//! `child` is what that process does, `confine` how it gives up what it does not need, `subprocess` what the host does meanwhile.

mod child;
mod confine;
mod subprocess;

pub use child::compile_module;
pub use confine::Confinement;

use super::compiled::Compiled;
use super::module_error::ModuleError;
use super::{Config, Runtime, screen};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The hidden command that compiles: it takes the runtime's [`Config`] as JSON.
pub const COMMAND: &str = "compile-module";
/// Its flag for the engine that counts fuel.
const METERED: &str = "--metered";

/// Where uploads are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// In this process: for unit tests, where this program is not `hookswitch`.
    #[cfg(test)]
    InProcess,
    /// In a process of its own, confined.
    Subprocess {
        /// This program.
        program: PathBuf,
    },
}

/// The compiler's process does not work on this machine.
#[derive(Debug, thiserror::Error)]
#[error("modules cannot be compiled here: {0}")]
pub struct CompilerError(String);

/// How the answer of the compiler's process begins: one line of JSON. The code follows.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    confinement: Confinement,
    outcome: Outcome,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Compiled { world: crate::model::World, code_bytes: usize },
    Refused(ModuleError),
}

impl Compiler {
    /// Compiles in processes of this program, after a try that it works; says what confines them.
    ///
    /// # Errors
    /// No such process can be started, or it has not memory enough to begin.
    pub async fn subprocess(config: &Config) -> Result<(Self, Confinement), CompilerError> {
        // What the host opens is closed in a process that it starts; what the host was itself started with is not, but for this.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let program = this_program().map_err(|error| CompilerError(error.to_string()))?;
        let tried = subprocess::ask(&program, config, false, Bytes::from_static(b"no module")).await;
        let (answer, _) = tried.map_err(|error| CompilerError(error.to_string()))?;
        Ok((Self::Subprocess { program }, answer.confinement))
    }

    /// Checks an upload, and compiles it for the engine of this runtime.
    ///
    /// # Errors
    /// It is no module that this host runs, or compiling it takes more than it may.
    pub async fn compile(&self, runtime: &Runtime, upload: Bytes) -> Result<Compiled, ModuleError> {
        match self {
            #[cfg(test)]
            Self::InProcess => {
                let runtime = runtime.clone();
                let compiled = tokio::task::spawn_blocking(move || runtime.precompile(&upload)).await;
                compiled.unwrap_or_else(|error| Err(ModuleError::Host(error.to_string())))
            }
            Self::Subprocess { program } => {
                // What a glance shows needs no process.
                screen::begins_well(&upload, runtime.config())?;
                subprocess::compile(program, runtime.config(), runtime.0.metered, upload).await
            }
        }
    }
}

/// This program. On Linux by the name that stays right when its file is replaced: host and compiler are always the same version.
fn this_program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}
