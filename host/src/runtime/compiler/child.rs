//! `hookswitch compile-module`: what the compiler's process does. It confines itself, reads an upload from stdin to its end,
//! and answers on stdout.

use super::confine::confine;
use super::{Answer, Outcome};
use crate::runtime::{Config, engine, upload};
use std::io::{self, ErrorKind, Read as _, Write as _};

/// Compiles what comes on stdin, by the runtime's bounds, `config` as JSON; where it is to be `metered`, for the engine that counts
/// fuel. A refusal is an answer too.
///
/// # Errors
/// The process cannot be confined, or its streams fail.
pub fn compile_module(config: &str, metered: bool) -> io::Result<()> {
    let config: Config =
        serde_json::from_str(config).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    let confinement = confine(&config)?;
    let mut upload = Vec::new();
    // One more than it may have: then it is refused by its own error.
    let bytes_max = (config.module_bytes_max as u64).saturating_add(1);
    io::stdin().lock().take(bytes_max).read_to_end(&mut upload)?;
    let engine = if metered { engine::metered(&config) } else { engine::compile_only(&config) };
    let engine = engine.map_err(|error| io::Error::other(format!("{error:#}")))?;
    let (outcome, code) = match upload::precompile(&engine, &config, &upload) {
        Ok(compiled) => {
            let (world, code) = (compiled.world(), compiled.into_code());
            (Outcome::Compiled { world, code_bytes: code.len() }, code)
        }
        Err(refused) => (Outcome::Refused(refused), Vec::new()),
    };
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, &Answer { confinement, outcome })?;
    stdout.write_all(b"\n")?;
    stdout.write_all(&code)?;
    stdout.flush()
}
