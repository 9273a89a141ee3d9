//! Modules in other languages: where they are made, and the command line that makes, builds and tests them. `make guests` uses it too.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where modules are made; `scripts/setup-languages.sh` puts their tools there.
pub(crate) fn home() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("languages")
}

/// Has the Rust modules share what they are built of: the crates that they depend on are compiled once.
pub(crate) fn share_target(dir: &Path) {
    let shared = home().join("rust-target");
    std::fs::create_dir_all(&shared).unwrap();
    std::os::unix::fs::symlink(shared, dir.join("target")).unwrap();
}

/// Runs `hookswitch module …` on a folder, in an environment in which Rust modules can be built: whether it was content, and what it says.
pub(crate) fn module(arguments: &[&str], dir: &Path) -> (bool, String) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let script = r#"settings=$(scripts/wasm-target.sh --env 2>/dev/null) || exit; eval "$settings"
        [ -z "$WASM_CARGO_FLAGS" ] || export CARGO_UNSTABLE_BUILD_STD=std,panic_abort
        exec "$@""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_hookswitch"), "module"]).args(arguments).arg(dir);
    let output = command.current_dir(repository).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// The same, where it has to be content.
pub(crate) fn must(arguments: &[&str], dir: &Path) -> String {
    let (ok, said) = module(arguments, dir);
    assert!(ok, "module {arguments:?} {} failed:\n{said}", dir.display());
    said
}
