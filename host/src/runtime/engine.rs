//! The wasmtime engine: which WebAssembly it takes, how it is stopped, and the pool that fresh instances come from.

use super::Config;
use std::num::NonZeroUsize;
use wasmparser::WasmFeatures;
use wasmtime::{Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails};

/// The WebAssembly that modules may use. The rest is refused at upload: what needs a garbage collector, threads or a second
/// stack, what makes a memory unbounded, and what differs from one machine to the next.
pub(super) const FEATURES: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// Instances beside those of the executor's threads: a route is saved, a module is tried out.
const SPARE_INSTANCES: u32 = 4;
/// How much of a used memory is zeroed in place for the next instance; what is beyond goes back to the system. In bytes.
const KEEP_RESIDENT_BYTES: usize = 1 << 20;
/// How many functions of a trapped module's stack are told.
const BACKTRACE_FRAMES_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

/// How a used memory or table is made clean for the next instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cleaning {
    /// The kernel tells which pages were written, and those are zeroed in place, up to [`KEEP_RESIDENT_BYTES`]. A fresh instance
    /// is four times cheaper that way.
    ScanPages,
    /// All of it goes back to the system.
    Whole,
}

/// Makes the engine that runs modules, with its pool of instances. `config` has been checked.
pub(super) fn new(config: &Config, cleaning: Cleaning) -> wasmtime::Result<Engine> {
    Engine::new(settings(config).allocation_strategy(InstanceAllocationStrategy::Pooling(pool(config, cleaning))))
}

/// Makes an engine that compiles for the other one and runs nothing: it needs no pool, whose address space is large.
pub(super) fn compile_only(config: &Config) -> wasmtime::Result<Engine> {
    Engine::new(&settings(config))
}

/// Makes an engine that counts fuel, for [`super::Meter`]. It takes the same modules. What a call does depends there on nothing
/// of the machine: not on the pool, and not on the bits that its processor puts into a NaN.
pub(super) fn metered(config: &Config) -> wasmtime::Result<Engine> {
    let mut engine = settings(config);
    engine
        .consume_fuel(true)
        .cranelift_nan_canonicalization(true)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&engine)
}

/// What all have in common: all that compiled code depends on.
fn settings(config: &Config) -> wasmtime::Config {
    let mut engine = wasmtime::Config::new();
    engine
        .wasm_features(FEATURES.complement(), false)
        .wasm_features(FEATURES, true)
        // Not for modules, which the screen holds to FEATURES: a component made of several ones has calls between their
        // memories, and the engine's own glue for those is WebAssembly with two memories.
        .wasm_features(WasmFeatures::MULTI_MEMORY, true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(config.stack_bytes_max)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES_MAX))
        // A module's debug information is its author's data: it is not parsed at the moment of a trap.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    engine
}

fn pool(config: &Config, cleaning: Cleaning) -> PoolingAllocationConfig {
    let instances = u32::try_from(config.threads).unwrap_or(u32::MAX).saturating_add(SPARE_INSTANCES);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(config.instances_max_per_component))
        .max_core_instances_per_component(config.instances_max_per_component)
        .total_memories(instances.saturating_mul(config.memories_max_per_component))
        .max_memories_per_component(config.memories_max_per_component)
        .total_tables(instances.saturating_mul(config.tables_max_per_component))
        .max_tables_per_component(config.tables_max_per_component)
        .max_tables_per_module(config.tables_max_per_component)
        .table_elements(config.table_elements_max)
        .max_memory_size(config.memory_bytes_max);
    if cleaning == Cleaning::ScanPages {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .table_keep_resident(KEEP_RESIDENT_BYTES);
    }
    pool
}

impl Cleaning {
    /// What is safe on this machine, and allowed; said in the log.
    ///
    /// The kernel's scan does not see a page that is swapped out: such a page would keep what the last instance wrote. So it is
    /// used only on a machine without swap, as it is at start. Nor does it see a page that the kernel moves to another place in
    /// memory at that very moment, which `runtime.pagemap_scan` lets an operator rule out: under memory compaction without
    /// pause it was seen once in two million calls.
    pub(super) fn of_this_machine(config: &Config) -> Self {
        let swaps = std::fs::read_to_string("/proc/swaps");
        let (cleaning, why) = if !config.pagemap_scan {
            (Self::Whole, "runtime.pagemap_scan is off")
        } else if !swaps.is_ok_and(|swaps| has_no_swap(&swaps)) {
            (Self::Whole, "the machine has swap, or does not say that it has none; calls of modules cost more CPU time")
        } else if !PoolingAllocationConfig::is_pagemap_scan_available() {
            (Self::Whole, "the kernel has no PAGEMAP_SCAN; calls of modules cost more CPU time")
        } else {
            (Self::ScanPages, "the machine has no swap; start the host anew before it gets some")
        };
        tracing::info!(pagemap_scan = cleaning == Self::ScanPages, why, "how the memory of modules is cleaned");
        cleaning
    }
}

/// `/proc/swaps` is one line of titles and one line for each swap area.
fn has_no_swap(swaps: &str) -> bool {
    swaps.lines().filter(|line| !line.trim().is_empty()).count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_seen_and_what_cannot_be_read_counts_as_swap() {
        let titles = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        assert!(has_no_swap(titles));
        assert!(!has_no_swap(&format!("{titles}/dev/dm-1 partition 8388604 0 -2\n")));
        assert!(!has_no_swap(""));
    }

    #[test]
    fn what_is_switched_off_is_not_used() {
        assert_eq!(Cleaning::of_this_machine(&Config { pagemap_scan: false, ..Config::default() }), Cleaning::Whole);
    }
}
