//! What happened in simulations, summed up.

use std::collections::BTreeMap;
use std::fmt;

/// What happened, summed up.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) deliveries: u64,
    pub(super) delivered: u64,
    pub(super) dead: u64,
    pub(super) attempts: u64,
    pub(super) again: u64,
    pub(super) crashes: u64,
    pub(super) held: u64,
    pub(super) disabled: u64,
    pub(super) asked: u64,
    pub(super) waited: BTreeMap<String, (u64, u64)>,
}

impl Totals {
    pub(super) fn add(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.delivered += other.delivered;
        self.dead += other.dead;
        self.attempts += other.attempts;
        self.again += other.again;
        self.crashes += other.crashes;
        self.held += other.held;
        self.disabled += other.disabled;
        self.asked += other.asked;
    }

    /// A simulation in which something never happens shows nothing of it.
    pub(super) fn assert_all_happened(&self) {
        let all = [self.delivered, self.dead, self.again, self.crashes, self.held, self.disabled, self.asked];
        assert!(all.iter().all(|count| *count > 0), "{self}");
    }

    /// How long the deliveries of an endpoint took on the average, from the commit to the receiver, in milliseconds.
    pub(super) fn mean_wait_ms(&self, endpoint: &str) -> f64 {
        let (sum_ms, count) = self.waited[endpoint];
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let mean_ms = sum_ms as f64 / count as f64;
        mean_ms
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deliveries, delivered, dead, attempts, again, crashes, held, disabled, asked, .. } = self;
        write!(
            f,
            "deliveries={deliveries} delivered={delivered} dead={dead} lost=0 attempts={attempts} received_again={again} \
             crashes={crashes} held={held} disabled={disabled} retry_after={asked}"
        )
    }
}
