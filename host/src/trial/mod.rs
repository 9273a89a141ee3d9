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
pub use shown::{BodyForm, body, body_as, head, message, outcome, outcome_within};

use crate::config::CallTime;
use crate::model::{Event, Message, StepKey};
use crate::pipeline::{RunState, StateConfig};
use crate::runtime::{Call, CallError, Directory, Metered, Module, Report, Verdict};
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

    /// What the call costs, in fuel, after it was made and had this report: see [`Metered::fuel`]. None where it ran out of time: counted,
    /// it would take longer still, to end without a number.
    #[must_use]
    pub fn fuel(&self, module: &Metered, report: &Report<Verdict>) -> Option<u64> {
        let ended = !matches!(report.result, Err(CallError::TimeLimit { .. }));
        ended.then(|| module.fuel(&self.call())).flatten()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{
        Config, Meter, Runtime,
        tests::{endless_upload, small_upload},
    };

    #[test]
    fn what_ran_out_of_time_is_not_called_again_to_be_counted() {
        let (event, body) = serde_json::from_str::<GivenEvent>("{}").unwrap().resolve(None).unwrap();
        let message = Message::of_event(&event, &body);
        let (settings, endpoints) = ("{}".to_owned(), Directory::default());
        let trial = Trial { event, body, message, settings, max_time: None, endpoints };
        let config = Config { threads: 1, max_time_ms: 5, ..Config::default() };
        let runtime = Runtime::start(config.clone()).unwrap();
        // This one would have a number.
        let metered =
            Meter::start(&Config { max_time_ms: 10_000, ..config }).unwrap().compile(&small_upload()).unwrap();
        let mut report = trial.run(&runtime.compile(&endless_upload()).unwrap());
        assert!(matches!(report.result, Err(CallError::TimeLimit { .. })), "{report:?}");
        assert_eq!(trial.fuel(&metered, &report), None);
        report.result = Ok(Verdict::Accept);
        assert!(trial.fuel(&metered, &report).is_some());
    }
}
