//! The scheduler's loop: hints, scans, flights and changes of configuration come in; flights and scans go out. It decides nothing itself,
//! `planner` does.

use super::lane::Scan;
use super::lanes::{Claim, LaneKey};
use super::planner::{Landed, Planner, Step};
use super::send::{Landing, Sender};
use super::{Deliverer, DelivererError};
use crate::config::Snapshot;
use crate::store::{Due, Hint, ReadError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError, error::TryRecvError};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

/// The longest sleep: the wall clock may jump meanwhile.
const SLEEP_MS_MAX: u64 = 1_000;
/// How many groups of hints are taken in before deliveries are claimed again.
const HINT_GROUPS_AT_ONCE: usize = 64;

pub(super) struct Scheduler {
    sender: Sender,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    hints: Receiver<Arc<[Hint]>>,
    planner: Planner,
    flights: JoinSet<(Claim, Landing)>,
    scans: JoinSet<(LaneKey, Result<Due, ReadError>)>,
}

impl Scheduler {
    /// Knows every lane that has something pending. Nothing is in flight yet.
    pub(super) async fn start(deliverer: Deliverer) -> Result<Self, DelivererError> {
        let Deliverer { sender, mut snapshots, config } = deliverer;
        // What cannot be recorded must not be sent: it would be sent again and again.
        sender.store.check()?;
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        // Subscribed before the lanes are read: what comes in between is told twice, not never.
        let hints = sender.store.subscribe();
        let planner = Planner::new(config.bounds(), config.lane_scans_max, sender.gates.clone(), snapshot);
        let mut scheduler = Self { hints, sender, snapshots, planner, flights: JoinSet::new(), scans: JoinSet::new() };
        // What the last run knew and did not store is not so.
        scheduler.sender.gates.clear();
        scheduler.reread().await?;
        Ok(scheduler)
    }

    /// Works until it fails. May be dropped at any await: all state is kept in `self`.
    pub(super) async fn work(&mut self) -> Result<(), DelivererError> {
        let mut configured = true;
        loop {
            self.dispatch();
            let wait = self.wait();
            tokio::select! {
                hints = self.hints.recv() => self.take_in(hints).await?,
                Some(flight) = self.flights.join_next() => self.land(flight)?,
                Some(scan) = self.scans.join_next() => self.scanned(scan)?,
                changed = self.snapshots.changed(), if configured => {
                    // Without a sender the configuration does not change any more.
                    configured = changed.is_ok();
                    let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
                    self.planner.configured(snapshot);
                }
                () = sleep(wait) => {}
            }
            while let Some(flight) = self.flights.try_join_next() {
                self.land(flight)?;
            }
        }
    }

    /// Lets what is in flight end, for so long; cancels the rest.
    pub(super) async fn drain(mut self, drain_ms: u64) {
        let deadline = Instant::now() + Duration::from_millis(drain_ms);
        while let Ok(Some(_)) = timeout_at(deadline, self.flights.join_next()).await {}
        if !self.flights.is_empty() {
            tracing::warn!(
                deliveries = self.flights.len(),
                drain_ms,
                "deliveries in flight were cut off; they go again"
            );
        }
        self.flights.shutdown().await;
    }

    /// Sends and scans whatever may be sent and scanned now.
    fn dispatch(&mut self) {
        let now_ms = self.sender.clock.now_ms();
        while let Some(step) = self.planner.next(now_ms) {
            match step {
                Step::Scan(key, scan) => self.scan(key, scan, now_ms),
                Step::Fly(claim, endpoint) => drop(self.flights.spawn(self.sender.clone().fly(claim, endpoint))),
            }
        }
    }

    fn scan(&mut self, key: LaneKey, scan: Scan, now_ms: u64) {
        let store = self.sender.store.clone();
        self.scans.spawn(async move {
            let (tenant, endpoint) = key.clone();
            let look =
                move |reader: &crate::store::Reader| reader.due(&tenant, &endpoint, scan.after, now_ms, scan.limit);
            (key, store.read(look).await)
        });
    }

    /// How long to sleep if nothing comes.
    fn wait(&self) -> Duration {
        let wake_ms = self.planner.wake_ms();
        let wait_ms = wake_ms.map_or(SLEEP_MS_MAX, |wake_ms| wake_ms.saturating_sub(self.sender.clock.now_ms()));
        Duration::from_millis(wait_ms.min(SLEEP_MS_MAX))
    }

    /// Takes in hints, as many groups as are there, up to a bound.
    async fn take_in(&mut self, first: Result<Arc<[Hint]>, RecvError>) -> Result<(), DelivererError> {
        let mut next = first.map_err(|error| match error {
            RecvError::Lagged(groups) => TryRecvError::Lagged(groups),
            RecvError::Closed => TryRecvError::Closed,
        });
        let mut groups_left = HINT_GROUPS_AT_ONCE;
        loop {
            match next {
                Ok(hints) => self.heed(&hints),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Closed) => return Err(DelivererError::StoreClosed),
                Err(TryRecvError::Lagged(groups)) => {
                    tracing::info!(groups, "the deliverer fell behind the store's hints and reads its lanes anew");
                    self.reread().await?;
                }
            }
            groups_left -= 1;
            if groups_left == 0 {
                return Ok(());
            }
            next = self.hints.try_recv();
        }
    }

    fn heed(&mut self, hints: &[Hint]) {
        let now_ms = self.sender.clock.now_ms();
        for hint in hints {
            self.planner.heed(hint, now_ms);
        }
    }

    /// Reads how endpoints are doing, and which have something pending.
    async fn reread(&mut self) -> Result<(), DelivererError> {
        let now_ms = self.sender.clock.now_ms();
        for (tenant, endpoint, health) in self.sender.store.read(|reader| reader.healths(None)).await? {
            self.planner.adopt((tenant, endpoint), Some(health), now_ms);
        }
        for key in self.sender.store.read(|reader| reader.lanes()).await? {
            self.planner.reread(key);
        }
        Ok(())
    }

    fn land(&mut self, flight: Result<(Claim, Landing), JoinError>) -> Result<(), DelivererError> {
        let (claim, landing) = flight.map_err(|error| DelivererError::TaskLost(error.to_string()))?;
        let now_ms = self.sender.clock.now_ms();
        match landing {
            Landing::Over { again } => self.planner.landed(&claim, Landed::Over(again), now_ms),
            Landing::Failed(error) => {
                let ((tenant, endpoint), (_, delivery)) = (&claim.lane, claim.place);
                tracing::error!(%tenant, %endpoint, %delivery, error, "an attempt failed inside the host; it is made again");
                self.planner.landed(&claim, Landed::Failed, now_ms);
            }
            Landing::StoreGone(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn scanned(&mut self, scan: Result<(LaneKey, Result<Due, ReadError>), JoinError>) -> Result<(), DelivererError> {
        let (key, due) = scan.map_err(|error| DelivererError::TaskLost(error.to_string()))?;
        let now_ms = self.sender.clock.now_ms();
        match due {
            Ok(due) => self.planner.scanned(&key, Some((&due.items, due.next_due_ms)), now_ms),
            Err(error) => {
                tracing::error!(tenant = %key.0, endpoint = %key.1, %error, "cannot read a lane; it is read again");
                self.planner.scanned(&key, None, now_ms);
            }
        }
        Ok(())
    }
}
