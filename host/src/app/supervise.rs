//! Workers heal themselves: one that panics or fails is logged, counted, and started again, each time after a longer rest.

use crate::shutdown::Shutdown;
use crate::telemetry::WorkerHealth;
use std::fmt::Display;
use std::time::Duration;
use tokio::time::Instant;

const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(30);
/// A worker that ran this long begins anew with the shortest rest.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// Runs a worker until the signal is given: `make` makes it, each time anew. A worker that ends by itself, without the signal, has
/// failed too.
pub(super) async fn supervise<F, E>(health: WorkerHealth, mut shutdown: Shutdown, mut make: impl FnMut() -> F)
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + Send + 'static,
{
    let mut rest = REST_MIN;
    loop {
        health.running();
        let began = Instant::now();
        let ended = match tokio::spawn(make()).await {
            Ok(Ok(())) if shutdown.fired() => break,
            Ok(Ok(())) => "it ended although nobody told it to".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => panic_text(error),
        };
        if shutdown.fired() {
            tracing::error!(worker = health.name(), error = ended, "a worker failed at shutdown");
            break;
        }
        if began.elapsed() >= WELL_AFTER {
            rest = REST_MIN;
        }
        tracing::error!(worker = health.name(), error = ended, ?rest, "a worker failed; it is started again");
        health.restarting(&ended);
        tokio::select! {
            () = shutdown.wait() => break,
            () = tokio::time::sleep(rest) => {}
        }
        rest = (rest * 2).min(REST_MAX);
    }
    health.stopped();
}

fn panic_text(error: tokio::task::JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else { return "it was cancelled".to_owned() };
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown;
    use crate::telemetry::{Health, WorkerState};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A worker that fails in turn by panic, by error and by ending, then works until it is told to stop.
    async fn faulty(turn: u32, mut told: Shutdown) -> Result<(), &'static str> {
        match turn {
            0 => panic!("boom"),
            1 => Err("out of luck"),
            2 => Ok(()),
            _ => {
                told.wait().await;
                Ok(())
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_fails_is_counted_and_started_again() {
        let health = Health::default();
        let (trigger, told) = shutdown::channel();
        let turns = Arc::new(AtomicU32::new(0));
        let (count, stop) = (turns.clone(), told.clone());
        let began = Instant::now();
        let supervised = tokio::spawn(supervise(health.worker("w"), told, move || {
            faulty(count.fetch_add(1, Ordering::Relaxed), stop.clone())
        }));
        let mut errors = Vec::new();
        while turns.load(Ordering::Relaxed) < 4 {
            let report = health.report()["w"].clone();
            if report.state == WorkerState::Restarting && u64::try_from(errors.len()).unwrap() < report.restarts {
                assert!(!health.ready());
                errors.extend(report.last_error);
            }
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        tokio::task::yield_now().await;
        assert_eq!(errors, ["panic: boom", "out of luck", "it ended although nobody told it to"]);
        assert!(began.elapsed() >= REST_MIN * (1 + 2 + 4), "each rest is longer: {:?}", began.elapsed());
        let report = health.report()["w"].clone();
        assert_eq!((report.state, report.restarts), (WorkerState::Running, 3));
        trigger.fire();
        supervised.await.unwrap();
        assert_eq!(health.report()["w"].state, WorkerState::Stopped);
    }
}
