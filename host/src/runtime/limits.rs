//! Every bound of the runtime, in one place. A bound's name is the name in the config file, and the one its error tells.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The bounds within which modules are taken, compiled and run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The largest upload, in bytes. JavaScript and Python modules carry their interpreter: 12 to 18 MB.
    pub module_bytes_max: usize,
    /// The largest body a module is given, the event's or the message's, in bytes.
    pub module_body_bytes_max: usize,
    /// The most that one call may take (instance, `configure` and the call proper), in milliseconds of processor time, so that a busy
    /// machine stops no module. A Rust module needs 0.1 ms and a Python one 2 ms for a 20 KB payload, so 100 leaves room for a body of
    /// 1 MiB, and bounds what a loop can cost a thread.
    pub max_time_ms: u64,
    /// The largest memory of one instance, all its linear memories together, in bytes; a multiple of 64 KiB.
    pub memory_bytes_max: usize,
    /// The most elements of one table.
    pub table_elements_max: usize,
    /// The most linear memories of one component.
    pub memories_max_per_component: u32,
    /// The most tables of one component.
    pub tables_max_per_component: u32,
    /// The most core instances of one component; Python modules link dozens.
    pub instances_max_per_component: u32,
    /// The most functions of one upload, all its core modules together: each costs the compiler some time, however small.
    pub functions_max: usize,
    /// The largest function of an upload, in bytes of its body: the compiler's time may grow faster than a function does.
    pub function_bytes_max: usize,
    /// How often the memories and tables of one instance may be made or grow in all.
    pub grows_max: usize,
    /// The most calls of the host, by its imports, in one call of a module.
    pub host_calls_max: usize,
    /// The most bytes that a module and the host may hand one another in these calls.
    pub host_call_bytes_max: usize,
    /// The largest stack of a module, in bytes. The calling thread's own stack has to be larger by 256 KiB.
    pub stack_bytes_max: usize,
    /// The most bytes that one call may produce: texts, headers and bodies of all messages together. A body that is still
    /// the event's counts nothing.
    pub output_bytes_max: usize,
    /// The most messages that one call may produce.
    pub output_messages_max: usize,
    /// The longest event type, content type or ordering key that a module may set, in bytes.
    pub text_bytes_max: usize,
    /// The longest delay that a module may ask for, in milliseconds.
    pub delay_ms_max: u64,
    /// The most headers of one message.
    pub headers_max: usize,
    /// The most bytes in names and values of one message's headers.
    pub header_bytes_max: usize,
    /// The most log lines kept of one call.
    pub log_lines_max: usize,
    /// The most bytes kept of one call's log lines.
    pub log_bytes_max: usize,
    /// The longest reason of a filter, or message of a failure, that is kept, in bytes; what is over it is cut.
    pub reason_bytes_max: usize,
    /// The most memory that compiling one upload may take, in bytes of address space. A JavaScript or Python module takes 450 MB.
    pub compile_memory_bytes_max: usize,
    /// The most CPU time that compiling one upload may take, in seconds.
    pub compile_cpu_s_max: u64,
    /// The longest that compiling one upload may take by the wall clock, in seconds.
    pub compile_time_s_max: u64,
    /// The most memory that compiled modules may take together, in bytes. Those not used for longest make room for others, and come
    /// back from the disk when they are needed; those in use stay, even over this bound.
    pub modules_memory_bytes_max: usize,
    /// Whether the kernel may tell which pages of a used memory have to be cleaned, where the machine has no swap. Without it a
    /// fresh instance costs four times as much.
    pub pagemap_scan: bool,
    /// How many threads run modules. The default is one more than there are cores, three at least: one does only what is quick, and of the
    /// others one tenant leaves one free. Where there is one thread, each call waits for the one before, whosever it is.
    pub threads: usize,
    /// The most jobs that wait for a thread, in each lane; half of them for one tenant.
    pub queue_max: usize,
}

/// A bound that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`runtime.{name}` is {given}: give a number from {min} to {max}{rule}")]
pub struct ConfigError {
    name: &'static str,
    given: u64,
    min: u64,
    max: u64,
    rule: &'static str,
}

/// What such a stack has beside the module's, in bytes.
const HOST_STACK_BYTES: usize = 1 << 20;
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// The unit in which a linear memory grows, in bytes.
pub(super) const WASM_PAGE_BYTES: usize = 64 * KIB;

impl Default for Config {
    fn default() -> Self {
        Self {
            module_bytes_max: 32 * MIB,
            module_body_bytes_max: MIB,
            max_time_ms: 100,
            memory_bytes_max: 64 * MIB,
            table_elements_max: 32_768,
            memories_max_per_component: 4,
            tables_max_per_component: 32,
            instances_max_per_component: 64,
            functions_max: 100_000,
            function_bytes_max: MIB,
            // A memory that grows to its bound page by page stays below it.
            grows_max: 2048,
            host_calls_max: 10_000,
            host_call_bytes_max: 16 * MIB,
            stack_bytes_max: 512 * KIB,
            output_bytes_max: 2 * MIB,
            output_messages_max: 100,
            text_bytes_max: KIB,
            delay_ms_max: 30 * 24 * 60 * 60 * 1000,
            headers_max: 64,
            header_bytes_max: 16 * KIB,
            log_lines_max: 100,
            log_bytes_max: 16 * KIB,
            reason_bytes_max: KIB,
            compile_memory_bytes_max: 1024 * MIB,
            compile_cpu_s_max: 120,
            compile_time_s_max: 300,
            modules_memory_bytes_max: 512 * MIB,
            pagemap_scan: true,
            threads: std::thread::available_parallelism().map_or(2, usize::from).max(2) + 1,
            queue_max: 256,
        }
    }
}

impl Config {
    /// Whether every bound is one the runtime can keep.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("module_bytes_max", self.module_bytes_max, KIB, 256 * MIB),
            ("module_body_bytes_max", self.module_body_bytes_max, 0, 64 * MIB),
            ("memory_bytes_max", self.memory_bytes_max, WASM_PAGE_BYTES, 1024 * MIB),
            ("table_elements_max", self.table_elements_max, 1, 1_000_000),
            ("functions_max", self.functions_max, 1, 10_000_000),
            ("function_bytes_max", self.function_bytes_max, KIB, 7 * MIB),
            ("grows_max", self.grows_max, 1, 1_000_000),
            ("host_calls_max", self.host_calls_max, 1, 10_000_000),
            ("host_call_bytes_max", self.host_call_bytes_max, KIB, 1024 * MIB),
            ("stack_bytes_max", self.stack_bytes_max, 64 * KIB, MIB),
            ("output_bytes_max", self.output_bytes_max, 0, 256 * MIB),
            ("output_messages_max", self.output_messages_max, 1, 10_000),
            ("text_bytes_max", self.text_bytes_max, 1, 64 * KIB),
            ("headers_max", self.headers_max, 0, 1000),
            ("header_bytes_max", self.header_bytes_max, 0, MIB),
            ("log_lines_max", self.log_lines_max, 0, 10_000),
            ("log_bytes_max", self.log_bytes_max, 0, MIB),
            ("reason_bytes_max", self.reason_bytes_max, 0, 64 * KIB),
            ("compile_memory_bytes_max", self.compile_memory_bytes_max, 256 * MIB, 64 * 1024 * MIB),
            ("modules_memory_bytes_max", self.modules_memory_bytes_max, 0, 1024 * 1024 * MIB),
            ("threads", self.threads, 1, 1024),
            ("queue_max", self.queue_max, 1, 1_000_000),
        ];
        for (name, given, min, max) in sizes {
            within(name, given as u64, min as u64, max as u64)?;
        }
        within("max_time_ms", self.max_time_ms, 1, 60_000)?;
        within("compile_cpu_s_max", self.compile_cpu_s_max, 1, 3600)?;
        within("compile_time_s_max", self.compile_time_s_max, 1, 3600)?;
        within("delay_ms_max", self.delay_ms_max, 0, 366 * 24 * 60 * 60 * 1000)?;
        within("memories_max_per_component", self.memories_max_per_component.into(), 1, 16)?;
        within("tables_max_per_component", self.tables_max_per_component.into(), 1, 256)?;
        within("instances_max_per_component", self.instances_max_per_component.into(), 1, 1000)?;
        if !self.memory_bytes_max.is_multiple_of(WASM_PAGE_BYTES) {
            let given = self.memory_bytes_max as u64;
            let (min, max) = (WASM_PAGE_BYTES as u64, 1024 * MIB as u64);
            return Err(ConfigError { name: "memory_bytes_max", given, min, max, rule: ", a multiple of 65536" });
        }
        Ok(())
    }

    /// How large the stack of a thread has to be that calls modules, in bytes.
    #[must_use]
    pub const fn thread_stack_bytes(&self) -> usize {
        self.stack_bytes_max.saturating_add(HOST_STACK_BYTES)
    }

    /// [`Config::max_time_ms`] as a duration.
    #[must_use]
    pub const fn max_time(&self) -> Duration {
        Duration::from_millis(self.max_time_ms)
    }
}

fn within(name: &'static str, given: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&given) { Ok(()) } else { Err(ConfigError { name, given, min, max, rule: "" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_the_file_may_change_one() {
        assert_eq!(Config::default().check(), Ok(()));
        let config: Config = toml::from_str("max_time_ms = 7").expect("a config");
        assert_eq!(config, Config { max_time_ms: 7, ..Config::default() });
        assert!(toml::from_str::<Config>("max_time = 7").is_err());
    }

    #[test]
    fn a_bound_that_makes_no_sense_is_named() {
        let error = |config: Config| config.check().expect_err("refused").to_string();
        let odd = error(Config { memory_bytes_max: 65_537, ..Config::default() });
        assert!(odd.contains("`runtime.memory_bytes_max` is 65537") && odd.contains("multiple of 65536"), "{odd}");
        let none = error(Config { threads: 0, ..Config::default() });
        assert_eq!(none, "`runtime.threads` is 0: give a number from 1 to 1024");
        assert!(error(Config { max_time_ms: 0, ..Config::default() }).contains("max_time_ms"));
    }
}
