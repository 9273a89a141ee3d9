//! How much memory an instance may take and how often, and whether it was refused any: that tells an author who ran out of
//! memory from one whose module is broken.
//!
//! A memory or table that may not become larger stays as it is, and the module may do without. One that grows too often ends
//! the call: each time costs the host a system call or two, whatever becomes of it.

use super::Config;
use wasmtime::ResourceLimiter;

/// Counts what one instance takes. The bound is for all its linear memories together.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements_max: usize,
    grows: usize,
    grows_max: usize,
    refused: Option<Refused>,
}

/// What an instance asked for and did not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The bound, as the config names it.
    pub(super) bound: &'static str,
    /// Its value.
    pub(super) max: usize,
}

/// The memories and tables of an instance grew more often than `grows_max` says.
#[derive(Debug, thiserror::Error)]
#[error("memories and tables grew more than {max} times")]
pub(super) struct GrowsTooOften {
    /// The bound.
    pub(super) max: usize,
}

impl Limiter {
    pub(super) const fn new(config: &Config) -> Self {
        Self {
            memory_bytes: 0,
            memory_bytes_max: config.memory_bytes_max,
            table_elements_max: config.table_elements_max,
            grows: 0,
            grows_max: config.grows_max,
            refused: None,
        }
    }

    /// What its memories have grown to, in bytes. They never shrink, so it is also the most they had.
    pub(super) const fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    pub(super) const fn refused(&self) -> Option<Refused> {
        self.refused
    }

    const fn count(&mut self) -> Result<(), GrowsTooOften> {
        self.grows += 1;
        if self.grows <= self.grows_max { Ok(()) } else { Err(GrowsTooOften { max: self.grows_max }) }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.count()?;
        let total = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        if total > self.memory_bytes_max {
            self.refused = Some(Refused { bound: "memory_bytes_max", max: self.memory_bytes_max });
            return Ok(false);
        }
        // Past the module's own maximum: wasmtime refuses it after this, so it must not be counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.count()?;
        let fits = desired <= self.table_elements_max;
        if !fits {
            self.refused = Some(Refused { bound: "table_elements_max", max: self.table_elements_max });
        }
        Ok(fits)
    }
}
