//! When the disk fails, or the store itself: who is told what, and what goes on.

use super::*;
use crate::store::backend::{Backend, BackendError, Batch, Look, Order, Scan};
use crate::store::keys::{self, Key, KeyRange};
use crate::store::memory_backend::MemoryBackend;
use crate::store::tree::TreeId;
use crate::store::{CommitError, Transition};
use crate::telemetry::WorkerState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// A backend in memory that can be made to fail.
#[derive(Default)]
struct Faulty {
    below: MemoryBackend,
    /// How many commits were asked for.
    commits: AtomicU64,
    fail_commits: AtomicBool,
    panic_commits: AtomicBool,
    /// Reading this key panics.
    trap: Option<(TreeId, Key)>,
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
    fn commit(&self, batch: &Batch) -> Result<(), BackendError> {
        self.commits.fetch_add(1, SeqCst);
        assert!(!self.panic_commits.load(SeqCst), "a bug in the database");
        if self.fail_commits.load(SeqCst) {
            return Err(BackendError { doing: "sync", why: "No space left on device".to_owned() });
        }
        self.below.commit(batch)
    }
}

fn faulty() -> (Arc<Faulty>, Store, Health) {
    over(Faulty::default())
}

fn over(backend: Faulty) -> (Arc<Faulty>, Store, Health) {
    let (backend, health) = (Arc::new(backend), Health::default());
    let store = Store::over(Arc::<Faulty>::clone(&backend), &Config::default(), &health).unwrap();
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

#[test]
fn a_caller_that_hangs_up_does_not_cancel_its_write() {
    let (_, store, _) = faulty();
    wait(async {
        let mut commit = Box::pin(accept_n(&store, 1));
        // Far enough to stand in the queue.
        assert!(futures_poll(&mut commit).await.is_none());
        drop(commit);
        store.close().await;
        assert!(store.reader().event(&acme(), event_id(NOON, 1)).unwrap().is_some());
    });
}

/// Polls a future once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        let polled = std::pin::Pin::new(&mut *future).poll(context);
        std::task::Poll::Ready(match polled {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn a_long_body_is_written_ahead_in_slices() {
    let (backend, store, _) = faulty();
    wait(async {
        let id = event_id(NOON, 1);
        let body = Bytes::from(vec![1; 5 << 20]);
        commit_accept(&store, accept(id, body.clone())).await;
        // Five slices of a mebibyte, an end that may be empty, and the event.
        assert_eq!(backend.commits.load(SeqCst), 7);
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
