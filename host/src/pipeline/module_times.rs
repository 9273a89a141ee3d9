//! How long the modules of each tenant ran in the minute under way, whatever they ran for: each call counts when it ends. In memory: a start begins a new
//! minute.

use crate::clock::Clock;
use crate::model::TenantName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const MINUTE_MS: u64 = 60_000;

/// The times. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct ModuleTimes {
    clock: Clock,
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
    /// By this clock.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, times: Arc::default() }
    }

    /// A call that ended now took so long.
    pub fn note(&self, tenant: &TenantName, took_us: u64) {
        let mut times = self.now();
        let time = times.by_tenant.entry(tenant.clone()).or_default();
        *time = time.saturating_add(took_us);
    }

    /// How long a tenant's modules ran in this minute, in milliseconds.
    #[must_use]
    pub fn of(&self, tenant: &TenantName) -> u64 {
        self.now().by_tenant.get(tenant).map_or(0, |time_us| time_us / 1000)
    }

    fn now(&self) -> MutexGuard<'_, Times> {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = self.clock.now_ms() / MINUTE_MS;
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
        let (clock, [acme, other]) = (Clock::manual(59_999), ["acme", "other"].map(|name| name.parse().unwrap()));
        let times = ModuleTimes::new(clock.clone());
        times.note(&acme, 1_500);
        times.note(&acme, 1_500);
        times.note(&other, 7_000);
        assert_eq!((times.of(&acme), times.of(&other)), (3, 7));
        clock.set_ms(60_000);
        assert_eq!(times.of(&acme), 0);
    }
}
