//! The runtime with real guests, written as WebAssembly text: what they may do, what they may not, and that the host goes on.

mod bounds;
mod calls;
mod every_bound;
mod guests;
mod meter;
mod traces;
mod uploads;
mod without_wasi;

use super::{Call, CallError, Config, Directory, Module, ModuleError, Report, Runtime, StateHandle, Verdict};
use crate::config::TimeBound;
use crate::model::{Event, EventId, Header, LogLine, Message, Origin};
use bytes::Bytes;
use std::sync::LazyLock;
use std::time::Duration;

/// One engine for most tests. A call has ten seconds there, so that a busy machine fails no test; those that wait for the end
/// of a loop give less.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Runtime::start(Config { threads: 4, max_time_ms: 10_000, ..Config::default() }).expect("the runtime starts")
});

/// The bytes of a small good module, for tests of other layers.
pub(crate) fn small_upload() -> Vec<u8> {
    guests::Guest::of("filter").core()
}

/// The bytes of a module whose call never ends.
pub(crate) fn endless_upload() -> Vec<u8> {
    guests::Guest { call: "(loop $again (br $again)) unreachable".into(), ..guests::Guest::of("filter") }.core()
}

fn compile(upload: &[u8]) -> Module {
    RUNTIME.compile(upload).expect("a good module")
}

fn refused(upload: &[u8]) -> ModuleError {
    RUNTIME.compile(upload).expect_err("refused")
}

fn event() -> Event {
    let name = "acme".parse().expect("a name");
    Event {
        event_type: "push".into(),
        content_type: "application/json".into(),
        headers: vec![Header { name: "x-github-event".into(), value: "push".into() }],
        ..Event::new(EventId::new(1_700_000_000_000, 7), name, "github".parse().expect("a name"), 15)
    }
}

/// What a test calls a module with; each sets what it cares for.
struct Setting {
    event: Event,
    body: Bytes,
    message: Message,
    origin: Origin,
    time: Duration,
    endpoints: Directory,
    state: Option<StateHandle>,
}

impl Default for Setting {
    fn default() -> Self {
        let (event, body) = (event(), Bytes::from_static(br#"{"ref":"main"}"#));
        let message = Message::of_event(&event, &body);
        let (origin, time) = (Origin::Live, Duration::from_secs(10));
        Self { event, body, message, origin, time, endpoints: Directory::default(), state: None }
    }
}

impl Setting {
    fn call(&self, module: &Module) -> Report<Verdict> {
        module.call(&Call {
            event: &self.event,
            event_body: &self.body,
            message: &self.message,
            settings: "{}",
            origin: self.origin,
            time: self.time,
            time_set_by: TimeBound::Module,
            until: None,
            endpoints: self.endpoints.clone(),
            state: self.state.clone(),
        })
    }
}

fn call(module: &Module) -> Report<Verdict> {
    Setting::default().call(module)
}

fn verdict(module: &Module) -> Verdict {
    call(module).result.expect("a verdict")
}

fn error(module: &Module) -> CallError {
    call(module).result.expect_err("an error")
}

fn lines(logs: &[LogLine]) -> Vec<&str> {
    logs.iter().map(|line| line.line.as_str()).collect()
}
