//! What a receiver is asked before it gets anything: whether it allows deliveries, by the handshake of CloudEvents' HTTP Web Hooks, and whether it is
//! the one that was meant, by a challenge. Checked; how one asks, and what an answer means, is for the deliverer.

use super::{EndpointSpec, Invalid, TargetUrl};
use crate::model::Digest;
use serde::{Deserialize, Serialize};

/// How a receiver shows that it is the one that was meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerificationSpec {
    /// Not at all.
    #[default]
    None,
    /// It repeats what it is sent.
    Challenge,
}

/// What is asked first, of an endpoint of which something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The endpoint as its receiver is asked about it: another one is asked about anew.
    pub of: Digest,
    /// Whether deliveries are allowed.
    pub handshake: bool,
    /// Whether it repeats a challenge.
    pub challenge: bool,
}

impl Asking {
    /// None where nothing is asked. What is asked is asked of one URL, and a handshake is about POST (HTTP Web Hooks, sections 2.1 and 4.1).
    pub(super) fn resolve(spec: &EndpointSpec, url: &TargetUrl) -> Result<Option<Self>, Invalid> {
        let challenge = spec.verification == VerificationSpec::Challenge;
        let pointer = match (spec.handshake, challenge) {
            (true, _) => "/handshake",
            (false, true) => "/verification",
            (false, false) => return Ok(None),
        };
        if url.has_variables() {
            let message = "asks about one URL, and this endpoint's has variables: leave one of them out";
            return Err(Invalid::new(pointer, message));
        }
        if spec.handshake && spec.method != "POST" {
            return Err(Invalid::new(pointer, format!("is about POST, and `method` is `{}`", spec.method)));
        }
        let bytes = serde_json::to_vec(spec).map_err(|error| Invalid::new(pointer, error.to_string()))?;
        Ok(Some(Self { of: Digest::of(&bytes), handshake: spec.handshake, challenge }))
    }
}
