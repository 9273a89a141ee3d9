//! What a connection is doing, and when it has done it for too long: nothing at all, sending a head, not taking an answer, giving up one
//! request after the other. The deciding is pure; who serves the connection looks when it is told to.

#[cfg(test)]
mod tests;

use super::{Config, TlsFiles};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a connection may do nothing while others wait for its place.
const CROWDED_IDLE: Duration = Duration::from_secs(1);
/// How long a head, or a TLS handshake, may take from its first byte on while others wait.
const CROWDED_HEAD: Duration = Duration::from_secs(5);
/// How long a connection that was told to end may take for what is left of an answer, once nothing is under way that had begun before.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What begins so soon after a connection was told to end crossed with that on its way, and counts.
const CROSSING: Duration = Duration::from_secs(1);
/// How many requests a client may give up on one connection within [`GIVEN_UP_WINDOW`]. Each costs the host work that nobody wants: HTTP/2's
/// rapid reset.
const GIVEN_UP_MAX: u32 = 200;
const GIVEN_UP_WINDOW: Duration = Duration::from_secs(10);

/// How long a connection may do what. See [`Config`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    header: Duration,
    idle: Duration,
    write: Duration,
    /// On HTTP/2, bytes that come while nothing is under way may be a ping, and begin no head.
    http2: bool,
}

impl Bounds {
    pub(super) const fn of(config: &Config, http2: bool) -> Self {
        Self {
            header: Duration::from_millis(config.header_timeout_ms),
            idle: Duration::from_millis(config.idle_timeout_ms),
            write: Duration::from_millis(config.write_timeout_ms),
            http2,
        }
    }

    /// The same for a connection that has to shake hands first.
    pub(super) fn of_handshake(config: &Config, tls: &TlsFiles) -> Self {
        Self { header: Duration::from_millis(tls.handshake_timeout_ms), ..Self::of(config, false) }
    }
}

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It has done nothing for `idle_timeout_ms`, or for a second while others waited.
    Idle,
    /// It has had an answer, and others wait for its place.
    Turn,
    /// A head took longer than `header_timeout_ms`, or five seconds while others waited.
    Head,
    /// An answer was not taken within `write_timeout_ms`.
    Answer,
    /// Its client gave up one request after the other.
    GivenUp,
}

impl Overdue {
    /// Whether it may finish what is under way.
    pub(super) const fn gracefully(self) -> bool {
        matches!(self, Self::Idle | Self::Turn)
    }
}

/// What a look at a connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Overdue(Overdue),
    /// Nothing can be overdue before that.
    NotBefore(Instant),
}

/// What one connection is doing. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when something is overdue before its time.
    news: Notify,
}

#[derive(Debug)]
struct State {
    /// Since when nothing was under way; of meaning where nothing is.
    idle_since: Instant,
    /// When the first byte of a head came, while nothing was under way.
    head_since: Option<Instant>,
    /// Whether the other side takes less than is written. That has a bound of its own: see `stream`.
    blocked: bool,
    under_way: Vec<Request>,
    begun: u64,
    answered: u64,
    given_up: u32,
    given_up_since: Instant,
    ending: Option<Ending>,
}

/// What is waited for of a connection that was told to end.
#[derive(Clone, Copy, Debug)]
struct Ending {
    since: Instant,
    /// The last request that counts. An HTTP/2 client that does not hear, or does not want to, begins one after the other.
    last: u64,
}

/// How far a request is.
#[derive(Clone, Copy, Debug)]
struct Request {
    number: u64,
    /// Whether it waits for the host, which reads its body, or works, or has no more of the answer yet.
    is_ours: bool,
    /// How many pieces of its answer the protocol has and has not written.
    pieces: u32,
    /// When its client last took a piece, or got to have one that it can take.
    since: Instant,
}

impl Request {
    /// Since when it waits for its client.
    fn theirs_since(&self) -> Option<Instant> {
        (!self.is_ours || self.pieces > 0).then_some(self.since)
    }
}

impl Activity {
    pub(super) fn new(now: Instant) -> Self {
        let state = State {
            idle_since: now,
            head_since: None,
            blocked: false,
            under_way: Vec::new(),
            begun: 0,
            answered: 0,
            given_up: 0,
            given_up_since: now,
            ending: None,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), news: Notify::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came so far was no request yet, but TLS.
    pub(super) fn begins_now(&self, now: Instant) {
        let mut state = self.state();
        (state.idle_since, state.head_since) = (now, None);
    }

    /// Bytes came.
    pub(super) fn received(&self, now: Instant) {
        let mut state = self.state();
        if state.under_way.is_empty() && state.head_since.is_none() {
            state.head_since = Some(now);
        }
    }

    /// Whether the other side takes less than is written.
    pub(super) fn blocked(&self, blocked: bool, now: Instant) {
        let mut state = self.state();
        state.blocked = blocked;
        // Of one that was told to end it may be for requests that do not count.
        if state.is_idle() && state.ending.is_none() {
            state.idle_since = now;
        }
    }

    /// A request's head is there.
    pub(super) fn begin(&self) -> UnderWay {
        let mut state = self.state();
        state.begun += 1;
        state.head_since = None;
        let (number, now) = (state.begun, Instant::now());
        if let Some(ending) = state.ending.as_mut().filter(|ending| now < ending.since + CROSSING) {
            ending.last = ending.last.max(number);
        }
        state.under_way.push(Request { number, is_ours: true, pieces: 0, since: now });
        UnderWay { activity: self.clone(), number, answered: false }
    }

    /// It is told to end. On HTTP/1 a request whose head has begun is still waited for, and there is no other one behind it.
    pub(super) fn ends(&self, now: Instant, bounds: Bounds) {
        let mut state = self.state();
        let last = if bounds.http2 { state.begun } else { u64::MAX };
        state.ending = Some(Ending { since: now, last });
    }

    /// Ends when something is overdue.
    pub(super) async fn overdue(&self, bounds: Bounds, crowded: &mut tokio::sync::watch::Receiver<bool>) -> Overdue {
        loop {
            let news = self.shared.news.notified();
            let is_crowded = *crowded.borrow_and_update();
            let until = match self.state().look(Instant::now(), bounds, is_crowded) {
                Look::Overdue(why) => return why,
                Look::NotBefore(until) => until,
            };
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = news => {}
                // The listener, which tells it, lives as long as its connections.
                _ = crowded.changed() => {}
            }
        }
    }
}

impl State {
    fn look(&self, now: Instant, bounds: Bounds, crowded: bool) -> Look {
        if self.given_up > GIVEN_UP_MAX {
            return Look::Overdue(Overdue::GivenUp);
        }
        if crowded && self.answered > 0 && self.ending.is_none() {
            return Look::Overdue(Overdue::Turn);
        }
        let (idle, header) = if crowded {
            (bounds.idle.min(CROWDED_IDLE), bounds.header.min(CROWDED_HEAD))
        } else {
            (bounds.idle, bounds.header)
        };
        let (due, why) = if self.is_idle() {
            match (self.head_since.filter(|_| !bounds.http2), self.ending) {
                // What is left is on its way, however long that takes. But on HTTP/2 it may be of requests that do not count.
                (_, Some(ending)) if self.blocked && bounds.http2 => {
                    (ending.since.max(self.idle_since) + bounds.write.max(LAST_WORDS), Overdue::Idle)
                }
                _ if self.blocked => return Look::NotBefore(now + bounds.header.min(idle).min(LAST_WORDS)),
                (Some(since), _) => (since + header, Overdue::Head),
                (None, Some(ending)) => (ending.since.max(self.idle_since) + LAST_WORDS, Overdue::Idle),
                (None, None) => (self.idle_since + idle, Overdue::Idle),
            }
        } else {
            let waiting = self.under_way.iter().filter_map(Request::theirs_since).map(|since| since + bounds.write);
            // What is not waited for yet can be overdue only after its whole time.
            let none_before = now + bounds.write.min(bounds.header).min(idle);
            match waiting.min() {
                Some(due) if due <= now => return Look::Overdue(Overdue::Answer),
                due => return Look::NotBefore(due.map_or(none_before, |due| due.min(none_before))),
            }
        };
        if due <= now { Look::Overdue(why) } else { Look::NotBefore(due.min(now + bounds.header)) }
    }

    /// Whether nothing is under way that counts.
    fn is_idle(&self) -> bool {
        !self.under_way.iter().any(|request| self.counts(request.number))
    }

    fn counts(&self, number: u64) -> bool {
        self.ending.is_none_or(|ending| number <= ending.last)
    }
}

/// One request. Dropping it ends it: its answer is written, or its client gave it up.
#[derive(Debug)]
pub(super) struct UnderWay {
    activity: Activity,
    number: u64,
    answered: bool,
}

impl UnderWay {
    /// The answer's head is there.
    pub(super) fn answered(&mut self, now: Instant) {
        self.answered = true;
        self.update(|request| (request.is_ours, request.since) = (false, now));
    }

    /// The protocol has a piece of the answer.
    pub(super) fn piece_given(&self, now: Instant) {
        self.update(|request| {
            // One behind others that nobody takes gives no more time for those.
            if request.pieces == 0 {
                request.since = now;
            }
            request.is_ours = false;
            request.pieces += 1;
        });
    }

    /// A piece is written.
    pub(super) fn piece_taken(&self, now: Instant) {
        self.update(|request| (request.pieces, request.since) = (request.pieces.saturating_sub(1), now));
    }

    /// The host has no more yet than the protocol has.
    pub(super) fn waits_for_us(&self) {
        self.update(|request| request.is_ours = true);
    }

    fn update(&self, change: impl FnOnce(&mut Request)) {
        let mut state = self.activity.state();
        if let Some(request) = state.under_way.iter_mut().find(|request| request.number == self.number) {
            change(request);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.activity.state();
        state.under_way.retain(|request| request.number != self.number);
        if state.counts(self.number) && state.is_idle() {
            state.idle_since = now;
        }
        if self.answered {
            state.answered += 1;
        } else {
            if now.duration_since(state.given_up_since) > GIVEN_UP_WINDOW {
                (state.given_up, state.given_up_since) = (0, now);
            }
            state.given_up += 1;
        }
        // The first answer, because others may wait for the place; and what was given up, because that may be too much.
        let tell = state.answered == 1 || state.given_up > GIVEN_UP_MAX;
        drop(state);
        if tell {
            self.activity.shared.news.notify_one();
        }
    }
}
