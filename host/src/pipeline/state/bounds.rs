//! How much state a module may keep, in one place. A bound's name is the name in the config file, and the one its error tells.

use serde::Deserialize;

/// The bounds of the state that the steps of routes keep.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StateConfig {
    /// The longest key, in bytes: 1 to 1,024. By itself 256.
    pub key_bytes_max: u64,
    /// The longest value, in bytes: 1 to 512 KiB. By itself 64 KiB.
    pub value_bytes_max: u64,
    /// How many keys a step may have: 1 to 10,000,000. By itself 10,000.
    pub keys_max: u64,
    /// How many bytes the keys and values of a step may have together: 1 KiB to 16 GiB. By itself 16 MiB.
    pub bytes_max: u64,
    /// How often one call of a module may write (set, remove, increment): 1 to 10,000. By itself 100.
    pub writes_per_call_max: u64,
    /// How many bytes all calls of one run may write, each write counted with its key, its value and 320 bytes more: 1 KiB to 1 MiB. They
    /// are written together with the run's outcome, which is one atomic write of 2 MiB at most. By itself 1 MiB.
    pub bytes_per_run_max: u64,
    /// The longest time that an entry may be kept for, in seconds; 0, for good, is always allowed. 1 to 4,294,967,295. By itself
    /// 31,622,400 (366 days).
    pub ttl_s_max: u64,
    /// How many steps of a route may have state, those included that the route has no longer: 1 to 1,000. By itself 32.
    pub steps_per_route_max: u64,
}

/// A bound that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`pipeline.state.{name}` is {given}: give a number from {min} to {max}")]
pub struct StateConfigError {
    name: &'static str,
    given: u64,
    min: u64,
    max: u64,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

impl Default for StateConfig {
    fn default() -> Self {
        Self {
            key_bytes_max: 256,
            value_bytes_max: 64 * KIB,
            keys_max: 10_000,
            bytes_max: 16 * MIB,
            writes_per_call_max: 100,
            bytes_per_run_max: MIB,
            ttl_s_max: 366 * 24 * 60 * 60,
            steps_per_route_max: 32,
        }
    }
}

impl StateConfig {
    /// Whether every bound is one that can be kept.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<(), StateConfigError> {
        let bounds = [
            ("key_bytes_max", self.key_bytes_max, 1, KIB),
            ("value_bytes_max", self.value_bytes_max, 1, 512 * KIB),
            ("keys_max", self.keys_max, 1, 10_000_000),
            ("bytes_max", self.bytes_max, KIB, 16 * KIB * MIB),
            ("writes_per_call_max", self.writes_per_call_max, 1, 10_000),
            ("bytes_per_run_max", self.bytes_per_run_max, KIB, MIB),
            ("ttl_s_max", self.ttl_s_max, 1, u64::from(u32::MAX)),
            ("steps_per_route_max", self.steps_per_route_max, 1, 1_000),
        ];
        let wrong = bounds.into_iter().find(|(_, given, min, max)| !(min..=max).contains(&given));
        wrong.map_or(Ok(()), |(name, given, min, max)| Err(StateConfigError { name, given, min, max }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_makes_no_sense_is_named() {
        assert_eq!(StateConfig::default().check(), Ok(()));
        let none = StateConfig { keys_max: 0, ..StateConfig::default() }.check().unwrap_err();
        assert_eq!(none.to_string(), "`pipeline.state.keys_max` is 0: give a number from 1 to 10000000");
    }
}
