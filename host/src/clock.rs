//! The wall clock, as a thing that can be handed in: whoever needs the time takes a [`Clock`], so that a test owns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    System,
    Shifted(Arc<AtomicI64>),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Kind::System)
    }

    /// The machine's clock, but for what [`Clock::shift_ms`] says. Clones share that.
    #[must_use]
    pub fn shifted() -> Self {
        Self(Kind::Shifted(Arc::default()))
    }

    /// A clock that stands still at `now_ms` until [`Clock::set_ms`] moves it. Clones share the time.
    #[must_use]
    pub fn manual(now_ms: u64) -> Self {
        Self(Kind::Manual(Arc::new(AtomicU64::new(now_ms))))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z; 0 where the machine's clock stands before that.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let system_ms = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        };
        match &self.0 {
            Kind::System => system_ms(),
            Kind::Shifted(by_ms) => system_ms().saturating_add_signed(by_ms.load(Ordering::Relaxed)),
            Kind::Manual(now) => now.load(Ordering::Relaxed),
        }
    }

    /// Lets a shifted clock go so much fast, or slow, from now on. With any other nothing happens.
    pub fn shift_ms(&self, by_ms: i64) {
        if let Kind::Shifted(shift) = &self.0 {
            shift.store(by_ms, Ordering::Relaxed);
        }
    }

    /// Moves a manual clock, forwards or back. A system clock cannot be moved: then nothing happens.
    pub fn set_ms(&self, now_ms: u64) {
        if let Kind::Manual(now) = &self.0 {
            now.store(now_ms, Ordering::Relaxed);
        }
    }
}
