//! The deliverer as a whole: a store in memory, the real transport, real receivers on loopback. Nothing here waits for time to pass; where
//! a receiver is waited for, it is what the test is about that has to come.

use super::fixture::{delivery_to, snapshot, tenant};
use super::{Config, Deliverer, DelivererError};
use crate::clock::Clock;
use crate::config::Snapshot;
use crate::model::{Attempt, Delivery, DeliveryId, DeliveryStatus, EndpointState, Event, Run, RunStatus};
use crate::shutdown::{self, Trigger};
use crate::statistics::{self, Recorder};
use crate::store::{Accept, CommitError, NewDelivery, Outcome, RoutedRun, Store, Transition};
use crate::telemetry::Health;
use crate::transport::tests::server::{Server, answer};
use crate::transport::{self, Transport};
use bytes::Bytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

const NOW_MS: u64 = 1_674_087_000_000;

struct Host {
    store: Store,
    clock: Clock,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

struct Running {
    stop: Trigger,
    ended: JoinHandle<Result<(), DelivererError>>,
}

impl Host {
    fn new(endpoints: &[(&str, String)]) -> Self {
        Self::with_hints(endpoints, 1024)
    }

    /// A host whose store forgets hints beyond so many groups.
    fn with_hints(endpoints: &[(&str, String)], hints_kept_max: usize) -> Self {
        let config = crate::store::Config { hints_kept_max, ..crate::store::Config::default() };
        let store = Store::in_memory(&config, &Health::default()).unwrap();
        let (snapshots, _) = watch::channel(Arc::new(snapshot(endpoints)));
        Self { store, clock: Clock::manual(NOW_MS), snapshots }
    }

    fn start(&self) -> Running {
        let allow = vec!["127.0.0.0/8".parse().unwrap()];
        let transport = Transport::new(&transport::Config { allow, ..transport::Config::default() }).unwrap();
        // Small, so that lanes are scanned page by page.
        let config = Config { lane_ready_max: 8, ..Config::default() };
        let (snapshots, recorder) = (self.snapshots.subscribe(), Recorder::new(&statistics::Config::default()));
        let deliverer = Deliverer::new(self.store.clone(), transport, snapshots, recorder, self.clock.clone(), config);
        let (stop, told) = shutdown::channel();
        Running { stop, ended: tokio::spawn(deliverer.run(told)) }
    }

    /// Stores a delivery by way of an event and a run.
    async fn accept(&self, delivery: Delivery) -> DeliveryId {
        let id = delivery.id;
        let run = Run {
            status: RunStatus::Routed,
            deliveries: vec![id],
            ..Run::new(id.event(), &delivery.route, 0, crate::model::Digest::of(b"plan"), NOW_MS)
        };
        let body = Bytes::from(format!("body of {id}"));
        let event = Event::new(id.event(), tenant(), "source".parse().unwrap(), body.len());
        let runs = vec![RoutedRun { run, deliveries: vec![NewDelivery { delivery, body: None }] }];
        let accept = Accept { event, body, dedup_until_ms: None, runs };
        let outcome = self.store.commit(Transition::Accept(Box::new(accept))).await.unwrap();
        assert!(matches!(outcome, Outcome::Accepted { .. }));
        id
    }

    fn delivery(&self, id: DeliveryId) -> Delivery {
        self.store.reader().delivery(&tenant(), id).unwrap().unwrap()
    }

    fn attempts(&self, id: DeliveryId) -> Vec<Attempt> {
        self.store.reader().attempts(&tenant(), id).unwrap()
    }
}

impl Running {
    /// Stops it; what is in flight ends first, and is stored.
    async fn stop(self) {
        self.stop.fire();
        self.ended.await.unwrap().unwrap();
    }
}

fn to(server: &Server, fields: &str) -> String {
    format!(r#"{{"url": "{}" {fields}}}"#, server.url("/"))
}

/// The `webhook-id` of a request.
fn id_of(request: &str) -> String {
    let line = request.lines().find_map(|line| line.strip_prefix("webhook-id: "));
    line.unwrap().to_owned()
}

async fn ok() -> Server {
    Server::start(answer("200 OK", "", "thanks")).await
}

/// What was there before the start and what comes while it runs: each goes out once and is stored as delivered.
async fn a_burst_goes_out_once_each(hints_kept_max: usize) {
    let mut servers = [ok().await, ok().await];
    let host = Host::with_hints(&[("x", to(&servers[0], "")), ("y", to(&servers[1], ""))], hints_kept_max);
    let mut ids = Vec::new();
    for number in 0..100 {
        ids.push(host.accept(delivery_to(["x", "y"][usize::from(number % 2 == 0)], number)).await);
    }
    let running = host.start();
    for number in 100..300 {
        ids.push(host.accept(delivery_to(["x", "y"][usize::from(number % 2 == 0)], number)).await);
    }
    let mut sent = BTreeSet::new();
    for server in &mut servers {
        for _ in 0..150 {
            let request = server.request().await;
            let id = id_of(&request);
            assert!(request.ends_with(&format!("\r\n\r\nbody of {id}")), "{request}");
            assert!(sent.insert(id), "twice: {request}");
        }
    }
    running.stop().await;
    for id in ids {
        assert_eq!(host.delivery(id).status, DeliveryStatus::Delivered);
        let attempts = host.attempts(id);
        assert_eq!(attempts.len(), 1);
        assert_eq!(
            (attempts[0].status, attempts[0].response.as_str(), &attempts[0].error),
            (Some(200), "thanks", &None)
        );
    }
    for server in &mut servers {
        assert!(server.no_more_requests());
    }
}

#[tokio::test]
async fn a_burst_before_and_after_the_start_goes_out_once_each() {
    a_burst_goes_out_once_each(1024).await;
}

#[tokio::test]
async fn a_burst_whose_hints_get_lost_goes_out_once_each() {
    a_burst_goes_out_once_each(1).await;
}

#[tokio::test]
async fn a_delivery_that_fails_is_tried_by_its_schedule_and_dies() {
    let mut server = Server::start(answer("500 Internal Server Error", "", "no")).await;
    let host = Host::new(&[("x", to(&server, r#", "retry": {"schedule_s": [0, 0, 0]}"#))]);
    let running = host.start();
    let id = host.accept(delivery_to("x", 1)).await;
    let ids: BTreeSet<_> =
        [server.request().await, server.request().await, server.request().await].map(|r| id_of(&r)).into();
    assert_eq!(ids.len(), 1, "every attempt has the same id");
    running.stop().await;
    let delivery = host.delivery(id);
    assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Dead, 3));
    let attempts = host.attempts(id);
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(attempts.iter().all(|attempt| attempt.error.as_ref().is_some_and(|error| error.code == "status")));
}

#[tokio::test]
async fn a_dead_delivery_that_is_retried_goes_again() {
    let mut server = Server::start(answer("500 Internal Server Error", "", "")).await;
    let host = Host::new(&[("x", to(&server, r#", "retry": {"schedule_s": [0]}"#))]);
    let running = host.start();
    let id = host.accept(delivery_to("x", 1)).await;
    for _ in 0..10 {
        server.request().await;
        let retry = || Transition::Retry { tenant: tenant(), delivery: id, due_ms: NOW_MS };
        // As soon as it is dead, and perhaps before the scheduler knows.
        while host.store.commit(retry()).await.unwrap() != Outcome::Done {
            tokio::task::yield_now().await;
        }
    }
    server.request().await;
    running.stop().await;
    assert_eq!(host.delivery(id).attempts, 11);
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other() {
    let release = Arc::new(Notify::new());
    let waiting = Arc::clone(&release);
    let hung = Server::with(move |stream| {
        let waiting = Arc::clone(&waiting);
        async move {
            waiting.notified().await;
            drop(stream);
            Ok(())
        }
    })
    .await;
    let mut good = ok().await;
    let most = r#", "concurrency_max": 1000"#;
    let host =
        Host::new(&[("hung", to(&hung, &format!(r#"{most}, "timeout_ms": 100000"#))), ("good", to(&good, most))]);
    for number in 0..400 {
        host.accept(delivery_to("hung", number)).await;
    }
    let running = host.start();
    for number in 1000..1100 {
        host.accept(delivery_to("good", number)).await;
    }
    for _ in 0..100 {
        good.request().await;
    }
    running.ended.abort();
    assert!(running.ended.await.unwrap_err().is_cancelled());
    release.notify_waiters();
}

#[tokio::test]
async fn an_endpoint_that_is_disabled_or_gone_waits_for_its_configuration() {
    let mut server = ok().await;
    let on = to(&server, "");
    let off = to(&server, r#", "disabled": true"#);
    let host = Host::new(&[("x", off), ("z", on.clone())]);
    let running = host.start();
    let mut waiting = BTreeSet::new();
    for number in 0..20 {
        waiting.insert(host.accept(delivery_to(["x", "y"][usize::from(number % 2 == 0)], number)).await.to_string());
    }
    let open = host.accept(delivery_to("z", 100)).await;
    assert_eq!(id_of(&server.request().await), open.to_string(), "the others were there before");
    host.snapshots.send_replace(Arc::new(snapshot(&[("x", on.clone()), ("y", on.clone()), ("z", on)])));
    for _ in 0..20 {
        assert!(waiting.remove(&id_of(&server.request().await)));
    }
    running.stop().await;
}

#[tokio::test]
async fn what_is_due_later_goes_when_the_clock_says_so() {
    let mut server = ok().await;
    let host = Host::new(&[("x", to(&server, ""))]);
    let running = host.start();
    let later = host.accept(Delivery { due_ms: NOW_MS + 3_600_000, ..delivery_to("x", 1) }).await;
    let now = host.accept(delivery_to("x", 2)).await;
    assert_eq!(id_of(&server.request().await), now.to_string());
    host.clock.set_ms(NOW_MS + 3_599_999);
    let now = host.accept(delivery_to("x", 3)).await;
    assert_eq!(id_of(&server.request().await), now.to_string());
    // Nobody tells the scheduler: it looks at the clock by itself.
    host.clock.set_ms(NOW_MS + 3_600_000);
    assert_eq!(id_of(&server.request().await), later.to_string());
    running.stop().await;
}

#[tokio::test]
async fn nothing_goes_to_a_receiver_before_the_time_that_it_named() {
    let mut server = Server::start(answer("503 Service Unavailable", "retry-after: 60\r\n", "")).await;
    let host = Host::new(&[("x", to(&server, r#", "concurrency_max": 1, "retry": {"schedule_s": [0]}"#))]);
    let ids = [host.accept(delivery_to("x", 1)).await, host.accept(delivery_to("x", 2)).await];
    let running = host.start();
    assert_eq!(id_of(&server.request().await), ids[0].to_string());
    while host.attempts(ids[0]).is_empty() {
        tokio::task::yield_now().await;
    }
    // Its gate has heard of it by now; nobody tells the scheduler when the time has come.
    host.clock.set_ms(NOW_MS + 60_000);
    assert_eq!(id_of(&server.request().await), ids[1].to_string());
    running.stop().await;
    assert_eq!(host.attempts(ids[1])[0].started_at_ms, NOW_MS + 60_000);
}

#[tokio::test]
async fn no_more_begins_than_the_rate_of_an_endpoint_allows() {
    let mut server = ok().await;
    let host = Host::new(&[("x", to(&server, r#", "rate_per_s": 20"#))]);
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(host.accept(delivery_to("x", number)).await);
    }
    let running = host.start();
    for step in 0..30 {
        // The clock stands until what may go by now has come.
        host.clock.set_ms(NOW_MS + step * 50);
        server.request().await;
    }
    running.stop().await;
    let mut begun: Vec<_> = ids.iter().map(|id| host.attempts(*id)[0].started_at_ms - NOW_MS).collect();
    begun.sort_unstable();
    for (index, at_ms) in begun.iter().enumerate() {
        assert!(*at_ms + 50 >= index as u64 * 50, "a burst of two, then one each 50 ms: {begun:?}");
    }
}

#[tokio::test]
async fn after_days_of_nothing_but_failure_an_endpoint_is_disabled_and_its_deliveries_wait() {
    let mut server = Server::start(answer("500 Internal Server Error", "", "")).await;
    let fields = r#", "hold_after": 1, "disable_after_s": 3600, "retry": {"schedule_s": [0, 1, 1]}"#;
    let host = Host::new(&[("x", to(&server, fields))]);
    let id = host.accept(delivery_to("x", 1)).await;
    let running = host.start();
    server.request().await;
    let known = || host.store.reader().health(&tenant(), &"x".parse().unwrap()).unwrap();
    let wait_for = async |state| {
        while known().state != state {
            tokio::task::yield_now().await;
        }
    };
    wait_for(EndpointState::Held).await;
    // One try each time that the clock allows it: at growing intervals, and none counts.
    for (made, minutes) in [(2, 1), (3, 20), (4, 59)] {
        host.clock.set_ms(NOW_MS + minutes * 60_000 + 30_000);
        server.request().await;
        // Its answer is to come before the clock goes on.
        while host.delivery(id).attempts < made {
            tokio::task::yield_now().await;
        }
    }
    host.clock.set_ms(NOW_MS + 4 * 3_600_000);
    server.request().await;
    wait_for(EndpointState::Disabled).await;
    running.stop().await;
    assert_eq!((known().failing_since_ms, known().since_ms), (Some(NOW_MS), NOW_MS + 4 * 3_600_000));
    let delivery = host.delivery(id);
    assert_eq!((delivery.status, delivery.attempts, delivery.schedule_position), (DeliveryStatus::Pending, 5, 1));
    // After a start it is disabled still.
    let running = host.start();
    host.clock.set_ms(NOW_MS + 10 * 3_600_000);
    running.stop().await;
    assert!(server.no_more_requests());
}

#[tokio::test]
async fn a_delivery_that_is_cancelled_before_its_turn_is_not_sent() {
    let mut server = ok().await;
    let host = Host::new(&[("x", to(&server, ""))]);
    let cancelled = host.accept(delivery_to("x", 1)).await;
    let cancel = Transition::Cancel { tenant: tenant(), delivery: cancelled, reason: "no".to_owned() };
    assert_eq!(host.store.commit(cancel).await, Ok(Outcome::Done));
    let running = host.start();
    let sent = host.accept(delivery_to("x", 2)).await;
    assert_eq!(id_of(&server.request().await), sent.to_string());
    running.stop().await;
    assert!(server.no_more_requests());
}

#[tokio::test]
async fn an_unreachable_endpoint_has_attempts_that_say_why() {
    let host = Host::new(&[("x", r#"{"url": "http://10.0.0.1/", "retry": {"schedule_s": [0]}}"#.to_owned())]);
    let mut hints = host.store.subscribe();
    let running = host.start();
    let id = host.accept(delivery_to("x", 1)).await;
    while host.delivery(id).status == DeliveryStatus::Pending {
        tokio::task::yield_now().await;
    }
    running.stop().await;
    let error = host.attempts(id)[0].error.clone().unwrap();
    assert_eq!(error.code, "address_refused", "{error:?}");
    assert!(hints.try_recv().is_ok());
}

#[tokio::test]
async fn a_store_that_takes_no_more_ends_it_with_an_error_and_nothing_is_sent_that_cannot_be_recorded() {
    let arrived = Arc::new(Notify::new());
    let go_on = Arc::new(Notify::new());
    let (told, wait) = (Arc::clone(&arrived), Arc::clone(&go_on));
    let mut server = Server::with(move |stream| {
        let (told, wait) = (Arc::clone(&told), Arc::clone(&wait));
        async move {
            told.notify_one();
            wait.notified().await;
            drop(stream);
            Ok(())
        }
    })
    .await;
    let host = Host::new(&[("x", to(&server, ""))]);
    let running = host.start();
    let id = host.accept(delivery_to("x", 1)).await;
    arrived.notified().await;
    host.store.close().await;
    go_on.notify_one();
    assert!(matches!(running.ended.await.unwrap(), Err(DelivererError::Commit(_))));
    assert_eq!(host.delivery(id).attempts, 0);

    let again = host.start();
    assert!(matches!(again.ended.await.unwrap(), Err(DelivererError::Commit(CommitError::Closed))));
    assert!(server.no_more_requests(), "it is still pending, and waits for a store that takes its outcome");
}
