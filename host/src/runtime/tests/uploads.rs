//! What is taken as a module and what is not; and that no upload, however broken, hurts the host.

use super::guests::{ENDPOINTS_GET, Guest, contract, rejecting, with_metadata};
use super::*;

fn code(upload: &[u8]) -> &'static str {
    refused(upload).code()
}

#[test]
fn what_is_not_webassembly_is_told_so() {
    for upload in [&b""[..], b"\0as", b"(module)", b"PK\x03\x04rest of an archive", br#"{"json":true}"#] {
        assert_eq!(code(upload), "module_not_wasm");
    }
    let text = refused(b"(module)").to_string();
    assert!(text.contains("begins with `(module)`"), "{text}");
    assert!(refused(b"").to_string().contains("begins with nothing"));
    for (upload, guess) in [(&b"(module)"[..], "text format"), (b"PK\x03\x04", "zip"), (b"!<arch>\n", "cdylib")] {
        assert!(refused(upload).to_string().contains(guess), "{guess}");
    }
}

#[test]
fn a_broken_module_is_told_where() {
    let upload = Guest::of("filter").core();
    let error = refused(&upload[..60]);
    assert!(matches!(error, ModuleError::Invalid { offset: Some(_), .. }), "{error}");
    assert!(error.to_string().contains("at byte"), "{error}");
    assert_eq!(code(b"\0asm"), "module_invalid");
    assert_eq!(code(b"\0asm\x07\0\0\0"), "module_invalid");
    let plain = wat::parse_str(Guest::of("filter").wat()).expect("WebAssembly text");
    let error = refused(&with_section(&plain, 0, b"\x0ecomponent-type")).to_string();
    assert!(
        error.starts_with("the module is not valid: its WIT metadata (the section `component-type`) is broken"),
        "{error}"
    );
    let not_typed = "(module (func (result i32)))";
    assert!(wat::parse_str(not_typed).is_ok_and(|upload| code(&upload) == "module_invalid"));
}

#[test]
fn a_module_too_large_is_told_the_bound() {
    let runtime =
        Runtime::start(Config { threads: 1, module_bytes_max: 1024, ..Config::default() }).expect("a runtime");
    let upload = [&b"\0asm"[..], &[0; 1021]].concat();
    let error = runtime.compile(&upload).expect_err("refused");
    assert_eq!(error, ModuleError::TooLarge { given: 1025, max: 1024 });
    assert!(error.code() == "module_too_large" && error.to_string().contains("module_bytes_max"), "{error}");
}

#[test]
fn a_core_module_has_to_say_its_world() {
    let plain = wat::parse_str(Guest::of("filter").wat()).expect("WebAssembly text");
    let error = refused(&plain);
    assert!(error.code() == "module_no_wit" && error.to_string().contains("guest SDK"), "{error}");
    assert_eq!(code(&wat::parse_str("(module)").expect("WebAssembly text")), "module_no_wit");
}

#[test]
fn another_version_of_the_contract_is_named_beside_the_hosts() {
    let wit = contract().replace("@0.1.0", "@9.0.0");
    let upload = with_metadata(&Guest::of("filter").wat(), &wit, "filter");
    let error = refused(&upload);
    assert_eq!(error, ModuleError::WitVersion { module: "9.0.0".into() });
    let text = error.to_string();
    assert!(error.code() == "module_wit_version" && text.contains("@9.0.0") && text.contains("@0.1.0"), "{text}");
}

#[test]
fn another_world_is_told_what_the_three_export() {
    let world = |wat: &str| {
        let error = refused(&with_metadata(wat, &contract(), "filter"));
        assert_eq!(error.code(), "module_world", "{error}");
        error.to_string()
    };
    let text = world(r#"(module (func (export "run")) (func (export "configure")))"#);
    assert!(text.contains("`accept`") && text.contains("it exports `run`, `configure`, and lacks"), "{text}");
    // The name of a filter's function with another type, in a core module and in a component.
    let text = world(r#"(module (func (export "accept")) (func (export "configure")))"#);
    assert!(text.contains("targets filter"), "{text}");
    let component = r#"(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) (export "accept" (func $f)) (export "configure" (func $f)))"#;
    let error = refused(&wat::parse_str(component).expect("WebAssembly text"));
    assert!(error.code() == "module_world" && error.to_string().contains("targets filter"), "{error}");
    // Two worlds at once, half a world, a command.
    let text = world(r#"(module (func (export "accept")) (func (export "apply")) (func (export "configure")))"#);
    assert!(text.contains("both `accept` and `apply`"), "{text}");
    let text = world(r#"(module (func (export "route")))"#);
    assert!(text.contains("as a router does, and lacks `configure`"), "{text}");
    let text = world(r#"(module (func (export "_start")))"#);
    assert!(text.contains("it is a command") && text.contains("cdylib"), "{text}");
    // Metadata of something else.
    let wit = "package a:b; world other { export run: func(); }";
    let error = refused(&with_metadata(&Guest::of("filter").wat(), wit, "other"));
    assert!(error.code() == "module_world" && error.to_string().contains("does not name hookswitch:module"), "{error}");
    // A component without anything.
    assert_eq!(code(&wat::parse_str("(component)").expect("WebAssembly text")), "module_world");
}

#[test]
fn an_import_that_the_host_does_not_give_is_named() {
    // In core modules, and in components.
    let wasi = r#"(import "wasi:cli/environment@0.2.0" "get" (func (param i32)))"#;
    let wit = contract().replace("world filter {", "world filter { import wasi:cli/environment@0.2.0;")
        + "package wasi:cli@0.2.0 { interface environment { get: func() -> string; } }";
    let guest = Guest { imports: wasi.into(), ..Guest::of("filter") };
    let error = refused(&with_metadata(&guest.wat(), &wit, "filter"));
    assert!(error.code() == "module_import", "{error}");
    assert!(error.to_string().contains("`wasi:cli/environment@0.2.0`"), "{error}");

    let component = r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance))
        (core module $m (func (export "f"))) (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f"))) (export "accept" (func $f)) (export "configure" (func $f)))"#;
    let error = refused(&wat::parse_str(component).expect("WebAssembly text"));
    assert!(error.to_string().contains("`wasi:clocks/wall-clock@0.2.0`"), "{error}");

    let preview1 = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
    let error = refused(&Guest { imports: preview1.into(), ..Guest::of("filter") }.core());
    assert!(
        error.code() == "module_import" && error.to_string().contains("`wasi_snapshot_preview1` (`fd_write`)"),
        "{error}"
    );
    assert!(error.to_string().contains("not for wasm32-wasip1"), "{error}");

    let wit = contract().replace("world filter {", "world filter { import endpoints;");
    let guest = Guest { imports: ENDPOINTS_GET.into(), ..Guest::of("filter") };
    let error = refused(&with_metadata(&guest.wat(), &wit, "filter"));
    assert!(error.code() == "module_import" && error.to_string().contains("only routers"), "{error}");

    let wit = contract().replace("write: func(level: level, line: string);", "shout: func();");
    let shout = r#"(import "hookswitch:module/log@0.1.0" "shout" (func))"#;
    let guest = Guest { imports: shout.into(), ..Guest::of("filter") };
    let error = refused(&with_metadata(&guest.wat(), &wit, "filter"));
    assert!(error.code() == "module_world" && error.to_string().contains("shout"), "{error}");
}

#[test]
fn refused_features_are_named() {
    let names = |name: &str, rest: &str| {
        let error = refused(&Guest { rest: rest.into(), ..Guest::of("filter") }.core());
        assert!(matches!(&error, ModuleError::Feature { feature, .. } if feature == name), "{name}: {error:?}");
        assert_eq!(error.code(), "module_feature");
    };
    names("multi-memory", "(memory 1)");
    names("threads", "(func (drop (i32.atomic.load (i32.const 0))))");
    names("exceptions", "(tag)");
    names("gc", "(type (struct))");
    names("relaxed-simd", "(func (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))");
    names("gc-types", "(global externref (ref.null extern))");
    names("function-references", "(func (param (ref func)))");
    let memory = r#"(memory (export "memory") i64 1)"#;
    let error = refused(&Guest { memory, ..Guest::of("filter") }.core());
    assert!(matches!(&error, ModuleError::Feature { feature, .. } if feature == "memory64"), "{error:?}");
}

#[test]
fn a_module_that_needs_too_much_is_told_the_bound() {
    let limit = |guest: Guest| {
        let error = refused(&guest.core());
        assert_eq!(error.code(), "module_limits", "{error}");
        error.to_string()
    };
    let memory = r#"(memory (export "memory") 1025)"#;
    assert!(limit(Guest { memory, ..Guest::of("filter") }).contains("memory_bytes_max"));
    let rest = "(table 40000 funcref)".into();
    assert!(limit(Guest { rest, ..Guest::of("filter") }).contains("table_elements_max"));
    limit(Guest { rest: "(table 1 funcref)".repeat(40), ..Guest::of("filter") });
}

#[test]
fn functions_are_bounded_in_number_and_size() {
    let config = Config { threads: 1, functions_max: 10, function_bytes_max: 1024, ..Config::default() };
    let runtime = Runtime::start(config).expect("a runtime");
    // A guest has three functions of its own; a body of `nop` has two bytes around it.
    let take = |rest: String| runtime.compile(&Guest { rest, ..Guest::of("filter") }.core());
    let functions = |count| "(func)".repeat(count);
    let function = |nops| format!("(func {})", "nop ".repeat(nops));
    assert!(take(functions(7)).is_ok() && take(function(1022)).is_ok());
    for (rest, bound) in [(functions(8), "functions_max` is 10"), (function(1023), "function_bytes_max` is 1024")] {
        let error = take(rest).expect_err("too many, or too large");
        assert!(error.code() == "module_limits" && error.to_string().contains(bound), "{error}");
    }
}

/// A component whose one type lies in itself, over and over.
fn nested_types(depth: usize) -> Vec<u8> {
    let types = [&[1][..], &[0x41, 1, 1].repeat(depth), &[0x41, 0]].concat();
    with_section(b"\0asm\x0d\0\x01\0", 7, &types)
}

pub(super) fn with_section(before: &[u8], number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = [before, &[number]].concat();
    let mut length = content.len();
    while length >= 128 {
        bytes.push(u8::try_from(length % 128 + 128).expect("a byte"));
        length /= 128;
    }
    bytes.push(u8::try_from(length).expect("a byte"));
    bytes.extend_from_slice(content);
    bytes
}

#[test]
fn no_nesting_uses_up_the_hosts_stack() {
    let deepest = super::super::screen::TYPE_SECTION_BYTES_MAX / 3 - 2;
    assert_eq!(code(&nested_types(10)), "module_world", "it is a component");
    for depth in [17, deepest, deepest + 3, 1_000_000] {
        assert_eq!(code(&nested_types(depth)), "module_limits");
    }
    let mut nested = b"\0asm\x0d\0\x01\0".to_vec();
    for _ in 0..1000 {
        nested = with_section(b"\0asm\x0d\0\x01\0", 4, &nested);
    }
    assert_eq!(code(&nested), "module_limits");
    // The same in the metadata of a core module.
    let core = wat::parse_str(Guest::of("filter").wat()).expect("WebAssembly text");
    for depth in [deepest, 1_000_000] {
        let metadata = [b"\x0ecomponent-type", &*nested_types(depth)].concat();
        assert_eq!(code(&with_section(&core, 0, &metadata)), "module_limits");
    }
}

/// Two packages whose interfaces use each other's types: resolving them never ends.
#[test]
fn metadata_that_goes_in_circles_is_not_followed() {
    let core = Guest::of("filter").core();
    let at = core.windows(23).position(|part| part == b"hookswitch:module/types").expect("the interface's name");
    let mut circular = core.clone();
    circular[at + 16] = b'f';
    assert!(RUNTIME.compile(&circular).is_ok(), "the host's own metadata took its place");
}

#[test]
fn no_truncation_and_no_flipped_byte_hurts_the_host() {
    let uploads = [rejecting(64, 8).core(), rejecting(64, 8).component()];
    for upload in &uploads {
        for length in (0..upload.len()).step_by(7) {
            // A core module cut at the end of a section is still one, without its metadata.
            assert!(RUNTIME.compile(&upload[..length]).is_err(), "{length} of {} bytes", upload.len());
        }
    }
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 33).expect("31 bits")
    };
    let setting = Setting { time: Duration::from_millis(5), ..Setting::default() };
    let (mut taken, mut refused) = (0, 0);
    for upload in &uploads {
        for _ in 0..600 {
            let mut flipped = upload.clone();
            for _ in 0..=next() % 3 {
                let at = next() % flipped.len();
                flipped[at] ^= 1 << (next() % 8);
            }
            match RUNTIME.compile(&flipped) {
                // Whatever it does now, it does it within its bounds.
                Ok(module) => {
                    taken += 1;
                    drop(setting.call(&module));
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(taken > 20 && refused > 100, "both happened: {taken} taken, {refused} refused");
}

#[test]
fn a_component_made_of_several_compiles_though_no_module_may_have_two_memories() {
    // The text crosses from one memory to the other, in glue that the engine makes.
    let text = r#"(component
        (component $callee
            (core module $m (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func (export "take") (param i32 i32)))
            (core instance $i (instantiate $m))
            (func (export "take") (param "text" string)
                (canon lift (core func $i "take") (memory $i "memory") (realloc (func $i "realloc")))))
        (component $caller
            (import "take" (func $take (param "text" string)))
            (core module $memory (memory (export "memory") 1))
            (core instance $memory (instantiate $memory))
            (core func $take (canon lower (func $take) (memory $memory "memory")))
            (core module $m (import "callee" "take" (func (param i32 i32))))
            (core instance (instantiate $m (with "callee" (instance (export "take" (func $take)))))))
        (instance $callee (instantiate $callee))
        (instance (instantiate $caller (with "take" (func $callee "take")))))"#;
    let component = wat::parse_str(text).expect("a component");
    super::super::screen::validate(&component).expect("no module in it has two memories");
    wasmtime::component::Component::new(&RUNTIME.0.engine, component).expect("compiled");
}
