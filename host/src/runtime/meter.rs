//! What a call costs, as a number that is the same at every run and on every machine: for authors who compare two versions of
//! a module, which a clock is too rough for.
//!
//! The number is wasmtime's fuel: one for each instruction and for each byte that is copied or filled, of the start, of
//! `configure` and of the call proper together. Counting slows a module down, so an engine of its own does it, which routes
//! no event; modules are compiled for it anew. A new version of wasmtime may count otherwise.

use super::{Call, CallError, Compiler, Config, Instances, Module, ModuleError, Runtime, RuntimeError};
use crate::model::Digest;
use bytes::Bytes;

/// How much more time a call has while fuel is counted; the time is to be no reason to have no number.
const TIME_FACTOR: u64 = 4;
/// The most time it has nevertheless, in milliseconds: that of [`Config::check`].
const TIME_MS_MAX: u64 = 60_000;

/// The engine that counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Meter(Runtime);

/// A module, compiled to be counted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metered(Module);

impl Meter {
    /// Starts it, with the bounds that modules run by.
    ///
    /// # Errors
    /// A bound makes no sense, or the engine does not start.
    pub fn start(config: &Config) -> Result<Self, RuntimeError> {
        let max_time_ms = config.max_time_ms.saturating_mul(TIME_FACTOR).min(TIME_MS_MAX);
        Runtime::start_with(Config { max_time_ms, ..config.clone() }, Instances::Metered).map(Self)
    }

    /// Compiles an upload to be counted, as `compiler` does: the host's way, for uploads that anyone may have written.
    ///
    /// # Errors
    /// Those of [`Compiler::compile`] and of [`Runtime::load`].
    pub async fn compile_with(&self, compiler: &Compiler, upload: Bytes) -> Result<Metered, ModuleError> {
        let digest = Digest::of(&upload);
        let compiled = compiler.compile(&self.0, upload).await?;
        let runtime = self.0.clone();
        let loaded = tokio::task::spawn_blocking(move || runtime.load(digest, &compiled)).await;
        loaded.unwrap_or_else(|error| Err(ModuleError::Host(error.to_string()))).map(Metered)
    }

    /// Compiles an upload to be counted, in this process: for tools, whose user owns the module. It blocks, as [`Runtime::compile`]
    /// does.
    ///
    /// # Errors
    /// Those of [`Runtime::compile`].
    pub fn compile(&self, upload: &[u8]) -> Result<Metered, ModuleError> {
        self.0.compile(upload).map(Metered)
    }
}

impl Metered {
    /// What this call costs, in fuel; none where it ends by what differs from one machine to the next: the time, or the depth of the
    /// stack.
    #[must_use]
    pub fn fuel(&self, call: &Call<'_>) -> Option<u64> {
        let time = self.0.shared().config.max_time();
        let report = self.0.call(&Call { time, ..call.clone() });
        let of_the_machine = matches!(
            report.result,
            Err(CallError::TimeLimit { .. } | CallError::StackOverflow { .. } | CallError::Start(_))
        );
        report.fuel.filter(|_| !of_the_machine)
    }
}
