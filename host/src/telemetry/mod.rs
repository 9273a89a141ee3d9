//! How the host tells how it is: the state of each worker, for `/readyz`. Pure: it counts and remembers, others act.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The longest error text kept for a worker, in bytes.
const LAST_ERROR_BYTES_MAX: usize = 500;

/// The state of every worker of this process. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    workers: Arc<Mutex<BTreeMap<String, WorkerReport>>>,
}

/// One worker, as `/readyz` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerReport {
    /// What it does now.
    pub state: WorkerState,
    /// How often it was started again after a panic or an error.
    pub restarts: u64,
    /// Why it last stopped against its will.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

impl WorkerReport {
    /// Whether it is at work.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.state == WorkerState::Running
    }
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// Not yet at work.
    Starting,
    /// At work.
    Running,
    /// It failed, and waits to be started again.
    Restarting,
    /// It failed for good; another takes its place when the host starts anew.
    Failed,
    /// It ended because the host is shutting down.
    Stopped,
}

impl Health {
    /// Registers a worker, `Starting`. Registering a name again gives the same worker.
    #[must_use]
    pub fn worker(&self, name: &str) -> WorkerHealth {
        self.with(|workers| {
            workers.entry(name.to_owned()).or_insert(WorkerReport {
                state: WorkerState::Starting,
                restarts: 0,
                last_error: None,
            });
        });
        WorkerHealth { name: name.to_owned(), health: self.clone() }
    }

    /// Whether every worker is at work now.
    #[cfg(test)]
    pub(crate) fn ready(&self) -> bool {
        is_ready(&self.report())
    }

    /// All workers by name.
    #[must_use]
    pub fn report(&self) -> BTreeMap<String, WorkerReport> {
        self.with(|workers| workers.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, WorkerReport>) -> T) -> T {
        look(&mut self.workers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether every worker is at work, as a report has them.
#[must_use]
pub fn is_ready(report: &BTreeMap<String, WorkerReport>) -> bool {
    report.values().all(WorkerReport::is_at_work)
}

/// The handle by which one worker tells its state.
#[derive(Clone, Debug)]
pub struct WorkerHealth {
    name: String,
    health: Health,
}

impl WorkerHealth {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// It is at work.
    pub fn running(&self) {
        self.set(|report| report.state = WorkerState::Running);
    }

    /// It failed and will be started again.
    pub fn restarting(&self, error: &str) {
        self.set(|report| {
            report.state = WorkerState::Restarting;
            report.restarts += 1;
            report.last_error = Some(cut(error));
        });
    }

    /// It failed for good.
    pub fn failed(&self, error: &str) {
        self.set(|report| {
            report.state = WorkerState::Failed;
            report.last_error = Some(cut(error));
        });
    }

    /// It ended as it was told to.
    pub fn stopped(&self) {
        self.set(|report| report.state = WorkerState::Stopped);
    }

    fn set(&self, change: impl FnOnce(&mut WorkerReport)) {
        self.health.with(|workers| workers.get_mut(&self.name).map(change));
    }
}

/// The beginning of `text`, at most 500 bytes, cut at a character.
fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(LAST_ERROR_BYTES_MAX);
    text.get(..end).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_every_worker_runs() {
        let health = Health::default();
        let (a, b) = (health.worker("a"), health.worker("b"));
        a.running();
        assert!(!health.ready());
        b.running();
        assert!(health.ready());
        b.restarting("boom");
        assert!(!health.ready());
        b.running();
        assert!(health.ready());
        let report = health.report();
        assert_eq!((report["b"].restarts, report["b"].last_error.as_deref()), (1, Some("boom")));
        a.failed("disk");
        assert!(!health.ready());
    }
}
