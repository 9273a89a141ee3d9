//! The threads that modules run on. A call is synchronous work of up to `max_time_ms`: on the threads that serve connections it
//! would hold up everybody's.
//!
//! Jobs wait in two lanes and stand on the account of a tenant; [`queues`] says which is next. At most `queue_max` jobs wait in
//! a lane, at most half as many of one tenant ([`rooms`]).
//!
//! Where there are several threads, one of them, the quick one, does no job that may take long. The others give way to the rest of the
//! host, where the system has priorities for threads: what burns there delays neither requests nor commits.

mod queues;
mod rooms;

use super::Config;
use super::deadline::processor_time;
use crate::model::TenantName;
use crate::telemetry::{Health, WorkerHealth};
use queues::{Done, Queues};
use rooms::{Place, Rooms};
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How much nicer than the rest of the host a thread is that may do long jobs: of a processor that another thread wants, too, it gets
/// two fifths. Enough for others to get theirs at once; and on a machine that is busy with something else, too, pending runs go on.
const BEHIND: i32 = 2;

/// Work for one thread: the calls of one run, say.
pub type Job = Box<dyn FnOnce() + Send>;

/// Whose time a job takes; none is the operator.
type Account = Option<TenantName>;

/// Which jobs of a tenant go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Somebody waits for it: an event to be acknowledged.
    Inline,
    /// It may wait: a pending run, a replay, a test.
    Background,
}

/// The lane's queue is full, or the tenant's part of it, or the executor is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no thread is free for modules, and `runtime.queue_max` jobs wait, or half as many of this tenant")]
pub struct Busy;

/// The executor is shutting down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host is shutting down and starts no more modules")]
pub struct Closed;

/// The threads, and the way to them. Dropping it is [`Executor::shut_down`].
#[derive(Debug)]
pub struct Executor {
    shared: Arc<Shared>,
    rooms: Rooms,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled when there may be a job for the quick thread, or the end begins.
    for_quick: Condvar,
    /// The same for the others.
    for_others: Condvar,
    health: WorkerHealth,
}

struct State {
    queues: Queues<Queued>,
    closed: bool,
    /// How many threads there are that may do long jobs, and how many do any.
    others: usize,
    others_busy: usize,
    /// Whether the quick thread waits, and nobody has told it of a job yet.
    quick_waits: bool,
}

/// A job and its place in the queue, which it gives back when a thread takes it.
type Queued = (Job, Place);

impl Executor {
    /// Starts `config.threads` threads. They report as the worker `modules`.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(config: &Config, health: &Health) -> std::io::Result<Self> {
        let quick = usize::from(config.threads > 1);
        let others = config.threads - quick;
        let queues = Queues::new(others);
        let shared = Arc::new(Shared {
            state: Mutex::new(State { queues, closed: false, others, others_busy: 0, quick_waits: false }),
            for_quick: Condvar::new(),
            for_others: Condvar::new(),
            health: health.worker("modules"),
        });
        let executor = Self { shared, rooms: Rooms::new(config.queue_max), threads: Mutex::default() };
        for number in 0..config.threads {
            let shared = Arc::clone(&executor.shared);
            let builder = thread::Builder::new().name(format!("module-{number}"));
            let work = move || if number < quick { work(&shared, true) } else { work_behind(&shared) };
            let thread = builder.stack_size(config.thread_stack_bytes()).spawn(work)?;
            lock(&executor.threads).push(thread);
        }
        executor.shared.health.running();
        Ok(executor)
    }

    /// Queues a job of this tenant, or of the operator, if there is room for it now.
    ///
    /// # Errors
    /// There is none; the job is dropped.
    pub fn try_submit(&self, lane: Lane, tenant: Option<&TenantName>, job: Job) -> Result<(), Busy> {
        let account = tenant.cloned();
        let place = self.rooms.try_enter(&account, lane).ok_or(Busy)?;
        self.shared.push(account, lane, (job, place)).map_err(|Closed| Busy)
    }

    /// Queues a job of this tenant, or of the operator, as soon as there is room for it. Those of one tenant who wait are
    /// served in order.
    ///
    /// # Errors
    /// The executor is shutting down; the job is dropped.
    pub async fn submit(&self, lane: Lane, tenant: Option<&TenantName>, job: Job) -> Result<(), Closed> {
        let account = tenant.cloned();
        let place = self.rooms.enter(&account, lane).await.ok_or(Closed)?;
        self.shared.push(account, lane, (job, place))
    }

    /// Whether a job that may take long would start at once, and nothing at all waits.
    #[must_use]
    pub fn has_spare(&self) -> bool {
        let state = self.shared.lock();
        !state.closed && state.others_busy < state.others && state.queues.is_empty()
    }

    /// Takes no more jobs, does those that are queued, and waits for the threads to end. It blocks.
    pub fn shut_down(&self) {
        self.rooms.close();
        self.shared.lock().closed = true;
        self.shared.wake_all();
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A thread catches the panics of its jobs; it has none of its own.
            drop(thread.join());
        }
        self.shared.health.stopped();
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn push(&self, account: Account, lane: Lane, job: Queued) -> Result<(), Closed> {
        let mut state = self.lock();
        if state.closed {
            return Err(Closed);
        }
        let long = state.queues.push(account, lane, job, Instant::now());
        let for_quick = !long && std::mem::take(&mut state.quick_waits);
        drop(state);
        if for_quick { &self.for_quick } else { &self.for_others }.notify_one();
        Ok(())
    }

    /// Waits for a job that this thread may do; none at the end.
    fn next(&self, quick: bool) -> Option<(Queued, Done)> {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.queues.next(quick, Instant::now()) {
                state.others_busy += usize::from(!quick);
                return Some(next.split());
            }
            if state.closed && state.queues.is_empty() {
                return None;
            }
            state = if quick {
                if !state.queues.is_empty() {
                    // What it was told of has turned out to be long.
                    self.for_others.notify_one();
                }
                state.quick_waits = true;
                self.for_quick.wait(state)
            } else {
                self.for_others.wait(state)
            }
            .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, quick: bool, done: Done, took: Duration) {
        let mut state = self.lock();
        state.others_busy -= usize::from(!quick);
        state.queues.done(done, took, Instant::now());
        let waiting = !state.queues.is_empty();
        drop(state);
        if waiting {
            // Another thread may have passed over a long job because this one was under way.
            self.for_others.notify_one();
        }
    }

    fn wake_all(&self) {
        self.for_quick.notify_all();
        self.for_others.notify_all();
    }
}

/// Works as a thread that may do long jobs.
fn work_behind(shared: &Shared) {
    // Elsewhere the priority is the whole process's.
    if cfg!(target_os = "linux") {
        // A thread that may not be put behind others works all the same.
        let _ = rustix::process::nice(BEHIND);
    }
    work(shared, false);
}

fn work(shared: &Shared, quick: bool) {
    while let Some(((job, place), done)) = shared.next(quick) {
        drop(place);
        let began = processor_time();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
            let text = words(panic.as_ref());
            tracing::error!(panic = text, "a job of the module threads panicked; its thread goes on");
            shared.health.restarting(text);
            shared.health.running();
        }
        shared.done(quick, done, processor_time().saturating_sub(began));
    }
    // The next thread that waits has to see the end, too.
    shared.wake_all();
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
        f.debug_struct("Shared").finish_non_exhaustive()
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
    fn the_queue_is_bounded_for_all_and_for_each_tenant() {
        let (executor, _) = start(1, 2);
        let (job, has_begun, go) = gate();
        let tenants: [TenantName; 3] = ["a", "b", "c"].map(|name| name.parse().expect("a name"));
        let [a, b, c] = tenants.each_ref().map(Some);
        assert!(executor.has_spare());
        executor.try_submit(Lane::Inline, a, job).expect("room");
        has_begun.recv().expect("begun");
        assert!(!executor.has_spare());
        let (said, heard) = mpsc::channel();
        for (lane, first, second) in [(Lane::Background, "b1", "b2"), (Lane::Inline, "i1", "i2")] {
            executor.try_submit(lane, a, saying(first, &said)).expect("room");
            assert_eq!(executor.try_submit(lane, a, saying("half is another's", &said)), Err(Busy));
            executor.try_submit(lane, b, saying(second, &said)).expect("room");
            assert_eq!(executor.try_submit(lane, c, saying("all is taken", &said)), Err(Busy));
        }
        drop(go);
        executor.shut_down();
        drop(said);
        let mut done: Vec<_> = heard.iter().collect();
        assert_eq!(
            (done.iter().position(|job| *job == "i1") < done.iter().position(|job| *job == "b1"), done.len()),
            (true, 4)
        );
        done.sort_unstable();
        assert_eq!(done, ["b1", "b2", "i1", "i2"], "what was queued is done");
    }

    #[test]
    fn background_jobs_leave_the_quick_thread_free() {
        let (executor, _) = start(2, 8);
        let (first, first_begun, first_go) = gate();
        let (second, second_begun, second_go) = gate();
        executor.try_submit(Lane::Background, None, first).expect("room");
        first_begun.recv().expect("begun");
        executor.try_submit(Lane::Background, None, second).expect("room");
        let (said, heard) = mpsc::channel();
        executor.try_submit(Lane::Inline, None, saying("inline", &said)).expect("room");
        assert_eq!(heard.recv(), Ok("inline"));
        assert_eq!(second_begun.try_recv(), Err(mpsc::TryRecvError::Empty), "it waits for the first");
        drop(first_go);
        second_begun.recv().expect("begun after the first");
        drop(second_go);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn whoever_may_take_long_is_behind_the_others() {
        let nice = || rustix::process::getpriority_process(None).expect("this thread's");
        let (executor, _) = start(2, 8);
        let (said, heard) = mpsc::channel();
        let (began, has_begun) = mpsc::channel();
        let (go, gone) = mpsc::channel::<()>();
        let long = move || {
            began.send(nice()).expect("a listener");
            assert!(gone.recv().is_err(), "until it is let go");
        };
        executor.try_submit(Lane::Background, None, Box::new(long)).expect("room");
        let behind = has_begun.recv().expect("begun");
        executor
            .try_submit(Lane::Inline, None, Box::new(move || said.send(nice()).expect("a listener")))
            .expect("room");
        assert_eq!((behind, heard.recv()), ((nice() + BEHIND).min(19), Ok(nice())));
        drop(go);
    }

    #[test]
    fn a_panic_is_counted_and_the_thread_goes_on() {
        let (executor, health) = start(1, 8);
        executor.try_submit(Lane::Inline, None, Box::new(|| panic!("a bug in the host"))).expect("room");
        let (said, heard) = mpsc::channel();
        executor.try_submit(Lane::Inline, None, saying("after", &said)).expect("room");
        assert_eq!(heard.recv(), Ok("after"));
        let report = health.report().remove("modules").expect("the worker");
        assert_eq!((report.state, report.restarts), (WorkerState::Running, 1));
        assert_eq!(report.last_error.as_deref(), Some("a bug in the host"));
        executor.shut_down();
        assert_eq!(health.report()["modules"].state, WorkerState::Stopped);
        assert_eq!(executor.try_submit(Lane::Inline, None, saying("late", &said)), Err(Busy));
    }

    #[tokio::test]
    async fn who_waits_for_room_gets_it_or_learns_of_the_end() {
        let (executor, _) = start(1, 2);
        let (job, has_begun, go) = gate();
        executor.submit(Lane::Inline, None, job).await.expect("room");
        has_begun.recv().expect("begun");
        let (said, heard) = mpsc::channel();
        executor.submit(Lane::Inline, None, saying("queued", &said)).await.expect("room");
        let mut waiting = pin!(executor.submit(Lane::Inline, None, saying("waited", &said)));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(go);
        waiting.await.expect("room");
        assert_eq!((heard.recv(), heard.recv()), (Ok("queued"), Ok("waited")));
        executor.shut_down();
        assert_eq!(executor.submit(Lane::Inline, None, saying("late", &said)).await, Err(Closed));
    }
}
