//! What the compiler makes of an upload: machine code for one engine, and the world that the upload targets.
//!
//! It is native code: whoever can put bytes of their own in its place runs them in the host. So it comes from the compiler of
//! this very host, or from a file that the host has authenticated; never from an upload.

use super::WIT_VERSION;
use crate::model::{Digest, World};
use sha2::{Digest as _, Sha256};
use std::hash::{Hash as _, Hasher};
use wasmtime::Engine;
use wasmtime::component::Component;

/// A compiled upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    world: World,
    code: Vec<u8>,
}

impl Compiled {
    /// `code` must be what [`Engine::precompile_component`] answered.
    pub(super) const fn new(world: World, code: Vec<u8>) -> Self {
        Self { world, code }
    }

    /// The world that the upload targets.
    pub(super) const fn world(&self) -> World {
        self.world
    }

    /// The machine code.
    pub(super) fn code(&self) -> &[u8] {
        &self.code
    }

    /// The machine code, to be sent on.
    pub(super) fn into_code(self) -> Vec<u8> {
        self.code
    }

    /// For a file: the letter of the world, and the code.
    #[must_use]
    pub fn parts(&self) -> (u8, &[u8]) {
        (letter(self.world), &self.code)
    }

    /// The opposite of [`Compiled::parts`]. What is given must be authentic: it is going to be run.
    #[must_use]
    pub fn from_parts(first: u8, code: Vec<u8>) -> Option<Self> {
        let mut worlds = [World::Filter, World::Transform, World::Router].into_iter();
        worlds.find(|world| letter(*world) == first).map(|world| Self { world, code })
    }
}

const fn letter(world: World) -> u8 {
    match world {
        World::Filter => b'f',
        World::Transform => b't',
        World::Router => b'r',
    }
}

/// Takes compiled code into the engine.
#[expect(unsafe_code, reason = "machine code cannot be checked, it can only come from where it is known to be right")]
pub(super) fn component(engine: &Engine, compiled: &Compiled) -> wasmtime::Result<Component> {
    // SAFETY: a `Compiled` holds what `precompile_component` answered in this process, in the process of this program that the
    // host itself started for it, or what a file held that is authenticated with a key that only this host has, and that the
    // host wrote from one of these. No upload gets here: `screen` refuses what is not WebAssembly. That the engine is another one
    // (another wasmtime, other settings) wasmtime checks itself, and answers an error.
    unsafe { Component::deserialize(engine, compiled.code()) }
}

/// Names everything that the code for an upload depends on beside the upload: wasmtime, its settings, the machine; and how this
/// host makes a component of a core module.
pub(super) fn engine_id(engine: &Engine) -> Digest {
    let mut sha = Sha(Sha256::new());
    (env!("CARGO_PKG_VERSION"), WIT_VERSION).hash(&mut sha);
    engine.precompile_compatibility_hash().hash(&mut sha);
    Digest::from_bytes(sha.0.finalize().into())
}

/// Takes what is hashed into a sha256: the hashers of the standard library may differ from one version to the next.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks for 64 bits of it.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::engine::Cleaning;
    use crate::runtime::{Config, engine};

    #[test]
    fn the_engine_that_only_compiles_compiles_for_the_one_that_runs() {
        let config = Config { threads: 1, ..Config::default() };
        let (runs, compiles) = (engine::new(&config, Cleaning::Whole).unwrap(), engine::compile_only(&config).unwrap());
        assert_eq!(engine_id(&runs), engine_id(&compiles));
        let other = Config { stack_bytes_max: config.stack_bytes_max * 2, ..config.clone() };
        assert_eq!(
            engine_id(&engine::new(&other, Cleaning::Whole).unwrap()),
            engine_id(&runs),
            "it is a bound of calls, not of code"
        );
    }

    #[test]
    fn parts_make_the_whole_again() {
        for world in [World::Filter, World::Transform, World::Router] {
            let compiled = Compiled::new(world, vec![1, 2, 3]);
            let (first, code) = compiled.parts();
            assert_eq!(Compiled::from_parts(first, code.to_vec()), Some(compiled));
        }
        assert_eq!(Compiled::from_parts(b'x', Vec::new()), None);
    }
}
