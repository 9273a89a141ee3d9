//! What a module finds around it: the imports of the contract, and the state of one call behind them.
//!
//! All of it is made for one call and dropped with it. During `configure` a module may only log; whatever else it asks for
//! then stops it, so that settings are judged alike when a route is saved and when an event comes.

use super::Config;
use super::bindings::{context, endpoints, log, state, types};
use super::directory::Directory;
use super::limiter::Limiter;
use super::logs::LogBuffer;
use crate::model::{LogLevel, Origin};
use bytes::Bytes;
use wasmtime::component::{HasSelf, Linker};

/// The data of one call's store.
pub(super) struct HostState {
    pub(super) limiter: Limiter,
    pub(super) logs: LogBuffer,
    pub(super) phase: Phase,
    pub(super) event_body: Bytes,
    pub(super) origin: Origin,
    pub(super) endpoints: Directory,
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

impl HostState {
    pub(super) fn new(config: &Config, event_body: Bytes, origin: Origin, endpoints: Directory) -> Self {
        Self {
            limiter: Limiter::new(config),
            logs: LogBuffer::new(config),
            phase: Phase::Configure,
            event_body,
            origin,
            endpoints,
        }
    }

    fn in_call(&self, function: &'static str) -> wasmtime::Result<()> {
        match self.phase {
            Phase::Call => Ok(()),
            Phase::Configure => Err(OnlyLog { function }.into()),
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
        Ok(self.event_body.to_vec())
    }

    fn origin(&mut self) -> wasmtime::Result<String> {
        self.in_call("context.origin")?;
        Ok(self.origin.as_str().to_owned())
    }
}

impl log::Host for HostState {
    fn write(&mut self, level: log::Level, line: String) -> wasmtime::Result<()> {
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

/// Module state is not available yet: the contract says so, and every call answers it.
impl state::Host for HostState {
    fn get(&mut self, _key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, types::Failure>> {
        Ok(Err(no_state()))
    }

    fn set(&mut self, _key: String, _value: Vec<u8>, _ttl_s: u32) -> wasmtime::Result<Result<(), types::Failure>> {
        Ok(Err(no_state()))
    }

    fn remove(&mut self, _key: String) -> wasmtime::Result<Result<(), types::Failure>> {
        Ok(Err(no_state()))
    }

    fn increment(&mut self, _key: String, _by: i64, _ttl_s: u32) -> wasmtime::Result<Result<i64, types::Failure>> {
        Ok(Err(no_state()))
    }
}

fn no_state() -> types::Failure {
    let message = "this host keeps no module state yet; do without, or keep it in the receiver";
    types::Failure { code: "denied".to_owned(), message: message.to_owned() }
}

impl endpoints::Host for HostState {
    fn get(&mut self, name: String) -> wasmtime::Result<Option<types::Endpoint>> {
        self.in_call("endpoints.get")?;
        Ok(self.endpoints.get(&name).map(types::Endpoint::from))
    }

    fn find(&mut self, labels: Vec<(String, String)>) -> wasmtime::Result<Vec<types::Endpoint>> {
        self.in_call("endpoints.find")?;
        Ok(self.endpoints.find(&labels).map(types::Endpoint::from).collect())
    }
}
