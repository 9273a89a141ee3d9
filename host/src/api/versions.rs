//! How the versions of a module change, and how one is quarantined and released: each a change of configuration like any other, so it
//! is atomic, and runs under way keep the plan they are pinned to.

use super::change::{Besides, Change, ChangeError, Changed, Configuration};
use crate::config::{Kind, ModuleRecord, QuarantineSpec, ResourceId, Snapshot, Spec};
use crate::model::{Actor, Digest, EventId, TenantName};
use crate::pipeline::{Streak, VersionOf};
use crate::store::Notice;
use serde_json::json;

impl Configuration {
    /// Changes the record of a module; `change` gets what it is now. A version that becomes active or canary by it is released from
    /// quarantine: somebody wants it to run.
    pub(super) async fn change_module(
        &self,
        by: &Actor,
        id: &ResourceId,
        change: impl FnOnce(Option<ModuleRecord>) -> Result<ModuleRecord, ChangeError>,
    ) -> Result<(Changed, ModuleRecord), ChangeError> {
        let _turn = self.turn().await;
        let before = self.snapshot();
        let old = before.module(id).cloned();
        let new = change(old.clone())?;
        if old.is_none() {
            check_quota(&before, id)?;
        }
        if old.as_ref() == Some(&new) {
            return Ok((Changed::Nothing, new));
        }
        let mut changes = vec![(id.clone(), Some(Spec::Module(new.clone())))];
        changes.extend(lifted(&before, id, old.as_ref(), &new));
        self.commit(by, &before, id, changes, Besides::default()).await?;
        Ok((if old.is_some() { Changed::Replaced } else { Changed::Created }, new))
    }

    /// Lets a version run again that is quarantined: in `tenant`, or wherever it is. Says in how many tenants it was.
    pub(super) async fn release(
        &self,
        by: &Actor,
        id: &ResourceId,
        digest: &Digest,
        tenant: Option<&TenantName>,
    ) -> Result<usize, ChangeError> {
        let _turn = self.turn().await;
        let before = self.snapshot();
        let found = before.quarantines(id).filter(|(_, spec)| spec.digest == *digest);
        let found = found.filter(|(at, _)| tenant.is_none_or(|tenant| at.tenant.as_ref() == Some(tenant)));
        let changes: Vec<Change> = found.map(|(at, _)| (at, None)).collect();
        let count = changes.len();
        if count > 0 {
            self.commit(by, &before, id, changes, Besides::default()).await?;
        }
        Ok(count)
    }

    /// Quarantines a version that failed too often in a row, and makes the module's previous version active where its owner wants that.
    /// None where there is nothing to do any more: the version is gone, or quarantined already.
    pub(super) async fn quarantine(
        &self,
        version: &VersionOf,
        streak: &Streak,
        event: EventId,
    ) -> Result<Option<QuarantineSpec>, ChangeError> {
        let VersionOf { tenant, module, digest } = version;
        let _turn = self.turn().await;
        let before = self.snapshot();
        let module_id = ResourceId {
            tenant: Some(tenant.clone()).filter(|_| !module.operator),
            kind: Kind::Module,
            name: module.name.to_string(),
        };
        let (Some(record), Some(owner)) = (before.module(&module_id), before.tenant(tenant)) else { return Ok(None) };
        if record.find(digest).is_none() || owner.is_quarantined(module, digest) {
            return Ok(None);
        }
        let mut spec = QuarantineSpec {
            module: module.clone(),
            digest: *digest,
            since_ms: event.received_at_ms(),
            failures: streak.failures,
            run: streak.run,
            code: streak.code.clone(),
            message: streak.message.clone(),
            rolled_back_to: None,
            event,
        };
        let id = ResourceId {
            tenant: Some(tenant.clone()),
            kind: Kind::Quarantine,
            name: QuarantineSpec::name_of(module, digest),
        };
        let alone = vec![(id.clone(), Some(Spec::Quarantine(spec.clone())))];
        if record.digest == *digest && record.rollback_on_quarantine {
            spec.rolled_back_to = record.previous.filter(|previous| owner.may_replace(module, record, previous));
        }
        if spec.rolled_back_to.is_some() {
            let mut changes = vec![(id.clone(), Some(Spec::Quarantine(spec.clone())))];
            // One of the operator's stays as it is for all others; this tenant's routes use the previous version.
            let mut rolled_back = record.clone();
            if !module.operator && rolled_back.roll_back().is_ok() {
                changes.push((module_id, Some(Spec::Module(rolled_back))));
            }
            match self.commit(&Actor::host(), &before, &id, changes, told(tenant, &spec)).await {
                Ok(()) => return Ok(Some(spec)),
                // The previous version does not fit what the routes have by now.
                Err(error @ (ChangeError::Invalid(_) | ChangeError::InUse { .. } | ChangeError::Library(_))) => {
                    tracing::warn!(%id, %error, "a quarantined version cannot be rolled back");
                    spec.rolled_back_to = None;
                }
                Err(error) => return Err(error),
            }
        }
        self.commit(&Actor::host(), &before, &id, alone, told(tenant, &spec)).await?;
        Ok(Some(spec))
    }
}

/// Whether the tenant may have another module.
fn check_quota(before: &Snapshot, id: &ResourceId) -> Result<(), ChangeError> {
    let Some(tenant) = id.tenant.as_ref().and_then(|tenant| before.tenant(tenant)) else { return Ok(()) };
    let has = tenant.records.keys().filter(|(kind, _)| *kind == Kind::Module).count() as u64;
    match tenant.quotas.modules_max {
        Some(most) if has >= most => Err(ChangeError::ModulesQuota(most)),
        _ => Ok(()),
    }
}

/// The operational event that says so comes of the same commit.
fn told(tenant: &TenantName, spec: &QuarantineSpec) -> Besides {
    let body = json!({
        "tenant": tenant,
        "module": spec.module,
        "digest": spec.digest,
        "since_ms": spec.since_ms,
        "failures": spec.failures,
        "run": spec.run,
        "code": spec.code,
        "message": spec.message,
        "rolled_back_to": spec.rolled_back_to,
    });
    let notice = Notice { event: spec.event, event_type: "module.quarantined".to_owned(), body };
    Besides { notices: vec![(tenant.clone(), notice)], ..Besides::default() }
}

/// The quarantines that end with a change: of versions that now become active or canary, and of those that are forgotten.
fn lifted(before: &Snapshot, id: &ResourceId, old: Option<&ModuleRecord>, new: &ModuleRecord) -> Vec<Change> {
    let canary = |record: &ModuleRecord| record.canary.map(|canary| canary.digest);
    let wanted = |digest: &Digest| {
        let active = *digest == new.digest && old.is_none_or(|old| old.digest != new.digest);
        let canary = Some(*digest) == canary(new) && old.is_none_or(|old| canary(old) != canary(new));
        active || canary || new.find(digest).is_none()
    };
    before.quarantines(id).filter(|(_, spec)| wanted(&spec.digest)).map(|(at, _)| (at, None)).collect()
}
