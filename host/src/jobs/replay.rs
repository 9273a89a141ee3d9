//! By which routes, and with which plans, an event goes again. Pure.

use crate::config::Tenant;
use crate::model::{Digest, Event, Origin, PlanChoice, RouteName, Run};

/// Why an event cannot go again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayed {
    /// A route was named that the event does not go through.
    #[error("the event does not go through the route `{0}`")]
    NotThrough(RouteName),
    /// There is none.
    #[error("no route takes the event")]
    NoRoute,
}

/// The routes by which an event goes again, with their plans: those that take it today, or those of its first runs with the plans that these
/// are pinned to. Only these `routes` where any are named.
///
/// # Errors
/// Where there is none, or one that is named is not among them.
pub fn runs_of(
    plan: PlanChoice,
    routes: &[RouteName],
    tenant: &Tenant,
    event: &Event,
    runs: &[Run],
) -> Result<Vec<(RouteName, Digest)>, NotReplayed> {
    let mut found: Vec<(RouteName, Digest)> = match plan {
        PlanChoice::Today => {
            let taking = tenant.routes.values().filter(|route| route.takes(&event.source, &event.event_type));
            taking.map(|route| (route.name.clone(), route.plan_digest)).collect()
        }
        PlanChoice::Pinned => {
            // What was a test of an endpoint went through no route.
            let first = runs.iter().filter(|run| run.generation == 0 && run.origin != Origin::Test);
            first.map(|run| (run.route.clone(), run.plan)).collect()
        }
    };
    if let Some(missing) = routes.iter().find(|route| !found.iter().any(|(name, _)| name == *route)) {
        return Err(NotReplayed::NotThrough(missing.clone()));
    }
    if !routes.is_empty() {
        found.retain(|(name, _)| routes.contains(name));
    }
    if found.is_empty() { Err(NotReplayed::NoRoute) } else { Ok(found) }
}
