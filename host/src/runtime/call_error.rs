//! Why a call came to nothing, in words for the module's author; and the judgement of what wasmtime tells.

use super::Config;
use super::bindings::types::Failure;
use super::host::{OnlyLog, StateUnavailable};
use super::host_calls::HostCallLimit;
use super::limiter::{GrowsTooOften, Refused};
use super::logs::cut;
use super::trap;
use crate::config::TimeBound;
use crate::model::LogLine;
use std::time::Duration;
use wasmtime::{PoolConcurrencyLimitError, Trap};

/// The longest code of a module's own failure, in bytes.
const FAILURE_CODE_BYTES_MAX: usize = 64;

/// Why a call came to nothing. The event's failure policy says what becomes of the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The module broke off: a panic, an `unreachable`, an access outside its memory.
    #[error("the module trapped: {0}")]
    Trap(String),
    /// The call took too much processor time and was stopped.
    #[error(
        "the call was stopped after {limit_ms} ms of processor time (by {set_by}): the module loops, or has more to do than the time \
         allows"
    )]
    TimeLimit {
        /// The limit of this call, in milliseconds.
        limit_ms: u64,
        /// Whose limit it is.
        set_by: TimeBound,
    },
    /// The module asked for more memory than it may have, and did not go on without.
    #[error("the module ran out of memory: `runtime.{bound}` is {max}")]
    MemoryLimit {
        /// The bound, as the config names it.
        bound: &'static str,
        /// Its value.
        max: usize,
    },
    /// The module's memories and tables grew too often.
    #[error(
        "the module's memories and tables grew more often than `runtime.grows_max` = {max} times: let them grow by more at once"
    )]
    GrowLimit {
        /// The bound.
        max: usize,
    },
    /// The module called the host too often, or for too much.
    #[error("the module asked too much of the host in one call: `runtime.{bound}` is {max}")]
    HostCallLimit {
        /// The bound, as the config names it.
        bound: &'static str,
        /// Its value.
        max: usize,
    },
    /// The module's calls are nested too deep.
    #[error("the module's stack is used up (`runtime.stack_bytes_max` is {max}): a recursion without end, or too deep")]
    StackOverflow {
        /// The bound in bytes.
        max: usize,
    },
    /// The module produced, or handed the host at once, more than it may.
    #[error("the module's output is too large: `runtime.{bound}` is {max}")]
    OutputLimit {
        /// The bound, as the config names it.
        bound: &'static str,
        /// Its value.
        max: u64,
    },
    /// The module handed the host something that is no legal value.
    #[error("the module's output is not valid: {0}")]
    OutputInvalid(String),
    /// The module set a header that is not its to set.
    #[error(
        "the module may not set the header `{0}`: host, content-length, content-type, authorization, cookie, `webhook-*` and \
         hop-by-hop headers belong to the host and the endpoint"
    )]
    HeaderForbidden(String),
    /// The body is larger than a module is given.
    #[error("the body has {given} bytes, and modules are given at most {max} (`runtime.module_body_bytes_max`)")]
    InputTooLarge {
        /// Bytes of the event's or the message's body, whichever is larger.
        given: usize,
        /// The bound in bytes.
        max: usize,
    },
    /// `configure` refused the settings.
    #[error("the module refuses its settings: {message} ({code})")]
    SettingsInvalid {
        /// The module's code.
        code: String,
        /// The module's words.
        message: String,
    },
    /// The module says that it cannot do its work.
    #[error("the module failed: {message} ({code})")]
    Failed {
        /// The module's code.
        code: String,
        /// The module's words.
        message: String,
    },
    /// The module called what it may not call.
    #[error(
        "the module called `{function}` while it started or in `configure`, where it may only log: the event comes later"
    )]
    Denied {
        /// The function.
        function: &'static str,
    },
    /// The host could not read the step's state. It says nothing about the module: the run is to be made again.
    #[error("the state of the step cannot be read: {0}")]
    StateUnavailable(String),
    /// No instance was free. It says nothing about the module: try again.
    #[error("every instance of the pool is in use; try again")]
    Busy,
    /// The instance could not be made, though the module is a good one.
    #[error("no instance of the module could be made: {0}")]
    Start(String),
}

impl CallError {
    /// A stable code for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::TimeLimit { .. } => "time_limit",
            Self::MemoryLimit { .. } => "memory_limit",
            Self::GrowLimit { .. } => "grow_limit",
            Self::HostCallLimit { .. } => "host_call_limit",
            Self::StackOverflow { .. } => "stack_overflow",
            Self::OutputLimit { .. } => "output_limit",
            Self::OutputInvalid(_) => "output_invalid",
            Self::HeaderForbidden(_) => "header_forbidden",
            Self::InputTooLarge { .. } => "input_too_large",
            Self::SettingsInvalid { .. } => "settings_invalid",
            Self::Failed { .. } => "failed",
            Self::Denied { .. } => "denied",
            Self::StateUnavailable(_) => "state_unavailable",
            Self::Busy => "busy",
            Self::Start(_) => "start_failed",
        }
    }

    /// The module's own code, where the failure is in its own words.
    #[must_use]
    pub fn module_code(&self) -> Option<&str> {
        match self {
            Self::SettingsInvalid { code, .. } | Self::Failed { code, .. } => Some(code),
            _ => None,
        }
    }

    pub(super) fn settings(failure: Failure, config: &Config) -> Self {
        let (code, message) = own_words(&failure, config);
        Self::SettingsInvalid { code, message }
    }

    pub(super) fn failed(failure: Failure, config: &Config) -> Self {
        let (code, message) = own_words(&failure, config);
        Self::Failed { code, message }
    }

    pub(super) fn output_limit(bound: &'static str, max: usize) -> Self {
        Self::OutputLimit { bound, max: max as u64 }
    }
}

fn own_words(failure: &Failure, config: &Config) -> (String, String) {
    (cut(&failure.code, FAILURE_CODE_BYTES_MAX), cut(&failure.message, config.reason_bytes_max))
}

/// What ended a call early.
pub(super) enum Stop {
    /// The instance could not be made, or its start function did not return.
    Start(wasmtime::Error),
    /// An exported function did not return, or what it returned is no value of its type.
    Run(wasmtime::Error),
    /// It is already known why.
    Known(CallError),
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Known(error)
    }
}

impl Stop {
    /// Finds out why. `refused` is what the instance did not get; `time` was the call's limit, with what set it; `logs` is what
    /// it said.
    pub(super) fn judge(
        self,
        refused: Option<Refused>,
        (time, set_by): (Duration, TimeBound),
        config: &Config,
        logs: &[LogLine],
    ) -> CallError {
        let (error, starting) = match self {
            Self::Known(error) => return error,
            Self::Start(error) => (error, true),
            Self::Run(error) => (error, false),
        };
        if let Some(OnlyLog { function }) = error.downcast_ref() {
            return CallError::Denied { function };
        }
        if let Some(StateUnavailable(why)) = error.downcast_ref() {
            return CallError::StateUnavailable(why.clone());
        }
        if let Some(&HostCallLimit { bound, max }) = error.downcast_ref() {
            return CallError::HostCallLimit { bound, max };
        }
        if let Some(&GrowsTooOften { max }) = error.downcast_ref() {
            return CallError::GrowLimit { max };
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return CallError::Busy;
        }
        match (error.downcast_ref::<Trap>(), refused) {
            (Some(Trap::Interrupt), _) => {
                CallError::TimeLimit { limit_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX), set_by }
            }
            (Some(Trap::StackOverflow), _) => CallError::StackOverflow { max: config.stack_bytes_max },
            (_, Some(Refused { bound, max })) => CallError::MemoryLimit { bound, max },
            (Some(trap), None) => CallError::Trap(trap::in_words(*trap, &error, logs)),
            (None, None) if handed_too_much(&error) => {
                CallError::output_limit("output_bytes_max", config.output_bytes_max)
            }
            (None, None) if starting => CallError::Start(cut(&format!("{error:#}"), trap::TEXT_BYTES_MAX)),
            (None, None) => CallError::OutputInvalid(trap::with_functions(&error.root_cause().to_string(), &error)),
        }
    }
}

/// Whether the guest passed more to the host in one go than [`super::output::lift_bytes_max`]. Wasmtime keeps that error's type to
/// itself, so it is known by the type's name; a test sees to it that it stays so.
fn handed_too_much(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| format!("{cause:?}") == "HostcallFuelExhausted")
}
