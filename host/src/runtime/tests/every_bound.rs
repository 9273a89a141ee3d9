//! Every bound on a call or an upload: a guest that goes well by the defaults, and does not where that one bound is small. Its error
//! has a code and names the bound. A bound that comes to the config without a guest here fails the test.

use super::guests::{Guest, LOG, Output, bytes, making, rejecting, words};
use super::uploads::with_section;
use super::*;
use std::collections::BTreeSet;
use wasmparser::{Parser, Payload};

/// What bounds no call and no upload as such; tested beside what it bounds.
const ELSEWHERE: [&str; 5] =
    ["compile_memory_bytes_max", "compile_cpu_s_max", "compile_time_s_max", "modules_memory_bytes_max", "queue_max"];
/// What is over these is cut, and nobody's error.
const CUT: [&str; 3] = ["log_lines_max", "log_bytes_max", "reason_bytes_max"];

fn filter(imports: &str, call: &str, rest: &str) -> Vec<u8> {
    let (imports, call, rest) = (imports.into(), call.into(), rest.into());
    Guest { imports, call, rest, ..Guest::of("filter") }.core()
}

/// A filter's component with another core module in it.
fn with_another(wat: &str) -> Vec<u8> {
    let component = Guest::of("filter").component();
    let payloads = Parser::new(0).parse_all(&component).map(|payload| payload.expect("a component"));
    let modules = payloads.filter(|payload| matches!(payload, Payload::ModuleSection { .. })).count();
    let instance = [1, 0, u8::try_from(modules).expect("a few"), 0];
    with_section(&with_section(&component, 1, &wat::parse_str(wat).expect("WebAssembly text")), 2, &instance)
}

fn message(output: Output) -> Vec<u8> {
    let texts = words(0x9000, &[0x8000, 4, 0x8000, 4, 0x8000, 4, 0x8000, 4]) + &bytes(0x8000, b"four");
    making(&[output], &texts).core()
}

/// A bound, a small value of it, the code of its error, and the guest.
fn overs() -> Vec<(&'static str, u64, &'static str, Vec<u8>)> {
    let any = || Guest::of("filter").core();
    let output = Output::default();
    let or_break = |grown: &str| format!("(if (i32.eq {grown} (i32.const -1)) (then unreachable)) (i32.const 0)");
    let log = |length: u32| format!("(call $log (i32.const 1) (i32.const 64) (i32.const {length}))");
    let long = "(local $left i32) (local.set $left (i32.const 300000000))
        (loop $more (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) (i32.const 0)";
    let deep = "(func $deep (param i64 i64) (result i64) (if (result i64) (i64.eqz (local.get 0)) (then (local.get 1))
        (else (i64.add (local.get 0) (call $deep (i64.sub (local.get 0) (i64.const 1)) (local.get 1))))))";
    let dive = "(drop (call $deep (i64.const 4000) (i64.const 2))) (i32.const 0)";
    let grow = "(drop (memory.grow (i32.const 1)))".repeat(5);
    vec![
        ("module_bytes_max", 1024, "module_too_large", any()),
        ("functions_max", 2, "module_limits", any()),
        ("function_bytes_max", 1024, "module_limits", filter("", &("nop ".repeat(2000) + "(i32.const 0)"), "")),
        ("memories_max_per_component", 1, "module_limits", with_another("(module (memory 1))")),
        ("tables_max_per_component", 1, "module_limits", filter("", "(i32.const 0)", &"(table 1 funcref)".repeat(2))),
        ("instances_max_per_component", 1, "module_limits", with_another("(module)")),
        ("module_body_bytes_max", 5, "input_too_large", any()),
        ("max_time_ms", 1, "time_limit", filter("", long, "")),
        ("memory_bytes_max", 40 << 16, "memory_limit", filter("", &or_break("(memory.grow (i32.const 1))"), "")),
        (
            "table_elements_max",
            10,
            "memory_limit",
            filter("", &or_break("(table.grow (ref.null func) (i32.const 10))"), "(table 1 funcref)"),
        ),
        ("grows_max", 5, "grow_limit", filter("", &(grow + "(i32.const 0)"), "")),
        ("stack_bytes_max", 64 << 10, "stack_overflow", filter("", dive, deep)),
        ("host_calls_max", 2, "host_call_limit", filter(LOG, &(log(1).repeat(3) + "(i32.const 0)"), "")),
        ("host_call_bytes_max", 1024, "host_call_limit", filter(LOG, &(log(600).repeat(2) + "(i32.const 0)"), "")),
        ("output_bytes_max", 100, "output_limit", message(Output { body: Some((0, 101)), ..output })),
        ("output_messages_max", 1, "output_limit", making(&[output; 2], "").core()),
        ("text_bytes_max", 3, "output_limit", message(Output { event_type: Some((0x8000, 4)), ..output })),
        ("delay_ms_max", 5, "output_limit", message(Output { delay_ms: Some(6), ..output })),
        ("headers_max", 1, "output_limit", message(Output { headers: Some((0x9000, 2)), ..output })),
        ("header_bytes_max", 7, "output_limit", message(Output { headers: Some((0x9000, 1)), ..output })),
    ]
}

/// The defaults, but for one bound.
fn runtime(bound: &str, small: u64) -> Runtime {
    let mut config = serde_json::to_value(Config { threads: 1, ..RUNTIME.config().clone() }).expect("JSON");
    config[bound] = small.into();
    Runtime::start(serde_json::from_value(config).expect("a config")).expect("a runtime")
}

/// The code and the words of what became of it.
fn outcome(runtime: &Runtime, upload: &[u8]) -> Result<Report<Verdict>, (&'static str, String)> {
    let module = runtime.compile(upload).map_err(|error| (error.code(), error.to_string()))?;
    let report = call(&module);
    match &report.result {
        Ok(_) => Ok(report),
        Err(error) => Err((error.code(), error.to_string())),
    }
}

#[test]
fn every_bound_can_be_set_and_its_error_names_it() {
    for (bound, small, expected, guest) in overs() {
        outcome(&RUNTIME, &guest).unwrap_or_else(|(code, text)| panic!("{bound}, by the defaults: {code}: {text}"));
        let (code, text) = outcome(&runtime(bound, small), &guest).expect_err(bound);
        let names = text.contains(&format!("runtime.{bound}")) || (bound == "max_time_ms" && text.contains(bound));
        assert!(code == expected && names, "{bound}: {code}: {text}");
    }
}

#[test]
fn what_is_over_a_bound_of_words_is_cut() {
    let log = |length: u32| format!("(call $log (i32.const 1) (i32.const 64) (i32.const {length}))");
    let guest = filter(LOG, &(log(3).repeat(2) + "(i32.const 0)"), &bytes(64, b"abc"));
    let kept = |bound: &str, small| {
        let report = outcome(&runtime(bound, small), &guest).expect("a verdict");
        (report.logs.into_iter().map(|line| line.line).collect::<String>(), report.logs_cut)
    };
    assert_eq!(kept("log_lines_max", 2), ("abcabc".into(), false));
    assert_eq!(kept("log_lines_max", 1), ("abc".into(), true));
    assert_eq!(kept("log_bytes_max", 4), ("abca".into(), true));
    let rejected = outcome(&runtime("reason_bytes_max", 3), &rejecting(64, 8).core()).expect("a verdict");
    assert_eq!(rejected.result, Ok(Verdict::Reject("not".into())));
}

#[test]
fn no_bound_of_the_config_is_without_a_test() {
    let config = serde_json::to_value(Config::default()).expect("JSON");
    let bounds =
        config.as_object().expect("an object").keys().filter(|name| name.contains("_max") || name.starts_with("max_"));
    let tested = overs().into_iter().map(|(bound, ..)| bound).chain(CUT).chain(ELSEWHERE);
    assert_eq!(bounds.map(String::as_str).collect::<BTreeSet<_>>(), tested.collect::<BTreeSet<_>>());
}
