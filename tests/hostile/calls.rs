//! Guests that are good modules to look at, and do wrong when they run.

use super::Fate::{Harmless, NoRoute, Stopped};
use super::guests::{EVENT_BODY, Guest, LOG, ORIGIN, Output, STATE_GET, bytes, contract, making, with_metadata, words};
use super::{Hostile, hostile};

const LOOP: &str = "(loop $again (br $again)) unreachable";
/// What they are stopped by, in words.
const TIME: &str = "runtime.max_time_ms";
const STACK: &str = "runtime.stack_bytes_max";
const MEMORY: &str = "runtime.memory_bytes_max";

pub(super) fn all() -> Vec<Hostile> {
    [loops(), recursions(), memories(), lies(), floods(), traps()].into_iter().flatten().collect()
}

fn filter(call: &str, rest: &str) -> Vec<u8> {
    Guest { call: call.into(), rest: rest.into(), ..Guest::of("filter") }.core()
}

fn importing(imports: &str, call: &str) -> Vec<u8> {
    Guest { imports: imports.into(), call: call.into(), ..Guest::of("filter") }.core()
}

fn configuring(imports: &str, configure: &str, rest: &str) -> Vec<u8> {
    let guest =
        Guest { imports: imports.into(), configure: configure.into(), rest: rest.into(), ..Guest::of("filter") };
    guest.core()
}

/// With another `cabi_realloc`, which is called for the settings already.
fn allocating(instructions: &str) -> Vec<u8> {
    let wat = Guest::of("filter").wat();
    let at = wat.find("(func $configure").unwrap();
    let realloc =
        format!(r#"(func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) {instructions})"#);
    let from = wat.find(r#"(func (export "cabi_realloc")"#).unwrap();
    with_metadata(&format!("{}{realloc}{}", &wat[..from], &wat[at..]), &contract(), "filter")
}

fn loops() -> Vec<Hostile> {
    let start = format!("(func $start {LOOP}) (start $start)");
    let post_return =
        |body: &str| filter("(i32.const 0)", &format!(r#"(func (export "cabi_post_accept") (param i32) {body})"#));
    let fill = "(loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 2621440)) (br $again)) unreachable";
    let copy = "(loop $again (memory.copy (i32.const 1) (i32.const 0) (i32.const 2621439)) (br $again)) unreachable";
    let table = "(loop $again (table.fill (i32.const 0) (ref.null func) (i32.const 30000)) (br $again)) unreachable";
    let tail = "(func $ping (return_call $pong)) (func $pong (return_call $ping))";
    vec![
        hostile("loop-in-start", filter("(i32.const 0)", &start), NoRoute("time_limit", TIME)),
        hostile("loop-in-configure", configuring("", LOOP, ""), NoRoute("time_limit", TIME)),
        hostile("loop-in-realloc", allocating(LOOP), NoRoute("time_limit", TIME)),
        hostile("loop-in-export", filter(LOOP, ""), Stopped("time_limit", TIME)),
        hostile("loop-in-post-return", post_return(LOOP), Stopped("time_limit", TIME)),
        hostile("trap-in-post-return", post_return("unreachable"), Stopped("trap", "unreachable")),
        hostile("endless-tail-calls", filter("(call $ping) unreachable", tail), Stopped("time_limit", TIME)),
        hostile("huge-fills", filter(fill, ""), Stopped("time_limit", TIME)),
        hostile("huge-copies", filter(copy, ""), Stopped("time_limit", TIME)),
        hostile("huge-table-fills", filter(table, "(table 30000 funcref)"), Stopped("time_limit", TIME)),
    ]
}

fn recursions() -> Vec<Hostile> {
    let deep =
        "(func $deep (param i64 i64) (result i64) (i64.add (local.get 0) (call $deep (local.get 1) (local.get 0))))";
    let call = "(drop (call $deep (i64.const 1) (i64.const 2))) (i32.const 0)";
    let indirect = "(type $t (func (result i32))) (table funcref (elem $deep))
        (func $deep (result i32) (i32.add (i32.const 1) (call_indirect (type $t) (i32.const 0))))";
    // A frame of some ten thousand bytes.
    let sum = (0..1000)
        .map(|local| format!("(local.set {local} (i64.add (local.get {local}) (call $one)))"))
        .collect::<String>();
    let read = (0..1000).map(|local| format!("(drop (call $two (local.get {local})))")).collect::<String>();
    let wide = format!(
        "(func $one (result i64) (i64.const 1)) (func $two (param i64) (result i64) (local.get 0))
         (func $deep (local {}) {sum} (call $deep) {read})",
        "i64 ".repeat(1000)
    );
    vec![
        hostile("deep-recursion", filter(call, deep), Stopped("stack_overflow", STACK)),
        hostile("deep-indirect-recursion", filter("(call $deep)", indirect), Stopped("stack_overflow", STACK)),
        hostile(
            "deep-recursion-of-wide-frames",
            filter("(call $deep) (i32.const 0)", &wide),
            Stopped("stack_overflow", STACK),
        ),
        hostile("deep-recursion-in-configure", configuring("", call, deep), NoRoute("stack_overflow", STACK)),
    ]
}

fn memories() -> Vec<Hostile> {
    let chunks = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
    let pages = "(local $page i32) (loop $more
        (local.set $page (memory.grow (i32.const 1)))
        (if (i32.eq (local.get $page) (i32.const -1)) (then unreachable))
        (i32.store (i32.mul (local.get $page) (i32.const 65536)) (i32.const -1)) (br $more)) unreachable";
    let in_vain = "(loop $more (drop (memory.grow (i32.const 65536))) (br $more)) unreachable";
    let tables = "(loop $more (drop (table.grow (ref.null func) (i32.const 1))) (br $more)) unreachable";
    let bomb = "(drop (table.grow (ref.null func) (i32.const 40000))) unreachable";
    let start = format!("(func $start {in_vain}) (start $start)");
    vec![
        hostile("grow-loop", filter(chunks, ""), Stopped("memory_limit", MEMORY)),
        hostile("grow-page-by-page", filter(pages, ""), Stopped("memory_limit", MEMORY)),
        hostile("grow-in-vain", filter(in_vain, ""), Stopped("grow_limit", "runtime.grows_max")),
        hostile("grow-in-start", filter("(i32.const 0)", &start), NoRoute("grow_limit", "runtime.grows_max")),
        hostile("table-grow-loop", filter(tables, "(table 1 funcref)"), Stopped("grow_limit", "runtime.grows_max")),
        hostile("table-bomb", filter(bomb, "(table 1 funcref)"), Stopped("memory_limit", "runtime.table_elements_max")),
    ]
}

/// A transform whose answer is a list of `count` outputs at `at`.
fn list(at: u32, count: u32) -> Vec<u8> {
    Guest { rest: words(4, &[at, count]), ..Guest::of("transform") }.core()
}

fn lies() -> Vec<Hostile> {
    let body = |at, length| making(&[Output { body: Some((at, length)), ..Output::default() }], "").core();
    let text = |at: u32, length: u32| filter("(i32.const 0)", &words(4, &[1, at, length]));
    let broken = filter("(i32.const 0)", &(words(4, &[1, 64, 3]) + &bytes(64, &[b'a', 0xff, b'b'])));
    let broken_type =
        making(&[Output { event_type: Some((0x8000, 2)), ..Output::default() }], &bytes(0x8000, &[0xc3, 0x28]));
    let log = |at: u32, length: u32| {
        importing(LOG, &format!("(call $log (i32.const 1) (i32.const {at}) (i32.const {length})) (i32.const 0)"))
    };
    let invalid = Stopped("output_invalid", "not valid");
    vec![
        hostile("gigabyte-body", body(0, 0x4000_0000), invalid),
        hostile("gigabyte-list", list(0, 0x4000_0000), invalid),
        hostile("list-of-all-lengths", list(0, u32::MAX), invalid),
        hostile("list-past-the-end", list(0x28_0000 - 8, 1), invalid),
        hostile("list-around-the-end", list(0xffff_fff0, 10), invalid),
        hostile("list-that-overflows", list(64, 0x0333_3334), invalid),
        hostile("list-not-aligned", list(66, 1), invalid),
        hostile("text-outside-of-memory", text(0x7fff_ffff, 8), invalid),
        hostile("result-outside-of-memory", filter("(i32.const -4)", ""), invalid),
        hostile("result-not-aligned", filter("(i32.const 2)", ""), invalid),
        hostile("neither-ok-nor-failure", filter("(i32.const 1024)", &bytes(1024, &[7])), invalid),
        hostile("log-outside-of-memory", log(0x7fff_ffff, 8), invalid),
        hostile(
            "log-level-unknown",
            importing(LOG, "(call $log (i32.const 9) (i32.const 64) (i32.const 1)) (i32.const 0)"),
            invalid,
        ),
        hostile(
            "realloc-outside-of-memory",
            allocating("(i32.const 0x7ffffff0)"),
            NoRoute("output_invalid", "not valid"),
        ),
        hostile("realloc-traps", allocating("unreachable"), NoRoute("trap", "unreachable")),
        hostile("utf8-broken-in-a-reason", broken, Stopped("output_invalid", "utf-8")),
        hostile("utf8-broken-in-an-event-type", broken_type.core(), Stopped("output_invalid", "utf-8")),
    ]
}

fn floods() -> Vec<Hostile> {
    let endless = |ask: &str| format!("(loop $more {ask} (br $more)) unreachable");
    let times = |times: u32, ask: &str| {
        format!(
            "(local $i i32) (loop $more {ask}
             (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $more (i32.lt_u (local.get $i) (i32.const {times}))))
             (i32.const 0)"
        )
    };
    let log = |length: u32| format!("(call $log (i32.const 1) (i32.const 64) (i32.const {length}))");
    let body = |length| Output { body: Some((0, length)), ..Output::default() };
    let headers = |count: u32, length: u32| {
        let list: Vec<u32> = (0..count).flat_map(|_| [0x9000, 1, 0x9100, length]).collect();
        let texts = words(0x9200, &list) + &bytes(0x9000, b"x") + &bytes(0x9100, &[b'y'; 256]);
        making(&[Output { headers: Some((0x9200, count)), ..Output::default() }], &texts).core()
    };
    let header = |name: &[u8], value: &[u8]| {
        let lengths = [name.len(), value.len()].map(|length| u32::try_from(length).unwrap());
        let texts =
            words(0x8000, &[0x8010, lengths[0], 0x8040, lengths[1]]) + &bytes(0x8010, name) + &bytes(0x8040, value);
        making(&[Output { headers: Some((0x8000, 1)), ..Output::default() }], &texts).core()
    };
    let delay = making(&[Output { delay_ms: Some(u32::MAX), ..Output::default() }], "").core();
    let forbidden =
        |name: &'static str| hostile(name, header(name.as_bytes(), b"x"), Stopped("header_forbidden", name));
    // `configure` answers at another place, where all is zero: the settings are fine.
    let failure = configuring("", "(i32.const 1024)", &words(0, &[1, 64, 1_000_000, 64, 1_000_000]));
    let too_large = Stopped("output_limit", "runtime.output_bytes_max");
    vec![
        hostile("log-flood", importing(LOG, &times(5000, &log(100))), Harmless),
        hostile("log-line-of-megabytes", importing(LOG, &(log(2_600_000) + "(i32.const 0)")), too_large),
        hostile(
            "log-for-ever",
            importing(LOG, &endless(&log(1))),
            Stopped("host_call_limit", "runtime.host_calls_max"),
        ),
        hostile(
            "log-megabytes-for-ever",
            importing(LOG, &endless(&log(1_000_000))),
            Stopped("host_call_limit", "runtime.host_call_bytes_max"),
        ),
        hostile(
            "event-body-for-ever",
            importing(
                EVENT_BODY,
                &endless("(global.set $heap (i32.const 1048576)) (call $event-body (i32.const 512))"),
            ),
            Stopped("host_call_limit", "runtime.host_calls_max"),
        ),
        hostile(
            "state-for-ever",
            importing(STATE_GET, &endless("(call $state-get (i32.const 64) (i32.const 8) (i32.const 0x4000))")),
            Stopped("host_call_limit", "runtime.host_calls_max"),
        ),
        hostile(
            "origin-while-configured",
            configuring(ORIGIN, "(call $origin (i32.const 512)) (i32.const 0)", ""),
            NoRoute("denied", "context.origin"),
        ),
        hostile("body-over-the-bound", making(&[body((2 << 20) + 1)], "").core(), too_large),
        hostile("eighty-bodies-in-one-place", making(&[body(2 << 20); 80], "").core(), too_large),
        hostile("thirty-thousand-outputs", list(0x10_000, 30_000), too_large),
        hostile("too-many-messages", list(0x10_000, 101), Stopped("output_limit", "runtime.output_messages_max")),
        hostile("reason-of-megabytes", filter("(i32.const 0)", &words(4, &[1, 64, 2_600_000])), too_large),
        hostile("failure-of-megabytes", failure, Stopped("failed", "the module failed")),
        hostile("too-many-headers", headers(65, 1), Stopped("output_limit", "runtime.headers_max")),
        hostile("too-large-headers", headers(64, 256), Stopped("output_limit", "runtime.header_bytes_max")),
        hostile(
            "header-with-a-line-break",
            header(b"x-split", b"a\r\nx-injected: b"),
            Stopped("output_invalid", "control character"),
        ),
        hostile("header-that-is-none", header(b"no name", b"x"), Stopped("output_invalid", "header name")),
        hostile("delay-of-fifty-days", delay, Stopped("output_limit", "runtime.delay_ms_max")),
        forbidden("webhook-signature"),
        forbidden("authorization"),
        forbidden("transfer-encoding"),
    ]
}

fn traps() -> Vec<Hostile> {
    let trap = |name, instructions: &str, says| hostile(name, filter(instructions, ""), Stopped("trap", says));
    let indirect = filter("(call_indirect (result i32) (i32.const 0))", "(table 1 funcref)");
    vec![
        trap("unreachable", "unreachable", "unreachable"),
        trap("division-by-zero", "(i32.div_u (i32.const 1) (i32.const 0))", "divide by zero"),
        trap("load-outside-of-memory", "(i32.load (i32.const -4))", "out of bounds"),
        trap(
            "fill-outside-of-memory",
            "(memory.fill (i32.const 0) (i32.const 1) (i32.const -1)) (i32.const 0)",
            "out of bounds",
        ),
        hostile("call-of-nothing", indirect, Stopped("trap", "uninitialized element")),
        hostile(
            "start-traps",
            filter("(i32.const 0)", "(func $start unreachable) (start $start)"),
            NoRoute("trap", "unreachable"),
        ),
    ]
}
