//! How long the modules of each tenant ran in the minute under way. In memory: a start begins a new minute.

use crate::model::TenantName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const MINUTE_MS: u64 = 60_000;

/// The times. Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct ModuleTimes {
    times: Arc<Mutex<Times>>,
}

#[derive(Debug, Default)]
struct Times {
    /// Which minute, since 1970-01-01T00:00:00Z.
    minute: u64,
    /// In microseconds.
    by_tenant: HashMap<TenantName, u64>,
}

impl ModuleTimes {
    /// A call took so long.
    pub(super) fn note(&self, tenant: &TenantName, now_ms: u64, took_us: u64) {
        let mut times = self.at(now_ms);
        let time = times.by_tenant.entry(tenant.clone()).or_default();
        *time = time.saturating_add(took_us);
    }

    /// How long a tenant's modules ran in this minute, in milliseconds.
    #[must_use]
    pub fn of(&self, tenant: &TenantName, now_ms: u64) -> u64 {
        self.at(now_ms).by_tenant.get(tenant).map_or(0, |time_us| time_us / 1000)
    }

    fn at(&self, now_ms: u64) -> MutexGuard<'_, Times> {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now_ms / MINUTE_MS;
        if times.minute != minute {
            *times = Times { minute, by_tenant: HashMap::new() };
        }
        times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted_by_tenant_and_then_begins_anew() {
        let (times, [acme, other]) = (ModuleTimes::default(), ["acme", "other"].map(|name| name.parse().unwrap()));
        times.note(&acme, 59_999, 1_500);
        times.note(&acme, 59_999, 1_500);
        times.note(&other, 59_999, 7_000);
        assert_eq!((times.of(&acme, 59_999), times.of(&other, 59_999)), (3, 7));
        assert_eq!(times.of(&acme, 60_000), 0);
    }
}
