//! How often a module may call the host in one call, and how much the two may hand one another: a host call is work that no
//! deadline interrupts, and memory that is not the instance's.

use super::Config;

/// What is left of one call's bounds.
#[derive(Debug)]
pub(super) struct HostCalls {
    calls_left: usize,
    calls_max: usize,
    bytes_left: usize,
    bytes_max: usize,
}

/// The module called the host too often, or for too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over {bound} = {max}")]
pub(super) struct HostCallLimit {
    /// The bound, as the config names it.
    pub(super) bound: &'static str,
    /// Its value.
    pub(super) max: usize,
}

impl HostCalls {
    pub(super) const fn new(config: &Config) -> Self {
        let (calls, bytes) = (config.host_calls_max, config.host_call_bytes_max);
        Self { calls_left: calls, calls_max: calls, bytes_left: bytes, bytes_max: bytes }
    }

    /// Counts one host call, in which so many bytes of texts and bodies are handed over, in both directions together. Every
    /// function of the contract begins, or ends, with it.
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), HostCallLimit> {
        let over = HostCallLimit { bound: "host_calls_max", max: self.calls_max };
        self.calls_left = self.calls_left.checked_sub(1).ok_or(over)?;
        self.hand_over(bytes)
    }

    /// Counts bytes of a host call that was counted before.
    pub(super) fn hand_over(&mut self, bytes: usize) -> Result<(), HostCallLimit> {
        let over = HostCallLimit { bound: "host_call_bytes_max", max: self.bytes_max };
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(over)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_bytes_are_counted_up_to_their_bounds() {
        let config = Config { host_calls_max: 3, host_call_bytes_max: 10, ..Config::default() };
        let mut calls = HostCalls::new(&config);
        assert_eq!((calls.count(4), calls.count(6)), (Ok(()), Ok(())));
        let bytes = Err(HostCallLimit { bound: "host_call_bytes_max", max: 10 });
        assert_eq!((calls.count(1), calls.count(0)), (bytes, Err(HostCallLimit { bound: "host_calls_max", max: 3 })));
    }
}
