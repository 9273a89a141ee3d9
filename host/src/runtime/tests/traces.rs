//! No byte of one call survives into the next: guests that look for what a call before may have left in their memory, their
//! table and their globals, and then fill all of it themselves. They take turns in the one free slot of the pool, in all sizes.

use super::guests::{Guest, bytes, words};
use super::*;
use crate::runtime::Instances;
use crate::runtime::bindings::types;
use crate::runtime::engine::Cleaning;
use crate::runtime::host::HostState;
use crate::runtime::module::Instance;
use wasmtime::Store;

const PATTERN: &str = "(i64.const 0xa5a5a5a5a5a5a5a5)";
const GLOBALS: usize = 50;

/// How large a guest is made, and how large it makes itself.
#[derive(Clone, Copy, Debug)]
struct Size {
    pages: u32,
    pages_grown: u32,
    elements: u32,
    elements_grown: u32,
    /// How much of its memory begins with data, in bytes.
    data: usize,
}

const fn size(pages: u32, pages_grown: u32, elements: u32, elements_grown: u32, data: usize) -> Size {
    Size { pages, pages_grown, elements, elements_grown, data }
}

/// From the smallest to the bounds; with and without growing; with data, which the pool keeps as an image, and without.
const SIZES: [Size; 6] = [
    size(20, 20, 1, 1, 0),
    size(40, 40, 1000, 1000, 300_000),
    size(20, 256, 1, 32_768, 0),
    size(256, 256, 32_768, 32_768, 0),
    size(20, 256, 1, 32_768, 300_000),
    size(100, 101, 9000, 9001, 100),
];

/// A filter that rejects where it finds something of a call before. Then it fills everything it has.
fn searching(size: Size) -> Guest {
    let Size { pages, pages_grown, elements, elements_grown, data } = size;
    let look = |memory: &str| {
        format!(
            "(local.set $at (i32.const 0))
             (loop $more (if (i64.eq (i64.load (local.get $at)) {PATTERN}) (then (return (i32.const 2048))))
               (local.set $at (i32.add (local.get $at) (i32.const 8))) (br_if $more (i32.lt_u (local.get $at) {memory})))
             (local.set $at (i32.const 0))
             (loop $more (if (i32.eqz (ref.is_null (table.get (local.get $at)))) (then (return (i32.const 2048))))
               (local.set $at (i32.add (local.get $at) (i32.const 1))) (br_if $more (i32.lt_u (local.get $at) (table.size))))"
        )
    };
    let memory = "(i32.mul (memory.size) (i32.const 65536))";
    let globals = |each: &str| (0..GLOBALS).map(|global| each.replace('#', &global.to_string())).collect::<String>();
    let call = format!(
        "(local $at i32) {} {look}
         (drop (memory.grow (i32.const {}))) (drop (table.grow (ref.null func) (i32.const {}))) {look}
         {}
         (table.fill (i32.const 0) (ref.func $configure) (table.size))
         ;; From behind the words of its own answer.
         (memory.fill (i32.const 4096) (i32.const 0xa5) (i32.sub {memory} (i32.const 4096)))
         (i32.const 0)",
        globals("(if (i64.ne (global.get $g#) (i64.const 0)) (then (return (i32.const 2048))))"),
        pages_grown - pages,
        elements_grown - elements,
        globals(&format!("(global.set $g# {PATTERN})")),
        look = look(memory),
    );
    let rest = globals("(global $g# (mut i64) (i64.const 0))")
        + &format!("(table {elements} funcref) (elem declare func $configure)")
        + &words(2048, &[0, 1, 2064, 5])
        + &bytes(2064, b"found")
        + &bytes(8192, &vec![1; data]);
    let memory = format!(r#"(memory (export "memory") {pages})"#);
    Guest { memory: memory.leak(), call, rest, ..Guest::of("filter") }
}

/// A runtime whose pool has one memory and one table for each of five instances, and a guest that takes up four.
fn runtime(cleaning: Cleaning) -> (Runtime, Vec<Store<HostState>>) {
    let config = Config {
        threads: 1,
        max_time_ms: 60_000,
        // A quarter of what a host has by itself: the same happens in more, and takes longer.
        memory_bytes_max: 16 << 20,
        memories_max_per_component: 1,
        tables_max_per_component: 1,
        ..Config::default()
    };
    let runtime = Runtime::start_with(config, Instances::Pooled(cleaning)).expect("a runtime");
    let holding = Guest { rest: "(table 1 funcref)".into(), ..Guest::of("filter") };
    let module = runtime.compile(&holding.core()).expect("a module");
    let hold = |_| {
        let mut store = store(&module);
        module.pre().instantiate(&mut store).expect("an instance");
        store
    };
    let held = (0..4).map(hold).collect();
    (runtime, held)
}

fn store(module: &Module) -> Store<HostState> {
    let state = HostState::new(&module.shared().config, Bytes::new(), Origin::Live, Directory::default());
    let mut store = Store::new(&module.shared().engine, state);
    store.set_epoch_deadline(u64::MAX / 2);
    store
}

#[test]
fn no_byte_of_a_call_survives_into_the_next() {
    for cleaning in [Cleaning::of_this_machine(&Config::default()), Cleaning::Whole] {
        let (runtime, _held) = runtime(cleaning);
        let modules = SIZES.map(|size| runtime.compile(&searching(size).core()).expect("a module"));
        for (one, first) in SIZES.iter().zip(&modules) {
            for (other, second) in SIZES.iter().zip(&modules) {
                let setting = Setting { time: Duration::from_secs(60), ..Setting::default() };
                assert_eq!(setting.call(first).result, Ok(Verdict::Accept), "{cleaning:?}: {one:?}");
                assert_eq!(setting.call(second).result, Ok(Verdict::Accept), "{cleaning:?}: {other:?} after {one:?}");
            }
        }
    }
}

/// What the test above looks for is there where nobody cleans: in an instance that is kept.
#[test]
fn in_an_instance_that_is_kept_all_of_it_is_found() {
    let (runtime, _held) = runtime(Cleaning::Whole);
    for size in SIZES {
        let module = runtime.compile(&searching(size).core()).expect("a module");
        let mut store = store(&module);
        let Ok(Instance::Filter(filter)) = module.pre().instantiate(&mut store) else { panic!("it is a filter") };
        let event = types::Event {
            id: String::new(),
            tenant: String::new(),
            source: String::new(),
            event_type: String::new(),
            received_at_ms: 0,
            headers: Vec::new(),
        };
        let message = types::Message {
            event_type: String::new(),
            content_type: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
            ordering_key: None,
            delay_ms: 0,
        };
        let mut accept = || filter.call_accept(&mut store, &event, &message).expect("no trap").expect("no failure");
        assert!(matches!(accept(), types::Decision::Accept), "{size:?}");
        assert!(matches!(accept(), types::Decision::Reject(reason) if reason == "found"), "{size:?}");
    }
}
