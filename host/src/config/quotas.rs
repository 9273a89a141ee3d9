//! What one tenant may use of the host: rates, as people write them and checked. Pure.

use super::Invalid;
use super::resource::within;
use serde::{Deserialize, Serialize};

const PER_S_MAX: u64 = 100_000;
const BURST_MAX: u64 = 1_000_000;

/// What a tenant may use. What is left out is not bounded for it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaSpec {
    /// How many events each second all its sources together may be sent: 1 to 100,000, and as many beside it in a burst.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_per_s: Option<u32>,
    /// How many of its deliveries may be pending or held; with as many, no event is taken: 1 to 1,000,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_deliveries_max: Option<u64>,
    /// How many bytes the bodies of its events and deliveries may have that are kept; with as many, no event is taken: 1 to 2^50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes_max: Option<u64>,
    /// How many modules it may have: 0 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modules_max: Option<u64>,
    /// How long its modules may run in a minute, in milliseconds, all calls together; from then on no event is taken until the next minute begins:
    /// 1 to 60,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_time_ms_per_min: Option<u64>,
}

/// What a tenant may use, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// How fast events may come, over all sources.
    pub events: Option<Rate>,
    /// How many deliveries may be pending or held.
    pub waiting_deliveries_max: Option<u64>,
    /// How many bytes of bodies may be kept.
    pub stored_bytes_max: Option<u64>,
    /// How many modules there may be.
    pub modules_max: Option<u64>,
    /// How long modules may run in a minute, in milliseconds.
    pub module_time_ms_per_min: Option<u64>,
}

impl Quotas {
    pub(super) fn resolve(spec: &QuotaSpec) -> Result<Self, Invalid> {
        let events = spec.events_per_s.map(|per_s| Rate::new(("/quotas/events_per_s", per_s), ("", None)));
        let QuotaSpec { waiting_deliveries_max, stored_bytes_max, modules_max, module_time_ms_per_min, .. } = *spec;
        let check = |pointer, value: Option<u64>, least, most| {
            value.map_or(Ok(()), |value| within(pointer, value, least, most))
        };
        check("/quotas/waiting_deliveries_max", waiting_deliveries_max, 1, 1_000_000_000)?;
        check("/quotas/stored_bytes_max", stored_bytes_max, 1, 1 << 50)?;
        check("/quotas/modules_max", modules_max, 0, 1_000)?;
        check("/quotas/module_time_ms_per_min", module_time_ms_per_min, 1, 60_000_000)?;
        let events = events.transpose()?;
        Ok(Self { events, waiting_deliveries_max, stored_bytes_max, modules_max, module_time_ms_per_min })
    }
}

/// How fast something may come: so many each second on average, and at most `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// From 1.
    pub per_s: u32,
    /// From 1.
    pub burst: u32,
}

impl Rate {
    /// Each with its place; a burst that is not given is what comes in a second.
    pub(super) fn new(per_s: (&str, u32), burst: (&str, Option<u32>)) -> Result<Self, Invalid> {
        within(per_s.0, per_s.1.into(), 1, PER_S_MAX)?;
        let most = burst.1.unwrap_or(per_s.1);
        within(burst.0, most.into(), 1, BURST_MAX)?;
        Ok(Self { per_s: per_s.1, burst: most })
    }
}
