//! Jobs: how one begins, what it does in a step, how it ends. All that a step does is done, or skipped, together with the place from which
//! the next step goes on.

use super::{Applied, Refusal, check, deliver, replay, route};
use crate::model::{Digest, Job, JobId, JobState, TenantName};
use crate::store::backend::{Look as _, Order};
use crate::store::key::{Key, KeyRange};
use crate::store::tree::TreeId;
use crate::store::{
    Hint, JOBS_AT_WORK_MAX, JOBS_KEPT_MAX, JobEnd, JobItem, JobStep, Outcome, ReadError, Replay, View, keys, meta,
    record,
};

/// Begins a job, unless the same was asked for before. Of those that are over the oldest make room.
pub(super) fn create(view: &mut View<'_>, tenant: TenantName, mut job: Job) -> Result<Applied, Refusal> {
    check::new_job(&job)?;
    let at_work = all(view, &keys::jobs(&tenant, false).prefix())?;
    let over = all(view, &keys::jobs(&tenant, true).prefix())?;
    let same = |(_, earlier): &&(Key, Job)| job.asked.is_some() && earlier.asked == job.asked;
    if let Some((_, same)) = at_work.iter().chain(&over).find(same) {
        return Ok(Applied::quietly(Outcome::JobIs { job: same.id }));
    }
    if at_work.len() >= JOBS_AT_WORK_MAX {
        return Ok(Applied::quietly(Outcome::TooMany { max: JOBS_AT_WORK_MAX }));
    }
    // Those at work will be over, too.
    let excess = (over.len() + at_work.len() + 1).saturating_sub(JOBS_KEPT_MAX);
    for (key, _) in over.into_iter().take(excess) {
        record::remove(view, TreeId::Hot, key)?;
    }
    job.seq_max = meta::last_seq(view)?;
    record::put(view, TreeId::Hot, keys::job(&tenant, false, job.id), &job)?;
    Ok(Applied { outcome: Outcome::JobIs { job: job.id }, hints: vec![Hint::Job { tenant, job: job.id }] })
}

/// Does what a step does.
pub(super) fn step(view: &mut View<'_>, step: JobStep) -> Result<Applied, Refusal> {
    let JobStep { tenant, job: id, step, items, cursor, reached_ms, looked_at, skipped, end, now_ms } = step;
    let mut job = match at_work(view, &tenant, id)? {
        Ok(job) => job,
        Err(outcome) => return Ok(Applied::quietly(outcome)),
    };
    if job.steps != step {
        return Ok(Applied::quietly(Outcome::Stale { why: "the job has made another number of steps" }));
    }
    let mut hints = Vec::new();
    for item in items {
        let applied = one(view, &tenant, id, item, now_ms)?;
        match applied.outcome {
            Outcome::Done => job.done += 1,
            _ => job.skipped += 1,
        }
        hints.extend(applied.hints);
    }
    job.steps += 1;
    job.cursor = cursor.or(job.cursor);
    job.reached_ms = reached_ms.or(job.reached_ms);
    job.looked_at += looked_at;
    job.skipped += skipped;
    job.updated_at_ms = now_ms;
    match end {
        None => {}
        Some(JobEnd::Done) => job.state = JobState::Done,
        Some(JobEnd::Failed(reason)) => (job.state, job.reason) = (JobState::Failed, Some(reason)),
    }
    put(view, &tenant, &job)?;
    Ok(Applied { outcome: Outcome::Done, hints })
}

/// Ends a job before its end.
pub(super) fn cancel(view: &mut View<'_>, tenant: &TenantName, job: JobId, now_ms: u64) -> Result<Applied, Refusal> {
    let mut job = match at_work(view, tenant, job)? {
        Ok(job) => job,
        Err(outcome) => return Ok(Applied::quietly(outcome)),
    };
    (job.state, job.updated_at_ms) = (JobState::Cancelled, now_ms);
    put(view, tenant, &job)?;
    Ok(Applied::quietly(Outcome::Done))
}

/// One of the things that a step does: what came of it is [`Outcome::Done`] where it did.
fn one(view: &mut View<'_>, tenant: &TenantName, job: JobId, item: JobItem, now_ms: u64) -> Result<Applied, Refusal> {
    match item {
        JobItem::Retry(delivery) => deliver::retry(view, tenant, delivery, now_ms),
        JobItem::Rerun { run, plan } => route::rerun(view, tenant, run, plan, now_ms),
        JobItem::Replay { event, runs } => {
            let asked = Some(Digest::of(job.to_string().as_bytes()));
            let mut applied = replay::replay(view, &Replay { tenant: tenant.clone(), event, runs, asked, now_ms })?;
            // Without a hint it was replayed before.
            if matches!(applied.outcome, Outcome::Replayed { .. }) && !applied.hints.is_empty() {
                applied.outcome = Outcome::Done;
            }
            Ok(applied)
        }
    }
}

/// A job that has something to do, or the answer to who asks for another.
fn at_work(view: &View<'_>, tenant: &TenantName, job: JobId) -> Result<Result<Job, Outcome>, ReadError> {
    if let Some(job) = record::get(view, TreeId::Hot, &keys::job(tenant, false, job))? {
        return Ok(Ok(job));
    }
    let over = view.get(TreeId::Hot, &keys::job(tenant, true, job))?.is_some();
    Ok(Err(if over { Outcome::Stale { why: "the job is over" } } else { Outcome::NotFound }))
}

/// Stores a job that was at work in its new state.
fn put(view: &mut View<'_>, tenant: &TenantName, job: &Job) -> Result<(), ReadError> {
    let over = job.state.is_over();
    if over {
        record::remove(view, TreeId::Hot, keys::job(tenant, false, job.id))?;
    }
    record::put(view, TreeId::Hot, keys::job(tenant, over, job.id), job)
}

fn all(view: &View<'_>, range: &KeyRange) -> Result<Vec<(Key, Job)>, ReadError> {
    let decode = |entry: Result<(bytes::Bytes, bytes::Bytes), _>| {
        let (key, value) = entry?;
        let key = Key::from(&key[..]);
        Ok((key.clone(), record::decode(view, TreeId::Hot, &key, value)?))
    };
    view.scan(TreeId::Hot, range, Order::Ascending).map(decode).collect()
}
