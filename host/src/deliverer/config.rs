//! The bounds of the deliverer.

use super::gate::Probes;
use super::lanes::Bounds;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

/// How much is sent at once, and how long things wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How many deliveries are in flight at once: 1 to 10,000. One tenant alone gets half of them, one endpoint alone a quarter. Each may
    /// hold a body in memory.
    pub deliveries_in_flight_max: usize,
    /// How many due deliveries of one endpoint are known in memory at once; the others wait on disk: 1 to 10,000.
    pub lane_ready_max: usize,
    /// How many endpoints' queues are read from disk at once: 1 to 64.
    pub lane_scans_max: usize,
    /// How long a delivery waits when the host itself failed at it, in milliseconds: 1 to 600,000. Its schedule stays as it is.
    pub failure_rest_ms: u64,
    /// How long an endpoint that is held is left alone before one delivery is tried, in milliseconds: 1 to 3,600,000. Twice as long after each
    /// try that fails.
    pub probe_wait_ms_min: u64,
    /// The longest time between two such tries, in milliseconds: `probe_wait_ms_min` to 86,400,000.
    pub probe_wait_ms_max: u64,
    /// The name of this system, for receivers whose endpoints want a handshake: a DNS name of at most 253 bytes. Those wait without it.
    pub origin: Option<String>,
    /// How long deliveries in flight may take to end at shutdown, in milliseconds: at most 600,000. What is not at its end then goes again
    /// after the next start.
    pub drain_ms: u64,
}

/// The longest `origin`, in bytes.
const ORIGIN_BYTES_MAX: usize = 253;

/// A setting is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A bound is out of its own bounds.
    #[error("`{field}` is {given}: it must be from {least} to {most}")]
    Bound {
        /// Which.
        field: &'static str,
        /// What it is.
        given: u64,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// The host's name is none.
    #[error(
        "`origin` is {given:?}: it must be a DNS name of 1 to {ORIGIN_BYTES_MAX} bytes, such as `hooks.example.com`"
    )]
    Origin {
        /// What it is.
        given: String,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deliveries_in_flight_max: 256,
            lane_ready_max: 128,
            lane_scans_max: 4,
            failure_rest_ms: 30_000,
            probe_wait_ms_min: 30_000,
            probe_wait_ms_max: 3_600_000,
            origin: None,
            drain_ms: 20_000,
        }
    }
}

impl Config {
    /// Whether every bound is within its own.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let bounds = [
            ("deliveries_in_flight_max", count(self.deliveries_in_flight_max), 1, 10_000),
            ("lane_ready_max", count(self.lane_ready_max), 1, 10_000),
            ("lane_scans_max", count(self.lane_scans_max), 1, 64),
            ("failure_rest_ms", self.failure_rest_ms, 1, 600_000),
            ("probe_wait_ms_min", self.probe_wait_ms_min, 1, 3_600_000),
            ("probe_wait_ms_max", self.probe_wait_ms_max, self.probe_wait_ms_min, 86_400_000),
            ("drain_ms", self.drain_ms, 0, 600_000),
        ];
        match bounds.into_iter().find(|(_, given, least, most)| given < least || given > most) {
            Some((field, given, least, most)) => Err(ConfigError::Bound { field, given, least, most }),
            None => self.check_origin(),
        }
    }

    fn check_origin(&self) -> Result<(), ConfigError> {
        let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        match &self.origin {
            Some(origin)
                if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX || !origin.bytes().all(is_of_a_name) =>
            {
                Err(ConfigError::Origin { given: origin.clone() })
            }
            _ => Ok(()),
        }
    }

    /// The origin as it is sent.
    pub(super) fn origin(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(self.origin.as_deref()?).ok()
    }

    pub(super) const fn probes(&self) -> Probes {
        Probes { wait_ms_min: self.probe_wait_ms_min, wait_ms_max: self.probe_wait_ms_max }
    }

    pub(super) const fn bounds(&self) -> Bounds {
        Bounds {
            in_flight_max: self.deliveries_in_flight_max,
            lane_ready_max: self.lane_ready_max,
            failure_rest_ms: self.failure_rest_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_checked_and_named() {
        let config = Config::default;
        assert_eq!(config().check(), Ok(()));
        let wrong = [
            ("deliveries_in_flight_max", Config { deliveries_in_flight_max: 0, ..config() }),
            ("lane_ready_max", Config { lane_ready_max: 10_001, ..config() }),
            ("lane_scans_max", Config { lane_scans_max: 0, ..config() }),
            ("failure_rest_ms", Config { failure_rest_ms: 0, ..config() }),
            ("probe_wait_ms_min", Config { probe_wait_ms_min: 3_600_001, ..config() }),
            ("probe_wait_ms_max", Config { probe_wait_ms_max: 29_999, ..config() }),
            ("probe_wait_ms_max", Config { probe_wait_ms_max: 86_400_001, ..config() }),
            ("drain_ms", Config { drain_ms: 600_001, ..config() }),
        ];
        for (field, config) in wrong {
            assert!(config.check().unwrap_err().to_string().starts_with(&format!("`{field}` is ")), "{field}");
        }
    }

    #[test]
    fn an_origin_is_a_name() {
        let check = |origin: &str| Config { origin: Some(origin.to_owned()), ..Config::default() }.check();
        assert_eq!((check("hooks.example.com"), check(&"a".repeat(ORIGIN_BYTES_MAX))), (Ok(()), Ok(())));
        for wrong in ["", "https://example.com", "a b", "a\n", &"a".repeat(ORIGIN_BYTES_MAX + 1)] {
            assert_eq!(check(wrong), Err(ConfigError::Origin { given: wrong.to_owned() }));
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert_eq!(toml::from_str::<Config>(""), Ok(Config::default()));
        assert!(
            toml::from_str::<Config>("in_flight = 1").unwrap_err().to_string().contains("unknown field `in_flight`")
        );
    }
}
