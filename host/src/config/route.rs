//! From a route as people write it to the one that the road uses, with its plan.

use super::resolve::{PATTERNS_MAX, at_most, check_labels, name_of};
use super::{EventTypePattern, Kind, ModuleRecord, ModuleRef, Plan, PlanStep, ResourceId, RouteSpec, Spec, Target};
use super::{Invalid, Tenant};
use crate::model::{Digest, ModuleName, OPERATIONAL_SOURCE, RouteName, SourceName, World};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

const STEPS_MAX: usize = 16;

/// From a source to endpoints, ready for use.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: RouteName,
    /// The source whose events it takes.
    pub source: SourceName,
    /// Which of them.
    pub event_types: Vec<EventTypePattern>,
    /// What a run of it does.
    pub plan: Arc<Plan>,
    /// The digest of `plan_bytes`.
    pub plan_digest: Digest,
    /// The plan as it is stored.
    pub plan_bytes: Bytes,
    /// Whether a held run blocks those behind it. See also [`Route::in_order`].
    pub ordered: bool,
    /// Whether events pass it by for now.
    pub disabled: bool,
}

/// The modules that a tenant's routes may name.
pub(super) struct Modules<'a> {
    pub(super) own: &'a BTreeMap<(Kind, String), Spec>,
    pub(super) operator: &'a BTreeMap<ModuleName, ModuleRecord>,
}

impl Modules<'_> {
    fn find(&self, reference: &ModuleRef) -> Option<&ModuleRecord> {
        if reference.operator {
            return self.operator.get(&reference.name);
        }
        match self.own.get(&(Kind::Module, reference.name.to_string())) {
            Some(Spec::Module(record)) => Some(record),
            _ => None,
        }
    }
}

impl Route {
    pub(super) fn resolve(
        id: &ResourceId,
        spec: &RouteSpec,
        tenant: &Tenant,
        modules: &Modules<'_>,
    ) -> Result<Self, Invalid> {
        if !tenant.sources.contains_key(&spec.source) && spec.source.as_str() != OPERATIONAL_SOURCE {
            return Err(Invalid::new("/source", format!("the tenant has no source `{}`: make it first", spec.source)));
        }
        at_most("/steps", spec.steps.len(), STEPS_MAX)?;
        at_most("/event_types", spec.event_types.len(), PATTERNS_MAX)?;
        let mut steps = Vec::with_capacity(spec.steps.len());
        for (index, step) in spec.steps.iter().enumerate() {
            let pointer = format!("/steps/{index}/module");
            let Some(record) = modules.find(&step.module) else {
                return Err(Invalid::new(pointer, format!("there is no module `{}`: upload it first", step.module)));
            };
            if record.world == World::Router && index + 1 != spec.steps.len() {
                return Err(Invalid::new(
                    pointer,
                    format!("`{}` is a router: it can only be the last step", step.module),
                ));
            }
            steps.push(PlanStep {
                module: step.module.clone(),
                digest: tenant.active(&step.module, record),
                world: record.world,
                settings: step.settings.clone(),
                state: step.state,
                canary: record.canary.filter(|canary| !tenant.is_quarantined(&step.module, &canary.digest)),
                max_time: tenant.max_time(record),
            });
        }
        let routes_itself = steps.last().is_some_and(|step| step.world == World::Router);
        check_target(spec.to.as_ref(), routes_itself, tenant)?;
        let plan = Plan { steps, to: spec.to.clone(), on_failure: spec.on_failure };
        let bytes = plan.to_bytes().map_err(|error| Invalid::new("/steps", error.to_string()))?;
        Ok(Self {
            name: name_of(id)?,
            source: spec.source.clone(),
            event_types: spec.event_types.clone(),
            plan: Arc::new(plan),
            plan_digest: Digest::of(&bytes),
            plan_bytes: bytes.into(),
            ordered: spec.ordered,
            disabled: spec.disabled,
        })
    }

    /// Whether its runs go one at a time, after the acknowledgement.
    #[must_use]
    pub fn in_order(&self) -> bool {
        self.ordered || self.plan.keeps_state()
    }

    /// Whether operational events of this type go through it.
    #[must_use]
    pub fn takes_operational(&self, event_type: &str) -> bool {
        self.source.as_str() == OPERATIONAL_SOURCE && self.takes(&self.source, event_type)
    }

    /// Whether an event of this source and type goes through it.
    #[must_use]
    pub fn takes(&self, source: &SourceName, event_type: &str) -> bool {
        !self.disabled && self.source == *source && self.event_types.iter().any(|pattern| pattern.matches(event_type))
    }
}

fn check_target(to: Option<&Target>, routes_itself: bool, tenant: &Tenant) -> Result<(), Invalid> {
    match to {
        Some(_) if routes_itself => {
            Err(Invalid::new("/to", "the last step is a router, which names the endpoints itself: leave `to` out"))
        }
        None if routes_itself => Ok(()),
        None => Err(Invalid::new(
            "/to",
            "is missing: say `{\"endpoints\": [\"name\"]}` or `{\"labels\": {\"label\": \"value\"}}`",
        )),
        Some(Target::Labels(labels)) => check_labels("/to/labels", labels),
        Some(Target::Endpoints(names)) if names.is_empty() => Err(Invalid::new("/to/endpoints", "names no endpoint")),
        Some(Target::Endpoints(names)) => {
            for (index, name) in names.iter().enumerate() {
                let pointer = format!("/to/endpoints/{index}");
                if !tenant.endpoints.contains_key(name) {
                    return Err(Invalid::new(pointer, format!("the tenant has no endpoint `{name}`: make it first")));
                }
                if names.iter().take(index).any(|earlier| earlier == name) {
                    return Err(Invalid::new(pointer, format!("names `{name}` a second time")));
                }
            }
            Ok(())
        }
    }
}
