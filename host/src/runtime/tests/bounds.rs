//! Modules that break, loop, hog, lie and flood: each ends in an error with its own code, and the host goes on.

use super::guests::{EVENT_BODY, Guest, LOG, Output, STATE_GET, bytes, contract, making, with_metadata, words};
use super::*;
use crate::config::TimeBound;
use crate::model::LogLevel;
use crate::runtime::host::HostState;
use wasmtime::Store;

const LOOP: &str = "(loop $again (br $again)) unreachable";

fn filter(call: &str) -> Module {
    compile(&Guest { call: call.into(), ..Guest::of("filter") }.core())
}

#[test]
fn a_trap_tells_the_functions_and_keeps_the_words_before() {
    let guest = Guest {
        imports: LOG.into(),
        call: "(call $log (i32.const 3) (i32.const 64) (i32.const 4)) (call $the_culprit) (i32.const 0)".into(),
        rest: bytes(64, b"boom") + "(func $the_culprit unreachable)",
        ..Guest::of("filter")
    };
    let report = call(&compile(&guest.core()));
    let error = report.result.expect_err("a trap");
    assert_eq!(error.code(), "trap");
    assert_eq!(error.to_string(), "the module trapped: boom; in `the_culprit`, called by `accept`");
    assert_eq!(report.logs, [LogLine { level: LogLevel::Error, line: "boom".into() }]);
}

#[test]
fn a_trap_without_words_says_what_it_was() {
    let text = |call: &str| error(&filter(call)).to_string();
    let silent = "the module trapped: it executed `unreachable`: a panic or an abort without words; in `accept`";
    assert_eq!(text("unreachable"), silent);
    let outside = text("(i32.load (i32.const -4))");
    assert_eq!(outside, "the module trapped: out of bounds memory access; in `accept`");
    // Without its names a module can only be told that they are missing.
    let mut nameless = Guest { call: "unreachable".into(), ..Guest::of("filter") }.core();
    let at = nameless.windows(5).position(|part| part == b"\x04name").expect("the section");
    nameless[at + 1] = b'N';
    let text = error(&compile(&nameless)).to_string();
    assert!(text.contains("without words; in functions without names"), "{text}");
    // A recursion is told once, and frames of no use to the author not at all.
    let deep = "(func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
                                                          (else (call $panic))))
                (func $panic (export \"core::panicking::panic_fmt\") unreachable)
                (func $outer (call $deep (i32.const 9)))";
    let guest = Guest { call: "(call $outer) (i32.const 0)".into(), rest: deep.into(), ..Guest::of("filter") };
    let text = error(&compile(&guest.core())).to_string();
    assert!(text.ends_with("; in `panic`, called by `deep`, `outer`, `accept`"), "{text}");
}

#[test]
fn a_loop_is_stopped_wherever_it_is() {
    let in_call = filter(LOOP);
    let in_configure = compile(&Guest { configure: LOOP.into(), ..Guest::of("filter") }.core());
    let rest = format!("(func $start {LOOP}) (start $start)");
    let in_start = compile(&Guest { rest, ..Guest::of("filter") }.core());
    let setting = Setting { time: Duration::from_millis(20), ..Setting::default() };
    for module in [in_call, in_configure, in_start] {
        let report = setting.call(&module);
        let error = report.result.expect_err("stopped");
        assert_eq!(error, CallError::TimeLimit { limit_ms: 20, set_by: TimeBound::Module });
        assert!(error.code() == "time_limit" && error.to_string().contains("max_time_ms"), "{error}");
        assert!(report.duration_us >= 20_000, "{} µs", report.duration_us);
    }
}

#[test]
fn the_configs_time_bounds_what_a_call_asks_for() {
    let runtime = Runtime::start(Config { max_time_ms: 15, threads: 1, ..Config::default() }).expect("a runtime");
    let module = runtime.compile(&Guest { configure: LOOP.into(), ..Guest::of("filter") }.core()).expect("a module");
    let stopped = CallError::TimeLimit { limit_ms: 15, set_by: TimeBound::Host };
    assert_eq!(module.configure("{}").result, Err(stopped.clone()));
    assert_eq!(call(&module).result, Err(stopped));
}

#[test]
fn a_module_that_runs_out_of_memory_is_told_so() {
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))";
    let error = error(&filter(&format!("{grow} unreachable")));
    let max = RUNTIME.config().memory_bytes_max;
    assert_eq!(error, CallError::MemoryLimit { bound: "memory_bytes_max", max });
    assert!(error.code() == "memory_limit" && error.to_string().contains("memory_bytes_max"), "{error}");
    assert_eq!(verdict(&filter(&format!("{grow} (i32.const 0)"))), Verdict::Accept, "it went on without");

    let grow = "(drop (table.grow (ref.null func) (i32.const 40000))) unreachable";
    let guest = Guest { call: grow.into(), rest: "(table 1 funcref)".into(), ..Guest::of("filter") };
    let error = super::error(&compile(&guest.core()));
    assert_eq!(error, CallError::MemoryLimit { bound: "table_elements_max", max: 32_768 });
}

#[test]
fn memories_and_tables_grow_a_bounded_number_of_times() {
    let runtime = with(Config { grows_max: 10, ..Config::default() });
    // Its memory and its table were made before: eight are left.
    let growing = |times: u32| {
        let call = format!(
            "(local $i i32) (loop $more (drop (memory.grow (i32.const 1))) (drop (table.grow (ref.null func) (i32.const 1)))
             (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const {times}))))
             (i32.const 0)"
        );
        let guest = Guest { call, rest: "(table 1 funcref)".into(), ..Guest::of("filter") };
        call_in(&runtime, &guest)
    };
    assert_eq!(growing(4), Ok(Verdict::Accept));
    let error = growing(5).expect_err("one too many");
    assert_eq!((&error, error.code()), (&CallError::GrowLimit { max: 10 }, "grow_limit"));
    assert!(error.to_string().contains("runtime.grows_max` = 10"), "{error}");
    // Those that fail count, too.
    let call = "(loop $more (drop (memory.grow (i32.const 65536))) (br $more)) unreachable".into();
    assert_eq!(call_in(&runtime, &Guest { call, ..Guest::of("filter") }), Err(CallError::GrowLimit { max: 10 }));
    // At the start, too.
    let start = "(func $start (loop $more (drop (memory.grow (i32.const 1))) (br $more))) (start $start)".into();
    assert_eq!(call_in(&runtime, &Guest { rest: start, ..Guest::of("filter") }), Err(CallError::GrowLimit { max: 10 }));
}

#[test]
fn what_a_module_asks_of_the_host_is_bounded() {
    let runtime = with(Config { host_calls_max: 20, host_call_bytes_max: 1024, ..Config::default() });
    let asking = |times: u32, ask: &str| {
        let call = format!(
            "(local $i i32) (loop $more {ask}
             (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const {times}))))
             (i32.const 0)"
        );
        call_in(&runtime, &Guest { imports: format!("{LOG}{EVENT_BODY}{STATE_GET}"), call, ..Guest::of("filter") })
    };
    let calls = Err(CallError::HostCallLimit { bound: "host_calls_max", max: 20 });
    let bytes = Err(CallError::HostCallLimit { bound: "host_call_bytes_max", max: 1024 });
    let log = |length: u32| format!("(call $log (i32.const 0) (i32.const 64) (i32.const {length}))");
    assert_eq!((asking(20, &log(51)), asking(21, &log(1))), (Ok(Verdict::Accept), calls.clone()));
    assert_eq!((asking(2, &log(512)), asking(2, &log(513))), (Ok(Verdict::Accept), bytes.clone()));
    assert_eq!(asking(21, "(call $event-body (i32.const 0x4000))"), calls);
    let get = |length: u32| format!("(call $state-get (i32.const 64) (i32.const {length}) (i32.const 0x4000))");
    assert_eq!((asking(20, &get(51)), asking(2, &get(513))), (Ok(Verdict::Accept), bytes));
    let error = asking(2, &get(513)).expect_err("an error");
    assert!(error.code() == "host_call_limit" && error.to_string().contains("runtime.host_call_bytes_max"), "{error}");
}

fn with(config: Config) -> Runtime {
    Runtime::start(Config { threads: 1, max_time_ms: 10_000, ..config }).expect("a runtime")
}

fn call_in(runtime: &Runtime, guest: &Guest) -> Result<Verdict, CallError> {
    call(&runtime.compile(&guest.core()).expect("a module")).result
}

#[test]
fn a_recursion_without_end_is_told_so() {
    let rest =
        "(func $deep (param i64 i64) (result i64) (i64.add (local.get 0) (call $deep (local.get 1) (local.get 0))))";
    let call = "(drop (call $deep (i64.const 1) (i64.const 2))) (i32.const 0)";
    let module = compile(&Guest { call: call.into(), rest: rest.into(), ..Guest::of("filter") }.core());
    let error = error(&module);
    assert_eq!(error.code(), "stack_overflow");
    assert!(error.to_string().contains("stack_bytes_max"), "{error}");
}

/// A transform whose answer is a list of `count` outputs at `at`.
fn list(at: u32, count: u32) -> CallError {
    error(&compile(&Guest { rest: words(4, &[at, count]), ..Guest::of("transform") }.core()))
}

#[test]
fn too_many_messages_are_refused() {
    let max = RUNTIME.config().output_messages_max as u64;
    assert_eq!(list(0x10_000, 101), CallError::OutputLimit { bound: "output_messages_max", max });
    let good = making(&[Output::default(); 100], "").core();
    assert!(matches!(verdict(&compile(&good)), Verdict::Messages(messages) if messages.len() == 100));
}

#[test]
fn too_much_output_is_refused_before_the_host_holds_it() {
    let too_large = CallError::OutputLimit { bound: "output_bytes_max", max: 2 << 20 };
    // Within what may be lifted, past what may be kept.
    let body = |length| making(&[Output { body: Some((0, length)), ..Output::default() }], "").core();
    assert_eq!(error(&compile(&body((2 << 20) + 1))), too_large);
    // Exactly the bound: the type and the content type of the message count, too.
    assert!(call(&compile(&body((2 << 20) - 20))).result.is_ok());
    // 80 bodies of 2 MiB that are one and the same place in memory, and a list of 30,000 outputs of nothing: past what may
    // be lifted. Here the name of wasmtime's error matters.
    let same = Output { body: Some((0, 2 << 20)), ..Output::default() };
    assert_eq!(error(&compile(&making(&[same; 80], "").core())), too_large);
    assert_eq!(list(0x10_000, 30_000), too_large);
}

#[test]
fn lies_about_memory_are_no_output() {
    for (at, count) in [(0xffff_fff0, 10), (0, u32::MAX), (0x28_0000 - 8, 1), (64, 0x0333_3334)] {
        let error = list(at, count);
        assert_eq!(error.code(), "output_invalid", "{at:#x} {count}: {error}");
    }
    assert_eq!(list(66, 1).code(), "output_invalid", "not aligned");
    let far = Guest { rest: words(4, &[1, 0x7fff_ffff, 8]), ..Guest::of("filter") };
    assert_eq!(error(&compile(&far.core())).code(), "output_invalid", "a text outside of memory");
    assert_eq!(error(&filter("(i32.const -4)")).code(), "output_invalid", "the result's own address");
    assert_eq!(error(&filter("(i32.const 2)")).code(), "output_invalid", "its alignment");
    let odd = Guest { rest: bytes(0, &[7]), ..Guest::of("filter") };
    assert_eq!(error(&compile(&odd.core())).code(), "output_invalid", "neither ok nor failure");
}

#[test]
fn a_realloc_that_lies_is_an_error() {
    let wat = Guest::of("filter").wat().replace("(i32.const 1048576)", "(i32.const 0x7ffffff0)");
    let upload = with_metadata(&wat, &contract(), "filter");
    assert_eq!(error(&compile(&upload)).code(), "output_invalid");
}

#[test]
fn text_that_is_not_utf8_is_no_output() {
    let guest = Guest { rest: words(4, &[1, 64, 3]) + &bytes(64, &[b'a', 0xff, b'b']), ..Guest::of("filter") };
    let error = error(&compile(&guest.core()));
    assert!(error.code() == "output_invalid" && error.to_string().contains("utf-8"), "{error}");
}

#[test]
fn a_flood_of_logs_is_cut() {
    let flood = |length: u32| {
        let call = format!(
            "(local $i i32) (loop $more (call $log (i32.const 1) (i32.const 64) (i32.const {length}))
             (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const 5000))))
             (i32.const 0)"
        );
        call_logging(&call)
    };
    let short = flood(1);
    assert_eq!((short.logs.len(), short.logs_cut), (100, true));
    let long = flood(1000);
    let kept: usize = long.logs.iter().map(|line| line.line.len()).sum();
    assert_eq!((kept, long.logs_cut), (16 * 1024, true));
    // A line of 2.5 MB is past what the guest may hand over at once.
    let huge = call_logging("(call $log (i32.const 1) (i32.const 64) (i32.const 2600000)) (i32.const 0)");
    assert_eq!(huge.result.expect_err("refused").code(), "output_limit");
}

fn call_logging(instructions: &str) -> Report<Verdict> {
    call(&compile(&Guest { imports: LOG.into(), call: instructions.into(), ..Guest::of("filter") }.core()))
}

#[test]
fn a_forbidden_header_is_named() {
    let texts = words(0x8000, &[0x8010, 10, 0x8020, 1]) + &bytes(0x8010, b"Webhook-Id") + &bytes(0x8020, b"x");
    let output = Output { headers: Some((0x8000, 1)), ..Output::default() };
    let error = error(&compile(&making(&[output], &texts).core()));
    assert_eq!(error, CallError::HeaderForbidden("webhook-id".into()));
    assert!(error.code() == "header_forbidden" && error.to_string().contains("`webhook-id`"), "{error}");
}

#[test]
fn a_body_too_large_for_modules_is_not_given_to_one() {
    let module = filter("(i32.const 0)");
    let max = RUNTIME.config().module_body_bytes_max;
    let largest = Setting { body: vec![b' '; max].into(), ..Setting::default() };
    assert_eq!(largest.call(&module).result, Ok(Verdict::Accept));
    let mut over = Setting { body: vec![b' '; max + 1].into(), ..Setting::default() };
    let error = CallError::InputTooLarge { given: max + 1, max };
    assert_eq!(over.call(&module).result, Err(error.clone()));
    std::mem::swap(&mut over.body, &mut over.message.body);
    assert_eq!(over.call(&module).result, Err(error.clone()));
    assert!(error.code() == "input_too_large" && error.to_string().contains("module_body_bytes_max"), "{error}");
}

#[test]
fn a_pool_in_use_is_busy_and_then_free_again() {
    let runtime = Runtime::start(Config { threads: 1, ..Config::default() }).expect("a runtime");
    let module = runtime.compile(&Guest::of("filter").core()).expect("a module");
    let mut held = Vec::new();
    loop {
        let config = runtime.config();
        let state = HostState::new(config, Bytes::new(), Origin::Live, Directory::default());
        let mut store = Store::new(&module.shared().engine, state);
        store.set_epoch_deadline(u64::MAX / 2);
        if module.pre().instantiate(&mut store).is_err() {
            break;
        }
        held.push(store);
    }
    assert_eq!(held.len(), 5, "one thread and four to spare");
    assert_eq!((error(&module), error(&module).code()), (CallError::Busy, "busy"));
    held.pop();
    assert_eq!(verdict(&module), Verdict::Accept);
}
