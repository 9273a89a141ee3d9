//! The library over real files, compiling in this process.

use super::*;
use crate::runtime::{Config, tests::small_upload};
use std::path::Path;

fn library(dir: &Path, config: Config) -> Library {
    let runtime = Runtime::start(Config { threads: 1, ..config }).unwrap();
    let files = ModuleFiles::open(&dir.join("modules")).unwrap();
    let compiled = CompiledFiles::open(&dir.join("compiled"), runtime.engine_id(), &[1; 32], |_| true).unwrap();
    Library::new(runtime, Compiler::InProcess, files, compiled)
}

async fn install(library: &Library, wasm: &Bytes) {
    let mut turn = library.line_up_to_compile(&Scope::Operator).turn().await.unwrap();
    library.install(&mut turn, wasm.clone()).await.unwrap();
}

/// Compiles, and loads since the start.
fn work(library: &Library) -> (u64, u64) {
    let report = library.report();
    (report.compiles, report.loads)
}

#[tokio::test]
async fn a_module_is_compiled_once_and_loaded_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = Bytes::from(small_upload());
    let digest = Digest::of(&wasm);
    let before = library(dir.path(), Config::default());
    install(&before, &wasm).await;
    install(&before, &wasm).await;
    before.load(&digest).await.unwrap();
    assert_eq!(work(&before), (1, 1));

    let after = library(dir.path(), Config::default());
    assert!(after.ready(&digest).is_none() && after.report().loaded == 0);
    let (one, other) = tokio::join!(after.load(&digest), after.load(&digest));
    assert!(one.is_ok() && other.is_ok() && after.ready(&digest).is_some());
    assert_eq!(work(&after), (0, 1));

    let unknown = Digest::of(b"never uploaded");
    assert!(matches!(after.load(&unknown).await, Err(LibraryError::File(_))));
    assert_eq!(after.loading(|loading| loading.len()), 0, "a failure is not kept in mind");
}

#[tokio::test]
async fn code_that_is_damaged_or_gone_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let wasm = Bytes::from(small_upload());
    let digest = Digest::of(&wasm);
    install(&library(dir.path(), Config::default()), &wasm).await;
    let path = std::fs::read_dir(dir.path().join("compiled")).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read(&path).unwrap();
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    for bytes in [&damaged[..], &good[..100], b""] {
        std::fs::write(&path, bytes).unwrap();
        let library = library(dir.path(), Config::default());
        library.load(&digest).await.unwrap();
        assert_eq!(work(&library), (1, 1));
        assert!(std::fs::read(&path).unwrap() == good, "and kept again");
    }
    std::fs::remove_file(&path).unwrap();
    let library = library(dir.path(), Config::default());
    library.load(&digest).await.unwrap();
    assert_eq!(work(&library), (1, 1));
}

#[tokio::test]
async fn what_does_not_fit_in_memory_comes_back_from_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let library = library(dir.path(), Config { modules_memory_bytes_max: 1, ..Config::default() });
    let wasm = Bytes::from(small_upload());
    install(&library, &wasm).await;
    let other = Bytes::from([&wasm[..], b"\0\x02\x01x"].concat());
    install(&library, &other).await;
    assert_eq!(library.report().loaded, 1, "the one that was just put there");
    library.load(&Digest::of(&wasm)).await.unwrap();
    assert_eq!(work(&library), (2, 3));
    library.warm_up([Digest::of(&other)]).await;
    assert_eq!(work(&library), (2, 3), "there is no room");
}
