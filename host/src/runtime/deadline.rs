//! How long a call may run: so much processor time of its own, and for one that somebody waits for, until then at the latest.
//!
//! Not so much time by the clock: where the machine has more to do than it can, a module would be stopped for what others do, and what
//! one tenant's modules burn would fail another's.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// When a call is stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// This thread's processor time when the call began.
    began: Duration,
    /// How much of it the call may use.
    time: Duration,
    /// When it has to be over by the clock.
    until: Option<Instant>,
}

impl Deadline {
    /// For a call that begins now, on this thread.
    pub(super) fn begin(time: Duration, until: Option<Instant>) -> Self {
        Self { began: processor_time(), time, until }
    }

    /// How long it may go on for sure; none where it has to be stopped. On the thread that began it.
    pub(super) fn left(&self) -> Option<Duration> {
        let left = self.time.saturating_sub(processor_time().saturating_sub(self.began));
        let left = self.until.map_or(left, |until| left.min(until.saturating_duration_since(Instant::now())));
        (!left.is_zero()).then_some(left)
    }
}

/// How much time the processors have given this thread so far.
pub(super) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn what_the_thread_does_counts_and_what_it_waits_for_does_not() {
        let deadline = Deadline::begin(Duration::from_millis(5), None);
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let burning = Deadline::begin(Duration::from_millis(50), None);
            while burning.left().is_some() {
                black_box(0);
            }
            sender.send(()).expect("a listener");
        });
        receiver.recv().expect("the other thread's end");
        assert!(deadline.left().is_some(), "another thread used ten times as much");
        while deadline.left().is_some() {
            black_box(0);
        }
    }

    #[test]
    fn the_clock_ends_it_where_somebody_waits() {
        let now = Instant::now();
        assert!(Deadline::begin(Duration::from_secs(60), Some(now)).left().is_none());
        assert!(Deadline::begin(Duration::from_secs(60), Some(now + Duration::from_secs(60))).left().is_some());
    }
}
