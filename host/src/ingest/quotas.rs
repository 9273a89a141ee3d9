//! Whether a tenant has room for another event under its quotas. What is on its way at that moment is not counted yet, so a bound may be passed by that
//! much.

use super::take::Way;
use super::{Ingest, Inner};
use crate::config::{Quotas, Source};
use crate::model::{PUBLISHED_SOURCE, TenantName};
use crate::pipeline::Pipeline;
use crate::problem::Problem;
use crate::store::{Store, Usage};
use http::StatusCode;
use std::sync::Arc;

/// How long to wait where deliveries have to leave or events to be swept, in seconds.
const LATER_S: u32 = 30;
const MINUTE_MS: u64 = 60_000;

impl Ingest {
    /// Whether there is room for another event of a tenant that comes by no source, on the disk and under its quotas. It counts under its rate.
    ///
    /// # Errors
    /// 507 or 429 where there is none.
    pub async fn check_tenant(&self, tenant: &TenantName) -> Result<(), Problem> {
        self.inner.taker.pipeline.room().map_err(Problem::from)?;
        let Some(way) = self.way_of(tenant)? else { return Ok(()) };
        self.check_quotas(&way).await?;
        self.check_rates(&way, 1)
    }

    /// A way by which only what bounds the whole tenant is met; none where it is gone.
    fn way_of(&self, tenant: &TenantName) -> Result<Option<Way>, Problem> {
        let source_name = PUBLISHED_SOURCE.parse().map_err(|_| Problem::internal())?;
        let (tenant_name, source) = (tenant.clone(), Arc::new(Source::of_the_application()));
        let found = self.inner.snapshots.borrow().tenant(tenant).cloned();
        Ok(found.map(|tenant| Way { tenant_name, source_name, source, quotas: tenant.quotas, tenant }))
    }

    /// Whether a tenant's modules may run for something else than an event.
    ///
    /// # Errors
    /// 429 where their time is used up for this minute.
    pub async fn check_module_time(&self, tenant: &TenantName) -> Result<(), Problem> {
        let Some(way) = self.way_of(tenant)? else { return Ok(()) };
        let quotas = Quotas { waiting_deliveries_max: None, stored_bytes_max: None, ..way.quotas };
        self.check_quotas(&Way { quotas, ..way }).await
    }

    /// Whether the tenant has room for another event.
    pub(super) async fn check_quotas(&self, way: &Way) -> Result<(), Problem> {
        let Inner { taker, store, .. } = &*self.inner;
        check(way, &taker.pipeline, store, taker.clock.now_ms()).await
    }
}

/// The same, for who has no ingest at hand.
pub(super) async fn check(way: &Way, pipeline: &Pipeline, store: &Store, now_ms: u64) -> Result<(), Problem> {
    let module_time_ms = match way.quotas.module_time_ms_per_min {
        Some(_) => pipeline.module_times().of(&way.tenant_name),
        None => 0,
    };
    let mut used = Used { module_time_ms, ..Used::default() };
    if asks_the_store(&way.quotas) {
        let tenant = way.tenant_name.clone();
        match store.read(move |reader| reader.usage(&tenant)).await {
            Ok(stored) => used.stored = stored,
            // The commit will say so, if it is the store's end.
            Err(error) => tracing::warn!(%error, "what a tenant has in the store cannot be read"),
        }
    }
    compare(&way.quotas, &used, now_ms)
}

/// What a tenant uses.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    stored: Usage,
    /// In the minute under way.
    module_time_ms: u64,
}

/// Whether the store has to be asked.
const fn asks_the_store(quotas: &Quotas) -> bool {
    quotas.waiting_deliveries_max.is_some() || quotas.stored_bytes_max.is_some()
}

/// Refuses where a quota is used up.
fn compare(quotas: &Quotas, used: &Used, now_ms: u64) -> Result<(), Problem> {
    let rest_of_minute_s = u32::try_from((MINUTE_MS - now_ms % MINUTE_MS).div_ceil(1000)).unwrap_or(LATER_S);
    let bounds = [
        ("waiting_deliveries_max", quotas.waiting_deliveries_max, used.stored.waiting_deliveries, LATER_S),
        ("stored_bytes_max", quotas.stored_bytes_max, used.stored.stored_bytes, LATER_S),
        ("module_time_ms_per_min", quotas.module_time_ms_per_min, used.module_time_ms, rest_of_minute_s),
    ];
    for (quota, most, used, wait_s) in bounds {
        if let Some(most) = most.filter(|most| used >= *most) {
            let detail =
                format!("the tenant's quota is used up: {used} of {quota} = {most}; send it again in {wait_s} s");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded", detail)
                .with("quota", quota)
                .with("used", used)
                .with("max", most)
                .retry_after_s(wait_s));
        }
    }
    Ok(())
}
