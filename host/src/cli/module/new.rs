//! `hookswitch module new`: writes the folder of a new module, and says what to do next.

use super::language::Language;
use super::template;
use crate::model::{ModuleName, World};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// What `module new` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct NewArgs {
    /// The language to write it in
    #[arg(long, value_enum)]
    lang: Language,
    /// A filter says whether a message goes on, a transform what becomes of it
    #[arg(long, value_enum, default_value = "filter")]
    world: NewWorld,
    /// The folder to make; its last part is the module's name
    #[arg(value_name = "NAME")]
    dir: PathBuf,
}

/// The worlds that there is a template for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum NewWorld {
    Filter,
    Transform,
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(super) fn run(args: &NewArgs) -> anyhow::Result<()> {
    let world = match args.world {
        NewWorld::Filter => World::Filter,
        NewWorld::Transform => World::Transform,
    };
    write(args.lang, world, &args.dir)?;
    let language = args.lang;
    println!("made {}, a {world} in {}; next:", args.dir.display(), language.as_str());
    let built = format!("with {}", language.command().join(" "));
    for (command, does) in [
        (format!("cd {}", args.dir.display()), String::new()),
        (language.install().to_owned(), String::new()),
        ("hookswitch module build".to_owned(), built),
        ("hookswitch module check".to_owned(), "what is in it, and whether a host takes it".to_owned()),
        ("hookswitch module test".to_owned(), "what it makes of the events in fixtures/".to_owned()),
    ] {
        if does.is_empty() { println!("  {command}") } else { println!("  {command:<25} # {does}") }
    }
    println!("README.md says what is where.");
    Ok(())
}

/// Writes a new module into the folder `dir`, which may not exist yet.
fn write(language: Language, world: World, dir: &Path) -> anyhow::Result<()> {
    let last = dir.file_name().with_context(|| format!("`{}` does not end in a name", dir.display()))?;
    let name: ModuleName = last.to_string_lossy().parse()?;
    if dir.exists() {
        bail!("{} is there already; give another name, or remove it", dir.display());
    }
    for (path, content) in template::files(language, world, name.as_str())? {
        let path = dir.join(path);
        let parent = path.parent().unwrap_or(dir);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, content));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_recognised_as_its_language_and_keeps_no_placeholder() {
        let dir = tempfile::tempdir().unwrap();
        for &language in Language::value_variants() {
            for world in [World::Filter, World::Transform] {
                let made = dir.path().join(format!("{}-{world}", language.as_str()));
                write(language, world, &made).unwrap();
                assert_eq!(Language::detect(&made), Some(language));
                for file in [
                    "README.md",
                    ".gitignore",
                    "wit/worlds.wit",
                    "fixtures/README.md",
                    "fixtures/pull_request/expected.json",
                ] {
                    assert!(made.join(file).is_file(), "{} has no {file}", made.display());
                }
                assert_eq!(left_over(&made), Vec::<PathBuf>::new());
            }
        }
    }

    /// The files in which a placeholder is left.
    fn left_over(dir: &Path) -> Vec<PathBuf> {
        let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        paths
            .flat_map(|path| match std::fs::read(&path) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes);
                    if text.contains("{{name}}") || text.contains("{{world}}") { vec![path] } else { Vec::new() }
                }
                Err(_) => left_over(&path),
            })
            .collect()
    }

    #[test]
    fn a_folder_that_is_there_and_a_name_that_is_none_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let there = write(Language::C, World::Filter, dir.path()).unwrap_err().to_string();
        assert!(there.contains("is not a name") || there.contains("is there already"), "{there}");
        std::fs::create_dir(dir.path().join("taken")).unwrap();
        let taken = write(Language::C, World::Filter, &dir.path().join("taken")).unwrap_err().to_string();
        assert!(taken.contains("is there already"), "{taken}");
        let odd = write(Language::C, World::Filter, &dir.path().join("Not A Name")).unwrap_err().to_string();
        assert!(odd.contains("is not a name"), "{odd}");
    }
}
