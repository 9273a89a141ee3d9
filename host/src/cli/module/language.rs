//! The languages that modules can be written in, and the tools that each is built with.
//!
//! Everything that differs from one language to the next is in this file or in `templates/`.

use super::complete::CORE_MODULE;
use clap::ValueEnum;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A language that there is a template for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    #[value(name = "javascript", alias = "js")]
    JavaScript,
    #[value(name = "typescript", alias = "ts")]
    TypeScript,
    Python,
    Go,
    C,
    Zig,
}

/// A tool that is not there, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) what: &'static str,
    pub(super) remedy: String,
}

impl Missing {
    fn install(what: &'static str, remedy: &str) -> Self {
        Self { what, remedy: remedy.to_owned() }
    }
}

const NPM_CI: &str = "npm ci";
const PIP_INSTALL: &str = "python3 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements.txt";
const RUSTUP: &str = "rustup target add wasm32-unknown-unknown";

impl Language {
    /// As `--lang` takes it, and as the folder of its template is called.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Python => "python",
            Self::Go => "go",
            Self::C => "c",
            Self::Zig => "zig",
        }
    }

    /// The language of the module in this folder, by the file that only this language has.
    pub(super) fn detect(dir: &Path) -> Option<Self> {
        let has = |file: &str| dir.join(file).is_file();
        match () {
            () if has("Cargo.toml") => Some(Self::Rust),
            () if has("tsconfig.json") => Some(Self::TypeScript),
            () if has("package.json") => Some(Self::JavaScript),
            () if has("module.py") => Some(Self::Python),
            () if has("go.mod") => Some(Self::Go),
            () if has("module.zig") => Some(Self::Zig),
            () if has("module.c") => Some(Self::C),
            () => None,
        }
    }

    /// The command that builds, as a person types it in the module's folder.
    pub(super) const fn command(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["cargo", "build", "--release", "--target", "wasm32-unknown-unknown"],
            Self::JavaScript | Self::TypeScript => &["npm", "run", "build"],
            Self::Go => &["go", "build", "-buildmode=c-shared", "-ldflags=-s", "-o", CORE_MODULE, "."],
            Self::Python | Self::C | Self::Zig => &["make"],
        }
    }

    /// What the environment of that command has beside what it is given.
    pub(super) const fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Where the module is, whatever is said of other builds.
            Self::Rust => &[("CARGO_TARGET_DIR", "target")],
            // The target; and no other version of Go than the one that is there.
            Self::Go => &[("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local")],
            _ => &[],
        }
    }

    /// The command that brings the pinned tools into the module's folder, where they are not a matter of the whole machine.
    pub(super) const fn install(self) -> &'static str {
        match self {
            Self::Rust => RUSTUP,
            Self::JavaScript | Self::TypeScript => NPM_CI,
            Self::Python | Self::Go | Self::C | Self::Zig => PIP_INSTALL,
        }
    }

    /// Where the .wasm is, seen from the module's folder, once it is built.
    pub(super) const fn output_dir(self) -> &'static str {
        match self {
            Self::Rust => "target/wasm32-unknown-unknown/release",
            _ => "build",
        }
    }

    /// The first tool that is missing to build the module in this folder. `path` is what `PATH` will be.
    pub(super) fn missing(self, dir: &Path, path: &OsString) -> Option<Missing> {
        let absent = |program: &str| !runs(path, program, &["--version"]);
        let pinned = |what| Some(Missing { what, remedy: format!("run `{}` in the module's folder", self.install()) });
        match self {
            Self::Rust if absent("cargo") => {
                Some(Missing::install("`cargo`", "install Rust, with its target wasm32-unknown-unknown"))
            }
            Self::Rust => None,
            Self::JavaScript | Self::TypeScript if absent("npm") => {
                Some(Missing::install("`npm`", "install Node.js, 20 or later"))
            }
            Self::JavaScript | Self::TypeScript => {
                let there = above(dir, "node_modules/.bin/componentize-qjs").is_some();
                if there { None } else { pinned("`componentize-qjs`") }
            }
            Self::Go if runs(path, "go", &["version"]) => None,
            _ if self != Self::Go && absent("make") => {
                Some(Missing::install("`make`", "install it with your system's packages"))
            }
            Self::C | Self::Zig if runs(path, "zig", &["version"]) => None,
            _ if absent("python3") => Some(Missing::install("`python3`", "install Python, 3.10 or later")),
            Self::Python if absent("componentize-py") => pinned("`componentize-py`"),
            Self::C | Self::Zig if !runs(path, "python3", &["-m", "ziglang", "version"]) => pinned("`zig`"),
            Self::Go => pinned("`go`"),
            Self::Python | Self::C | Self::Zig => None,
        }
    }

    /// What a failed build of this language may lack that the build itself says badly.
    pub(super) fn hint(self, path: &OsString) -> Option<String> {
        let has_target = || {
            let asked = Command::new("rustc")
                .args(["--print", "target-libdir", "--target", "wasm32-unknown-unknown"])
                .env("PATH", path)
                .stderr(Stdio::null())
                .output();
            asked.is_ok_and(|answer| Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_dir())
        };
        (self == Self::Rust && !has_target())
            .then(|| format!("this Rust cannot build for WebAssembly yet: run `{}`", self.install()))
    }
}

/// What `PATH` is for building in `dir`: the tools of a virtual environment in it or above it come first.
pub(super) fn search_path(dir: &Path) -> OsString {
    let own = above(dir, ".venv/bin");
    let system = std::env::var_os("PATH").unwrap_or_default();
    // It fails only for a folder with a colon in its name, which no PATH can have.
    std::env::join_paths(own.into_iter().chain(std::env::split_paths(&system))).unwrap_or(system)
}

/// Looks for a file or folder in `dir`, then in the folder around it, and so on.
fn above(dir: &Path, name: &str) -> Option<PathBuf> {
    let dir = dir.canonicalize().ok()?;
    dir.ancestors().map(|dir| dir.join(name)).find(|path| path.exists())
}

fn runs(path: &OsString, program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let nothing = OsString::from(dir.path());
        for &language in Language::value_variants() {
            let missing = language.missing(dir.path(), &nothing).unwrap();
            assert!(missing.remedy.starts_with("install "), "{language:?}: {missing:?}");
        }
        // With the tools of the machine, and without those of the module.
        for program in ["npm", "make", "python3"] {
            let path = dir.path().join(program);
            std::fs::write(&path, "#!/bin/sh\n[ \"$1\" = --version ]\n").unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        for (language, tool) in [
            (Language::JavaScript, "`componentize-qjs`"),
            (Language::TypeScript, "`componentize-qjs`"),
            (Language::Python, "`componentize-py`"),
            (Language::Go, "`go`"),
            (Language::C, "`zig`"),
            (Language::Zig, "`zig`"),
        ] {
            let missing = language.missing(dir.path(), &nothing).unwrap();
            assert!(missing.what == tool && missing.remedy.contains(language.install()), "{language:?}: {missing:?}");
        }
        assert!(Language::Rust.hint(&nothing).unwrap().contains("rustup target add"));
        assert_eq!(Language::C.hint(&nothing), None);
    }
}
