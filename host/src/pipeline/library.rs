//! The modules at hand: each version compiled once, found by its digest, read back from its file when it is first needed.

use crate::model::Digest;
use crate::runtime::{Module, ModuleError, Runtime};
use crate::store::ModuleFiles;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// How many modules are compiled at once: each takes a core and some hundred MiB.
const COMPILES_AT_ONCE_MAX: usize = 2;
/// How many uploads are read and installed at once; others wait, unread.
const UPLOADS_AT_ONCE_MAX: usize = 4;

/// Compiled modules over the files they came from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Library {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    runtime: Runtime,
    files: ModuleFiles,
    ready: RwLock<HashMap<Digest, Module>>,
    /// One cell for each version being loaded, so that it is compiled once however many runs wait for it.
    loading: Mutex<HashMap<Digest, Arc<OnceCell<Module>>>>,
    compiling: Semaphore,
    uploads: Arc<Semaphore>,
}

/// Why a module is not to be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LibraryError {
    /// It is not a module this host runs.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// Its file could not be read or written.
    #[error("the module's file: {0}")]
    File(String),
    /// The compiler broke down.
    #[error("the compiler broke down: {0}")]
    Compiler(String),
}

impl Library {
    /// An empty library over these files.
    #[must_use]
    pub fn new(runtime: Runtime, files: ModuleFiles) -> Self {
        let (ready, loading) = (RwLock::default(), Mutex::default());
        let (compiling, uploads) =
            (Semaphore::new(COMPILES_AT_ONCE_MAX), Arc::new(Semaphore::new(UPLOADS_AT_ONCE_MAX)));
        let inner = Inner { runtime, files, ready, loading, compiling, uploads };
        Self { inner: Arc::new(inner) }
    }

    /// Compiles an upload and keeps its bytes on disk, durably. The same bytes again change nothing.
    ///
    /// # Errors
    /// Where the bytes are not a module, or the disk fails.
    pub async fn install(&self, wasm: Bytes) -> Result<Module, LibraryError> {
        let digest = Digest::of(&wasm);
        let module = match self.ready(&digest) {
            Some(module) => module,
            None => self.compile(wasm.clone()).await?,
        };
        let files = self.inner.files.clone();
        let written = tokio::task::spawn_blocking(move || files.put(&digest, &wasm)).await;
        written
            .map_err(|error| LibraryError::File(error.to_string()))?
            .map_err(|e| LibraryError::File(e.to_string()))?;
        self.keep(digest, &module);
        Ok(module)
    }

    /// Waits for one's turn to upload, which lasts as long as the answer is kept.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        self.inner.uploads.clone().acquire_owned().await.ok()
    }

    /// Forgets what is compiled, but for these versions. A run that is pinned to another one has it compiled anew.
    pub fn keep_only(&self, wanted: &HashSet<Digest>) {
        self.inner.ready.write().unwrap_or_else(PoisonError::into_inner).retain(|digest, _| wanted.contains(digest));
    }

    /// The longest one call of a module may take.
    #[must_use]
    pub fn call_time_max(&self) -> Duration {
        Duration::from_millis(self.inner.runtime.config().max_time_ms)
    }

    /// The largest module that is taken, in bytes.
    #[must_use]
    pub fn module_bytes_max(&self) -> usize {
        self.inner.runtime.config().module_bytes_max
    }

    /// A version that is compiled already.
    #[must_use]
    pub fn ready(&self, digest: &Digest) -> Option<Module> {
        self.inner.ready.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// A version, compiled from its file where it is not yet.
    ///
    /// # Errors
    /// Where its file is missing or damaged, or does not compile.
    pub async fn load(&self, digest: &Digest) -> Result<Module, LibraryError> {
        if let Some(module) = self.ready(digest) {
            return Ok(module);
        }
        let cell = self.loading(|loading| loading.entry(*digest).or_default().clone());
        let loaded = cell.get_or_try_init(|| self.read_and_compile(*digest)).await.cloned();
        if let Ok(module) = &loaded {
            self.keep(*digest, module);
        }
        // Also where it failed: the next who asks tries again, and what nobody asks for is not kept in mind.
        self.loading(|loading| loading.remove(digest));
        loaded
    }

    async fn read_and_compile(&self, digest: Digest) -> Result<Module, LibraryError> {
        let files = self.inner.files.clone();
        let read = tokio::task::spawn_blocking(move || files.get(&digest)).await;
        let wasm =
            read.map_err(|e| LibraryError::File(e.to_string()))?.map_err(|e| LibraryError::File(e.to_string()))?;
        self.compile(wasm).await
    }

    async fn compile(&self, wasm: Bytes) -> Result<Module, LibraryError> {
        // It is never closed.
        let _turn = self.inner.compiling.acquire().await.ok();
        let runtime = self.inner.runtime.clone();
        let compiled = tokio::task::spawn_blocking(move || runtime.compile(&wasm)).await;
        Ok(compiled.map_err(|error| LibraryError::Compiler(error.to_string()))??)
    }

    fn keep(&self, digest: Digest, module: &Module) {
        self.inner.ready.write().unwrap_or_else(PoisonError::into_inner).insert(digest, module.clone());
    }

    fn loading<T>(&self, look: impl FnOnce(&mut HashMap<Digest, Arc<OnceCell<Module>>>) -> T) -> T {
        look(&mut self.inner.loading.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Config;

    #[tokio::test]
    async fn what_is_not_wanted_is_forgotten_and_compiled_again_when_it_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::start(Config { threads: 1, ..Config::default() }).unwrap();
        let library = Library::new(runtime, ModuleFiles::open(dir.path()).unwrap());
        let wasm = Bytes::from(crate::runtime::tests::small_upload());
        let digest = Digest::of(&wasm);
        library.install(wasm).await.unwrap();
        library.keep_only(&HashSet::from([digest]));
        assert!(library.ready(&digest).is_some());
        library.keep_only(&HashSet::new());
        assert!(library.ready(&digest).is_none());
        library.load(&digest).await.unwrap();
        assert!(library.ready(&digest).is_some());

        let unknown = Digest::of(b"never uploaded");
        assert!(matches!(library.load(&unknown).await, Err(LibraryError::File(_))));
        assert_eq!(library.loading(|loading| loading.len()), 0, "a failure is not kept in mind");
    }
}
