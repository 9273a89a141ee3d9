//! The clock that stops modules: while a call is under way, the engine's epoch advances once a millisecond, and a module that
//! is still running at its deadline traps. With no call for a while the thread sleeps until the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};
use wasmtime::Engine;

/// How much time one epoch stands for.
const TICK: Duration = Duration::from_millis(1);
/// How many ticks without a call put the thread to sleep: waking it costs a system call, so it is not done for every gap.
const IDLE_TICKS_MAX: u32 = 100;
/// The most epochs made up for after the thread itself was kept from running.
const CATCH_UP_TICKS_MAX: u128 = 1000;

/// Advances the engine's epoch. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many calls are under way.
    calls: AtomicUsize,
    /// Whether the thread sleeps until it is woken.
    parked: AtomicBool,
    stop: AtomicBool,
}

/// Keeps the epoch advancing for as long as it lives.
#[derive(Debug)]
pub(super) struct Ticking<'a>(&'a Ticker);

impl Ticker {
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let handle = thread::Builder::new().name("epoch".into()).spawn(move || tick(&engine, &theirs))?;
        Ok(Self { shared, thread: handle.thread().clone(), handle: Some(handle) })
    }

    /// To be held during a call.
    pub(super) fn keep_ticking(&self) -> Ticking<'_> {
        // The thread says `parked` before it looks at `calls`, this side counts before it looks at `parked`: in the one total
        // order of these four, one of them sees the other.
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Ticking(self)
    }

    /// The number of epochs after which `time` has passed for sure.
    pub(super) fn epochs(time: Duration) -> u64 {
        // One more, because the first tick may come at once.
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.shared.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
        if let Some(handle) = self.handle.take() {
            // It cannot panic; if it did, there is nothing left to do for it.
            drop(handle.join());
        }
    }
}

fn tick(engine: &Engine, shared: &Shared) {
    let (mut last, mut idle_ticks) = (Instant::now(), 0);
    while !shared.stop.load(Ordering::SeqCst) {
        thread::sleep(TICK);
        let passed = last.elapsed().as_millis();
        last = Instant::now();
        for _ in 0..passed.clamp(1, CATCH_UP_TICKS_MAX) {
            engine.increment_epoch();
        }
        idle_ticks = if shared.calls.load(Ordering::SeqCst) == 0 { idle_ticks + 1 } else { 0 };
        if idle_ticks < IDLE_TICKS_MAX {
            continue;
        }
        shared.parked.store(true, Ordering::SeqCst);
        if shared.calls.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        shared.parked.store(false, Ordering::SeqCst);
        (last, idle_ticks) = (Instant::now(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(ticker: &Ticker) -> bool {
        ticker.shared.parked.load(Ordering::SeqCst)
    }

    #[test]
    fn it_sleeps_without_calls_and_wakes_for_one() {
        let ticker = Ticker::start(Engine::default()).expect("a thread");
        for _ in 0..3 {
            // Without a call it goes to sleep by itself: after 100 ticks.
            while !parked(&ticker) {
                thread::yield_now();
            }
            let ticking = ticker.keep_ticking();
            while parked(&ticker) {
                thread::yield_now();
            }
            drop(ticking);
        }
    }

    #[test]
    fn a_deadline_is_never_early() {
        assert_eq!(Ticker::epochs(Duration::from_millis(20)), 21);
        assert_eq!(Ticker::epochs(Duration::ZERO), 1);
    }
}
