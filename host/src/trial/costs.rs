//! The modules that were compiled to be counted, for a host. Compiling takes as long as it does for an upload, and goes the same way, in
//! a process of its own within the same bounds. It is done when a cost is first asked for, one module at a time, and the last few are
//! kept. Nobody waits for it longer than [`WAIT_MAX`].

use crate::model::Digest;
use crate::runtime::{Compiler, Config, Meter, Metered, ModuleError, RuntimeError};
use crate::store::ModuleFiles;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};

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
    /// Whoever compiles holds it; the others wait for their turn.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    meter: Option<Meter>,
    /// The least recently used first.
    kept: VecDeque<(Digest, Metered)>,
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
        Self { inner: Arc::new(Inner { config, compiler, files, state: Arc::default() }) }
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
        let found = async {
            let state = Arc::clone(&self.inner.state).lock_owned().await;
            tokio::spawn(find(Arc::clone(&self.inner), state, digest)).await?
        };
        tokio::time::timeout(WAIT_MAX, found).await.unwrap_or(Err(CostsError::StillCompiling))
    }
}

async fn find(inner: Arc<Inner>, mut state: OwnedMutexGuard<State>, digest: Digest) -> Result<Metered, CostsError> {
    if let Some(at) = state.kept.iter().position(|(kept, _)| *kept == digest)
        && let Some(found) = state.kept.remove(at)
    {
        let metered = found.1.clone();
        state.kept.push_back(found);
        return Ok(metered);
    }
    let meter = state.meter.clone();
    let on_disk = Arc::clone(&inner);
    let begun = tokio::task::spawn_blocking(move || -> Result<(Meter, Bytes), CostsError> {
        let meter = meter.map_or_else(|| Meter::start(&on_disk.config), Ok)?;
        Ok((meter, on_disk.files.get(&digest)?))
    });
    let (meter, wasm) = begun.await??;
    let metered = meter.compile_with(&inner.compiler, wasm).await?;
    state.meter = Some(meter);
    if state.kept.len() == KEPT_MAX {
        state.kept.pop_front();
    }
    state.kept.push_back((digest, metered.clone()));
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

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let costs = Costs::new(
            Config { threads: 1, ..Config::default() },
            Compiler::InProcess,
            ModuleFiles::open(dir.path()).unwrap(),
        );
        let _compiling = costs.inner.state.lock().await;
        assert!(matches!(costs.module(Digest::of(b"any")).await, Err(CostsError::StillCompiling)));
    }

    #[tokio::test]
    async fn the_last_few_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let files = ModuleFiles::open(dir.path()).unwrap();
        let costs = Costs::new(Config { threads: 1, ..Config::default() }, Compiler::InProcess, files.clone());
        // A custom section makes another module of the same code.
        let uploads = (0..=KEPT_MAX).map(|number| {
            let mut upload = crate::runtime::tests::small_upload();
            upload.extend([0, 2, 1, u8::try_from(number).unwrap() + b'a']);
            upload
        });
        let mut digests = Vec::new();
        for upload in uploads {
            let digest = Digest::of(&upload);
            files.put(&digest, &upload).unwrap();
            costs.module(digest).await.unwrap();
            digests.push(digest);
        }
        let kept: Vec<_> = costs.inner.state.lock().await.kept.iter().map(|(digest, _)| *digest).collect();
        assert_eq!(kept, digests[1..]);
        costs.module(digests[1]).await.unwrap();
        let kept: Vec<_> = costs.inner.state.lock().await.kept.iter().map(|(digest, _)| *digest).collect();
        assert_eq!(kept.last(), Some(&digests[1]), "the one that was used is kept longest");
        assert!(matches!(costs.module(Digest::of(b"never uploaded")).await, Err(CostsError::File(_))));
    }
}
