//! The plan of a route: everything about it that decides what a run does. A run pins the plan it first ran with, by the digest
//! of the plan's bytes, so that a crash, or a change of configuration in between, does not change the outcome.

use crate::model::{Digest, EndpointName, EventId, InvalidName, ModuleName, StepKey, World};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What a run of a route does, with the versions of the modules fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The modules to call, in order.
    pub steps: Vec<PlanStep>,
    /// Where messages go after the last step; none where the last step is a router.
    pub to: Option<Target>,
    /// What becomes of a run whose module fails.
    pub on_failure: OnFailure,
}

/// One module of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Its name, as the route has it.
    pub module: ModuleRef,
    /// Its version.
    pub digest: Digest,
    /// What it does.
    pub world: World,
    /// Its settings, a JSON value.
    pub settings: Value,
    /// Whether it keeps state. A plan without it has the bytes, and so the digest, that it had before there was state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub state: bool,
    /// The version that runs for a share of the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// How long one call may take, where the module or the tenant bounds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_time: Option<CallTime>,
}

/// A version that runs for a share of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Which one.
    pub digest: Digest,
    /// For how many of a hundred: 1 to 100.
    pub percent: u8,
}

/// How long one call may take, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTime {
    /// In milliseconds.
    pub ms: u64,
    /// Whose bound it is.
    pub set_by: TimeBound,
}

/// Who bounds the time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeBound {
    /// The module's `max_time_ms`.
    Module,
    /// The tenant's `module_time_ms_max`.
    Tenant,
    /// The host's `runtime.max_time_ms`.
    Host,
}

impl fmt::Display for TimeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Module => "the module's `max_time_ms`",
            Self::Tenant => "the tenant's `module_time_ms_max`",
            Self::Host => "the host's `runtime.max_time_ms`",
        })
    }
}

impl PlanStep {
    /// The versions that may run.
    pub fn versions(&self) -> impl Iterator<Item = Digest> + use<> {
        std::iter::once(self.digest).chain(self.canary.map(|canary| canary.digest))
    }

    /// The version that runs for this event: always the same one, so that who pins the plan pins the choice. An event that a small
    /// share takes in is in every larger one.
    #[must_use]
    pub fn version(&self, event: EventId) -> Digest {
        match self.canary {
            Some(canary) if place(event, &self.module) < u64::from(canary.percent) => canary.digest,
            _ => self.digest,
        }
    }
}

/// Where an event stands among a hundred, for this module.
fn place(event: EventId, module: &ModuleRef) -> u64 {
    let hash = Digest::of(&[&event.to_bytes(), module.to_string().as_bytes()].concat());
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)) % 100
}

/// Which endpoints get the messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// These, whatever event types they subscribe to.
    Endpoints(Vec<EndpointName>),
    /// Every endpoint that has all these labels and subscribes to the message's event type. No labels means every endpoint.
    Labels(BTreeMap<String, String>),
}

/// A route's failure policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Keep the run until it is rerun.
    #[default]
    Hold,
    /// Go on with the message as it was before the failing step.
    Pass,
    /// End the run; the trace says why.
    Drop,
}

impl Plan {
    /// The bytes that are stored. Equal plans have equal bytes.
    ///
    /// # Errors
    /// Never for a plan that was made from JSON; serde_json's error otherwise.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Whether any step keeps state: then its runs go one at a time.
    #[must_use]
    pub fn keeps_state(&self) -> bool {
        self.steps.iter().any(|step| step.state)
    }

    /// Whose state that of a step is, from 0; none where there is no such step.
    #[must_use]
    pub fn step_key(&self, step: usize) -> Option<StepKey> {
        let module = &self.steps.get(step)?.module;
        let nth = self.steps.iter().take(step + 1).filter(|other| other.module == *module).count();
        Some(StepKey::new(module, nth))
    }

    /// The opposite of [`Plan::to_bytes`].
    ///
    /// # Errors
    /// Where the bytes are not a plan.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// How a route names a module: `name` for the tenant's own, `operator/name` for one that the operator gives to all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModuleRef {
    /// Whether it is the operator's.
    pub operator: bool,
    /// Its name there.
    pub name: ModuleName,
}

impl FromStr for ModuleRef {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.strip_prefix("operator/") {
            Some(name) => Ok(Self { operator: true, name: name.parse()? }),
            None => Ok(Self { operator: false, name: text.parse()? }),
        }
    }
}

impl TryFrom<String> for ModuleRef {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ModuleRef> for String {
    fn from(reference: ModuleRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for ModuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.operator { "operator/" } else { "" }, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_always_gets_the_same_version_and_keeps_it_as_the_share_grows() {
        let (active, canary) = (Digest::of(b"1"), Digest::of(b"2"));
        let step = |percent| PlanStep {
            module: "m".parse().unwrap(),
            digest: active,
            world: World::Filter,
            settings: Value::Null,
            canary: Some(Canary { digest: canary, percent }),
            max_time: None,
            state: false,
        };
        let events: Vec<EventId> = (0..10_000).map(|n| EventId::new(1_700_000_000_000, n)).collect();
        let chosen = |percent: u8| {
            let step = step(percent);
            let chosen: Vec<bool> = events.iter().map(|event| step.version(*event) == canary).collect();
            assert_eq!(chosen, events.iter().map(|event| step.version(*event) == canary).collect::<Vec<_>>());
            chosen
        };
        let (few, many) = (chosen(20), chosen(50));
        let share = few.iter().filter(|canary| **canary).count();
        assert!((1_800..2_200).contains(&share), "{share} of 10,000 are about 20 percent");
        assert!(few.iter().zip(&many).all(|(few, many)| !few || *many));
        assert!(chosen(100).iter().all(|canary| *canary));
        // Another module draws its own lots.
        let other = PlanStep { module: "operator/m".parse().unwrap(), ..step(20) };
        assert!(events.iter().zip(&few).any(|(event, few)| (other.version(*event) == canary) != *few));
    }

    fn step(module: &str, state: bool) -> PlanStep {
        let (module, digest) = (module.parse().unwrap(), Digest::of(b"m"));
        PlanStep { module, digest, world: World::Filter, settings: Value::Null, state, canary: None, max_time: None }
    }

    fn plan(steps: Vec<PlanStep>) -> Plan {
        Plan { steps, to: None, on_failure: OnFailure::Hold }
    }

    #[test]
    fn a_plan_without_state_has_the_bytes_it_always_had() {
        let (without, with) = (plan(vec![step("m", false)]), plan(vec![step("m", true)]));
        let bytes = without.to_bytes().unwrap();
        assert!(!String::from_utf8(bytes.clone()).unwrap().contains("state"));
        assert_eq!(Plan::from_bytes(&bytes).unwrap(), without);
        assert_eq!(Plan::from_bytes(&with.to_bytes().unwrap()).unwrap(), with);
        assert!(with.keeps_state() && !without.keeps_state());
    }

    #[test]
    fn a_step_keeps_its_key_where_another_is_put_before_it() {
        let keys = |modules: &[&str]| {
            let plan = plan(modules.iter().map(|module| step(module, true)).collect());
            (0..modules.len()).map(|at| plan.step_key(at).unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(keys(&["a", "operator/a", "a"]), ["a", "operator/a", "a:2"]);
        assert_eq!(keys(&["b", "a", "operator/a", "a"])[1..], keys(&["a", "operator/a", "a"]));
        assert_eq!(plan(Vec::new()).step_key(0), None);
    }
}
