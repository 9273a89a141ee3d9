//! Jobs: what a step does is done together with the place from which the next one goes on.

use super::*;
use crate::model::{Job, JobAction, JobFilter, JobId, JobState, PlanChoice, RunsAsked};
use crate::store::{
    CommitError, Hint, JOBS_AT_WORK_MAX, JOBS_KEPT_MAX, JobEnd, JobFound, JobItem, JobStep, Page, ResourceKey, Waiting,
};

fn job(n: u128, action: JobAction, filter: JobFilter) -> Job {
    Job {
        id: JobId::new(NOON, n),
        action,
        filter,
        plan: PlanChoice::Today,
        rate_per_s: 100,
        asked: None,
        created_at_ms: NOON + 10 * DAY,
        seq_max: 0,
        state: JobState::Running,
        reason: None,
        updated_at_ms: NOON,
        steps: 0,
        cursor: None,
        reached_ms: None,
        looked_at: 0,
        done: 0,
        skipped: 0,
    }
}

fn retry_job(n: u128) -> Job {
    job(n, JobAction::Retry, JobFilter::default())
}

async fn create(store: &Store, job: Job) -> Outcome {
    commit(store, Transition::CreateJob { tenant: acme(), job: Box::new(job) }).await
}

/// A step that does these, as the job's next one.
fn step_of(store: &Store, id: JobId, items: Vec<JobItem>, end: Option<JobEnd>) -> JobStep {
    let step = store.reader().job(&acme(), id).unwrap().unwrap().steps;
    let cursor = Some(format!("behind step {step}"));
    JobStep {
        tenant: acme(),
        job: id,
        step,
        items,
        cursor,
        reached_ms: Some(NOON),
        looked_at: 7,
        skipped: 1,
        end,
        now_ms: NOON + 50,
    }
}

async fn make(store: &Store, step: JobStep) -> Outcome {
    commit(store, Transition::Job(Box::new(step))).await
}

/// Pages of what a job finds, each with so many at most, until it has looked at everything. The job's cursor is moved by hand.
fn found(store: &Store, mut job: Job, limit: usize) -> Vec<JobFound> {
    let mut all = Vec::new();
    loop {
        let Page { items, next, .. } = store.reader().job_page(&acme(), &job, limit, 3).unwrap();
        assert!(items.len() <= limit);
        all.extend(items);
        job.cursor = next;
        if job.cursor.is_none() {
            return all;
        }
    }
}

#[test]
fn a_step_is_made_once_and_a_job_that_is_over_makes_none() {
    on_each_backend(async |store| {
        let mut ids = Vec::new();
        for n in 1..=3 {
            let (given, id) = with_delivery(event_id(NOON, n));
            commit_accept(&store, given).await;
            commit(&store, settle(id, 1, Next::Dead)).await;
            ids.push(id);
        }
        let mut hints = store.subscribe();
        let job = retry_job(1);
        assert_eq!(create(&store, job.clone()).await, Outcome::JobIs { job: job.id });
        assert_eq!(*hints.recv().await.unwrap(), [Hint::Job { tenant: acme(), job: job.id }]);
        let reader = store.reader();
        let stored = reader.job(&acme(), job.id).unwrap().unwrap();
        assert_eq!(stored, Job { seq_max: 3, ..job.clone() });
        assert_eq!(reader.jobs_at_work().unwrap(), [(acme(), stored)]);

        let first = step_of(&store, job.id, vec![JobItem::Retry(ids[0]), JobItem::Retry(ids[1])], None);
        assert_eq!(make(&store, first.clone()).await, Outcome::Done);
        assert!(matches!(hints.recv().await.unwrap()[..], [Hint::Due { .. }, Hint::Due { .. }]));
        // The same step again, as after an answer that got lost.
        assert!(matches!(make(&store, first).await, Outcome::Stale { .. }));
        // What is pending already is skipped.
        let second = step_of(&store, job.id, vec![JobItem::Retry(ids[1]), JobItem::Retry(ids[2])], Some(JobEnd::Done));
        assert_eq!(make(&store, second.clone()).await, Outcome::Done);
        let over = reader.job(&acme(), job.id).unwrap().unwrap();
        assert_eq!((over.state, over.steps, over.cursor.as_deref()), (JobState::Done, 2, Some("behind step 1")));
        assert_eq!((over.looked_at, over.done, over.skipped, over.updated_at_ms), (14, 3, 3, NOON + 50));
        for id in &ids {
            assert_eq!(reader.delivery(&acme(), *id).unwrap().unwrap().status, DeliveryStatus::Pending);
        }
        assert_eq!(reader.jobs_at_work().unwrap(), []);
        assert!(matches!(make(&store, JobStep { step: 2, ..second.clone() }).await, Outcome::Stale { .. }));
        assert_eq!(make(&store, JobStep { job: JobId::new(1, 1), ..second }).await, Outcome::NotFound);
    });
}

#[test]
fn a_job_that_is_cancelled_does_nothing_more() {
    on_each_backend(async |store| {
        let (given, id) = with_delivery(event_id(NOON, 1));
        commit_accept(&store, given).await;
        commit(&store, settle(id, 1, Next::Dead)).await;
        create(&store, retry_job(1)).await;
        let job = JobId::new(NOON, 1);
        let step = step_of(&store, job, vec![JobItem::Retry(id)], None);
        let cancel = || Transition::CancelJob { tenant: acme(), job, now_ms: NOON + 60 };
        assert_eq!(commit(&store, cancel()).await, Outcome::Done);
        assert!(matches!(make(&store, step).await, Outcome::Stale { .. }));
        assert_eq!(store.reader().delivery(&acme(), id).unwrap().unwrap().status, DeliveryStatus::Dead);
        let stored = store.reader().job(&acme(), job).unwrap().unwrap();
        assert_eq!((stored.state, stored.updated_at_ms), (JobState::Cancelled, NOON + 60));
        assert!(matches!(commit(&store, cancel()).await, Outcome::Stale { .. }));
        let nobody = Transition::CancelJob { tenant: acme(), job: JobId::new(NOON, 2), now_ms: 1 };
        assert_eq!(commit(&store, nobody).await, Outcome::NotFound);
    });
}

#[test]
fn a_job_replays_an_event_once_and_runs_held_ones_again() {
    on_each_backend(async |store| {
        let event = event_id(NOON, 1);
        let mut given = accept(event, "");
        given.runs.push(RoutedRun { run: run(event, &route(), RunStatus::Held), deliveries: Vec::new() });
        let held = given.runs[0].run.id;
        commit_accept(&store, given).await;
        create(&store, job(1, JobAction::Replay, JobFilter::default())).await;
        let id = JobId::new(NOON, 1);
        let replay = || JobItem::Replay { event, runs: vec![(route(), Digest::of(b"today"))] };
        assert_eq!(make(&store, step_of(&store, id, vec![replay()], None)).await, Outcome::Done);
        // Whatever the job's record says, the event knows.
        assert_eq!(make(&store, step_of(&store, id, vec![replay()], None)).await, Outcome::Done);
        let stored = store.reader().job(&acme(), id).unwrap().unwrap();
        assert_eq!((stored.done, stored.skipped), (1, 3));
        let generations: Vec<u32> =
            store.reader().runs(&acme(), event).unwrap().iter().map(|run| run.generation).collect();
        assert_eq!(generations.iter().sum::<u32>(), 1, "{generations:?}");
        // Another job does it again.
        create(&store, job(2, JobAction::Replay, JobFilter::default())).await;
        make(&store, step_of(&store, JobId::new(NOON, 2), vec![replay()], Some(JobEnd::Done))).await;
        assert_eq!(store.reader().runs(&acme(), event).unwrap().len(), 3);

        create(&store, job(3, JobAction::Rerun, JobFilter::default())).await;
        let id = JobId::new(NOON, 3);
        let rerun = || JobItem::Rerun { run: held, plan: Some(Digest::of(b"today")) };
        let failed = Some(JobEnd::Failed("no more".to_owned()));
        assert_eq!(make(&store, step_of(&store, id, vec![rerun(), rerun()], failed)).await, Outcome::Done);
        let stored = store.reader().job(&acme(), id).unwrap().unwrap();
        assert_eq!((stored.done, stored.skipped), (1, 2));
        assert_eq!((stored.state, stored.reason.as_deref()), (JobState::Failed, Some("no more")));
        let rerun = store.reader().run(&acme(), held).unwrap().unwrap();
        assert_eq!((rerun.status, rerun.plan), (RunStatus::Pending, Digest::of(b"today")));
    });
}

#[test]
fn a_tenant_has_few_jobs_at_work_and_keeps_some_that_are_over() {
    let store = Store::in_memory(&Config::default(), &Health::default()).unwrap();
    wait(async {
        let most = JOBS_AT_WORK_MAX as u128;
        for n in 1..=most {
            create(&store, retry_job(n)).await;
        }
        assert_eq!(create(&store, retry_job(most + 1)).await, Outcome::TooMany { max: JOBS_AT_WORK_MAX });
        let other = Transition::CreateJob { tenant: "other".parse().unwrap(), job: Box::new(retry_job(1)) };
        assert_eq!(commit(&store, other).await, Outcome::JobIs { job: JobId::new(NOON, 1) });
        assert_eq!(store.reader().jobs_at_work().unwrap().len(), JOBS_AT_WORK_MAX + 1);
        let last = JOBS_KEPT_MAX as u128 + 20;
        for n in 1..=last {
            create(&store, retry_job(n)).await;
            commit(&store, Transition::CancelJob { tenant: acme(), job: JobId::new(NOON, n), now_ms: NOON }).await;
        }
        let kept = store.reader().jobs(&acme()).unwrap();
        assert_eq!(kept.len(), JOBS_KEPT_MAX);
        assert!(kept.is_sorted_by(|a, b| a.id > b.id));
        assert_eq!(kept[0].id, JobId::new(NOON, last));
        let begun = Job { done: 1, ..retry_job(500) };
        let refused = store.commit(Transition::CreateJob { tenant: acme(), job: Box::new(begun) }).await;
        assert!(matches!(refused, Err(CommitError::Invalid { .. })), "{refused:?}");
    });
}

#[test]
fn a_job_that_was_asked_for_once_is_made_once_and_goes_with_its_tenant() {
    on_each_backend(async |store| {
        let asked = |n, key: &str| Job { asked: Some(Digest::of(key.as_bytes())), ..retry_job(n) };
        let first = JobId::new(NOON, 1);
        assert_eq!(create(&store, asked(1, "a")).await, Outcome::JobIs { job: first });
        assert_eq!(create(&store, asked(2, "a")).await, Outcome::JobIs { job: first });
        assert_eq!(create(&store, asked(3, "b")).await, Outcome::JobIs { job: JobId::new(NOON, 3) });
        commit(&store, Transition::CancelJob { tenant: acme(), job: first, now_ms: NOON }).await;
        assert_eq!(create(&store, asked(4, "a")).await, Outcome::JobIs { job: first });
        assert_eq!(store.reader().jobs(&acme()).unwrap().len(), 2);
        let tenant = ResourceKey { tenant: Some(acme()), kind: "tenant", name: "acme".to_owned() };
        let removed = super::super::Configure { removes: vec![tenant], ..super::super::Configure::default() };
        commit(&store, Transition::Configure(removed)).await;
        assert_eq!(store.reader().jobs(&acme()).unwrap(), []);
    });
}

#[test]
fn a_retry_finds_what_is_dead_from_the_oldest_on() {
    on_each_backend(async |store| {
        let names = ["a", "b"].map(|name| -> EndpointName { name.parse().unwrap() });
        for n in 0..12_u64 {
            let id = event_id(NOON + (n % 3) * DAY + n, 0);
            let mut given = accept(id, "");
            given.event.source = if n < 6 { "early" } else { "late" }.parse().unwrap();
            given.runs.push(routed(id, &names));
            let ids = given.runs[0].run.deliveries.clone();
            commit_accept(&store, given).await;
            for (delivery, next) in ids.into_iter().zip([Next::Delivered, Next::Dead]).skip((n % 2) as usize) {
                commit(&store, settle(delivery, 1, next)).await;
            }
        }
        let reader = store.reader();
        let everything = reader.list_deliveries(&acme(), &Default::default(), None, 100).unwrap().items;
        let list = |filter: JobFilter| -> Vec<Delivery> {
            let lists = [1, 2, 100].map(|limit| found(&store, job(1, JobAction::Retry, filter.clone()), limit));
            assert!(lists.iter().all(|list| *list == lists[0]));
            let deliveries = lists[0].iter().map(|found| match found {
                JobFound::Delivery(delivery) => (**delivery).clone(),
                other => panic!("{other:?}"),
            });
            deliveries.collect()
        };
        let expected = |wanted: &dyn Fn(&Delivery) -> bool| -> Vec<Delivery> {
            everything.iter().rev().filter(|delivery| wanted(delivery)).cloned().collect()
        };
        let dead = DeliveryStatus::Dead;
        assert_eq!(list(JobFilter::default()), expected(&|it| it.status == dead));
        assert_eq!(list(JobFilter::default()).len(), 12);
        let b = JobFilter { endpoint: Some(names[0].clone()), ..JobFilter::default() };
        assert_eq!(list(b), []);
        let delivered = JobFilter { status: Some(DeliveryStatus::Delivered), ..JobFilter::default() };
        assert_eq!(list(delivered), expected(&|it| it.status == DeliveryStatus::Delivered));
        let late = JobFilter { source: Some("late".parse().unwrap()), ..JobFilter::default() };
        assert_eq!(list(late).len(), 6);
        let since_ms = Some(NOON + DAY);
        let second_day = JobFilter { since_ms, until_ms: Some(NOON + 2 * DAY), ..JobFilter::default() };
        let day = NOON + DAY..NOON + 2 * DAY;
        assert_eq!(
            list(second_day),
            expected(&|it| it.status == dead && day.contains(&it.id.event().received_at_ms()))
        );
        // What came in after the job was made is no part of it.
        let made = Job { created_at_ms: NOON + 3, ..job(1, JobAction::Retry, JobFilter::default()) };
        assert_eq!(found(&store, made, 9).len(), 2);
    });
}

#[test]
fn a_replay_and_a_rerun_find_what_was_there_when_the_job_was_made() {
    on_each_backend(async |store| {
        for n in 0..6_u64 {
            let id = event_id(NOON + n % 2 * DAY + n, 0);
            let mut given = accept(id, "");
            given.event.event_type = format!("type{}", n % 3);
            let status = if n < 4 { RunStatus::Held } else { RunStatus::Filtered };
            let mut held = run(id, &if n % 2 == 0 { "even" } else { "odd" }.parse().unwrap(), status);
            let code = if n < 2 { "trap" } else { "time_limit" }.to_owned();
            held.failure = Some(crate::model::RunFailure { step: 0, code, message: String::new() });
            given.runs.push(RoutedRun { run: held, deliveries: Vec::new() });
            commit_accept(&store, given).await;
        }
        let seqs = |action, filter: JobFilter, seq_max| -> Vec<u64> {
            let asked = Job { seq_max, ..job(1, action, filter) };
            let lists = [1, 2, 100].map(|limit| found(&store, asked.clone(), limit));
            assert!(lists.iter().all(|list| *list == lists[0]));
            let events = lists[0].iter().map(JobFound::event);
            events.map(|event| store.reader().event(&acme(), event).unwrap().unwrap().seq).collect()
        };
        let any = JobFilter::default;
        assert_eq!(seqs(JobAction::Replay, any(), 9), [1, 3, 5, 2, 4, 6]);
        assert_eq!(seqs(JobAction::Replay, any(), 3), [1, 3, 2]);
        let filtered = JobFilter { run_status: Some(RunsAsked::Filtered), ..any() };
        assert_eq!(seqs(JobAction::Replay, filtered.clone(), 9), [5, 6]);
        assert_eq!(seqs(JobAction::Replay, JobFilter { route: Some("odd".parse().unwrap()), ..filtered }, 9), [6]);
        assert_eq!(seqs(JobAction::Rerun, any(), 9), [1, 3, 2, 4]);
        assert_eq!(seqs(JobAction::Rerun, any(), 2), [1, 2]);
        assert_eq!(seqs(JobAction::Rerun, JobFilter { code: Some("trap".to_owned()), ..any() }, 9), [1, 2]);
        assert_eq!(seqs(JobAction::Rerun, JobFilter { route: Some("odd".parse().unwrap()), ..any() }, 9), [2, 4]);
        let typed = JobFilter { event_type: Some("type1".to_owned()), ..any() };
        assert_eq!(seqs(JobAction::Rerun, typed, 9), [2]);
        assert_eq!(seqs(JobAction::Rerun, JobFilter { since_ms: Some(NOON + DAY), ..any() }, 9), [2, 4]);
    });
}

#[test]
fn what_waits_is_counted_up_to_a_bound() {
    on_each_backend(async |store| {
        for n in 0..5 {
            let (mut given, _) = with_delivery(event_id(NOON, n));
            let other = run(given.event.id, &"other".parse().unwrap(), RunStatus::Pending);
            given.runs.push(RoutedRun { run: other, deliveries: Vec::new() });
            commit_accept(&store, given).await;
        }
        let waiting = |runs, deliveries| store.reader().waiting(&acme(), Waiting { runs, deliveries }).unwrap();
        assert_eq!(waiting(100, 100), Waiting { runs: 5, deliveries: 5 });
        assert_eq!(waiting(3, 2), Waiting { runs: 3, deliveries: 2 });
        let nobody = "acme2".parse().unwrap();
        let none = store.reader().waiting(&nobody, Waiting { runs: 9, deliveries: 9 }).unwrap();
        assert_eq!(none, Waiting::default());
    });
}
