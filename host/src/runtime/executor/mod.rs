//! The threads that modules run on. A call is synchronous work of up to `max_time_ms`: on the threads that serve connections it
//! would hold up everybody's.
//!
//! Two lanes share the threads. `Inline` jobs have somebody waiting and go first; `Background` jobs leave one thread free for
//! them, where there is more than one. Each lane's queue is bounded by `queue_max`.

use super::Config;
use crate::telemetry::{Health, WorkerHealth};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Work for one thread: the calls of one run, say.
pub type Job = Box<dyn FnOnce() + Send>;

/// Which jobs go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Somebody waits for it: an event to be acknowledged.
    Inline,
    /// It may wait: a pending run, a replay, a test.
    Background,
}

/// The lane's queue is full, or the executor is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no thread is free for modules, and `runtime.queue_max` jobs wait")]
pub struct Busy;

/// The executor is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host is shutting down and starts no more modules")]
pub struct Closed;

/// The threads, and the way to them. Dropping it is [`Executor::shut_down`].
#[derive(Debug)]
pub struct Executor {
    shared: Arc<Shared>,
    inline_room: Arc<Semaphore>,
    background_room: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    queues: Mutex<Queues>,
    /// Signalled when a job arrives, a background job ends, or the end begins.
    changed: Condvar,
    threads: usize,
    health: WorkerHealth,
}

#[derive(Default)]
struct Queues {
    inline: VecDeque<Queued>,
    background: VecDeque<Queued>,
    running: usize,
    background_running: usize,
    closed: bool,
}

/// A job and its place in the queue, which it gives back when a thread takes it.
type Queued = (Job, OwnedSemaphorePermit);

impl Executor {
    /// Starts `config.threads` threads. They report as the worker `modules`.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(config: &Config, health: &Health) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            changed: Condvar::new(),
            threads: config.threads,
            health: health.worker("modules"),
        });
        let room = || Arc::new(Semaphore::new(config.queue_max));
        let executor = Self { shared, inline_room: room(), background_room: room(), threads: Mutex::default() };
        for number in 0..config.threads {
            let shared = Arc::clone(&executor.shared);
            let builder = thread::Builder::new().name(format!("module-{number}"));
            let thread = builder.stack_size(config.thread_stack_bytes()).spawn(move || work(&shared))?;
            lock(&executor.threads).push(thread);
        }
        executor.shared.health.running();
        Ok(executor)
    }

    /// Queues a job, if there is room for it now.
    ///
    /// # Errors
    /// There is none; the job is dropped.
    pub fn try_submit(&self, lane: Lane, job: Job) -> Result<(), Busy> {
        match Arc::clone(self.room(lane)).try_acquire_owned() {
            Ok(place) => self.shared.push(lane, (job, place)).map_err(|Closed| Busy),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => Err(Busy),
        }
    }

    /// Queues a job, as soon as there is room for it. Those who wait are served in order.
    ///
    /// # Errors
    /// The executor is shutting down; the job is dropped.
    pub async fn submit(&self, lane: Lane, job: Job) -> Result<(), Closed> {
        let place = Arc::clone(self.room(lane)).acquire_owned().await.map_err(|_| Closed)?;
        self.shared.push(lane, (job, place))
    }

    /// Whether an inline job would start at once: a thread is free, and nobody waits for it.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let queues = self.shared.lock();
        !queues.closed && queues.running + queues.inline.len() < self.shared.threads
    }

    /// Whether a thread is free and nothing at all waits for one.
    #[must_use]
    pub fn has_spare(&self) -> bool {
        let queues = self.shared.lock();
        let waiting = queues.inline.len() + queues.background.len();
        !queues.closed && waiting == 0 && queues.running < self.shared.threads
    }

    /// Takes no more jobs, does those that are queued, and waits for the threads to end. It blocks.
    pub fn shut_down(&self) {
        self.inline_room.close();
        self.background_room.close();
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A thread catches the panics of its jobs; it has none of its own.
            drop(thread.join());
        }
        self.shared.health.stopped();
    }

    const fn room(&self, lane: Lane) -> &Arc<Semaphore> {
        match lane {
            Lane::Inline => &self.inline_room,
            Lane::Background => &self.background_room,
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        lock(&self.queues)
    }

    fn push(&self, lane: Lane, job: Queued) -> Result<(), Closed> {
        let mut queues = self.lock();
        if queues.closed {
            return Err(Closed);
        }
        match lane {
            Lane::Inline => queues.inline.push_back(job),
            Lane::Background => queues.background.push_back(job),
        }
        drop(queues);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for a job that this thread may do; none at the end.
    fn next(&self) -> Option<(Lane, Queued)> {
        let background_running_max = self.threads.saturating_sub(1).max(1);
        let mut queues = self.lock();
        loop {
            if let Some(job) = queues.inline.pop_front() {
                queues.running += 1;
                return Some((Lane::Inline, job));
            }
            if queues.background_running < background_running_max
                && let Some(job) = queues.background.pop_front()
            {
                queues.running += 1;
                queues.background_running += 1;
                return Some((Lane::Background, job));
            }
            if queues.closed && queues.background.is_empty() {
                return None;
            }
            queues = self.changed.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, lane: Lane) {
        let mut queues = self.lock();
        queues.running -= 1;
        if lane == Lane::Background {
            queues.background_running -= 1;
        }
        // Another thread may have passed over a background job for being one too many, or wait for the last one to end.
        let waiting = !queues.background.is_empty();
        drop(queues);
        if waiting {
            self.changed.notify_one();
        }
    }
}

fn work(shared: &Shared) {
    while let Some((lane, (job, place))) = shared.next() {
        drop(place);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
            let text = words(panic.as_ref());
            tracing::error!(panic = text, "a job of the module threads panicked; its thread goes on");
            shared.health.restarting(text);
            shared.health.running();
        }
        shared.done(lane);
    }
    // The next thread that waits has to see the end, too.
    shared.changed.notify_all();
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("threads", &self.threads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::WorkerState;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    fn start(threads: usize, queue_max: usize) -> (Executor, Health) {
        let health = Health::default();
        let config = Config { threads, queue_max, ..Config::default() };
        (Executor::start(&config, &health).expect("threads"), health)
    }

    /// A job that says that it began, and ends when it is let go.
    fn gate() -> (Job, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (began, has_begun) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let job = move || {
            began.send(()).expect("a listener");
            // An error, as nobody sends: that is the signal.
            assert!(gone.recv().is_err());
        };
        (Box::new(job), has_begun, go)
    }

    fn saying(name: &'static str, to: &mpsc::Sender<&'static str>) -> Job {
        let to = to.clone();
        Box::new(move || to.send(name).expect("a listener"))
    }

    #[test]
    fn inline_jobs_go_first_and_the_queue_is_bounded() {
        let (executor, _) = start(1, 2);
        let (job, has_begun, go) = gate();
        assert!(executor.has_room() && executor.has_spare());
        executor.try_submit(Lane::Inline, job).expect("room");
        has_begun.recv().expect("begun");
        assert!(!executor.has_room() && !executor.has_spare());
        let (said, heard) = mpsc::channel();
        for name in ["b1", "b2"] {
            executor.try_submit(Lane::Background, saying(name, &said)).expect("room");
        }
        assert_eq!(executor.try_submit(Lane::Background, saying("b3", &said)), Err(Busy));
        for name in ["i1", "i2"] {
            executor.try_submit(Lane::Inline, saying(name, &said)).expect("room");
        }
        assert_eq!(executor.try_submit(Lane::Inline, saying("i3", &said)), Err(Busy));
        drop(go);
        executor.shut_down();
        drop(said);
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["i1", "i2", "b1", "b2"], "what was queued is done");
    }

    #[test]
    fn background_jobs_leave_a_thread_free() {
        let (executor, _) = start(2, 8);
        let (first, first_begun, first_go) = gate();
        let (second, second_begun, second_go) = gate();
        executor.try_submit(Lane::Background, first).expect("room");
        first_begun.recv().expect("begun");
        executor.try_submit(Lane::Background, second).expect("room");
        let (said, heard) = mpsc::channel();
        executor.try_submit(Lane::Inline, saying("inline", &said)).expect("room");
        assert_eq!(heard.recv(), Ok("inline"));
        assert_eq!(second_begun.try_recv(), Err(mpsc::TryRecvError::Empty), "it waits for the first");
        drop(first_go);
        second_begun.recv().expect("begun after the first");
        drop(second_go);
    }

    #[test]
    fn a_panic_is_counted_and_the_thread_goes_on() {
        let (executor, health) = start(1, 8);
        executor.try_submit(Lane::Inline, Box::new(|| panic!("a bug in the host"))).expect("room");
        let (said, heard) = mpsc::channel();
        executor.try_submit(Lane::Inline, saying("after", &said)).expect("room");
        assert_eq!(heard.recv(), Ok("after"));
        let report = health.report().remove("modules").expect("the worker");
        assert_eq!((report.state, report.restarts), (WorkerState::Running, 1));
        assert_eq!(report.last_error.as_deref(), Some("a bug in the host"));
        executor.shut_down();
        assert_eq!(health.report()["modules"].state, WorkerState::Stopped);
        assert_eq!(executor.try_submit(Lane::Inline, saying("late", &said)), Err(Busy));
    }

    #[tokio::test]
    async fn who_waits_for_room_gets_it_or_learns_of_the_end() {
        let (executor, _) = start(1, 1);
        let (job, has_begun, go) = gate();
        executor.submit(Lane::Inline, job).await.expect("room");
        has_begun.recv().expect("begun");
        let (said, heard) = mpsc::channel();
        executor.submit(Lane::Inline, saying("queued", &said)).await.expect("room");
        let mut waiting = pin!(executor.submit(Lane::Inline, saying("waited", &said)));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(go);
        waiting.await.expect("room");
        assert_eq!((heard.recv(), heard.recv()), (Ok("queued"), Ok("waited")));
        executor.shut_down();
        assert_eq!(executor.submit(Lane::Inline, saying("late", &said)).await, Err(Closed));
    }
}
