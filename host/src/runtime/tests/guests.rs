//! Guests as WebAssembly text: core modules with the WIT metadata of `wit/`, and components made of them.

use std::fmt::Write as _;
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A core module in parts. Left as it is, it accepts, or makes no message: its memory is zero, and so is its result.
pub(crate) struct Guest {
    pub(crate) world: &'static str,
    /// Imports and types, which come first.
    pub(crate) imports: String,
    pub(crate) memory: &'static str,
    /// The instructions of `configure`; they leave the address of its result.
    pub(crate) configure: String,
    /// The instructions of `accept`, `apply` or `route`; they leave the address of its result.
    pub(crate) call: String,
    /// Functions, globals, data.
    pub(crate) rest: String,
}

/// The interfaces, as core modules import them.
pub(crate) const LOG: &str = r#"(import "hookswitch:module/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#;
pub(crate) const ORIGIN: &str = r#"(import "hookswitch:module/context@0.1.0" "origin" (func $origin (param i32)))"#;
pub(crate) const EVENT_BODY: &str =
    r#"(import "hookswitch:module/context@0.1.0" "event-body" (func $event-body (param i32)))"#;
pub(crate) const STATE_GET: &str =
    r#"(import "hookswitch:module/state@0.1.0" "get" (func $state-get (param i32 i32 i32)))"#;
pub(crate) const ENDPOINTS_GET: &str =
    r#"(import "hookswitch:module/endpoints@0.1.0" "get" (func $endpoints-get (param i32 i32 i32)))"#;

impl Guest {
    pub(crate) fn of(world: &'static str) -> Self {
        Self {
            world,
            imports: String::new(),
            memory: r#"(memory (export "memory") 40)"#,
            configure: "(i32.const 0)".into(),
            call: "(i32.const 0)".into(),
            rest: String::new(),
        }
    }

    /// The core module's text.
    pub(crate) fn wat(&self) -> String {
        let export = match self.world {
            "filter" => "accept",
            "transform" => "apply",
            _ => "route",
        };
        let Self { imports, memory, configure, call, rest, .. } = self;
        format!(
            r#"(module {imports} {memory}
                (global $heap (mut i32) (i32.const 1048576))
                (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
                    (global.get $heap)
                    (global.set $heap (i32.and (i32.const -8)
                        (i32.add (i32.const 7) (i32.add (global.get $heap) (local.get $size))))))
                (func $configure (export "configure") (param $settings i32) (param $length i32) (result i32) {configure})
                (func ${export} (export "{export}") (param $args i32) (result i32) {call})
                {rest})"#
        )
    }

    /// The core module, with the metadata that makes it one of its world.
    pub(crate) fn core(&self) -> Vec<u8> {
        with_metadata(&self.wat(), &contract(), self.world)
    }

    /// The same as a component.
    pub(crate) fn component(&self) -> Vec<u8> {
        let encoder = ComponentEncoder::default().module(&self.core()).expect("a core module");
        encoder.validate(true).encode().expect("a component")
    }
}

/// A core module that targets `world` of the package that is written in `wit`.
pub(crate) fn with_metadata(wat: &str, wit: &str, world: &str) -> Vec<u8> {
    let mut core = wat::parse_str(wat).expect("WebAssembly text");
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).expect("WIT");
    let world = resolve.select_world(&[package], Some(world)).expect("a world");
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).expect("metadata");
    core
}

/// The text of `wit/`, as one file.
pub(crate) fn contract() -> String {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let read = |name| std::fs::read_to_string(wit.join(name)).expect("a file of wit/");
    let worlds = read("worlds.wit").replace("package hookswitch:module@0.1.0;", "");
    read("types.wit") + &worlds
}

/// A data segment of 32-bit numbers.
pub(crate) fn words(at: u32, words: &[u32]) -> String {
    bytes(at, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>())
}

/// A data segment of bytes.
pub(crate) fn bytes(at: u32, bytes: &[u8]) -> String {
    let mut text = format!("(data (i32.const {at}) \"");
    for byte in bytes {
        write!(text, "\\{byte:02x}").expect("a string");
    }
    text + "\")"
}

/// One `output` of the contract as it lies in memory: each part none, or an address and a length.
#[derive(Clone, Copy, Default)]
pub(crate) struct Output {
    pub(crate) event_type: Option<(u32, u32)>,
    pub(crate) content_type: Option<(u32, u32)>,
    pub(crate) headers: Option<(u32, u32)>,
    pub(crate) body: Option<(u32, u32)>,
    pub(crate) ordering_key: Option<(u32, u32)>,
    pub(crate) delay_ms: Option<u32>,
}

impl Output {
    pub(crate) fn words(self) -> Vec<u32> {
        let parts = [self.event_type, self.content_type, self.headers, self.body, self.ordering_key];
        let part = |part: Option<(u32, u32)>| part.map_or([0; 3], |(at, length)| [1, at, length]);
        let mut words: Vec<u32> = parts.into_iter().flat_map(part).collect();
        let delay = self.delay_ms.unwrap_or_default();
        words.extend([0, self.delay_ms.is_some().into(), 0, delay, 0]);
        words
    }
}

/// A filter that rejects, its reason at this address.
pub(crate) fn rejecting(at: u32, length: u32) -> Guest {
    Guest { rest: words(4, &[1, at, length]) + &bytes(at, b"not main"), ..Guest::of("filter") }
}

/// A transform that makes these messages; texts begin at 0x8000 and are put there by `rest`.
pub(crate) fn making(outputs: &[Output], rest: &str) -> Guest {
    let list: Vec<u32> = outputs.iter().flat_map(|output| output.words()).collect();
    let count = u32::try_from(outputs.len()).expect("a few");
    let rest = words(4, &[64, count]) + &words(64, &list) + rest;
    Guest { rest, ..Guest::of("transform") }
}
