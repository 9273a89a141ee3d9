//! Takes away plans that no route has any more and no run that waits, and uploaded modules that neither the configuration nor a plan
//! names. What was in use a short time ago stays: an upload under way, or an event that is being accepted, may need it. A plan stays for as
//! long as events are kept that it decided about.

use super::Pipeline;
use super::retention::RetentionError;
use crate::config::Plan;
use crate::model::Digest;
use crate::store::{Outcome, Transition};
use std::collections::BTreeSet;
use std::time::Duration;

/// How many plans are read, or go, at once.
const PLANS_AT_ONCE: usize = 256;
/// With more runs that wait than this, nothing is looked for.
const RUNS_MAX: usize = 10_000;
/// What was in use within this time stays, whatever the retention time is; and no module stays for longer than the second for having been
/// uploaded alone.
const KEPT_MS_MIN: u64 = 5_000;
const UPLOADED_MS_MAX: u64 = 60 * 60 * 1000;

/// Looks for what is not needed, and takes it away.
pub(super) async fn sweep(pipeline: &Pipeline, now_ms: u64, retention_ms: u64) -> Result<(), RetentionError> {
    let kept_ms = retention_ms.max(KEPT_MS_MIN);
    let snapshot = pipeline.published.snapshot();
    let Some(mut used) = pipeline.store.read(|reader| reader.pinned_plans(RUNS_MAX)).await? else {
        tracing::info!(
            runs_max = RUNS_MAX,
            "too many runs wait: plans and modules that nothing needs are left for now"
        );
        return Ok(());
    };
    used.extend(snapshot.plans());
    let mut modules: BTreeSet<Digest> = snapshot.module_versions().collect();
    let mut after = None;
    loop {
        let page = pipeline.store.read(move |reader| reader.plans(after.as_ref(), PLANS_AT_ONCE)).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        let unused: Vec<Digest> =
            page.iter().map(|(digest, _)| *digest).filter(|digest| !used.contains(digest)).collect();
        for (digest, plan) in page {
            let Ok(plan) = Plan::from_bytes(&plan) else {
                tracing::warn!(%digest, "a stored plan cannot be read: no module is swept");
                return Ok(());
            };
            modules.extend(plan.steps.iter().flat_map(|step| step.versions()));
        }
        if unused.is_empty() {
            continue;
        }
        let sweep = Transition::SweepPlans {
            expected_revision: snapshot.revision,
            unused,
            now_ms,
            marked_by_ms: now_ms.saturating_sub(kept_ms),
        };
        if pipeline.store.commit(sweep).await? != Outcome::Done {
            // The configuration has changed.
            return Ok(());
        }
    }
    if pipeline.store.has_backup() {
        // Its configuration may have modules that today's has not.
        return Ok(());
    }
    // Those of the plans that went just now go the next time.
    match pipeline.library.sweep(modules, Duration::from_millis(kept_ms.min(UPLOADED_MS_MAX))).await {
        Ok(0) => {}
        Ok(swept) => tracing::info!(swept, "uploaded modules that nothing needs any more are gone"),
        Err(error) => tracing::warn!(%error, "uploaded modules that nothing needs any more cannot be removed"),
    }
    Ok(())
}
