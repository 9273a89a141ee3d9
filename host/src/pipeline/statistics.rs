//! What runs count, once they are committed; and the worker that gives the store what was counted, minute by minute.
//!
//! A crash loses what was counted since the last whole minute: statistics say how things go, what became of each event the store knows. A
//! minute that the store does not take is lost too, and said so in the log.

use super::run::MODULE_QUARANTINED;
use crate::clock::Clock;
use crate::model::{Digest, OPERATIONAL_SOURCE, Run, RunStatus, SourceName, TenantName, Verdict};
use crate::shutdown::Shutdown;
use crate::statistics::{Period, Recorder, Subject, with_totals};
use crate::store::{CommitError, ReadError, Reader, Store, Transition};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// How often it is looked whether a minute is over: the clock may be set.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many subjects' minutes are one transition.
const KEPT_AT_ONCE: usize = 32;
/// How many subjects are looked at in one go for what is over.
const SWEPT_AT_ONCE: usize = 64;

/// Why the worker stopped; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum StatisticsError {
    /// The store takes no more.
    #[error("what was counted cannot be kept: {0}")]
    Commit(#[from] CommitError),
    /// What is kept cannot be read.
    #[error("what was kept cannot be read: {0}")]
    Read(#[from] ReadError),
}

/// What runs of one event say, to be counted when they are committed.
#[derive(Debug, Default)]
pub(super) struct Said {
    statuses: Vec<RunStatus>,
    calls: Vec<Call>,
    /// Whether the event has no runs.
    is_unrouted: bool,
}

/// One call of a module.
#[derive(Debug)]
struct Call {
    module: Arc<str>,
    version: Digest,
    outcome: Result<&'static str, String>,
    took_us: u64,
}

impl Said {
    /// What these runs say. Of one that is pending nothing is said yet.
    pub(super) fn of<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Self {
        let mut said = Self::default();
        for run in runs.into_iter().filter(|run| run.status != RunStatus::Pending) {
            said.statuses.push(run.status);
            said.calls.extend(run.trace.iter().map(|call| Call {
                module: call.module.as_str().into(),
                version: call.digest,
                outcome: outcome_of(&call.verdict),
                took_us: call.duration_us,
            }));
        }
        said
    }

    /// What an event says by these runs, all that it has.
    pub(super) fn of_event<'a>(runs: impl IntoIterator<Item = &'a Run, IntoIter: Clone>) -> Self {
        let runs = runs.into_iter();
        Self { is_unrouted: runs.clone().next().is_none(), ..Self::of(runs) }
    }

    /// Counts it. What the host itself has to say is no traffic of a source.
    pub(super) fn count(self, recorder: &Recorder, (tenant, source): (&TenantName, &SourceName), now_ms: u64) {
        let Self { statuses, calls, is_unrouted } = self;
        if (is_unrouted || !statuses.is_empty()) && source.as_str() != OPERATIONAL_SOURCE {
            recorder.note(tenant, Subject::Source(source.clone()), now_ms, |tally| {
                statuses.into_iter().for_each(|status| tally.ended.add(word_of(status)));
                if is_unrouted {
                    tally.unrouted = tally.unrouted.saturating_add(1);
                }
            });
        }
        for Call { module, version, outcome, took_us } in calls {
            let subject = Subject::Module { name: module, version };
            recorder.note(tenant, subject, now_ms, |tally| match &outcome {
                Ok(what) => tally.succeeded(what, took_us),
                // It was not called.
                Err(code) if code == MODULE_QUARANTINED => tally.failed.add(code),
                Err(code) => tally.failed(code, took_us),
            });
        }
    }
}

fn outcome_of(verdict: &Verdict) -> Result<&'static str, String> {
    match verdict {
        Verdict::Accepted => Ok("accepted"),
        Verdict::Rejected { .. } => Ok("rejected"),
        Verdict::Produced { .. } => Ok("produced"),
        Verdict::Dispatched { .. } => Ok("dispatched"),
        Verdict::Failed { code, .. } => Err(code.clone()),
    }
}

const fn word_of(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Pending => "pending",
        RunStatus::Routed => "routed",
        RunStatus::Filtered => "filtered",
        RunStatus::Held => "held",
        RunStatus::Dropped => "dropped",
    }
}

/// Keeps what was counted until the signal is given.
///
/// # Errors
/// Where the store fails it.
pub async fn work(
    recorder: Recorder,
    store: Store,
    clock: Clock,
    mut shutdown: Shutdown,
) -> Result<(), StatisticsError> {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut swept = None;
    loop {
        tokio::select! {
            () = shutdown.wait() => return Ok(()),
            _ = looks.tick() => {}
        }
        let now_ms = clock.now_ms();
        keep(&recorder, &store, Some(now_ms)).await?;
        let hour = Period::hour_of(Period::minute_of(now_ms));
        if swept.replace(hour) != Some(hour) {
            sweep(&store, now_ms, &shutdown).await?;
        }
    }
}

/// Gives the store the minutes that are over at this time; all that was counted where it is none.
///
/// # Errors
/// Where the store takes nothing any more.
pub async fn keep(recorder: &Recorder, store: &Store, now_ms: Option<u64>) -> Result<(), CommitError> {
    let keeping = recorder.keeping().await;
    let mut counted = with_totals(recorder.take(now_ms, &keeping));
    let mut is_whole = true;
    while !counted.is_empty() {
        let rest = counted.split_off(KEPT_AT_ONCE.min(counted.len()));
        let subjects = counted.len();
        match store.commit(Transition::KeepStatistics(counted)).await {
            Ok(_) => {}
            Err(error @ (CommitError::Poisoned { .. } | CommitError::Unknown { .. } | CommitError::Closed)) => {
                return Err(error);
            }
            Err(error) => {
                tracing::error!(%error, subjects, "what was counted cannot be kept");
                is_whole = false;
            }
        }
        counted = rest;
    }
    if let Some(now_ms) = now_ms.filter(|_| is_whole) {
        recorder.kept(now_ms);
    }
    drop(keeping);
    Ok(())
}

/// Removes what no window has any more of subjects that are not in use.
async fn sweep(store: &Store, now_ms: u64, shutdown: &Shutdown) -> Result<(), StatisticsError> {
    let mut after: Option<(TenantName, Subject)> = None;
    while !shutdown.fired() {
        let from = after.take();
        let look = move |reader: &Reader| reader.statistics_over(from.as_ref(), now_ms, SWEPT_AT_ONCE);
        let found = store.read(look).await?;
        if !found.subjects.is_empty() {
            store.commit(Transition::SweepStatistics { subjects: found.subjects, now_ms }).await?;
        }
        match found.last {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventId, StepTrace};
    use crate::shutdown;
    use crate::statistics::{Config, Counts, Kind};
    use crate::store::{self, Configure, ResourceKey};
    use crate::telemetry::Health;
    use bytes::Bytes;
    use tokio::task::yield_now;

    /// 2024-03-01T12:34:56Z.
    const NOW: u64 = 1_709_296_496_000;
    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn acme() -> TenantName {
        "acme".parse().unwrap()
    }

    /// A store that knows the tenant and its source.
    async fn store() -> Store {
        let store = Store::in_memory(&store::Config::default(), &Health::default()).unwrap();
        let key = |kind, name: &str| ResourceKey { tenant: Some(acme()), kind, name: name.to_owned() };
        let puts = vec![(key("tenant", "acme"), Bytes::from("{}")), (key("source", "s"), Bytes::from("{}"))];
        store.commit(Transition::Configure(Configure { puts, ..Configure::default() })).await.unwrap();
        store
    }

    fn run(status: RunStatus, verdicts: Vec<Verdict>) -> Run {
        let step = |verdict| StepTrace {
            step: 0,
            message: 0,
            module: "m".to_owned(),
            digest: Digest::of(b"m"),
            verdict,
            duration_us: 7,
            logs: Vec::new(),
            logs_cut: false,
        };
        let trace = verdicts.into_iter().map(step).collect();
        Run { status, trace, ..Run::new(EventId::new(NOW, 0), &"r".parse().unwrap(), 0, Digest::of(b"plan"), NOW) }
    }

    fn failed(code: &str) -> Verdict {
        Verdict::Failed { code: code.to_owned(), module_code: None, message: String::new() }
    }

    #[test]
    fn runs_say_how_they_ended_and_what_each_call_came_to() {
        let runs = [
            run(RunStatus::Routed, vec![Verdict::Accepted, Verdict::Produced { messages: 2 }]),
            run(RunStatus::Routed, vec![Verdict::Dispatched { messages: 1 }]),
            run(RunStatus::Filtered, vec![Verdict::Rejected { reason: String::new() }]),
            run(RunStatus::Held, vec![failed("trap")]),
            run(RunStatus::Held, vec![failed(MODULE_QUARANTINED)]),
            run(RunStatus::Dropped, Vec::new()),
            run(RunStatus::Pending, vec![Verdict::Accepted]),
        ];
        for source in ["s", OPERATIONAL_SOURCE] {
            let recorder = Recorder::new(&Config::default());
            Said::of(&runs).count(&recorder, (&acme(), &source.parse().unwrap()), NOW);
            let of = |kind| recorder.counted(|_, subject| subject.kind() == kind).pop().map(|one| one.tally);
            let pairs =
                |counts: &Counts| counts.iter().map(|(code, count)| format!("{code} {count}")).collect::<Vec<_>>();
            let ended = of(Kind::Source).map(|tally| pairs(&tally.ended));
            let expected = ["dropped 1", "filtered 1", "held 2", "routed 2"].map(str::to_owned).to_vec();
            assert_eq!(ended, (source == "s").then_some(expected), "the host's own events are no traffic");
            let module = of(Kind::Module).unwrap();
            assert_eq!(pairs(&module.succeeded), ["accepted 1", "dispatched 1", "produced 1", "rejected 1"]);
            assert_eq!(pairs(&module.failed), [format!("{MODULE_QUARANTINED} 1"), "trap 1".to_owned()]);
            assert_eq!(module.latency.count(), 5, "one of the six was not called");
            assert!(of(Kind::Source).is_none_or(|tally| tally.unrouted == 0));
            Said::of_event(&[]).count(&recorder, (&acme(), &source.parse().unwrap()), NOW);
            assert_eq!(of(Kind::Source).map(|tally| tally.unrouted), (source == "s").then_some(1));
        }
    }

    fn kept(store: &Store) -> Vec<(Period, u64)> {
        let kept = store.reader().statistics(&acme(), Kind::Source, "s").unwrap();
        let mut kept: Vec<_> = kept.into_iter().map(|(_, period, tally)| (period, tally.succeeded.total())).collect();
        kept.sort();
        kept
    }

    #[tokio::test(start_paused = true)]
    async fn each_minute_is_kept_when_it_is_over_whatever_the_clock_does_and_what_is_old_goes() {
        let (store, recorder, clock) = (store().await, Recorder::new(&Config::default()), Clock::manual(NOW));
        let (stop, told) = shutdown::channel();
        let worker = tokio::spawn(work(recorder.clone(), store.clone(), clock.clone(), told));
        let note = || {
            let source = Subject::Source("s".parse().unwrap());
            recorder.note(&acme(), source, clock.now_ms(), |tally| tally.succeeded("accepted", 1));
        };
        // The clock of the worker's looks runs as fast as they are waited for.
        let until_kept = async |now_ms: u64| {
            clock.set_ms(now_ms);
            let minute_ms = Period::Minute(Period::minute_of(now_ms)).from_ms();
            while recorder.kept_until_ms() != Some(minute_ms) {
                tokio::time::advance(LOOK_EVERY).await;
                yield_now().await;
            }
        };
        note();
        until_kept(NOW).await;
        assert_eq!(kept(&store), [], "the minute is under way");
        until_kept(NOW + 60_000).await;
        let (minute, hour) = (NOW / 60_000, NOW / 3_600_000);
        assert_eq!(kept(&store), [(Period::Minute(minute), 1), (Period::Hour(hour), 1)]);
        note();
        until_kept(NOW - 3 * 60_000).await;
        note();
        until_kept(NOW).await;
        let minutes = [minute - 3, minute, minute + 1].map(|minute| (Period::Minute(minute), 1));
        assert_eq!(kept(&store), [&minutes[..], &[(Period::Hour(hour), 3)]].concat());
        until_kept(NOW + 2 * DAY).await;
        // What is old goes behind what is kept.
        while !kept(&store).is_empty() {
            tokio::time::advance(LOOK_EVERY).await;
        }
        stop.fire();
        worker.await.unwrap().unwrap();
        note();
        keep(&recorder, &store, None).await.unwrap();
        assert_eq!(kept(&store).len(), 2);
    }
}
