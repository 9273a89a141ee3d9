//! How often in a row each version of a module has failed for each tenant. At the bound that its module sets the version is due to be
//! quarantined, which is for [`crate::api`] to do: it changes the configuration.
//!
//! Counted is what the stored trace of a run says, once it is committed. The counts are in memory: a restart begins anew, a quarantine
//! stays. Runs of operational events are not counted, so that no such event ever comes of one.

use super::run::MODULE_QUARANTINED;
use crate::config::ModuleRef;
use crate::model::{Digest, Run, RunId, TenantName, Verdict};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// How many failing versions are counted at once. Where there are more, those that failed least are forgotten.
const FAILING_MAX: usize = 10_000;

/// A version of a module as one tenant runs it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionOf {
    /// Whose runs.
    pub tenant: TenantName,
    /// The module, as the tenant's routes name it.
    pub module: ModuleRef,
    /// The version.
    pub digest: Digest,
}

/// Failures of one version in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streak {
    /// How many.
    pub failures: u32,
    /// The run that failed last.
    pub run: RunId,
    /// The code of that failure.
    pub code: String,
    /// Its message.
    pub message: String,
}

/// What a call says about its module's version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Note {
    module: String,
    digest: Digest,
    run: RunId,
    /// Code and message; none where it worked.
    failure: Option<(String, String)>,
}

/// The counts. Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: Mutex<Counts>,
    /// How many versions are failing: where none is, what works need not be noted.
    failing: AtomicUsize,
    due: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    streaks: HashMap<VersionOf, Streak>,
    due: Vec<(VersionOf, Streak)>,
}

impl Failures {
    /// What the traces of these runs say.
    pub(super) fn notes<'a>(&self, runs: impl IntoIterator<Item = &'a Run>) -> Vec<Note> {
        let any = self.inner.failing.load(Ordering::Relaxed) > 0;
        let calls = runs.into_iter().flat_map(|run| run.trace.iter().map(move |call| (run.id, call)));
        let notes = calls.filter_map(|(run, call)| {
            let failure = failure_of(&call.verdict)?;
            let (module, digest) = (call.module.clone(), call.digest);
            (any || failure.is_some()).then_some(Note { module, digest, run, failure })
        });
        notes.collect()
    }

    /// Counts. `after` says how many failures in a row of a module are too many; 0 for no number.
    pub(super) fn note(&self, tenant: &TenantName, notes: Vec<Note>, after: impl Fn(&ModuleRef) -> u32) {
        if notes.is_empty() {
            return;
        }
        let mut counts = self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for Note { module, digest, run, failure } in notes {
            let Ok(module) = module.parse::<ModuleRef>() else { continue };
            let most = if failure.is_some() { after(&module) } else { 0 };
            let version = VersionOf { tenant: tenant.clone(), module, digest };
            match failure {
                Some((code, message)) if most > 0 => {
                    counts.count(version, Streak { failures: 1, run, code, message }, most);
                }
                // It works, or may fail as often as it likes.
                _ => drop(counts.streaks.remove(&version)),
            }
        }
        self.inner.failing.store(counts.streaks.len(), Ordering::Relaxed);
        if !counts.due.is_empty() {
            self.inner.due.notify_one();
        }
    }

    /// Waits for versions that are to be quarantined. Each is told of once for each time that it reaches its bound.
    pub async fn due(&self) -> Vec<(VersionOf, Streak)> {
        loop {
            let due = std::mem::take(&mut self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner).due);
            if !due.is_empty() {
                return due;
            }
            self.inner.due.notified().await;
        }
    }
}

impl Counts {
    fn count(&mut self, version: VersionOf, mut streak: Streak, most: u32) {
        if let Some(before) = self.streaks.get(&version) {
            streak.failures = before.failures.saturating_add(1);
        }
        if streak.failures >= most {
            self.streaks.remove(&version);
            self.due.push((version, streak));
            return;
        }
        if self.streaks.len() >= FAILING_MAX && !self.streaks.contains_key(&version) {
            self.make_room();
        }
        self.streaks.insert(version, streak);
    }

    /// Forgets what failed least: versions that nobody runs any more are among those for ever.
    fn make_room(&mut self) {
        let mut failures: Vec<u32> = self.streaks.values().map(|streak| streak.failures).collect();
        failures.sort_unstable();
        let most = failures.get(failures.len() / 2).copied().unwrap_or_default();
        let mut left = failures.len() / 2;
        self.streaks.retain(|_, streak| {
            let goes = left > 0 && streak.failures <= most;
            left -= usize::from(goes);
            !goes
        });
    }
}

/// Whether a call failed, and how; none where it says nothing about the module: the host was busy, the input was not for modules, or
/// the module found nothing wrong but the input.
#[expect(clippy::option_option, reason = "no word, a good one, a bad one")]
fn failure_of(verdict: &Verdict) -> Option<Option<(String, String)>> {
    match verdict {
        Verdict::Failed { code, module_code, message } => {
            let says_nothing = matches!(code.as_str(), "busy" | "input_too_large" | MODULE_QUARANTINED)
                || module_code.as_deref() == Some("input-invalid");
            (!says_nothing).then(|| Some((code.clone(), message.clone())))
        }
        _ => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;

    fn tenant() -> TenantName {
        "acme".parse().unwrap()
    }

    fn note(number: u8, failed: bool) -> Note {
        let run = RunId::from_parts(EventId::new(1, number.into()), 7);
        let failure = failed.then(|| ("trap".to_owned(), "it trapped".to_owned()));
        Note { module: "m".to_owned(), digest: Digest::of(b"v"), run, failure }
    }

    #[tokio::test]
    async fn only_failures_in_a_row_count_and_the_bound_is_told_once() {
        let failures = Failures::default();
        let feed = |notes: Vec<Note>, most| failures.note(&tenant(), notes, |_| most);
        feed(vec![note(1, true), note(2, true), note(3, false), note(4, true), note(5, true)], 3);
        assert_eq!(failures.inner.counts.lock().unwrap().due, []);
        feed(vec![note(6, true)], 3);
        let due = failures.due().await;
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].1.failures, due[0].1.run), (3, note(6, true).run));
        assert_eq!(failures.inner.counts.lock().unwrap().due, []);
        // 0 is never, 1 is at once.
        (0..100).for_each(|n| feed(vec![note(n, true)], 0));
        assert_eq!(failures.inner.counts.lock().unwrap().due, []);
        feed(vec![note(1, false), note(2, true)], 1);
        assert_eq!(failures.due().await[0].1.failures, 1);
    }

    #[test]
    fn where_too_many_versions_fail_those_that_failed_least_are_forgotten() {
        let mut counts = Counts::default();
        let version = |number: usize| VersionOf {
            tenant: tenant(),
            module: "m".parse().unwrap(),
            digest: Digest::of(&number.to_be_bytes()),
        };
        let streak = || Streak { failures: 1, run: note(1, true).run, code: "trap".to_owned(), message: String::new() };
        let worst = version(0);
        (0..5).for_each(|_| counts.count(worst.clone(), streak(), 10));
        (1..2 * FAILING_MAX).for_each(|number| counts.count(version(number), streak(), 10));
        assert!(counts.streaks.len() <= FAILING_MAX);
        (5..10).for_each(|_| counts.count(worst.clone(), streak(), 10));
        assert_eq!((counts.due.len(), counts.due[0].1.failures), (1, 10), "the one that fails most is not");
    }

    #[test]
    fn what_says_nothing_about_the_module_does_not_count() {
        let failed = |code: &str, module_code: Option<&str>| Verdict::Failed {
            code: code.to_owned(),
            module_code: module_code.map(str::to_owned),
            message: String::new(),
        };
        for (code, module_code) in [("busy", None), ("input_too_large", None), ("failed", Some("input-invalid"))] {
            assert_eq!(failure_of(&failed(code, module_code)), None, "{code}");
        }
        for (code, module_code) in [("trap", None), ("time_limit", None), ("start_failed", None), ("failed", Some("x"))]
        {
            assert!(failure_of(&failed(code, module_code)).unwrap().is_some(), "{code}");
        }
        assert_eq!(failure_of(&Verdict::Accepted), Some(None));
    }
}
