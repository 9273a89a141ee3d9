//! Shadows: a candidate version is run beside the one that decided, on the same input, and what both say is compared. It decides
//! nothing: it runs after the commit, one call at a time, when no thread has anything better to do, and what it makes is dropped.
//!
//! What waits is bounded, and dropped and counted beyond. Counts and samples are in memory, and belong to one candidate: a restart begins
//! anew, and so does another candidate.

use super::{Pipeline, RunState};
use crate::config::{ModuleRef, TimeBound};
use crate::model::{Digest, EndpointName, Event, Message, ModuleName, Origin, RunId, StepKey, TenantName};
use crate::runtime::{Call, CallError, Directory, Lane, Verdict};
use crate::shutdown::Shutdown;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// How many calls wait to be compared.
const QUEUE_MAX: usize = 256;
/// How many bytes of messages and settings they hold.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// How many differences are kept of one shadow: the first ones.
const SAMPLES_MAX: usize = 20;
/// How long each side of a sample is, in bytes.
const SAMPLE_BYTES_MAX: usize = 4096;
/// How often the threads are asked whether they have nothing better to do.
const SPARE_EVERY: Duration = Duration::from_millis(10);

/// A call that was made, and all that is needed to make it again with another version.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) tenant: TenantName,
    pub(super) module: ModuleRef,
    /// The candidate.
    pub(super) shadow: Digest,
    pub(super) run: RunId,
    pub(super) event: Event,
    pub(super) event_body: Bytes,
    pub(super) message: Message,
    pub(super) settings: String,
    pub(super) origin: Origin,
    pub(super) time: (Duration, TimeBound),
    pub(super) endpoints: Directory,
    /// What the version that decided found in the step's state, where it has one.
    pub(super) state: Option<(RunState, StepKey)>,
    /// What the version said that decided.
    pub(super) result: Result<Verdict, CallError>,
}

/// A module's place: its tenant, none for the operator's, and its name.
pub type ModuleId = (Option<TenantName>, ModuleName);

/// What has been compared so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ShadowReport {
    /// The candidate decided as the active version did.
    pub equal: u64,
    /// It decided otherwise.
    pub different: u64,
    /// It failed.
    pub failed: u64,
    /// It was not run: too much waited.
    pub skipped: u64,
    /// The first of those that were different or failed; at most 20.
    pub samples: Vec<Sample>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Whose event it was.
    pub tenant: TenantName,
    /// The run.
    pub run: RunId,
    /// What the version said that decided, as JSON; at most 4,096 bytes of it.
    pub active: String,
    /// What the candidate said.
    pub shadow: String,
}

/// How two answers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    Equal,
    Different,
    Failed,
    Skipped,
}

/// The queue and the reports. Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Shadows {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: Mutex<Queue>,
    more: Notify,
    reports: Mutex<BTreeMap<ModuleId, (Digest, ShadowReport)>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Observed>,
    bytes: usize,
}

impl Shadows {
    /// What has been compared of this candidate.
    #[must_use]
    pub fn report(&self, module: &ModuleId, shadow: Digest) -> ShadowReport {
        let reports = lock(&self.inner.reports);
        let found = reports.get(module).filter(|(counted, _)| *counted == shadow);
        found.map(|(_, report)| report.clone()).unwrap_or_default()
    }

    /// Forgets a module that is gone.
    pub fn forget(&self, module: &ModuleId) {
        lock(&self.inner.reports).remove(module);
    }

    /// Has calls compared, as far as there is room.
    pub(super) fn push(&self, observed: Vec<Observed>) {
        for one in observed {
            let mut queue = lock(&self.inner.queue);
            let bytes = queue.bytes.saturating_add(one.weight());
            if queue.waiting.len() < QUEUE_MAX && bytes <= QUEUE_BYTES_MAX {
                queue.bytes = bytes;
                queue.waiting.push_back(one);
                self.inner.more.notify_one();
            } else {
                drop(queue);
                self.count(&one, Likeness::Skipped, None);
            }
        }
    }

    async fn next(&self) -> Observed {
        loop {
            if let Some(one) = lock(&self.inner.queue).pop() {
                return one;
            }
            self.inner.more.notified().await;
        }
    }

    fn count(&self, one: &Observed, likeness: Likeness, said: Option<String>) {
        let own = Some(one.tenant.clone()).filter(|_| !one.module.operator);
        let mut reports = lock(&self.inner.reports);
        let (counted, report) =
            reports.entry((own, one.module.name.clone())).or_insert_with(|| (one.shadow, ShadowReport::default()));
        if *counted != one.shadow {
            (*counted, *report) = (one.shadow, ShadowReport::default());
        }
        let count = match likeness {
            Likeness::Equal => &mut report.equal,
            Likeness::Different => &mut report.different,
            Likeness::Failed => &mut report.failed,
            Likeness::Skipped => &mut report.skipped,
        };
        *count = count.saturating_add(1);
        if let Some(shadow) = said.filter(|_| report.samples.len() < SAMPLES_MAX) {
            let (tenant, active) = (one.tenant.clone(), in_words(&one.result));
            report.samples.push(Sample { tenant, run: one.run, active, shadow });
        }
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Observed> {
        let one = self.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(one.weight());
        Some(one)
    }
}

impl Observed {
    fn weight(&self) -> usize {
        let made = match &self.result {
            Ok(Verdict::Messages(made)) => made.iter().map(|message| message.body.len()).sum(),
            Ok(Verdict::Dispatches(made)) => made.iter().map(|(_, message)| message.body.len()).sum(),
            _ => 0,
        };
        let found = self.state.as_ref().map_or(0, |(state, _)| state.carried_bytes());
        self.event_body.len() + self.message.body.len() + self.settings.len() + made + found
    }
}

/// Compares until the signal is given.
///
/// # Errors
/// Never: what goes wrong with a shadow is counted.
pub async fn work(pipeline: Pipeline, mut told: Shutdown) -> Result<(), Infallible> {
    while !told.fired() {
        let one = tokio::select! {
            () = told.wait() => break,
            one = pipeline.shadows.next() => one,
        };
        while !pipeline.executor.has_spare() && !told.fired() {
            tokio::time::sleep(SPARE_EVERY).await;
        }
        pipeline.compare(one).await;
    }
    Ok(())
}

impl Pipeline {
    async fn compare(&self, one: Observed) {
        let snapshot = self.published.snapshot();
        if snapshot.tenant(&one.tenant).and_then(|tenant| tenant.shadow_of(&one.module)) != Some(one.shadow) {
            return;
        }
        let (likeness, said) = match self.candidate(&one).await {
            None => (Likeness::Skipped, None),
            Some(Err(words)) => (Likeness::Failed, Some(words)),
            Some(Ok(result)) => (compare(&one.result, &result), Some(in_words(&result))),
        };
        let said = said.filter(|_| matches!(likeness, Likeness::Different | Likeness::Failed));
        self.shadows.count(&one, likeness, said);
    }

    /// What the candidate says; none where the threads have no room, words where it is not to be had.
    async fn candidate(&self, one: &Observed) -> Option<Result<Result<Verdict, CallError>, String>> {
        let module = match self.library.load(&one.shadow).await {
            Ok(module) => module,
            Err(error) => return Some(Err(error.to_string())),
        };
        let (sender, receiver) = oneshot::channel();
        let (one, tenant, times) = (one.clone(), one.event.tenant.clone(), self.module_times.clone());
        let job = move || {
            let (time, time_set_by) = one.time;
            let report = module.call(&Call {
                event: &one.event,
                event_body: &one.event_body,
                message: &one.message,
                settings: &one.settings,
                origin: one.origin,
                time,
                time_set_by,
                until: None,
                endpoints: one.endpoints,
                state: one.state.map(|(state, step)| state.begin(step)),
            });
            times.note(&one.event.tenant, report.duration_us);
            let _ = sender.send(report.result);
        };
        self.executor.try_submit(Lane::Background, Some(&tenant), Box::new(job)).ok()?;
        receiver.await.ok().map(Ok)
    }
}

/// Whether a candidate decided as the active version did. Reasons are words for people, and may differ.
fn compare(active: &Result<Verdict, CallError>, shadow: &Result<Verdict, CallError>) -> Likeness {
    let same = match (active, shadow) {
        (_, Err(CallError::Busy)) => return Likeness::Skipped,
        (Err(active), Err(shadow)) if active.code() == shadow.code() => true,
        (_, Err(_)) => return Likeness::Failed,
        (Ok(Verdict::Accept), Ok(Verdict::Accept)) | (Ok(Verdict::Reject(_)), Ok(Verdict::Reject(_))) => true,
        (Ok(Verdict::Messages(a)), Ok(Verdict::Messages(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_message(a, b))
        }
        (Ok(Verdict::Dispatches(a)), Ok(Verdict::Dispatches(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same_message(&a.1, &b.1))
        }
        _ => false,
    };
    if same { Likeness::Equal } else { Likeness::Different }
}

/// Whether receivers would see the same: bodies as bytes, or as JSON where both are.
fn same_message(a: &Message, b: &Message) -> bool {
    let json = |body: &Bytes| serde_json::from_slice::<Value>(body).ok();
    let same_body = || a.body == b.body || json(&a.body).is_some_and(|a| Some(a) == json(&b.body));
    a.event_type == b.event_type
        && a.content_type == b.content_type
        && a.headers == b.headers
        && a.ordering_key == b.ordering_key
        && a.delay_ms == b.delay_ms
        && same_body()
}

/// An answer for a person.
fn in_words(result: &Result<Verdict, CallError>) -> String {
    let shown = |endpoint: Option<&EndpointName>, message: &Message| {
        let start = message.body.get(..SAMPLE_BYTES_MAX).unwrap_or(&message.body);
        json!({
            "endpoint": endpoint,
            "event_type": message.event_type,
            "content_type": message.content_type,
            "headers": message.headers,
            "ordering_key": message.ordering_key,
            "delay_ms": message.delay_ms,
            "body": String::from_utf8_lossy(start),
        })
    };
    let value = match result {
        Ok(Verdict::Accept) => json!("accept"),
        Ok(Verdict::Reject(reason)) => json!({ "reject": reason }),
        Ok(Verdict::Messages(made)) => made.iter().take(10).map(|message| shown(None, message)).collect(),
        Ok(Verdict::Dispatches(made)) => {
            made.iter().take(10).map(|(name, message)| shown(Some(name), message)).collect()
        }
        Err(error) => json!({ "failed": error.code(), "message": error.to_string() }),
    };
    let mut text = value.to_string();
    text.truncate(text.floor_char_boundary(SAMPLE_BYTES_MAX));
    text
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;

    fn event() -> Event {
        Event {
            event_type: "x".to_owned(),
            content_type: "application/json".to_owned(),
            ..Event::new(EventId::new(1, 2), "acme".parse().unwrap(), "in".parse().unwrap(), 2)
        }
    }

    fn message(body: &'static str) -> Message {
        Message::of_event(&event(), &Bytes::from_static(body.as_bytes()))
    }

    fn observed(body: Bytes) -> Observed {
        Observed {
            tenant: "acme".parse().unwrap(),
            module: "m".parse().unwrap(),
            shadow: Digest::of(b"2"),
            run: RunId::from_parts(EventId::new(1, 2), 3),
            message: Message::of_event(&event(), &body),
            event: event(),
            event_body: body,
            settings: "{}".to_owned(),
            origin: Origin::Live,
            time: (Duration::from_millis(10), TimeBound::Host),
            endpoints: Directory::default(),
            state: None,
            result: Ok(Verdict::Accept),
        }
    }

    #[test]
    fn answers_are_compared_by_what_receivers_would_see() {
        let made = |body| Ok(Verdict::Messages(vec![message(body)]));
        let trap = || Err(CallError::Trap("x".to_owned()));
        let reject = |reason: &str| Ok(Verdict::Reject(reason.to_owned()));
        for (active, shadow, likeness) in [
            (made("{\"a\":1,\"b\":2}"), made("{ \"b\": 2, \"a\": 1 }"), Likeness::Equal),
            (made("not json"), made("not json"), Likeness::Equal),
            (made("not json"), made("not  json"), Likeness::Different),
            (made("1"), Ok(Verdict::Messages(Vec::new())), Likeness::Different),
            (reject("one"), reject("two"), Likeness::Equal),
            (Ok(Verdict::Accept), reject("two"), Likeness::Different),
            (Ok(Verdict::Accept), trap(), Likeness::Failed),
            (trap(), trap(), Likeness::Equal),
            (trap(), Ok(Verdict::Accept), Likeness::Different),
            (Ok(Verdict::Accept), Err(CallError::Busy), Likeness::Skipped),
        ] {
            assert_eq!(compare(&active, &shadow), likeness, "{active:?} {shadow:?}");
        }
        let delayed = Message { delay_ms: 1, ..message("1") };
        assert_eq!(compare(&made("1"), &Ok(Verdict::Messages(vec![delayed]))), Likeness::Different);
    }

    #[test]
    fn what_waits_and_what_is_kept_is_bounded() {
        let shadows = Shadows::default();
        let module = (Some("acme".parse().unwrap()), "m".parse().unwrap());
        shadows.push((0..QUEUE_MAX + 3).map(|_| observed(Bytes::from_static(b"{}"))).collect());
        assert_eq!(shadows.report(&module, Digest::of(b"2")).skipped, 3, "QUEUE_MAX wait");
        while lock(&shadows.inner.queue).pop().is_some() {}
        shadows.forget(&module);
        // Each counts twice: as the event's body and as the message's.
        let large = Bytes::from(vec![b'x'; QUEUE_BYTES_MAX / 4]);
        shadows.push((0..3).map(|_| observed(large.clone())).collect());
        assert_eq!(shadows.report(&module, Digest::of(b"2")).skipped, 2, "QUEUE_BYTES_MAX wait");
        for _ in 0..SAMPLES_MAX + 5 {
            let long = in_words(&Ok(Verdict::Reject("ä".repeat(SAMPLE_BYTES_MAX))));
            assert!(long.len() <= SAMPLE_BYTES_MAX);
            shadows.count(&observed(Bytes::new()), Likeness::Different, Some(long));
        }
        let report = shadows.report(&module, Digest::of(b"2"));
        assert_eq!((report.different, report.samples.len()), (SAMPLES_MAX as u64 + 5, SAMPLES_MAX));
    }

    #[test]
    fn another_candidate_begins_anew_also_where_the_one_before_it_was_under_way() {
        let shadows = Shadows::default();
        let module = (Some("acme".parse().unwrap()), "m".parse().unwrap());
        let (before, after) = (observed(Bytes::new()), Observed { shadow: Digest::of(b"3"), ..observed(Bytes::new()) });
        shadows.count(&before, Likeness::Equal, None);
        assert_eq!((shadows.report(&module, before.shadow).equal, shadows.report(&module, after.shadow).equal), (1, 0));
        shadows.count(&after, Likeness::Equal, None);
        assert_eq!((shadows.report(&module, before.shadow).equal, shadows.report(&module, after.shadow).equal), (0, 1));
    }
}
