//! What a module finds around it: the imports of the contract, and the state of one call behind them.
//!
//! All of it is made for one call and dropped with it. During `configure` a module may only log; whatever else it asks for
//! then stops it, so that settings are judged alike when a route is saved and when an event comes.

use super::bindings::{context, endpoints, log, state, types};
use super::directory::Directory;
use super::host_calls::HostCalls;
use super::limiter::Limiter;
use super::logs::LogBuffer;
use super::{Config, StateAccess, StateError, StateHandle};
use crate::model::{LogLevel, Origin};
use bytes::Bytes;
use std::sync::PoisonError;
use wasmtime::component::{HasSelf, Linker};

/// The data of one call's store.
pub(super) struct HostState {
    pub(super) limiter: Limiter,
    pub(super) logs: LogBuffer,
    pub(super) calls: HostCalls,
    pub(super) phase: Phase,
    pub(super) event_body: Bytes,
    pub(super) origin: Origin,
    pub(super) endpoints: Directory,
    pub(super) state: Option<StateHandle>,
}

/// How far the call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The instance is made (its start function may run), or its `configure`.
    Configure,
    /// The call proper.
    Call,
}

/// The module asked for more than it may have during `configure`.
#[derive(Debug, thiserror::Error)]
#[error("`{function}` was called before the call proper")]
pub(super) struct OnlyLog {
    pub(super) function: &'static str,
}

/// The module asked its state, and the host could not read it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct StateUnavailable(pub(super) String);

impl HostState {
    pub(super) fn new(config: &Config, event_body: Bytes, origin: Origin, endpoints: Directory) -> Self {
        Self {
            limiter: Limiter::new(config),
            logs: LogBuffer::new(config),
            calls: HostCalls::new(config),
            phase: Phase::Configure,
            event_body,
            origin,
            endpoints,
            state: None,
        }
    }

    fn in_call(&self, function: &'static str) -> wasmtime::Result<()> {
        match self.phase {
            Phase::Call => Ok(()),
            Phase::Configure => Err(OnlyLog { function }.into()),
        }
    }

    /// Asks the state, where the module may.
    fn ask_state<T>(
        &mut self,
        function: &'static str,
        bytes: usize,
        ask: impl FnOnce(&mut dyn StateAccess) -> Result<T, StateError>,
    ) -> wasmtime::Result<Result<T, types::Failure>> {
        self.in_call(function)?;
        self.calls.count(bytes)?;
        let Some(state) = &self.state else { return Ok(Err(failure("denied", NO_STATE.to_owned()))) };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        match ask(&mut *state) {
            Ok(answer) => Ok(Ok(answer)),
            Err(error @ StateError::Limit { .. }) => Ok(Err(failure("limit", error.to_string()))),
            Err(error @ StateError::InputInvalid(_)) => Ok(Err(failure("input-invalid", error.to_string()))),
            Err(StateError::Unavailable(why)) => Err(StateUnavailable(why).into()),
        }
    }
}

/// What filters and transforms may import.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    context::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    state::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// What routers may import: the endpoints, too.
pub(super) fn router_linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = linker(engine)?;
    endpoints::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl types::Host for HostState {}

impl context::Host for HostState {
    fn event_body(&mut self) -> wasmtime::Result<Vec<u8>> {
        self.in_call("context.event-body")?;
        self.calls.count(self.event_body.len())?;
        Ok(self.event_body.to_vec())
    }

    fn origin(&mut self) -> wasmtime::Result<String> {
        self.in_call("context.origin")?;
        self.calls.count(self.origin.as_str().len())?;
        Ok(self.origin.as_str().to_owned())
    }
}

impl log::Host for HostState {
    fn write(&mut self, level: log::Level, line: String) -> wasmtime::Result<()> {
        self.calls.count(line.len())?;
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.logs.write(level, line);
        Ok(())
    }
}

impl state::Host for HostState {
    fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, types::Failure>> {
        let answer = self.ask_state("state.get", key.len(), |state| state.get(&key))?;
        if let Ok(Some(value)) = &answer {
            self.calls.hand_over(value.len())?;
        }
        Ok(answer)
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_s: u32) -> wasmtime::Result<Result<(), types::Failure>> {
        self.ask_state("state.set", key.len() + value.len(), |state| state.set(&key, value, ttl_s))
    }

    fn remove(&mut self, key: String) -> wasmtime::Result<Result<(), types::Failure>> {
        self.ask_state("state.remove", key.len(), |state| state.remove(&key))
    }

    fn increment(&mut self, key: String, by: i64, ttl_s: u32) -> wasmtime::Result<Result<i64, types::Failure>> {
        self.ask_state("state.increment", key.len(), |state| state.increment(&key, by, ttl_s))
    }
}

const NO_STATE: &str =
    "this step keeps no state: write `state = true` (in JSON `\"state\": true`) at the step of the route";

fn failure(code: &str, message: String) -> types::Failure {
    types::Failure { code: code.to_owned(), message }
}

impl endpoints::Host for HostState {
    fn get(&mut self, name: String) -> wasmtime::Result<Option<types::Endpoint>> {
        self.in_call("endpoints.get")?;
        let found = self.endpoints.get(&name).map(types::Endpoint::from);
        self.calls.count(name.len() + found.as_ref().map_or(0, bytes))?;
        Ok(found)
    }

    fn find(&mut self, labels: Vec<(String, String)>) -> wasmtime::Result<Vec<types::Endpoint>> {
        self.in_call("endpoints.find")?;
        let found: Vec<_> = self.endpoints.find(&labels).map(types::Endpoint::from).collect();
        self.calls.count(pair_bytes(&labels) + found.iter().map(bytes).sum::<usize>())?;
        Ok(found)
    }
}

fn bytes(endpoint: &types::Endpoint) -> usize {
    endpoint.name.len() + pair_bytes(&endpoint.labels)
}

fn pair_bytes(pairs: &[(String, String)]) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
}
