//! A module tried out by a person: an event and a message written by hand, what came of the call as a document, and what it cost.
//!
//! The same documents are the body and the answer of `POST …/modules/{name}/test` and the fixtures of `hookswitch module test`. A
//! trial commits nothing, and the module sees the origin `test` and a state that begins empty, each time anew.

mod costs;
mod exact;
mod given;
mod shown;

pub use costs::{Costs, CostsError};
pub use exact::{Exact, NotExact};
pub use given::{GivenBody, GivenEndpoint, GivenError, GivenEvent, GivenMessage};
pub use shown::{BodyForm, body, body_as, head, message, outcome};

use crate::config::CallTime;
use crate::model::{Event, Message, StepKey};
use crate::pipeline::{RunState, StateConfig};
use crate::runtime::{Call, Directory, Metered, Module, Report, Verdict};
use bytes::Bytes;
use std::time::Duration;

/// What a module is tried with.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The event.
    pub event: Event,
    /// Its body as received.
    pub body: Bytes,
    /// The message, as the step before left it.
    pub message: Message,
    /// The step's settings, a JSON text.
    pub settings: String,
    /// How long the call may take, where the module or the tenant bounds it.
    pub max_time: Option<CallTime>,
    /// What a router may know of the endpoints.
    pub endpoints: Directory,
}

impl Trial {
    /// Calls the module once, on this thread: see [`Module::call`].
    #[must_use]
    pub fn run(&self, module: &Module) -> Report<Verdict> {
        module.call(&self.call())
    }

    /// What the call costs, in fuel: see [`Metered::fuel`].
    #[must_use]
    pub fn fuel(&self, module: &Metered) -> Option<u64> {
        module.fuel(&self.call())
    }

    fn call(&self) -> Call<'_> {
        let call = Call::trial(&self.event, &self.body, &self.message, &self.settings);
        let endpoints = self.endpoints.clone();
        let state = RunState::empty(&self.event, StateConfig::default()).begin(StepKey::new(&"test", 1));
        let call = Call { endpoints, state: Some(state), ..call };
        match self.max_time {
            // The host's bound counts where it is the lower one.
            Some(bound) => Call { time: Duration::from_millis(bound.ms), time_set_by: bound.set_by, ..call },
            None => call,
        }
    }
}
