//! `hookswitch module check`: what is in a module, and what a host says to it, in the host's own words.

use super::built::module_at;
use super::words::{milliseconds, size};
use super::{LimitsArgs, read_module, say_that_it_compiles};
use crate::runtime::{Config, Facts, Runtime, WIT_VERSION};
use anyhow::bail;
use clap::Args;
use std::path::PathBuf;
use std::time::Instant;

/// What `check` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// The module's folder, or its .wasm file: a component, or a core module with WIT metadata
    ///
    /// In a folder the module is the newest .wasm file in build/, in target/wasm32-unknown-unknown/release/, or in the folder itself.
    #[arg(value_name = "DIR or FILE.wasm", default_value = ".")]
    module: PathBuf,
    #[command(flatten)]
    limits: LimitsArgs,
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let config = args.limits.read()?;
    let file = module_at(&args.module)?;
    let wasm = read_module(&file)?;
    println!("{}", file.display());
    for (title, text) in Runtime::inspect(&wasm).map(|facts| lines(&facts, wasm.len(), &config)).unwrap_or_default() {
        println!("  {title:<9} {text}");
    }
    let runtime = Runtime::start(config)?;
    say_that_it_compiles(&wasm);
    let began = Instant::now();
    match runtime.compile(&wasm) {
        Ok(module) => {
            let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            println!("  ok        a {} that the host takes; compiled in {}", module.world(), milliseconds(took));
            Ok(())
        }
        Err(error) => bail!("{} is refused ({}): {error}", file.display(), error.code()),
    }
}

/// The facts, by title.
fn lines(facts: &Facts, bytes: usize, config: &Config) -> Vec<(&'static str, String)> {
    let kind = if facts.component { "component" } else { "core module" };
    let world = facts.world.map_or("none: it exports neither `accept`, `apply` nor `route`", |world| world.as_str());
    let mut lines = vec![
        ("size", format!("{} of {} (runtime.module_bytes_max); a {kind}", size(bytes), size(config.module_bytes_max))),
        ("world", world.to_owned()),
        ("contract", contract(&facts.wit_versions)),
    ];
    match facts.imports.split_first() {
        None => lines.push(("imports", "nothing".to_owned())),
        Some((first, rest)) => {
            lines.push(("imports", first.to_string()));
            lines.extend(rest.iter().map(|import| ("", import.to_string())));
        }
    }
    let named = facts.exports.iter().filter(|name| !plumbing(name));
    lines.push(("exports", list(&named.map(String::as_str).collect::<Vec<_>>())));
    let memory = usize::try_from(facts.memory_bytes_min).unwrap_or(usize::MAX);
    let memory_max = size(config.memory_bytes_max);
    lines.push(("memory", format!("{} at the start, of {memory_max} (runtime.memory_bytes_max)", size(memory))));
    lines.push(("names", names(facts)));
    lines
}

fn contract(versions: &[String]) -> String {
    let spoken = format!("this host speaks {WIT_VERSION}");
    match versions {
        [] => format!("it names no version of hookswitch:module; {spoken}"),
        versions => {
            let named: Vec<_> = versions.iter().map(|version| format!("hookswitch:module@{version}")).collect();
            format!("{}; {spoken}", named.join(", "))
        }
    }
}

/// What every core module exports for the component model and for linkers.
fn plumbing(export: &str) -> bool {
    export == "memory" || export.starts_with("cabi_") || export.starts_with("__")
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { format!("`{}`", names.join("`, `")) }
}

fn names(facts: &Facts) -> String {
    let names = match facts.has_names {
        true => "kept: a trap tells in which functions it was",
        false => {
            "none: a trap cannot tell in which function it was; keep the section `name` (Rust: `strip = \"debuginfo\"`)"
        }
    };
    match facts.debug_bytes {
        0 => names.to_owned(),
        bytes => format!("{names}; and {} of debug information, which the host does not use", size(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_anything_is_described_too() {
        let wasm = wat::parse_str("(module)").unwrap();
        let facts = Runtime::inspect(&wasm).unwrap();
        let told = lines(&facts, wasm.len(), &Config::default());
        let text: Vec<_> = told.iter().map(|(title, text)| format!("{title}: {text}")).collect();
        assert_eq!(text[0], "size: 8 bytes of 32 MiB (runtime.module_bytes_max); a core module");
        assert!(text[1].starts_with("world: none"), "{text:?}");
        assert!(text[2].contains("names no version"), "{text:?}");
        assert!(text[3..5].iter().all(|line| line.ends_with(": nothing")), "{text:?}");
    }

    #[test]
    fn the_import_of_a_toolchain_is_shown_with_its_functions() {
        let import = r#"(import "env" "puts" (func)) (import "env" "exit" (func))"#;
        let wasm = wat::parse_str(format!("(module {import} (memory 17))")).unwrap();
        let facts = Runtime::inspect(&wasm).unwrap();
        let told = lines(&facts, wasm.len(), &Config::default());
        assert!(told.contains(&("imports", "`env` (`puts`, `exit`)".to_owned())), "{told:?}");
        assert!(told.iter().any(|(_, text)| text.starts_with("1 MiB at the start")), "{told:?}");
        assert_eq!(Runtime::inspect(b"(module)"), None);
    }
}
