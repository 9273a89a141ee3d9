//! What is left to do after Go's own compiler: a component without WASI, in the place where the modules of other languages are.

use crate::runtime::{Runtime, without_wasi};
use anyhow::Context as _;
use std::fs;
use std::path::Path;

/// What the compiler makes, in the folder of the module.
pub(super) const CORE_MODULE: &str = "build/parts/core.wasm";

/// Makes `build/NAME.wasm` of what the compiler made of the module in `dir`.
pub(super) fn complete(dir: &Path) -> anyhow::Result<()> {
    let read = |file: &str| {
        let path = dir.join(file);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (core_module, manifest) = (read(CORE_MODULE)?, read("go.mod")?);
    let world = Runtime::inspect(&core_module).and_then(|facts| facts.world);
    let world =
        world.context("the module exports neither `accept`, `apply` nor `route`; export.go says how that is done")?;
    let component = without_wasi(&core_module, world)?;
    let path = dir.join("build").join(format!("{}.wasm", name(&String::from_utf8_lossy(&manifest))));
    fs::write(&path, component).with_context(|| format!("cannot write {}", path.display()))
}

/// The last part of the module's path.
fn name(manifest: &str) -> &str {
    let path = manifest.lines().find_map(|line| line.trim().strip_prefix("module ")).unwrap_or("module");
    path.trim().trim_matches('"').rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_last_part_of_the_path() {
        assert_eq!(name("// A module.\nmodule example.com/a/odd\n\ngo 1.24\n"), "odd");
        assert_eq!(name("module odd"), "odd");
        assert_eq!(name("module \"odd\"\n"), "odd");
        assert_eq!(name(""), "module");
    }

    #[test]
    fn what_is_no_module_of_the_contract_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("build/parts")).unwrap();
        fs::write(dir.path().join("go.mod"), "module odd\n").unwrap();
        fs::write(dir.path().join(CORE_MODULE), wat::parse_str("(module)").unwrap()).unwrap();
        let error = complete(dir.path()).unwrap_err().to_string();
        assert!(error.contains("exports neither"), "{error}");
    }
}
