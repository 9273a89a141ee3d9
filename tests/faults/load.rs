//! The load: several connections, each of which sends one event after the other until its host is gone or it is told to stop.

use super::ledger::Ledger;
use super::support::Client;
use super::traffic::{Kind, body};
use http::{Method, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many connections there are. Each is an ordering key.
pub(crate) const CONNECTIONS: usize = 16;
/// How long a connection that was refused waits for others to have more luck.
const PAUSE: Duration = Duration::from_millis(20);

/// Sends events, each of them once.
pub(crate) struct Load {
    seed: u64,
    ledger: Arc<Ledger>,
    next: Arc<AtomicU64>,
    refused: watch::Sender<u64>,
}

/// Connections at work.
pub(crate) struct Running {
    stop: Arc<AtomicBool>,
    connections: JoinSet<Report>,
}

/// What connections saw.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Answers other than 202: by status and code.
    pub(crate) refused: Vec<(StatusCode, String)>,
}

impl Load {
    pub(crate) fn new(seed: u64, ledger: Arc<Ledger>) -> Self {
        Self { seed, ledger, next: Arc::default(), refused: watch::Sender::default() }
    }

    /// Starts all connections to this ingest.
    pub(crate) fn start(&self, ingest: &Client) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let mut connections = JoinSet::new();
        for key in 0..CONNECTIONS {
            let (seed, ledger, next) = (self.seed, Arc::clone(&self.ledger), Arc::clone(&self.next));
            let (ingest, stop, refused) = (ingest.clone(), Arc::clone(&stop), self.refused.clone());
            connections.spawn(async move {
                let mut report = Report::default();
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    ledger.sending(number, key);
                    let before = report.refused.len();
                    if !send(&ingest, seed, &ledger, number, key, &mut report).await {
                        break;
                    }
                    refused.send_modify(|refused| *refused += (report.refused.len() - before) as u64);
                }
                report
            });
        }
        Running { stop, connections }
    }

    /// Waits until so many more events are refused, for at most so long.
    pub(crate) async fn until_refused(&self, more: u64, patience: Duration) {
        let mut refused = self.refused.subscribe();
        let goal = *refused.borrow() + more;
        // Whoever waits in vain goes on, and the report tells in the end.
        let _ = timeout(patience, refused.wait_for(|refused| *refused >= goal)).await;
    }

    /// Sends again what has no answer yet, where the dedup key makes that safe.
    pub(crate) async fn send_again(&self, ingest: &Client) {
        for (number, key) in self.ledger.unanswered(Kind::Plain) {
            send(ingest, self.seed, &self.ledger, number, key, &mut Report::default()).await;
        }
    }
}

/// Sends an event under this ordering key, which is its type. Answers whether the host is still there.
async fn send(ingest: &Client, seed: u64, ledger: &Ledger, number: u64, key: usize, report: &mut Report) -> bool {
    let (kind, dedup, key) = (Kind::of(seed, number), number.to_string(), key.to_string());
    let headers = [("x-event-type", key.as_str()), ("content-type", "application/json"), ("x-dedup", dedup.as_str())];
    let Ok(answer) = ingest.try_send(Method::POST, kind.path(), &headers, body(seed, number)).await else {
        return false;
    };
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status == StatusCode::ACCEPTED {
        ledger.acked(number, json["id"].as_str().unwrap_or_default());
    } else {
        report.refused.push((answer.status, json["code"].as_str().unwrap_or_default().to_owned()));
        // Something goes on again, or it is tried all the same.
        let _ = timeout(PAUSE, ledger.changes().changed()).await;
    }
    true
}

impl Running {
    /// Tells the connections to stop, if they have not, and waits until they have.
    pub(crate) async fn end(mut self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Report::default();
        while let Some(report) = self.connections.join_next().await {
            let report = report.unwrap();
            all.refused.extend(report.refused);
        }
        all
    }
}
