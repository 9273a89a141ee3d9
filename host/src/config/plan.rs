//! The plan of a route: everything about it that decides what a run does. A run pins the plan it first ran with, by the digest
//! of the plan's bytes, so that a crash, or a change of configuration in between, does not change the outcome.

use crate::model::{Digest, EndpointName, InvalidName, ModuleName, World};
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
