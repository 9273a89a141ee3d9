//! The books: what was acknowledged, what arrived, and whether the two agree.
//!
//! - An acknowledged event arrives at every endpoint it is routed to, whole, with the one id of its delivery there: else it is *lost*.
//! - An event whose answer never came arrives everywhere, or nowhere.
//! - What arrives again was refused before by the receiver, or was in flight when the host was killed (*in flight*: at most so many
//!   a kill as a host has in flight): else it is *duplicated*.
//! - At the endpoint that keeps order, deliveries of a key arrive one after the other, each when the one before it was taken; one that was in
//!   flight at a kill may come again, and nothing behind it before that: else it is *misordered*.
//! - The counts of the ordered route's module go 1, 2, 3 … over all its events, and for each key in the order in which they were sent.

use super::lines::Lines;
use super::traffic::{ENDPOINTS, IN_ORDER, Kind, body, number_of};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// How many deliveries a host has in flight, by its default `deliveries_in_flight_max`.
const IN_FLIGHT_MAX: u64 = 256;
/// How many wrongs are told in full.
const WRONGS_TOLD_MAX: usize = 20;

/// The books of one run. They are written by senders and receivers at once.
pub(crate) struct Ledger {
    seed: u64,
    books: Mutex<Books>,
    /// Told of each acknowledgement and each arrival.
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct Books {
    events: HashMap<u64, Entry>,
    /// How many places of acknowledged events nothing has arrived at.
    missing: u64,
    counts: Counts,
    lines: Lines,
    /// Which life of the host this is.
    life: u32,
    /// When it became ready, until something has arrived.
    ready: Option<Instant>,
    first_arrivals: Vec<Duration>,
    repeats_of_life: u64,
}

/// The sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Events that were acknowledged.
    pub(crate) acked: u64,
    /// Deliveries that arrived, each counted once.
    pub(crate) delivered: u64,
    /// Deliveries of acknowledged events that never did.
    pub(crate) lost: u64,
    /// Arrivals too many that nothing explains.
    pub(crate) duplicated: u64,
    /// Arrivals too many of what was in flight at a kill.
    pub(crate) in_flight: u64,
    /// Arrivals that were not in turn.
    pub(crate) misordered: u64,
    /// Whatever else is not as it should be.
    pub(crate) wrong: u64,
    /// In words, the first of them.
    pub(crate) wrongs: Vec<String>,
}

struct Entry {
    kind: Kind,
    key: usize,
    acked: Option<String>,
    given_up: bool,
    seen: [Option<Seen>; ENDPOINTS.len()],
    count: Option<u64>,
}

struct Seen {
    id: String,
    life: u32,
    accepted: bool,
}

impl Ledger {
    /// The books of a run with this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, books: Mutex::default(), changes: watch::Sender::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told of each acknowledgement and each arrival from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Waits until that is so, for at most so long. It may change with each acknowledgement and each arrival.
    pub(crate) async fn until(&self, patience: Duration, is_so: impl Fn(&Counts) -> bool) {
        let mut changes = self.changes();
        let waiting = async { while !is_so(&self.books().counts) && changes.changed().await.is_ok() {} };
        // Whoever waits in vain goes on, and the books tell in the end.
        let _ = timeout(patience, waiting).await;
    }

    /// An event is about to be sent, under this ordering key.
    pub(crate) fn sending(&self, number: u64, key: usize) {
        let kind = Kind::of(self.seed, number);
        let entry = Entry { kind, key, acked: None, given_up: false, seen: Default::default(), count: None };
        self.books().events.entry(number).or_insert(entry);
    }

    /// An event was acknowledged, with its id.
    pub(crate) fn acked(&self, number: u64, id: &str) {
        let mut books = self.books();
        let Some(entry) = books.events.get_mut(&number) else { return };
        if let Some(before) = entry.acked.replace(id.to_owned()) {
            let wrong = format!("event {number} was acknowledged as {before}, and then as {id}");
            return books.wrong(|| wrong);
        }
        let arrives = entry.kind.arrives();
        let missing = arrives.iter().zip(&entry.seen).filter(|(arrives, seen)| **arrives && seen.is_none()).count();
        books.missing += missing as u64;
        books.counts.acked += 1;
        drop(books);
        self.changes.send_replace(());
    }

    /// The host is killed.
    pub(crate) fn killed(&self) {
        let mut books = self.books();
        books.life += 1;
        books.repeats_of_life = 0;
        books.ready = None;
    }

    /// The host is ready again.
    pub(crate) fn ready(&self) {
        let mut books = self.books();
        books.ready = (books.missing > 0).then(Instant::now);
    }

    /// A request came to an endpoint: whether the receiver takes it.
    pub(crate) fn arrived(&self, endpoint: usize, id: &str, body: &Bytes) -> bool {
        let mut books = self.books();
        if let Some(ready) = books.ready.take() {
            books.first_arrivals.push(ready.elapsed());
        }
        let takes = books.arrived(self.seed, endpoint, id, body);
        drop(books);
        self.changes.send_replace(());
        takes
    }

    /// How many deliveries of acknowledged events have not arrived yet.
    pub(crate) fn missing(&self) -> u64 {
        self.books().missing
    }

    /// How many events have been acknowledged.
    pub(crate) fn acked_so_far(&self) -> u64 {
        self.books().counts.acked
    }

    /// How many deliveries have arrived.
    pub(crate) fn delivered_so_far(&self) -> u64 {
        self.books().counts.delivered
    }

    /// The events of this kind without an answer, which may be sent again, with their keys.
    pub(crate) fn unanswered(&self, kind: Kind) -> Vec<(u64, usize)> {
        let books = self.books();
        let unanswered = |entry: &Entry| entry.kind == kind && entry.acked.is_none() && !entry.given_up;
        let entries = books.events.iter().filter(|(_, entry)| unanswered(entry));
        let mut found: Vec<_> = entries.map(|(number, entry)| (*number, entry.key)).collect();
        found.sort_unstable();
        found
    }

    /// Counts as lost what is missing now. Nothing more is expected of these events.
    pub(crate) fn write_off(&self) {
        let mut books = self.books();
        books.counts.lost += std::mem::take(&mut books.missing);
        for entry in books.events.values_mut() {
            entry.given_up = true;
        }
        books.lines.clear();
    }

    /// Closes the books once nothing is under way any more: what is missing is lost, and all else is checked. Answers the sums, and
    /// how long it took from being ready to the first arrival, sorted.
    pub(crate) fn close(&self) -> (Counts, Vec<Duration>) {
        let mut books = self.books();
        books.check_wholes();
        books.check_order();
        books.counts.lost += std::mem::take(&mut books.missing);
        let mut first_arrivals = books.first_arrivals.clone();
        first_arrivals.sort_unstable();
        (books.counts.clone(), first_arrivals)
    }
}

impl Books {
    fn wrong(&mut self, words: impl FnOnce() -> String) {
        self.counts.wrong += 1;
        if self.counts.wrongs.len() < WRONGS_TOLD_MAX {
            self.counts.wrongs.push(words());
        }
    }

    fn arrived(&mut self, seed: u64, endpoint: usize, id: &str, received: &Bytes) -> bool {
        let name = ENDPOINTS[endpoint];
        let counted = serde_json::from_slice::<Counted>(received).ok();
        let number = counted.as_ref().map(|counted| counted.n).or_else(|| number_of(received));
        let life = self.life;
        let Some((number, entry)) = number.and_then(|number| Some((number, self.events.get_mut(&number)?))) else {
            let start = String::from_utf8_lossy(&received[..received.len().min(60)]).into_owned();
            self.wrong(|| format!("{id} at {name} is of no event that was sent: {start}"));
            return true;
        };
        if !entry.kind.arrives()[endpoint] || counted.is_some() != (entry.kind == Kind::Ordered) {
            self.wrong(|| format!("event {number} arrived at {name}, as {id}, where it does not belong"));
            return true;
        }
        if counted.is_none() && *received != body(seed, number) {
            self.wrong(|| format!("event {number} arrived at {name} with another body"));
            return true;
        }
        let count = counted.map(|counted| counted.count);
        let same_count = entry.count.is_none() || entry.count == count;
        entry.count = count;
        let Some(seen) = &mut entry.seen[endpoint] else {
            // Now and then the receiver refuses what it sees for the first time.
            let accepted = !id.as_bytes().iter().map(|byte| u64::from(*byte)).sum::<u64>().is_multiple_of(64);
            entry.seen[endpoint] = Some(Seen { id: id.to_owned(), life, accepted });
            let was_missing = entry.acked.is_some() && !entry.given_up;
            self.missing -= u64::from(was_missing);
            self.counts.delivered += 1;
            let in_turn = endpoint != IN_ORDER || self.lines.arrived(entry.key, number, accepted);
            self.counts.misordered += u64::from(!in_turn);
            return accepted;
        };
        let (before, again, same) = (seen.life, !std::mem::replace(&mut seen.accepted, true), seen.id == id);
        seen.life = life;
        let in_turn = endpoint != IN_ORDER || self.lines.arrived(entry.key, number, true);
        self.counts.misordered += u64::from(!in_turn);
        if !same || !same_count {
            self.wrong(|| format!("event {number} arrived at {name} again as another delivery, or with another count"));
        } else if !again && before < life && self.repeats_of_life < IN_FLIGHT_MAX {
            self.repeats_of_life += 1;
            self.counts.in_flight += 1;
        } else if !again {
            self.counts.duplicated += 1;
        }
        true
    }

    /// Every event arrived everywhere or nowhere, under ids that are made of its own.
    fn check_wholes(&mut self) {
        let mut wrongs = Vec::new();
        for (number, entry) in self.events.iter().filter(|(_, entry)| !entry.given_up) {
            let arrives = entry.kind.arrives();
            let places = arrives.iter().filter(|arrives| **arrives).count();
            let ids: Vec<&str> = entry.seen.iter().flatten().map(|seen| seen.id.as_str()).collect();
            if entry.acked.is_none() && !ids.is_empty() && ids.len() < places {
                wrongs.push(format!("event {number}, never acknowledged, arrived at {} of {places}", ids.len()));
            }
            let event = |id: &str| id.get(4..30).map(str::to_owned);
            let of = entry.acked.as_deref().or(ids.first().copied()).and_then(event);
            if ids.iter().any(|id| event(id) != of) {
                wrongs.push(format!("event {number}, {:?}, has deliveries {ids:?}", entry.acked));
            }
        }
        for wrong in wrongs {
            self.wrong(|| wrong);
        }
    }

    /// Every event of the ordered route was counted, once, in the order in which those of its key were sent.
    fn check_order(&mut self) {
        let mut by_count = BTreeMap::new();
        let mut by_key: BTreeMap<usize, BTreeMap<u64, u64>> = BTreeMap::new();
        let mut wrongs = Vec::new();
        for (number, entry) in &self.events {
            let Some(count) = entry.count else { continue };
            if let Some(other) = by_count.insert(count, *number) {
                wrongs.push(format!("events {number} and {other} have the same count {count}"));
            }
            by_key.entry(entry.key).or_default().insert(*number, count);
        }
        let gaps = by_count.keys().last().map_or(0, |last| last - by_count.len() as u64);
        if gaps > 0 {
            wrongs.push(format!("{gaps} counts of the ordered route are of no event"));
        }
        for (key, counts) in by_key {
            let counts: Vec<u64> = counts.into_values().collect();
            let late = counts.windows(2).filter(|pair| pair[0] > pair[1]).count();
            if late > 0 {
                wrongs.push(format!("{late} events of key {key} were overtaken"));
            }
        }
        for wrong in wrongs {
            self.wrong(|| wrong);
        }
    }
}

/// What the ordered route's module makes of an event.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Counted {
    n: u64,
    count: u64,
}
