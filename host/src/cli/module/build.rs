//! `hookswitch module build`: runs the one command that builds a module, and says what came of it. Only Go's compiler leaves something to do.

use super::built::{below, newest_wasm};
use super::complete::{CORE_MODULE, complete};
use super::language::{Language, search_path};
use anyhow::{Context as _, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `module build` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct BuildArgs {
    /// The folder of the module
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(super) fn run(args: &BuildArgs) -> anyhow::Result<()> {
    let wasm = build(&args.dir)?;
    let bytes = std::fs::metadata(&wasm).with_context(|| format!("cannot read {}", wasm.display()))?.len();
    println!("built {} {bytes} bytes", wasm.display());
    Ok(())
}

/// Builds the module in `dir` and answers where its .wasm is.
fn build(dir: &Path) -> anyhow::Result<PathBuf> {
    let Some(language) = Language::detect(dir) else {
        bail!(
            "{} has no module that I know how to build: there is no Cargo.toml, package.json, module.py, go.mod, module.c or module.zig; \
             `hookswitch module new` begins one",
            dir.display()
        );
    };
    let path = search_path(dir);
    if let Some(missing) = language.missing(dir, &path) {
        bail!("{} is missing: {}", missing.what, missing.remedy);
    }
    let words = language.command();
    let (program, arguments) = words.split_first().context("a build command has a program")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).env("PATH", &path).envs(language.environment().iter().copied());
    if language == Language::Go {
        let parts = dir.join(CORE_MODULE).with_file_name("");
        std::fs::create_dir_all(&parts).with_context(|| format!("cannot make {}", parts.display()))?;
    }
    let status = command.status().with_context(|| format!("cannot run `{program}`"))?;
    if !status.success() {
        let hint = language.hint(&path).unwrap_or_else(|| "it says why above".to_owned());
        bail!("`{}` failed in {} ({status}): {hint}", words.join(" "), dir.display());
    }
    if language == Language::Go {
        complete(dir).with_context(|| format!("what was built in {} is no module yet", dir.display()))?;
    }
    let output = below(dir, language.output_dir());
    newest_wasm(&output).with_context(|| format!("the build made no .wasm in {}", output.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_module_is_refused_with_what_would_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let error = build(dir.path()).unwrap_err().to_string();
        assert!(error.contains("no module") && error.contains("`hookswitch module new` begins one"), "{error}");
    }
}
