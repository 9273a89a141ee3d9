//! The one thread that writes. It takes what waits, applies it as one group, makes the group durable, and only then answers.
//!
//! What must hold:
//!
//! - No answer says that something is written before `Backend::commit` has returned.
//! - After a write failed, nothing is written any more, and everybody is told so. A write is never tried twice.
//! - A transition that cannot be applied, or whose application panics, takes nothing with it but itself.
//! - An idle store commits at once: a group is what waits at that moment, nobody waits for a group to fill.

use super::apply::{Applied, Refusal, apply};
use super::backend::{Backend, BackendError, Batch};
use super::backup::Recorder;
use super::body::Chunk;
use super::{CommitError, Config, Hint, Outcome, ReadError, Transition, View, meta};
use crate::telemetry::WorkerHealth;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot, watch};

/// What the committer is told.
pub(super) enum Message {
    /// Commit this.
    Commit(Job),
    /// Take nothing more, finish what waits, and end.
    Close,
    /// Write down what is committed from now on, for a backup.
    Record {
        /// Where to.
        recorder: Recorder,
        /// Told when it has begun.
        begun: oneshot::Sender<()>,
    },
    /// Write down no more: what came before this is committed and written down.
    StopRecording {
        /// Told the `seq` of the last event by then.
        ended: oneshot::Sender<Result<u64, ReadError>>,
    },
}

/// A transition that waits for its outcome.
pub(super) struct Job {
    /// What to write.
    pub(super) transition: Transition,
    /// Who waits. It may be gone: the transition is written all the same.
    pub(super) answer: oneshot::Sender<Result<Outcome, CommitError>>,
    /// Its share of `queued_bytes_max`, given back with the answer.
    pub(super) room: OwnedSemaphorePermit,
}

/// The committer's side of things.
pub(super) struct Committer {
    /// Where to write.
    pub(super) backend: Arc<dyn Backend>,
    /// What waits.
    pub(super) queue: mpsc::Receiver<Message>,
    /// Who wants to know what is new.
    pub(super) hints: broadcast::Sender<Arc<[Hint]>>,
    /// Where to say how it goes.
    pub(super) health: WorkerHealth,
    /// How much at once.
    pub(super) config: Config,
    /// Counts transitions whose application panicked.
    pub(super) panics: Arc<AtomicU64>,
    /// Where it says why nothing is written any more.
    pub(super) failed: watch::Sender<Option<String>>,
    /// Who writes down what is committed, while a backup runs.
    pub(super) recorder: Option<Recorder>,
}

impl Committer {
    /// Works until the store is closed, or all its handles are gone.
    pub(super) fn run(mut self) {
        self.health.running();
        match catch_unwind(AssertUnwindSafe(|| self.commit_until_closed())) {
            Ok(Ok(())) => self.health.stopped(),
            Ok(Err(reason)) => {
                self.fail(&reason);
                self.refuse_until_closed(&reason);
            }
            // Writes and transitions have guards of their own, so this is a bug of this file. Callers learn it when the queue drops.
            Err(_) => self.fail("the committer panicked"),
        }
    }

    fn fail(&self, reason: &str) {
        self.failed.send_replace(Some(reason.to_owned()));
        self.health.failed(reason);
    }

    /// Returns the reason where the store must not be written any more.
    fn commit_until_closed(&mut self) -> Result<(), String> {
        while let Some(message) = self.queue.blocking_recv() {
            let (group, ended) = self.group(message);
            if !group.is_empty() {
                self.commit(group)?;
            }
            if let Some(ended) = ended {
                self.recorder = None;
                // A backup that nobody wants any more ends all the same.
                let _ = ended.send(meta::last_seq(&*self.backend));
            }
        }
        Ok(())
    }

    fn refuse_until_closed(&mut self, reason: &str) {
        while let Some(message) = self.queue.blocking_recv() {
            match message {
                Message::Commit(job) => drop(job.answer.send(Err(CommitError::Poisoned { reason: reason.to_owned() }))),
                Message::Close => self.queue.close(),
                // Whoever waits for them learns it as they are dropped.
                Message::Record { .. } | Message::StopRecording { .. } => {}
            }
        }
    }

    /// The first message and what else waits, up to the bounds of a group; and who is to be told that the recording ended with it.
    fn group(&mut self, first: Message) -> (Vec<Job>, Option<oneshot::Sender<Result<u64, ReadError>>>) {
        let mut group = Vec::new();
        let mut group_bytes = 0;
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Commit(job) => {
                    group_bytes += job.transition.weight();
                    group.push(job);
                }
                // What came in before is still to be had.
                Message::Close => self.queue.close(),
                // The rest of this group is one that is recorded: more than there has to be.
                Message::Record { recorder, begun } => {
                    self.recorder = Some(recorder);
                    let _ = begun.send(());
                }
                Message::StopRecording { ended } => return (group, Some(ended)),
            }
            let full = group.len() >= self.config.group_transitions_max || group_bytes >= self.config.group_bytes_max;
            next = if full { None } else { self.queue.try_recv().ok() };
        }
        (group, None)
    }

    fn commit(&mut self, group: Vec<Job>) -> Result<(), String> {
        let mut view = View::over(&*self.backend);
        let mut hints = Vec::new();
        let mut answers = Vec::with_capacity(group.len());
        for Job { transition, answer, room } in group {
            let outcome = self.apply(&mut view, transition).map(|applied| {
                hints.extend(applied.hints);
                applied.outcome
            });
            answers.push((answer, outcome, room));
        }
        let (chunks, batch) = view.into_writes();
        let written = catch_unwind(AssertUnwindSafe(|| self.write(chunks, batch)))
            .map_err(|_| "the database panicked while it wrote".to_owned())
            .and_then(|written| written.map_err(|error| error.to_string()));
        // Before the answers: who has one will find the hint, or have it behind it.
        if written.is_ok() && !hints.is_empty() {
            // Nobody subscribed: nothing to tell.
            let _ = self.hints.send(hints.into());
        }
        for (answer, outcome, _room) in answers {
            let unknown = |reason: &String| CommitError::Unknown { reason: reason.clone() };
            // Nobody listens any more: that is the caller's right.
            let _ = answer.send(written.as_ref().map_err(unknown).and(outcome));
        }
        written
    }

    /// Adds a transition to the group: whole, or not at all.
    fn apply(&self, view: &mut View<'_>, transition: Transition) -> Result<Applied, CommitError> {
        let applied = match catch_unwind(AssertUnwindSafe(|| apply(view, transition))) {
            Ok(Ok(applied)) => Ok(applied),
            Ok(Err(Refusal::Invalid(why))) => Err(CommitError::Invalid { why }),
            Ok(Err(Refusal::Read(error))) => Err(CommitError::Unreadable(error)),
            Err(_) => {
                self.panics.fetch_add(1, Ordering::Relaxed);
                Err(CommitError::Internal)
            }
        };
        let (bytes, bytes_max) = (view.put_bytes(), self.config.transition_bytes_max);
        let applied = if bytes > bytes_max { Err(CommitError::TooLong { bytes, bytes_max }) } else { applied };
        match applied {
            Ok(_) => view.keep(),
            Err(_) => view.roll_back(),
        }
        applied
    }

    /// Writes a group. Bodies that are too long for one go are written before it, in slices: until the group is there, nothing
    /// refers to them.
    fn write(&mut self, chunks: Vec<Chunk>, mut batch: Batch) -> Result<(), BackendError> {
        let mut slice = Batch::default();
        let mut slice_bytes = 0;
        let chunks_bytes: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
        let ahead = chunks_bytes > self.config.group_bytes_max;
        for Chunk { tree, key, bytes } in chunks {
            if !ahead {
                batch.set(tree, key, Some(bytes));
                continue;
            }
            slice_bytes += bytes.len();
            slice.set(tree, key, Some(bytes));
            if slice_bytes >= self.config.group_bytes_max {
                self.write_batch(std::mem::take(&mut slice))?;
                slice_bytes = 0;
            }
        }
        for batch in [slice, batch] {
            if !batch.trees.is_empty() {
                self.write_batch(batch)?;
            }
        }
        Ok(())
    }

    fn write_batch(&mut self, batch: Batch) -> Result<(), BackendError> {
        let Some(recorder) = &mut self.recorder else { return self.backend.commit(batch) };
        recorder.take(&batch);
        self.backend.commit(batch)?;
        if !recorder.keep() {
            self.recorder = None;
        }
        Ok(())
    }
}
