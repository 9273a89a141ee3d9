//! Jobs, and what they ask: what they are to do next, from the oldest on, and how much waits already.

use super::Reader;
use super::cursor::Binding;
use super::list::{DeliveryFilter, EventFilter, Page, page};
use super::span::Span;
use crate::model::{
    Delivery, DeliveryStatus, Event, EventId, Job, JobAction, JobFilter, JobId, Run, RunId, TenantName,
};
use crate::store::backend::Order;
use crate::store::key::{Key, KeyReader};
use crate::store::tree::TreeId;
use crate::store::{ReadError, keys, record};
use std::cmp::Reverse;

/// What a job has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobFound {
    /// A delivery to try again.
    Delivery(Box<Delivery>),
    /// A held run.
    Run(Box<Run>),
    /// An event, and its runs.
    Event(Box<Event>, Vec<Run>),
}

impl JobFound {
    /// The event that it belongs to.
    #[must_use]
    pub fn event(&self) -> EventId {
        match self {
            Self::Delivery(delivery) => delivery.id.event(),
            Self::Run(run) => run.id.event(),
            Self::Event(event, _) => event.id,
        }
    }
}

/// How much of a tenant waits, as far as it was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Runs that are pending.
    pub runs: usize,
    /// Deliveries that are pending and have their turn.
    pub deliveries: usize,
}

/// Each method's error is a [`ReadError`]: the database failed, or holds what cannot be read.
#[expect(clippy::missing_errors_doc, reason = "they are the same for all, and stand above")]
impl Reader {
    /// A job.
    pub fn job(&self, tenant: &TenantName, job: JobId) -> Result<Option<Job>, ReadError> {
        // One that ends between the two looks is found by the second.
        for over in [false, true] {
            if let Some(job) = record::get(&*self.backend, TreeId::Hot, &keys::job(tenant, over, job))? {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// The jobs of a tenant, the newest first.
    pub fn jobs(&self, tenant: &TenantName) -> Result<Vec<Job>, ReadError> {
        let mut jobs: Vec<Job> = Vec::new();
        for entry in self.backend.scan(TreeId::Hot, &keys::jobs_of(tenant).prefix(), Order::Ascending) {
            let (key, value) = entry?;
            jobs.push(record::decode(&*self.backend, TreeId::Hot, &Key::from(&key[..]), value)?);
        }
        jobs.sort_by_key(|job| Reverse(job.id));
        // One that ended between two looks is there twice.
        jobs.dedup_by_key(|job| job.id);
        Ok(jobs)
    }

    /// Every job that has something to do.
    pub fn jobs_at_work(&self) -> Result<Vec<(TenantName, Job)>, ReadError> {
        let mut range = keys::all_jobs().prefix();
        let mut found = Vec::new();
        while let Some(entry) = self.backend.scan(TreeId::Hot, &range, Order::Ascending).next() {
            let tenant: TenantName = KeyReader::new(TreeId::Hot, &entry?.0).name()?;
            for entry in self.backend.scan(TreeId::Hot, &keys::jobs(&tenant, false).prefix(), Order::Ascending) {
                let (key, value) = entry?;
                let job = record::decode(&*self.backend, TreeId::Hot, &Key::from(&key[..]), value)?;
                found.push((tenant.clone(), job));
            }
            range = range.past(keys::jobs_of(&tenant));
        }
        Ok(found)
    }

    /// What a job finds next, behind its cursor, from the oldest on; at most `limit`, from a look at `records_max` records at most.
    /// There is no next page where it has looked at everything.
    pub fn job_page(
        &self,
        tenant: &TenantName,
        job: &Job,
        limit: usize,
        records_max: usize,
    ) -> Result<Page<JobFound>, ReadError> {
        let binding = Binding::new("job", tenant);
        let JobFilter { source, route, endpoint, event_type, status, run_status, .. } = job.filter.clone();
        let since_ms = job.filter.since_ms;
        let made_ms = job.created_at_ms.saturating_add(1);
        let until_ms = Some(job.filter.until_ms.map_or(made_ms, |until_ms| until_ms.min(made_ms)));
        let behind = || -> Result<Span, ReadError> {
            let place = job.cursor.as_deref().map(|cursor| binding.decode(cursor)).transpose()?;
            Span::new(since_ms, until_ms).behind(place)
        };
        match job.action {
            JobAction::Retry => {
                let status = Some(status.unwrap_or(DeliveryStatus::Dead));
                let filter =
                    DeliveryFilter { endpoint, status, event_type, source, route, since_ms, until_ms, after_seq: None };
                let span = behind()?;
                page(
                    self.oldest_first(filter.narrowest(tenant), &span),
                    &binding,
                    limit,
                    records_max,
                    |_| 0,
                    |id| {
                        let delivery = self.filtered_delivery(tenant, &filter, id.delivery()?)?;
                        Ok(delivery.map(Box::new).map(JobFound::Delivery))
                    },
                )
            }
            JobAction::Replay => {
                let filter = EventFilter { source, event_type, route, run_status, since_ms, until_ms };
                let span = behind()?;
                page(
                    self.oldest_first(keys::events(tenant), &span),
                    &binding,
                    limit,
                    records_max,
                    |_| 0,
                    |id| {
                        let event = self.filtered_event(tenant, &filter, id.event()?)?;
                        let Some(event) = event.filter(|event| event.seq <= job.seq_max) else { return Ok(None) };
                        let runs = self.runs(tenant, event.id)?;
                        Ok(Some(JobFound::Event(Box::new(event), runs)))
                    },
                )
            }
            JobAction::Rerun => {
                let filter = EventFilter { source, event_type, ..EventFilter::default() };
                let (cursor, route) = (job.cursor.as_deref(), route.as_ref());
                self.held_page(&binding, tenant, route, cursor, limit, (records_max, |_| 0), |held| {
                    let received_at_ms = held.run.event().received_at_ms();
                    let in_time = since_ms.is_none_or(|since_ms| since_ms <= received_at_ms)
                        && until_ms.is_none_or(|until_ms| received_at_ms < until_ms);
                    if !in_time || held.seq > job.seq_max {
                        return Ok(None);
                    }
                    self.held_run(tenant, held.run, &filter, job.filter.code.as_deref())
                })
            }
        }
    }

    /// A held run, where it failed with this code and is of an event that the filter lets pass.
    fn held_run(
        &self,
        tenant: &TenantName,
        run: RunId,
        filter: &EventFilter,
        code: Option<&str>,
    ) -> Result<Option<JobFound>, ReadError> {
        let Some(run) = self.run(tenant, run)? else { return Ok(None) };
        let failed_with = run.failure.as_ref().map(|failure| failure.code.as_str());
        if code.is_some() && code != failed_with {
            return Ok(None);
        }
        let any = *filter == EventFilter::default();
        let passes = any || self.filtered_event(tenant, filter, run.id.event())?.is_some();
        Ok(passes.then(|| JobFound::Run(Box::new(run))))
    }

    /// How many runs and deliveries of a tenant are pending; no further than up to these numbers.
    pub fn waiting(&self, tenant: &TenantName, up_to: Waiting) -> Result<Waiting, ReadError> {
        let count = |all: Key, most: usize| -> Result<usize, ReadError> {
            let entries = self.backend.scan(TreeId::Hot, &all.name(tenant.as_str()).prefix(), Order::Ascending);
            entries.take(most).try_fold(0, |count, entry| Ok(entry.map(|_| count + 1)?))
        };
        Ok(Waiting {
            runs: count(keys::all_pending(), up_to.runs)?,
            deliveries: count(keys::lanes(), up_to.deliveries)?,
        })
    }
}
