//! The modules that were compiled to be counted, for a host. Compiling takes as long as it does for an upload, and goes the same way, in
//! a process of its own within the same bounds. It is done when a cost is first asked for, one module at a time, and the last few are
//! kept. Nobody waits for it longer than [`WAIT_MAX`].

use crate::model::Digest;
use crate::runtime::{Compiler, Config, Meter, Metered, ModuleError, RuntimeError};
use crate::store::ModuleFiles;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;

/// How many modules are kept. Each takes a few MiB, one with an interpreter some 50.
const KEPT_MAX: usize = 4;

/// How long one waits for a module: one with an interpreter takes longer, and is there when somebody asks later.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Finds modules to be counted. Cheap to clone.
#[derive(Clone)]
pub struct Costs {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    compiler: Compiler,
    files: ModuleFiles,
    /// The least recently used first. Held for a moment only: a module that is kept waits for nobody.
    kept: Mutex<VecDeque<(Digest, Metered)>>,
    /// Whoever compiles holds it; the others wait for their turn. In it is the engine, from the first turn on.
    compiling: Arc<tokio::sync::Mutex<Option<Meter>>>,
}

/// Why a module cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum CostsError {
    /// Its file is missing or damaged.
    #[error("the module's file: {0}")]
    File(#[from] std::io::Error),
    /// The engine does not start.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// It does not compile.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// It takes long.
    #[error("the module is still being compiled to be counted; ask again")]
    StillCompiling,
    /// The compiler broke down.
    #[error("the compiler broke down: {0}")]
    Compiler(#[from] tokio::task::JoinError),
}

impl Costs {
    /// Nothing is started before it is needed.
    #[must_use]
    pub fn new(config: Config, compiler: Compiler, files: ModuleFiles) -> Self {
        Self { inner: Arc::new(Inner { config, compiler, files, kept: Mutex::default(), compiling: Arc::default() }) }
    }

    /// The bounds that modules run by.
    #[must_use]
    pub fn limits(&self) -> &Config {
        &self.inner.config
    }

    /// A version, compiled to be counted.
    ///
    /// # Errors
    /// Its file is not to be had, or does not compile, or not within ten seconds: that goes on, and the next who asks finds it.
    pub async fn module(&self, digest: Digest) -> Result<Metered, CostsError> {
        if let Some(kept) = self.inner.find(&digest) {
            return Ok(kept);
        }
        let made = async {
            let turn = Arc::clone(&self.inner.compiling).lock_owned().await;
            tokio::spawn(compile(Arc::clone(&self.inner), turn, digest)).await?
        };
        tokio::time::timeout(WAIT_MAX, made).await.unwrap_or(Err(CostsError::StillCompiling))
    }
}

impl Inner {
    /// A module that is kept; from now on it is the one that was used last.
    fn find(&self, digest: &Digest) -> Option<Metered> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(other, _)| other == digest)?;
        let found = kept.remove(at)?;
        let metered = found.1.clone();
        kept.push_back(found);
        Some(metered)
    }

    fn keep(&self, digest: Digest, metered: Metered) {
        let mut kept = self.kept();
        if kept.len() == KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back((digest, metered));
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(Digest, Metered)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compiles a module, unless that was done while this waited for its turn.
async fn compile(
    inner: Arc<Inner>,
    mut turn: OwnedMutexGuard<Option<Meter>>,
    digest: Digest,
) -> Result<Metered, CostsError> {
    if let Some(kept) = inner.find(&digest) {
        return Ok(kept);
    }
    let (meter, on_disk) = (turn.clone(), Arc::clone(&inner));
    let begun = tokio::task::spawn_blocking(move || -> Result<(Meter, Bytes), CostsError> {
        let meter = meter.map_or_else(|| Meter::start(&on_disk.config), Ok)?;
        Ok((meter, on_disk.files.get(&digest)?))
    });
    let (meter, wasm) = begun.await??;
    let metered = turn.insert(meter).compile_with(&inner.compiler, wasm).await?;
    inner.keep(digest, metered.clone());
    Ok(metered)
}

impl fmt::Debug for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Costs").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Modules of the same code: a custom section makes another of it.
    fn upload(number: usize) -> Vec<u8> {
        let mut upload = crate::runtime::tests::small_upload();
        upload.extend([0, 2, 1, u8::try_from(number).unwrap() + b'a']);
        upload
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end_and_nobody_for_what_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let files = ModuleFiles::open(dir.path()).unwrap();
        let costs = Costs::new(Config { threads: 1, ..Config::default() }, Compiler::InProcess, files.clone());
        let kept = Digest::of(&upload(0));
        files.put(&kept, &upload(0)).unwrap();
        costs.module(kept).await.unwrap();
        let _another_compiles = costs.inner.compiling.lock().await;
        assert!(matches!(costs.module(Digest::of(b"any")).await, Err(CostsError::StillCompiling)));
        costs.module(kept).await.unwrap();
    }

    #[tokio::test]
    async fn the_last_few_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let files = ModuleFiles::open(dir.path()).unwrap();
        let costs = Costs::new(Config { threads: 1, ..Config::default() }, Compiler::InProcess, files.clone());
        let mut digests = Vec::new();
        for upload in (0..=KEPT_MAX).map(upload) {
            let digest = Digest::of(&upload);
            files.put(&digest, &upload).unwrap();
            costs.module(digest).await.unwrap();
            digests.push(digest);
        }
        let kept: Vec<_> = costs.inner.kept().iter().map(|(digest, _)| *digest).collect();
        assert_eq!(kept, digests[1..]);
        costs.module(digests[1]).await.unwrap();
        let kept: Vec<_> = costs.inner.kept().iter().map(|(digest, _)| *digest).collect();
        assert_eq!(kept.last(), Some(&digests[1]), "the one that was used is kept longest");
        assert!(matches!(costs.module(Digest::of(b"never uploaded")).await, Err(CostsError::File(_))));
    }
}
