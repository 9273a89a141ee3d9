//! Where the built module of a folder is: the same for every command that takes a module's folder.

use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// Where a folder's module is looked for; the first place that has one counts. The first two are where `module build` puts them.
const PLACES: [&str; 3] = ["build", "target/wasm32-unknown-unknown/release", "."];

/// The module that a path means: the file itself, or what was built in the folder.
pub(super) fn module_at(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let found = PLACES.iter().find_map(|place| newest_wasm(&below(path, place)));
    found.with_context(|| {
        format!("there is no .wasm file in {0}, nor in {0}/build: build the module first", path.display())
    })
}

/// The .wasm in a folder that was written last: an older one is of a module that has another name by now.
pub(super) fn newest_wasm(dir: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(dir).ok()?.filter_map(|entry| {
        let path = entry.ok()?.path();
        let modified = path.metadata().and_then(|metadata| metadata.modified()).ok()?;
        (path.extension()? == "wasm").then_some((modified, path))
    });
    files.max().map(|(_, path)| path)
}

/// A place in a folder, as a person would write it.
pub(super) fn below(dir: &Path, place: &str) -> PathBuf {
    if dir == Path::new(".") { PathBuf::from(place) } else { dir.join(place) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn write(path: &Path, days_old: u64) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = std::fs::File::create(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days_old * 86_400)).unwrap();
    }

    #[test]
    fn the_newest_module_of_the_first_place_that_has_one_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let none = module_at(dir.path()).unwrap_err().to_string();
        assert!(none.contains("build the module first"), "{none}");
        for (name, days_old) in [("a.wasm", 0), ("build/old.wasm", 3), ("build/new.wasm", 2), ("build/newest.txt", 1)] {
            write(&dir.path().join(name), days_old);
        }
        assert_eq!(module_at(dir.path()).unwrap(), dir.path().join("build/new.wasm"));
        assert_eq!(module_at(&dir.path().join("a.wasm")).unwrap(), dir.path().join("a.wasm"));
        std::fs::remove_dir_all(dir.path().join("build")).unwrap();
        assert_eq!(module_at(dir.path()).unwrap(), dir.path().join("./a.wasm"));
    }
}
