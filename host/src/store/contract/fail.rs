//! When the disk fails, or the store itself: who is told what, and what goes on.

use super::*;
use crate::store::backend::{Backend, BackendError, Batch, Look, Order, Scan};
use crate::store::key::{Key, KeyRange};
use crate::store::keys;
use crate::store::memory_backend::MemoryBackend;
use crate::store::tree::TreeId;
use crate::store::{CommitError, Transition};
use crate::telemetry::WorkerState;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};

/// A backend in memory that can be made to fail.
#[derive(Default)]
struct Faulty {
    below: MemoryBackend,
    /// How many commits were asked for.
    commits: AtomicU64,
    fail_commits: AtomicBool,
    panic_commits: AtomicBool,
    /// Where it is given, a commit says that it began, and waits until it may go on.
    gate: Option<Gate>,
    /// Reading this key panics.
    trap: Option<(TreeId, Key)>,
}

struct Gate {
    began: mpsc::Sender<()>,
    closed: Mutex<mpsc::Receiver<()>>,
}

impl Look for Faulty {
    fn get(&self, tree: TreeId, key: &Key) -> Result<Option<Bytes>, BackendError> {
        assert!(self.trap != Some((tree, key.clone())), "the trap");
        self.below.get(tree, key)
    }

    fn scan(&self, tree: TreeId, range: &KeyRange, order: Order) -> Scan<'_> {
        self.below.scan(tree, range, order)
    }

    fn trees(&self) -> Vec<TreeId> {
        self.below.trees()
    }
}

impl Backend for Faulty {
    fn commit(&self, batch: Batch) -> Result<(), BackendError> {
        self.commits.fetch_add(1, SeqCst);
        if let Some(gate) = &self.gate {
            let _ = gate.began.send(());
            // Nothing is ever sent: this ends when the other end is gone.
            let _ = gate.closed.lock().unwrap().recv();
        }
        assert!(!self.panic_commits.load(SeqCst), "a bug in the database");
        if self.fail_commits.load(SeqCst) {
            return Err(BackendError { doing: "sync", why: "No space left on device".to_owned() });
        }
        self.below.commit(batch)
    }

    fn kept(&self, _: TreeId, _: &Key) -> Option<Option<Bytes>> {
        None
    }
}

fn faulty() -> (Arc<Faulty>, Store, Health) {
    over(Faulty::default())
}

fn over(backend: Faulty) -> (Arc<Faulty>, Store, Health) {
    with_config(backend, &Config::default())
}

fn with_config(backend: Faulty, config: &Config) -> (Arc<Faulty>, Store, Health) {
    let (backend, health) = (Arc::new(backend), Health::default());
    let store = Store::over(Arc::<Faulty>::clone(&backend), config, &health).unwrap();
    (backend, store, health)
}

async fn accept_n(store: &Store, n: u128) -> Result<Outcome, CommitError> {
    store.commit(Transition::Accept(Box::new(with_delivery(event_id(NOON, n)).0))).await
}

#[test]
fn after_a_failed_write_nothing_is_written_and_everybody_is_told() {
    for panics in [false, true] {
        let (backend, store, health) = faulty();
        wait(async {
            assert_eq!(accept_n(&store, 1).await, Ok(Outcome::Accepted { seq: 1 }));
            assert!(health.ready());
            let mut hints = store.subscribe();
            if panics { &backend.panic_commits } else { &backend.fail_commits }.store(true, SeqCst);
            let unknown = accept_n(&store, 2).await.unwrap_err();
            assert!(matches!(unknown, CommitError::Unknown { .. }), "{unknown:?}");

            // The disk is well again, but who knows what is on it: no write is tried.
            backend.fail_commits.store(false, SeqCst);
            backend.panic_commits.store(false, SeqCst);
            let commits = backend.commits.load(SeqCst);
            for n in 2..5 {
                let refused = accept_n(&store, n).await.unwrap_err();
                assert_eq!(refused.code(), "store_poisoned");
                assert!(panics || refused.to_string().contains("No space left on device"), "{refused}");
            }
            assert_eq!(backend.commits.load(SeqCst), commits);
            assert!(store.check().is_err() && unknown.to_string().ends_with(&store.failed().await));
            assert_eq!(health.report()["committer"].state, WorkerState::Failed);
            assert!(!health.ready());
            assert!(hints.try_recv().is_err());
            // Reading goes on.
            assert!(store.reader().event(&acme(), event_id(NOON, 1)).unwrap().is_some());
            store.close().await;
            assert_eq!(health.report()["committer"].state, WorkerState::Failed);
        });
    }
}

#[test]
fn a_transition_that_panics_takes_nothing_with_it() {
    let trap = Some((TreeId::of(event_id(NOON, 2)), keys::event(&acme(), event_id(NOON, 2))));
    let (_, store, health) = over(Faulty { trap, ..Faulty::default() });
    wait(async {
        let all = tokio::join!(accept_n(&store, 1), accept_n(&store, 2), accept_n(&store, 3));
        assert_eq!(all.0, Ok(Outcome::Accepted { seq: 1 }));
        assert_eq!(all.1, Err(CommitError::Internal));
        assert_eq!(all.2, Ok(Outcome::Accepted { seq: 2 }));
        assert_eq!(store.panics(), 1);
        assert!(health.ready());
        store.close().await;
    });
}

#[test]
fn a_closed_store_finishes_what_waits_and_takes_no_more() {
    let (_, store, health) = faulty();
    wait(async {
        let (accepted, ()) = tokio::join!(accept_n(&store, 1), store.close());
        assert_eq!(accepted, Ok(Outcome::Accepted { seq: 1 }));
        assert_eq!(accept_n(&store, 2).await, Err(CommitError::Closed));
        assert_eq!(health.report()["committer"].state, WorkerState::Stopped);
        store.close().await;
        assert!(store.reader().event(&acme(), event_id(NOON, 1)).unwrap().is_some());
    });
}

/// Polls a future once, and drops it: it got as far as it could without waiting.
async fn begin<F: Future>(future: F) {
    let mut future = std::pin::pin!(future);
    let output = std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await;
    assert!(output.is_pending());
}

#[test]
fn a_caller_that_hangs_up_does_not_cancel_its_write() {
    assert_eq!(behind_a_gate(&Config::default(), &[0]).0, [true]);
}

/// With a commit under way that does not end, begins one accept for each of these body lengths, and hangs up. Then lets all go on,
/// and answers which of them were let in, and how many commits there were.
fn behind_a_gate(config: &Config, body_lengths: &[usize]) -> (Vec<bool>, usize) {
    let (began, begun) = mpsc::channel();
    let (open, closed) = mpsc::channel();
    let gate = Some(Gate { began, closed: Mutex::new(closed) });
    let (_, store, _) = with_config(Faulty { gate, ..Faulty::default() }, config);
    wait(async {
        begin(accept_n(&store, 1000)).await;
        begun.recv().unwrap();
        for (n, length) in (0..).zip(body_lengths) {
            let accept = accept(event_id(NOON, n), vec![0; *length]);
            begin(store.commit(Transition::Accept(Box::new(accept)))).await;
        }
        drop(open);
        store.close().await;
        let reader = store.reader();
        let there = |n| reader.event(&acme(), event_id(NOON, n)).unwrap().is_some();
        ((0..).zip(body_lengths).map(|(n, _)| there(n)).collect(), 1 + begun.try_iter().count())
    })
}

#[test]
fn the_queue_is_bounded_in_transitions_and_in_bytes() {
    let transitions = Config { transitions_queued_max: 2, ..Config::default() };
    assert_eq!(behind_a_gate(&transitions, &[0, 0, 0, 0]).0, [true, true, false, false]);
    let bytes = Config { queued_bytes_max: 64 * 1024, ..Config::default() };
    assert_eq!(behind_a_gate(&bytes, &[30_000, 30_000, 30_000]).0, [true, true, false]);
    // What is longer than the bound goes alone, and not never.
    let (_, store, _) = with_config(Faulty::default(), &bytes);
    wait(async {
        let outcome = commit_accept(&store, accept(event_id(NOON, 1), vec![0; 1 << 20])).await;
        assert_eq!(outcome, Outcome::Accepted { seq: 1 });
    });
}

#[test]
fn a_group_is_bounded_in_transitions_and_in_bytes() {
    let commits = |config: Config| behind_a_gate(&config, &[1000; 4]).1;
    assert_eq!(commits(Config { group_transitions_max: 2, ..Config::default() }), 1 + 2);
    assert_eq!(commits(Config { group_bytes_max: 2000, ..Config::default() }), 1 + 4);
    assert_eq!(commits(Config::default()), 1 + 1);
}

#[test]
fn a_subscriber_that_lags_is_told_so() {
    let (_, store, _) = with_config(Faulty::default(), &Config { hints_kept_max: 2, ..Config::default() });
    wait(async {
        let mut hints = store.subscribe();
        for n in 0..5 {
            accept_n(&store, n).await.unwrap();
        }
        assert_eq!(hints.recv().await, Err(tokio::sync::broadcast::error::RecvError::Lagged(3)));
        assert!(hints.recv().await.is_ok());
    });
}

#[test]
fn reads_at_once_are_bounded() {
    let (_, store, _) = with_config(Faulty::default(), &Config { reads_at_once_max: 1, ..Config::default() });
    let (go_on, wait_here) = mpsc::channel::<()>();
    let second_began = Arc::new(AtomicBool::new(false));
    wait(async {
        let first = store.read(move |_| Ok(wait_here.recv()));
        let began = Arc::clone(&second_began);
        let second = store.read(move |_| {
            began.store(true, SeqCst);
            Ok(())
        });
        let mut first = std::pin::pin!(first);
        let mut second = std::pin::pin!(second);
        let both = std::future::poll_fn(|context| {
            let first = first.as_mut().poll(context).is_pending();
            std::task::Poll::Ready((first, second.as_mut().poll(context).is_pending()))
        });
        assert_eq!(both.await, (true, true));
        assert!(!second_began.load(SeqCst));
        drop(go_on);
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_ok() && second.is_ok() && second_began.load(SeqCst));
    });
}

#[test]
fn a_long_body_is_written_ahead_in_slices() {
    let (backend, store, _) = faulty();
    wait(async {
        let id = event_id(NOON, 1);
        let body = Bytes::from(vec![1; 5 << 20]);
        commit_accept(&store, accept(id, body.clone())).await;
        // Five slices of a mebibyte, and the event.
        assert_eq!(backend.commits.load(SeqCst), 6);
        // A second one with the same id is a duplicate and writes no body.
        let outcome = commit_accept(&store, accept(id, body)).await;
        assert_eq!(outcome, Outcome::Duplicate { first: id });
        store.close().await;
    });
}

#[test]
fn reads_run_elsewhere_and_a_panic_in_one_stays_there() {
    let (_, store, _) = faulty();
    wait(async {
        accept_n(&store, 1).await.unwrap();
        let event = store.read(|reader| reader.event(&acme(), event_id(NOON, 1))).await.unwrap();
        assert!(event.is_some());
        let panicked: Result<(), _> = store.read(|_| panic!("a bug in a question")).await;
        assert_eq!(panicked, Err(crate::store::ReadError::Internal));
        assert!(store.read(|reader| reader.lanes()).await.is_ok());
        store.close().await;
    });
}
