//! What becomes of a host whose store has failed. It answers reads as long as the database does, says at `/readyz` why it takes
//! nothing, and tries the disk until that takes writes again. Then it ends and another takes its place, in the same process and on the
//! same sockets: what a start does is the one way in which a store is recovered, and nothing that was in memory outlives what it was
//! made from.

use super::{Host, Settings, Sockets};
use crate::clock::Clock;
use crate::store::{HostFact, Transition};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long between two tries of the disk, and of a start.
const REST: Duration = Duration::from_secs(1);
/// How long starts are tried. After that whoever supervises the process has to do something.
const STARTS_FOR: Duration = Duration::from_secs(300);
/// The file by which the disk is tried.
const PROBE: &str = "probe";

impl Host {
    /// Waits until the store has failed and the disk is well again, and says why it failed.
    pub async fn failed(&self, data: &Path) -> String {
        let reason = self.store.failed().await;
        tracing::error!(reason, "the store has failed: nothing is taken until the disk is well");
        let mut last = None;
        while let Err(error) = self.try_disk(data).await {
            let words = error.to_string();
            if last.as_ref() != Some(&words) {
                tracing::warn!(error = words, "the disk is not well yet");
                last = Some(words);
            }
            sleep(REST).await;
        }
        reason
    }

    /// Where that fails, the store has failed again, and so will say the next host.
    async fn tell_restarted(&self, reason: String) {
        let (fact, now_ms) = (HostFact::Restarted { reason }, Clock::system().now_ms());
        if let Err(error) = self.store.commit(Transition::Happened { fact, now_ms }).await {
            tracing::warn!(%error, "nobody is told that the host started anew");
        }
    }

    async fn try_disk(&self, data: &Path) -> io::Result<()> {
        self.store.room().map_err(io::Error::other)?;
        let probe = data.join(PROBE);
        crate::store::on_disk(move || {
            crate::store::write_whole(&probe, &[&[1; 4096]])?;
            std::fs::remove_file(&probe)
        })
        .await
    }

    /// Ends, and starts a host in its place, which tells `why`. Tries that for five minutes.
    ///
    /// # Errors
    /// Those of the last start.
    pub async fn restart(
        self,
        settings: &Settings,
        data: &Path,
        sockets: &Sockets,
        why: String,
    ) -> anyhow::Result<Self> {
        self.stop().await;
        let began = Instant::now();
        loop {
            match Self::start(settings, data, sockets, Clock::system()).await {
                Err(error) if began.elapsed() < STARTS_FOR => {
                    tracing::error!(error = format!("{error:#}"), "the store does not open yet");
                    sleep(REST).await;
                }
                started => {
                    let host = started?;
                    host.tell_restarted(why).await;
                    return Ok(host);
                }
            }
        }
    }
}
