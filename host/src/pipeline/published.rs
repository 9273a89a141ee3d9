//! The configuration of this moment, where everybody reads it, and the turnstile between what builds on it and what takes away from it.
//!
//! What must hold: a delivery that is committed has its endpoint at that moment. So who commits deliveries holds the configuration
//! still meanwhile, and who removes something waits for those, and lets nobody in until the new configuration is published. Held is it
//! for one commit only, never while a module runs.

use crate::config::Snapshot;
use std::sync::Arc;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, RwLockWriteGuard, watch};

/// The configuration. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Published {
    snapshots: Arc<watch::Sender<Arc<Snapshot>>>,
    changing: Arc<RwLock<()>>,
}

/// The configuration, which does not change while this is there.
#[derive(Debug)]
pub struct Still {
    /// What it is.
    pub snapshot: Arc<Snapshot>,
    _guard: OwnedRwLockReadGuard<()>,
}

impl Published {
    /// Begins with `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshots: Arc::new(watch::Sender::new(Arc::new(snapshot))), changing: Arc::default() }
    }

    /// The snapshots, from the present one on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    /// The present snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// Holds it still for one commit.
    pub async fn still(&self) -> Still {
        let guard = Arc::clone(&self.changing).read_owned().await;
        Still { snapshot: self.snapshot(), _guard: guard }
    }

    /// Waits until nobody holds it still, and lets nobody do so until the answer is dropped: after [`Published::publish`].
    pub async fn change(&self) -> RwLockWriteGuard<'_, ()> {
        self.changing.write().await
    }

    /// Makes `snapshot` the present one.
    pub fn publish(&self, snapshot: Snapshot) {
        self.snapshots.send_replace(Arc::new(snapshot));
    }
}
