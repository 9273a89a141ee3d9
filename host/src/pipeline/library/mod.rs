//! The modules at hand: each version compiled once, in a process of its own, its code kept on disk; loaded when it is first needed, and
//! in memory as long as there is room.
//!
//! A version is looked for in memory (`shelf`), then among the compiled files, where it takes milliseconds to load. Where its
//! compiled file is missing, damaged or not this host's, it is compiled again from the upload.

mod shelf;
mod turns;

pub use turns::{Place, Scope, Turn};

use crate::model::Digest;
use crate::runtime::{Compiled, Compiler, Module, ModuleError, Runtime};
use crate::store::{CompiledFiles, ModuleFiles, on_disk};
use bytes::Bytes;
use shelf::Shelf;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use turns::Turns;

/// How many modules are compiled at once: each takes a core and some hundred MiB.
const COMPILES_AT_ONCE_MAX: usize = 2;
/// How many uploads are read and installed at once, of different tenants; others wait, unread.
const UPLOADS_AT_ONCE_MAX: usize = 4;

/// Compiled modules over the files they came from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Library {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    runtime: Runtime,
    compiler: Compiler,
    files: ModuleFiles,
    compiled: CompiledFiles,
    shelf: Shelf,
    /// One cell for each version being loaded, so that it is loaded once however many runs wait for it.
    loading: Mutex<HashMap<Digest, Arc<OnceCell<Module>>>>,
    compiling: Turns,
    uploading: Turns,
    loads: AtomicU64,
    compiles: AtomicU64,
}

/// What is at hand, and what that took since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LibraryReport {
    /// How many modules are in memory.
    pub loaded: usize,
    /// How many bytes they take; `runtime.modules_memory_bytes_max` bounds those not in use.
    pub loaded_bytes: usize,
    /// How many times compiled code was loaded.
    pub loads: u64,
    /// How many times an upload was compiled.
    pub compiles: u64,
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
}

impl Library {
    /// A library over these files, with nothing in memory.
    #[must_use]
    pub fn new(runtime: Runtime, compiler: Compiler, files: ModuleFiles, compiled: CompiledFiles) -> Self {
        let inner = Inner {
            shelf: Shelf::new(runtime.config().modules_memory_bytes_max),
            runtime,
            compiler,
            files,
            compiled,
            loading: Mutex::default(),
            compiling: Turns::new(COMPILES_AT_ONCE_MAX),
            uploading: Turns::new(UPLOADS_AT_ONCE_MAX),
            loads: AtomicU64::new(0),
            compiles: AtomicU64::new(0),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Lines up to upload: nothing is to be read before it is one's turn.
    #[must_use]
    pub fn line_up_to_upload(&self, scope: &Scope) -> Place {
        self.inner.uploading.line_up(scope)
    }

    /// Lines up to compile. Those of one scope get their turns in the order in which they lined up.
    #[must_use]
    pub fn line_up_to_compile(&self, scope: &Scope) -> Place {
        self.inner.compiling.line_up(scope)
    }

    /// Compiles an upload and keeps its bytes and its code on disk, durably. The same bytes again change nothing.
    ///
    /// # Errors
    /// Where the bytes are not a module, or the disk fails.
    pub async fn install(&self, turn: &mut Turn, wasm: Bytes) -> Result<Module, LibraryError> {
        let digest = Digest::of(&wasm);
        let module = match self.at_hand(digest).await {
            Some(module) => module,
            None => self.compile(digest, wasm.clone()).await?,
        };
        turn.work_done();
        let files = self.inner.files.clone();
        on_disk(move || files.put(&digest, &wasm)).await?;
        self.inner.shelf.put(&module);
        Ok(module)
    }

    /// The longest one call of a module may take.
    #[must_use]
    pub fn call_time_max(&self) -> Duration {
        self.inner.runtime.config().max_time()
    }

    /// The largest module that is taken, in bytes.
    #[must_use]
    pub fn module_bytes_max(&self) -> usize {
        self.inner.runtime.config().module_bytes_max
    }

    /// A version that is in memory already.
    #[must_use]
    pub fn ready(&self, digest: &Digest) -> Option<Module> {
        self.inner.shelf.get(digest)
    }

    /// A version, loaded where it is not in memory.
    ///
    /// # Errors
    /// Where its file is missing or damaged, or does not compile.
    pub async fn load(&self, digest: &Digest) -> Result<Module, LibraryError> {
        if let Some(module) = self.ready(digest) {
            return Ok(module);
        }
        let cell = self.loading(|loading| loading.entry(*digest).or_default().clone());
        let loaded = cell.get_or_try_init(|| self.load_or_compile(*digest)).await.cloned();
        if let Ok(module) = &loaded {
            self.inner.shelf.put(module);
        }
        // Also where it failed: the next who asks tries again, and what nobody asks for is not kept in mind.
        self.loading(|loading| loading.remove(digest));
        loaded
    }

    /// Loads these versions, one after the other, as long as there is room in memory.
    pub async fn warm_up(&self, digests: impl IntoIterator<Item = Digest>) {
        for digest in digests {
            if !self.inner.shelf.has_room() {
                tracing::info!("not all modules that routes use fit in runtime.modules_memory_bytes_max");
                return;
            }
            if let Err(error) = self.load(&digest).await {
                tracing::error!(%digest, %error, "a module is not to be had; runs that need it are held");
            }
        }
    }

    /// What is at hand.
    #[must_use]
    pub fn report(&self) -> LibraryReport {
        let (loaded, loaded_bytes) = self.inner.shelf.size();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LibraryReport { loaded, loaded_bytes, loads: count(&self.inner.loads), compiles: count(&self.inner.compiles) }
    }

    /// Removes uploaded modules that are not wanted, and were not uploaded within this time. Answers how many.
    ///
    /// # Errors
    /// Where the disk fails.
    pub async fn sweep(&self, wanted: BTreeSet<Digest>, uploaded_within: Duration) -> Result<usize, LibraryError> {
        let files = self.inner.files.clone();
        Ok(on_disk(move || files.sweep(&wanted, uploaded_within)).await?)
    }

    async fn load_or_compile(&self, digest: Digest) -> Result<Module, LibraryError> {
        if let Some(module) = self.at_hand(digest).await {
            return Ok(module);
        }
        let files = self.inner.files.clone();
        let wasm = on_disk(move || files.get(&digest)).await?;
        let _turn = self.line_up_to_compile(&Scope::Host).turn().await;
        self.compile(digest, wasm).await
    }

    /// A version that is in memory, or whose code is on disk.
    async fn at_hand(&self, digest: Digest) -> Option<Module> {
        if let Some(module) = self.ready(&digest) {
            return Some(module);
        }
        let library = self.clone();
        tokio::task::spawn_blocking(move || library.load_from_disk(digest)).await.ok().flatten()
    }

    /// What is wrong with a compiled file is for the log: the upload is still there.
    fn load_from_disk(&self, digest: Digest) -> Option<Module> {
        let mut read = match self.inner.compiled.get(&digest) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(%digest, %error, "compiled code is not usable; the module is compiled again");
                return None;
            }
        };
        let world = read.pop()?;
        match self.load_code(digest, &Compiled::from_parts(world, read)?) {
            Ok(module) => Some(module),
            Err(error) => {
                tracing::warn!(%digest, %error, "compiled code does not load; the module is compiled again");
                None
            }
        }
    }

    fn load_code(&self, digest: Digest, compiled: &Compiled) -> Result<Module, ModuleError> {
        let module = self.inner.runtime.load(digest, compiled)?;
        self.inner.loads.fetch_add(1, Ordering::Relaxed);
        Ok(module)
    }

    async fn compile(&self, digest: Digest, wasm: Bytes) -> Result<Module, LibraryError> {
        let compiled = self.inner.compiler.compile(&self.inner.runtime, wasm).await?;
        self.inner.compiles.fetch_add(1, Ordering::Relaxed);
        let library = self.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let module = library.load_code(digest, &compiled)?;
            let (world, code) = compiled.parts();
            if let Err(error) = library.inner.compiled.put(&digest, &[code, &[world]]) {
                tracing::warn!(%digest, %error, "compiled code is not kept; the module is compiled again after the next start");
            }
            Ok(module)
        });
        loaded.await.map_err(|error| LibraryError::File(error.to_string()))?
    }

    fn loading<T>(&self, look: impl FnOnce(&mut HashMap<Digest, Arc<OnceCell<Module>>>) -> T) -> T {
        look(&mut self.inner.loading.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<io::Error> for LibraryError {
    fn from(error: io::Error) -> Self {
        Self::File(error.to_string())
    }
}

#[cfg(test)]
mod tests;
