//! What a call costs: the same number at every run, from every engine; and how much memory it had.

use super::guests::Guest;
use super::*;
use crate::config::TimeBound;
use crate::runtime::{Meter, Metered};

fn meter() -> Meter {
    Meter::start(&Config { threads: 1, ..Config::default() }).expect("it starts")
}

fn fuel(module: &Metered) -> Option<u64> {
    let Setting { event, body, message, origin, time, endpoints, state } = Setting::default();
    let until = None;
    let (event, event_body, message, settings) = (&event, &body, &message, "{}");
    let time_set_by = TimeBound::Host;
    module.fuel(&Call { event, event_body, message, settings, origin, time, time_set_by, until, endpoints, state })
}

/// A filter that counts down from a number before it accepts.
fn counting(from: u32) -> Vec<u8> {
    let call = format!(
        "(local $n i32) (local.set $n (i32.const {from}))
         (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (i32.const 0)"
    );
    Guest { call, ..Guest::of("filter") }.core()
}

#[test]
fn a_call_costs_the_same_at_every_run_and_in_every_engine() {
    let (one, other) = (meter(), meter());
    let module = one.compile(&counting(1000)).expect("a module");
    let first = fuel(&module).expect("a number");
    assert!(first > 4000, "1000 rounds of four instructions and more: {first}");
    for _ in 0..3 {
        assert_eq!(fuel(&module), Some(first));
    }
    assert_eq!(fuel(&other.compile(&counting(1000)).expect("a module")), Some(first));
    let more = fuel(&one.compile(&counting(1001)).expect("a module")).expect("a number");
    let round = more - first;
    assert!((3..10).contains(&round), "one round more costs {round}");
}

#[test]
fn a_trap_has_a_cost_and_what_the_machine_ends_has_none() {
    let meter = Meter::start(&Config { threads: 1, max_time_ms: 5, ..Config::default() }).expect("it starts");
    let with = |call: &str| meter.compile(&Guest { call: call.into(), ..Guest::of("filter") }.core());
    let trap = with("unreachable").expect("a module");
    assert_eq!(fuel(&trap), fuel(&trap));
    assert!(fuel(&trap).is_some());
    assert_eq!(fuel(&with("(loop $again (br $again)) unreachable").expect("a module")), None);
    let guest = Guest { call: "(call $accept (local.get 0))".into(), ..Guest::of("filter") };
    assert_eq!(fuel(&meter.compile(&guest.core()).expect("a module")), None);
}

#[test]
fn the_memory_of_a_call_is_what_its_memories_grew_to() {
    const PAGE: usize = 64 * 1024;
    let still = compile(&Guest { memory: r#"(memory (export "memory") 20)"#, ..Guest::of("filter") }.core());
    assert_eq!(call(&still).memory_bytes, 20 * PAGE);
    let call_it = "(drop (memory.grow (i32.const 3))) (i32.const 0)";
    let growing = compile(&Guest { call: call_it.into(), ..Guest::of("filter") }.core());
    assert_eq!(call(&growing).memory_bytes, 43 * PAGE, "40 at first");
    // What it did not get does not count.
    let call_it = "(drop (memory.grow (i32.const 60000))) (i32.const 0)";
    let greedy = compile(&Guest { call: call_it.into(), ..Guest::of("filter") }.core());
    assert_eq!(call(&greedy).memory_bytes, 40 * PAGE);
}
