//! What a job does to what it has found, and the worker over a store in memory.

use super::{Config, Jobs, NotReplayed, runs_of, step::step};
use crate::clock::Clock;
use crate::config::{Kind, MasterKey, ResourceId, Snapshot, parse};
use crate::model::{
    Attempt, Delivery, DeliveryId, DeliveryStatus, Digest, Event, EventId, Job, JobAction, JobFilter, JobId, JobState,
    Origin, PlanChoice, RouteName, Run, RunStatus, TenantName,
};
use crate::pipeline::Published;
use crate::shutdown;
use crate::store::{
    self, Accept, JobEnd, JobFound, JobItem, JobStep, NewDelivery, Next, Outcome, Page, RoutedRun, Settle, Store,
    Transition,
};
use crate::telemetry::Health;
use bytes::Bytes;
use tokio::time::Instant;

const NOW_MS: u64 = 1_700_000_000_000;

fn acme() -> TenantName {
    "acme".parse().unwrap()
}

/// The tenant `acme` with a source, an endpoint and these routes, each for one event type.
fn snapshot(routes: &[(&str, &str)]) -> Snapshot {
    let key = MasterKey::new([7; 32]);
    let spec = |kind, name: &str, json: &str| {
        let id = ResourceId { tenant: Some(acme()), kind, name: name.to_owned() };
        (id, parse(kind, json.as_bytes()).unwrap())
    };
    let mut all = vec![
        spec(Kind::Tenant, "acme", "{}"),
        spec(Kind::Source, "in", r#"{"verify": {"scheme": "none"}}"#),
        spec(Kind::Endpoint, "e", r#"{"url": "http://127.0.0.1:9/", "secrets": []}"#),
    ];
    for (name, event_type) in routes {
        let json = format!(r#"{{"source": "in", "event_types": ["{event_type}"], "to": {{"endpoints": ["e"]}}}}"#);
        all.push(spec(Kind::Route, name, &json));
    }
    Snapshot::build(1, all, &key).unwrap()
}

fn event(n: u128, event_type: &str) -> Event {
    let id = EventId::new(NOW_MS, n);
    Event { event_type: event_type.to_owned(), ..Event::new(id, acme(), "in".parse().unwrap(), 0) }
}

fn run(event: EventId, route: &str, generation: u32, status: RunStatus) -> Run {
    Run { status, ..Run::new(event, &route.parse().unwrap(), generation, Digest::of(b"pinned"), NOW_MS) }
}

fn delivery(run: &Run, endpoint: &str) -> Delivery {
    Delivery::new(run, 0, 0, &endpoint.parse().unwrap(), NOW_MS)
}

fn job(action: JobAction, plan: PlanChoice) -> Job {
    Job {
        id: JobId::new(NOW_MS, 1),
        action,
        filter: JobFilter::default(),
        plan,
        rate_per_s: 1_000,
        asked: None,
        created_at_ms: NOW_MS,
        seq_max: 0,
        state: JobState::Running,
        reason: None,
        updated_at_ms: NOW_MS,
        steps: 0,
        cursor: None,
        reached_ms: None,
        looked_at: 0,
        done: 0,
        skipped: 0,
    }
}

#[test]
fn a_replay_goes_by_todays_routes_or_those_of_the_first_runs() {
    let snapshot = snapshot(&[("a", "x"), ("b", "x"), ("c", "y")]);
    let tenant = snapshot.tenant(&acme()).unwrap();
    let event = event(1, "x");
    let mut test = run(event.id, "hookswitch", 0, RunStatus::Routed);
    test.origin = Origin::Test;
    let runs = [run(event.id, "gone", 0, RunStatus::Held), run(event.id, "a", 1, RunStatus::Routed), test];
    let by = |plan, routes: &[&str], runs: &[Run]| {
        let routes: Vec<RouteName> = routes.iter().map(|route| route.parse().unwrap()).collect();
        let found = runs_of(plan, &routes, tenant, &event, runs);
        found.map(|found| found.into_iter().map(|(route, plan)| (route.to_string(), plan)).collect::<Vec<_>>())
    };
    let today = |name: &str| (name.to_owned(), tenant.routes[&name.parse().unwrap()].plan_digest);
    assert_eq!(by(PlanChoice::Today, &[], &runs), Ok(vec![today("a"), today("b")]));
    assert_eq!(by(PlanChoice::Today, &["b"], &runs), Ok(vec![today("b")]));
    let pinned = ("gone".to_owned(), Digest::of(b"pinned"));
    assert_eq!(by(PlanChoice::Pinned, &[], &runs), Ok(vec![pinned]));
    let not_through = |route: &str| Err(NotReplayed::NotThrough(route.parse().unwrap()));
    assert_eq!(by(PlanChoice::Today, &["a", "c"], &runs), not_through("c"));
    assert_eq!(by(PlanChoice::Pinned, &["a"], &runs), not_through("a"));
    assert_eq!(by(PlanChoice::Pinned, &[], &runs[1..]), Err(NotReplayed::NoRoute));
}

#[test]
fn a_step_does_what_can_be_done_and_skips_what_is_on_its_way_or_leads_nowhere() {
    let snapshot = snapshot(&[("a", "x")]);
    let tenant = snapshot.tenant(&acme()).unwrap();
    let (one, two) = (event(1, "x"), event(2, "nobody-takes-it"));
    let (held, gone) = (run(one.id, "a", 0, RunStatus::Held), run(two.id, "gone", 0, RunStatus::Held));
    let made = |action, plan, items: Vec<JobFound>, next: Option<&str>| {
        let page = Page { items, next: next.map(str::to_owned), looked_at: 9 };
        step(&acme(), &job(action, plan), tenant, page, NOW_MS + 1)
    };
    let found = |delivery: Delivery| JobFound::Delivery(Box::new(delivery));
    let (here, elsewhere) = (delivery(&held, "e"), delivery(&held, "gone"));
    let retry = made(JobAction::Retry, PlanChoice::Today, vec![found(here.clone()), found(elsewhere)], Some("next"));
    assert_eq!((&retry.items[..], retry.skipped), (&[JobItem::Retry(here.id)][..], 1));
    assert_eq!((retry.cursor.as_deref(), retry.end, retry.looked_at), (Some("next"), None, 9));
    assert_eq!((retry.step, retry.reached_ms, retry.now_ms), (0, Some(NOW_MS), NOW_MS + 1));

    let runs = || vec![JobFound::Run(Box::new(held.clone())), JobFound::Run(Box::new(gone.clone()))];
    let today = tenant.routes[&held.route].plan_digest;
    let rerun = made(JobAction::Rerun, PlanChoice::Today, runs(), None);
    assert_eq!(rerun.items, [JobItem::Rerun { run: held.id, plan: Some(today) }]);
    assert_eq!((rerun.skipped, rerun.end), (1, Some(JobEnd::Done)));
    let pinned = made(JobAction::Rerun, PlanChoice::Pinned, runs(), None);
    assert_eq!(pinned.items, [&held, &gone].map(|run| JobItem::Rerun { run: run.id, plan: None }));

    let pending = run(one.id, "a", 1, RunStatus::Pending);
    let event = |event: &Event, runs: &[Run]| JobFound::Event(Box::new(event.clone()), runs.to_vec());
    let events =
        vec![event(&one, std::slice::from_ref(&held)), event(&one, &[held.clone(), pending]), event(&two, &[gone])];
    let replay = made(JobAction::Replay, PlanChoice::Today, events, None);
    assert_eq!(replay.items, [JobItem::Replay { event: one.id, runs: vec![(held.route, today)] }]);
    assert_eq!(replay.skipped, 2);
}

struct World {
    store: Store,
    published: Published,
}

impl World {
    /// So many dead deliveries to `e` of this type, in a store whose transitions may have so many bytes.
    async fn with_dead(count: u128, event_type: &str, transition_bytes_max: usize) -> (Self, Vec<DeliveryId>) {
        let config = store::Config { transition_bytes_max, ..store::Config::default() };
        let store = Store::in_memory(&config, &Health::default()).unwrap();
        let mut ids = Vec::new();
        for n in 0..count {
            let event = event(n, "x");
            let mut run = run(event.id, "a", 0, RunStatus::Routed);
            let delivery = Delivery { event_type: event_type.to_owned(), ..delivery(&run, "e") };
            run.deliveries = vec![delivery.id];
            ids.push(delivery.id);
            let runs = vec![RoutedRun { run, deliveries: vec![NewDelivery { delivery, body: None }] }];
            let accept = Accept { event, body: Bytes::new(), dedup_until_ms: None, runs };
            store.commit(Transition::Accept(Box::new(accept))).await.unwrap();
            let (started_at_ms, duration_ms, response) = (NOW_MS, 1, String::new());
            let attempt = Attempt { number: 1, started_at_ms, duration_ms, status: Some(500), response, error: None };
            let (tenant, delivery, next) = (acme(), ids[ids.len() - 1], Next::Dead);
            let settle = Settle { tenant, delivery, attempt, next, health: None, tell: false };
            store.commit(Transition::Settle(Box::new(settle))).await.unwrap();
        }
        (Self { store, published: Published::new(snapshot(&[("a", "x")])) }, ids)
    }

    async fn create(&self, job: &Job) {
        let create = Transition::CreateJob { tenant: acme(), job: Box::new(job.clone()) };
        assert_eq!(self.store.commit(create).await.unwrap(), Outcome::JobIs { job: job.id });
    }

    /// Lets the worker work until the job is over.
    async fn work(&self, job: JobId) -> Job {
        let jobs = Jobs::new(self.store.clone(), self.published.clone(), Clock::manual(NOW_MS), Config::default());
        let (stop, told) = shutdown::channel();
        let working = tokio::spawn(jobs.work(told));
        let deadline = Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let job = self.store.reader().job(&acme(), job).unwrap().unwrap();
            if job.state.is_over() {
                stop.fire();
                working.await.unwrap().unwrap();
                return job;
            }
            assert!(Instant::now() < deadline && !working.is_finished(), "{job:?}");
            tokio::task::yield_now().await;
        }
    }

    fn status(&self, id: DeliveryId) -> DeliveryStatus {
        self.store.reader().delivery(&acme(), id).unwrap().unwrap().status
    }
}

#[tokio::test]
async fn what_does_not_fit_one_write_goes_in_smaller_ones_and_what_fits_none_is_skipped() {
    let (world, ids) = World::with_dead(40, &"t".repeat(500), 8_000).await;
    let all = job(JobAction::Retry, PlanChoice::Today);
    world.create(&all).await;
    let done = world.work(all.id).await;
    assert_eq!((done.state, done.done, done.skipped, done.looked_at), (JobState::Done, 40, 0, 40));
    assert!(done.steps >= 5, "no ten of them fit one write: {done:?}");
    assert!(ids.into_iter().all(|id| world.status(id) == DeliveryStatus::Pending));

    // The job's record is as long as the delivery's, since its filter has the type, too.
    let long = "t".repeat(3_000);
    let (world, ids) = World::with_dead(3, &long, 5_500).await;
    let filter = JobFilter { event_type: Some(long), ..JobFilter::default() };
    let all = Job { filter, ..all };
    world.create(&all).await;
    let done = world.work(all.id).await;
    assert_eq!((done.state, done.done, done.skipped, done.looked_at), (JobState::Done, 0, 3, 3));
    assert!(ids.into_iter().all(|id| world.status(id) == DeliveryStatus::Dead));
}

#[tokio::test]
async fn a_job_that_cannot_go_on_fails_and_says_why() {
    let (world, ids) = World::with_dead(1, "t", 1 << 20).await;
    let job = job(JobAction::Retry, PlanChoice::Today);
    world.create(&job).await;
    // A place that no list gave.
    let step = JobStep {
        tenant: acme(),
        job: job.id,
        step: 0,
        items: Vec::new(),
        cursor: Some("nowhere".to_owned()),
        reached_ms: None,
        looked_at: 0,
        skipped: 0,
        end: None,
        now_ms: NOW_MS,
    };
    world.store.commit(Transition::Job(Box::new(step))).await.unwrap();
    let failed = world.work(job.id).await;
    assert_eq!((failed.state, failed.done), (JobState::Failed, 0));
    assert!(failed.reason.unwrap().contains("cursor"));

    // Its tenant went without a word to the store.
    world.published.publish(Snapshot::default());
    let job = Job { id: JobId::new(NOW_MS, 2), ..job };
    world.create(&job).await;
    let failed = world.work(job.id).await;
    assert_eq!((failed.state, failed.reason.as_deref()), (JobState::Failed, Some("the tenant was removed")));
    assert_eq!(world.status(ids[0]), DeliveryStatus::Dead);
}
