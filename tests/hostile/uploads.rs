//! Uploads that are no modules, no modules for this host, or made to keep its compiler busy.

use super::Fate::{Harmless, Refused};
use super::guests::{ENDPOINTS_GET, Guest, contract, rejecting, with_metadata};
use super::{Hostile, good, hostile};

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

pub(super) fn all() -> Vec<Hostile> {
    [broken(), strangers(), features(), bombs()].into_iter().flatten().collect()
}

/// A good core module and a good component, cut off before, at and behind the beginning of every section.
pub(crate) fn truncated() -> Vec<Vec<u8>> {
    let mut cut = Vec::new();
    for upload in [good(), rejecting(64, 8).component()] {
        for start in section_starts(&upload) {
            cut.extend((start - 1..=start + 1).filter(|at| *at < upload.len()).map(|at| upload[..at].to_vec()));
        }
    }
    cut
}

/// Small, a quarter of a megabyte and some four, and more than a gigabyte or half a minute for the compiler.
pub(super) fn slow() -> Vec<Hostile> {
    vec![
        hostile(
            "hungry-to-compile",
            many_values(1, 100, 20_000),
            Refused("compile_memory", "runtime.compile_memory_bytes_max"),
        ),
        hostile("slow-to-compile", many_values(60, 60, 5_000), Refused("compile_cpu", "runtime.compile_cpu_s_max")),
    ]
}

/// A good core module and a good component, each time with one to three bits flipped, by a generator with a seed.
pub(crate) fn flipped(count: usize) -> Vec<Vec<u8>> {
    let uploads = [good(), rejecting(64, 8).component()];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 33).unwrap()
    };
    let flip = |number: usize| {
        let mut upload = uploads[number % 2].clone();
        for _ in 0..=next() % 3 {
            let at = next() % upload.len();
            upload[at] ^= 1 << (next() % 8);
        }
        upload
    };
    (0..count).map(flip).collect()
}

/// Where the sections of the outermost module or component begin.
fn section_starts(binary: &[u8]) -> Vec<usize> {
    let (mut starts, mut at) = (vec![8], 8);
    while at < binary.len() {
        let (mut length, mut shift, mut next) = (0_usize, 0, at + 1);
        loop {
            let byte = binary[next];
            length |= usize::from(byte & 127) << shift;
            (shift, next) = (shift + 7, next + 1);
            if byte < 128 {
                break;
            }
        }
        at = next + length;
        starts.push(at);
    }
    starts
}

fn section(before: &[u8], number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = [before, &[number]].concat();
    let mut length = content.len();
    while length >= 128 {
        bytes.push(u8::try_from(length % 128 + 128).unwrap());
        length /= 128;
    }
    bytes.push(u8::try_from(length).unwrap());
    [bytes, content.to_vec()].concat()
}

fn text(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

fn filter(wat: &str) -> Vec<u8> {
    with_metadata(wat, &contract(), "filter")
}

fn with(rest: &str) -> Vec<u8> {
    Guest { rest: rest.into(), ..Guest::of("filter") }.core()
}

fn broken() -> Vec<Hostile> {
    let invalid = Refused("module_invalid", "not valid");
    let plain = text(&Guest::of("filter").wat());
    vec![
        hostile("nothing", Vec::new(), Refused("module_not_wasm", "begins with nothing")),
        hostile("text-format", b"(module)".to_vec(), Refused("module_not_wasm", "begins with `(module)`")),
        hostile("a-magic-number-alone", b"\0asm".to_vec(), invalid),
        hostile("a-version-of-tomorrow", b"\0asm\x07\0\0\0".to_vec(), invalid),
        hostile("cut-in-its-code", good()[..good().len() / 3].to_vec(), invalid),
        hostile("types-that-do-not-fit", text("(module (func (result i32)))"), invalid),
        hostile("section-longer-than-the-upload", [&plain[..8], &[1, 0xff, 0xff, 0xff, 0x7f]].concat(), invalid),
        hostile("four-billion-functions", section(&plain[..8], 3, &[0xff, 0xff, 0xff, 0xff, 0x0f]), invalid),
        hostile("fifty-thousand-locals", with(&format!("(func (local {}))", "i64 ".repeat(50_001))), invalid),
        hostile("twice-the-same-export", section(&plain, 7, &[1, 0, 0, 0]), invalid),
    ]
}

fn strangers() -> Vec<Hostile> {
    let import = |import: &str| Guest { imports: import.into(), ..Guest::of("filter") }.core();
    let wasi = r#"(import "wasi:cli/environment@0.2.0" "get" (func (param i32)))"#;
    let wasi_wit = contract().replace("world filter {", "world filter { import wasi:cli/environment@0.2.0;")
        + "package wasi:cli@0.2.0 { interface environment { get: func() -> string; } }";
    let wasi = Guest { imports: wasi.into(), ..Guest::of("filter") };
    let preview1 = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
    let endpoints_wit = contract().replace("world filter {", "world filter { import endpoints;");
    let endpoints = Guest { imports: ENDPOINTS_GET.into(), ..Guest::of("filter") };
    let tomorrow = contract().replace("@0.1.0", "@9.0.0");
    let two = r#"(module (func (export "accept")) (func (export "apply")) (func (export "configure")))"#;
    vec![
        hostile("without-its-world", text(&Guest::of("filter").wat()), Refused("module_no_wit", "WIT metadata")),
        hostile(
            "world-of-something-else",
            filter(r#"(module (func (export "run")))"#),
            Refused("module_world", "it exports `run`"),
        ),
        hostile("two-worlds", filter(two), Refused("module_world", "both `accept` and `apply`")),
        hostile(
            "world-with-other-types",
            filter(r#"(module (func (export "accept")) (func (export "configure")))"#),
            Refused("module_world", "targets filter"),
        ),
        hostile("component-of-nothing", COMPONENT.to_vec(), Refused("module_world", "exports nothing")),
        hostile(
            "contract-of-tomorrow",
            with_metadata(&Guest::of("filter").wat(), &tomorrow, "filter"),
            Refused("module_wit_version", "9.0.0"),
        ),
        hostile(
            "imports-wasi",
            with_metadata(&wasi.wat(), &wasi_wit, "filter"),
            Refused("module_import", "wasi:cli/environment"),
        ),
        hostile("imports-wasi-preview-1", import(preview1), Refused("module_import", "wasi_snapshot_preview1")),
        hostile(
            "imports-a-memory",
            import(r#"(import "env" "memory2" (global i32))"#),
            Refused("module_import", "`env`"),
        ),
        hostile(
            "imports-endpoints-as-a-filter",
            with_metadata(&endpoints.wat(), &endpoints_wit, "filter"),
            Refused("module_import", "only routers"),
        ),
    ]
}

fn features() -> Vec<Hostile> {
    let refused = |name, rest: &str, says| hostile(name, with(rest), Refused("module_feature", says));
    let memory64 = Guest { memory: r#"(memory (export "memory") i64 1)"#, ..Guest::of("filter") }.core();
    let shared = Guest { memory: r#"(memory (export "memory") 1 2 shared)"#, ..Guest::of("filter") }.core();
    vec![
        hostile("memory64", memory64, Refused("module_feature", "memory64")),
        hostile("threads-shared-memory", shared, Refused("module_feature", "threads")),
        refused("threads-atomics", "(func (drop (i32.atomic.load (i32.const 0))))", "threads"),
        refused("multi-memory", "(memory 1)", "multi-memory"),
        refused("exceptions", "(tag)", "exceptions"),
        refused("garbage-collection", "(type (struct))", "gc"),
        refused(
            "relaxed-simd",
            "(func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))",
            "relaxed-simd",
        ),
    ]
}

/// Types that lie in themselves, over and over.
fn nested_types(depth: usize) -> Vec<u8> {
    section(COMPONENT, 7, &[&[1][..], &[0x41, 1, 1].repeat(depth), &[0x41, 0]].concat())
}

fn nested_components(depth: usize) -> Vec<u8> {
    (0..depth).fold(COMPONENT.to_vec(), |inner, _| section(COMPONENT, 4, &inner))
}

/// A component that makes so many instances of one core module that begins like this.
fn instances(count: usize, rest: &str) -> Vec<u8> {
    let one = "(core instance (instantiate $m))".repeat(count);
    let used = r#"(core instance $i (instantiate $m)) (func $f (canon lift (core func $i "f")))
        (export "accept" (func $f)) (export "configure" (func $f))"#;
    text(&format!(r#"(component (core module $m {rest} (func (export "f"))) {one} {used})"#))
}

/// Functions of many blocks with many values that live through all of them.
fn many_values(functions: usize, locals: usize, loops: usize) -> Vec<u8> {
    let params = "i64 ".repeat(locals);
    let one = (0..loops).map(|at| {
        let local = at % locals;
        format!("(loop (br_if 0 (i64.eqz (local.tee {local} (i64.add (local.get {local}) (i64.const 1))))))")
    });
    with(&format!("(func (local {params}) {})", one.collect::<String>()).repeat(functions))
}

fn bombs() -> Vec<Hostile> {
    let limits = |says| Refused("module_limits", says);
    let memory = Guest { memory: r#"(memory (export "memory") 1025)"#, ..Guest::of("filter") }.core();
    let circular = {
        let mut core = Guest::of("filter").core();
        let at = core.windows(23).position(|part| part == b"hookswitch:module/types").unwrap();
        core[at + 16] = b'f';
        core
    };
    let core = text(&Guest::of("filter").wat());
    let metadata = [b"\x0ecomponent-type", &*nested_types(1_000_000)].concat();
    let nested_blocks = |depth: usize| with(&format!("(func {} {})", "block ".repeat(depth), "end ".repeat(depth)));
    let switch =
        |targets: usize| with(&format!("(func (param i32) (block (br_table {} (local.get 0))))", "0 ".repeat(targets)));
    vec![
        hostile("memory-over-the-bound", memory, limits("runtime.memory_bytes_max")),
        hostile("table-over-the-bound", with("(table 40000 funcref)"), limits("runtime.table_elements_max")),
        hostile("forty-tables", with(&"(table 1 funcref)".repeat(40)), limits("runtime.tables_max_per_component")),
        hostile("a-hundred-instances", instances(100, ""), limits("runtime.instances_max_per_component")),
        hostile("fifty-memories", instances(50, "(memory 1)"), limits("runtime.memories_max_per_component")),
        hostile("fifty-tables", instances(50, "(table 1 funcref)"), limits("runtime.tables_max_per_component")),
        hostile(
            "function-of-megabytes",
            with(&format!("(func {})", "nop ".repeat(1 << 20))),
            limits("runtime.function_bytes_max"),
        ),
        hostile("a-hundred-thousand-functions", with(&"(func)".repeat(100_000)), limits("runtime.functions_max")),
        hostile("nested-components", nested_components(1000), limits("deep in one another")),
        hostile("nested-types", nested_types(1000), limits("deep in one another")),
        hostile("a-million-nested-types", nested_types(1_000_000), limits("component types")),
        hostile("nested-types-in-metadata", section(&core, 0, &metadata), limits("component types")),
        hostile("metadata-in-circles", circular, Harmless),
        hostile("nested-blocks", nested_blocks(200_000), Harmless),
        hostile("switch-of-many-targets", switch(60_000), Harmless),
        hostile("switch-of-too-many-targets", switch(500_000), limits("br_table")),
        hostile("many-live-values", many_values(1, 60, 5_000), Harmless),
    ]
}
