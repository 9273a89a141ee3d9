//! One call of a module: a fresh instance, `configure`, the call proper, and everything dropped again.

use super::bindings::types;
use super::call_error::{CallError, Stop};
use super::deadline::Deadline;
use super::host::{HostState, Phase};
use super::logs::cut;
use super::module::{Instance, Module};
use super::output::{self, Outputs};
use super::ticker::Ticker;
use super::{Config, Directory, Shared, StateHandle};
use crate::config::TimeBound;
use crate::model::{EndpointName, Event, Header, LogLine, Message, Origin};
use bytes::Bytes;
use std::time::{Duration, Instant};
use wasmtime::{Store, Trap, UpdateDeadline};

/// What a call may use up where fuel is counted. It is time that bounds a call, so this is never reached.
const FUEL: u64 = u64::MAX;

/// What a module is called with.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The event.
    pub event: &'a Event,
    /// The event's body as received.
    pub event_body: &'a Bytes,
    /// The message as the step before left it.
    pub message: &'a Message,
    /// The step's settings, a JSON text.
    pub settings: &'a str,
    /// Why the module runs.
    pub origin: Origin,
    /// How much processor time the call may take; `max_time_ms` bounds it too.
    pub time: Duration,
    /// Whose bound that is.
    pub time_set_by: TimeBound,
    /// When it has to be over by the clock, where somebody waits for it: it is stopped then as if its time were used up.
    pub until: Option<Instant>,
    /// What a router may know of the tenant's endpoints. Filters and transforms never see it.
    pub endpoints: Directory,
    /// The step's state; none for a step without: the module is then told so.
    pub state: Option<StateHandle>,
}

impl<'a> Call<'a> {
    /// A call outside of any run, to try a module out: with the origin `test`, as much time as the host gives,
    /// no endpoint to see, and no state.
    #[must_use]
    pub fn trial(event: &'a Event, event_body: &'a Bytes, message: &'a Message, settings: &'a str) -> Self {
        let (origin, time, time_set_by) = (Origin::Test, Duration::MAX, TimeBound::Host);
        Self {
            event,
            event_body,
            message,
            settings,
            origin,
            time,
            time_set_by,
            until: None,
            endpoints: Directory::default(),
            state: None,
        }
    }
}

/// How a call went.
#[derive(Debug)]
pub struct Report<T> {
    /// What came of it.
    pub result: Result<T, CallError>,
    /// How long it took in microseconds, making and dropping the instance included.
    pub duration_us: u64,
    /// What the module logged.
    pub logs: Vec<LogLine>,
    /// Whether it logged more than is kept.
    pub logs_cut: bool,
    /// The most that the instance's linear memories had together, in bytes.
    pub memory_bytes: usize,
    /// What it cost, where the engine counts that: see [`super::Meter`].
    pub(super) fuel: Option<u64>,
}

impl<T> Report<T> {
    /// Of a call that never began.
    fn refused(error: CallError) -> Self {
        Self { result: Err(error), duration_us: 0, logs: Vec::new(), logs_cut: false, memory_bytes: 0, fuel: None }
    }
}

/// What a module decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A filter lets the message go on.
    Accept,
    /// A filter stops it, for this reason (at most `reason_bytes_max` bytes).
    Reject(String),
    /// A transform made these messages, in order; none ends the run.
    Messages(Vec<Message>),
    /// A router sends these messages to these endpoints, which may not exist; none ends the run.
    Dispatches(Vec<(EndpointName, Message)>),
}

impl Module {
    /// Runs the module on one message, in a fresh instance, on this thread.
    ///
    /// The thread's stack has to be larger than `stack_bytes_max` by 256 KiB.
    #[must_use]
    pub fn call(&self, call: &Call<'_>) -> Report<Verdict> {
        let config = &self.shared().config;
        let given = call.message.body.len().max(call.event_body.len());
        if given > config.module_body_bytes_max {
            return Report::refused(CallError::InputTooLarge { given, max: config.module_body_bytes_max });
        }
        let mut state = HostState::new(config, call.event_body.clone(), call.origin, call.endpoints.clone());
        state.state.clone_from(&call.state);
        self.in_fresh_store(state, (call.time, call.time_set_by), call.until, |store| {
            let instance = self.configured(store, call.settings)?;
            store.data_mut().phase = Phase::Call;
            decide(&instance, store, call, config)
        })
    }

    /// Gives the settings to a fresh instance, to learn whether the module takes them.
    #[must_use]
    pub fn configure(&self, settings: &str) -> Report<()> {
        let config = &self.shared().config;
        let state = HostState::new(config, Bytes::new(), Origin::Test, Directory::default());
        self.in_fresh_store(state, (config.max_time(), TimeBound::Host), None, |store| {
            self.configured(store, settings).map(drop)
        })
    }

    fn configured(&self, store: &mut Store<HostState>, settings: &str) -> Result<Instance, Stop> {
        let instance = self.pre().instantiate(store).map_err(Stop::Start)?;
        match instance.configure(store, settings).map_err(Stop::Run)? {
            Ok(()) => Ok(instance),
            Err(failure) => Err(Stop::Known(CallError::settings(failure, &self.shared().config))),
        }
    }

    /// Makes a store with all its bounds, does `work` in it, drops it, and tells how that went.
    fn in_fresh_store<T>(
        &self,
        state: HostState,
        (time, set_by): (Duration, TimeBound),
        until: Option<Instant>,
        work: impl FnOnce(&mut Store<HostState>) -> Result<T, Stop>,
    ) -> Report<T> {
        let began = Instant::now();
        let Shared { config, engine, ticker, metered, .. } = self.shared();
        let set_by = if config.max_time() <= time { TimeBound::Host } else { set_by };
        let time = time.min(config.max_time());
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limiter);
        let deadline = Deadline::begin(time, until);
        store.set_epoch_deadline(Ticker::epochs(deadline.left().unwrap_or_default()));
        store.epoch_deadline_callback(move |_| match deadline.left() {
            Some(left) => Ok(UpdateDeadline::Continue(Ticker::epochs(left))),
            None => Err(Trap::Interrupt.into()),
        });
        store.set_hostcall_fuel(output::lift_bytes_max(config));
        if *metered {
            // The engine counts: it takes any number.
            drop(store.set_fuel(FUEL));
        }
        let ticking = ticker.keep_ticking();
        let result = work(&mut store);
        drop(ticking);
        let fuel = metered.then(|| store.get_fuel().ok()).flatten().map(|left| FUEL.saturating_sub(left));
        let state = store.into_data();
        let (logs, logs_cut) = state.logs.finish();
        let result = result.map_err(|stop| stop.judge(state.limiter.refused(), (time, set_by), config, &logs));
        Report {
            result,
            duration_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            logs,
            logs_cut,
            memory_bytes: state.limiter.memory_bytes(),
            fuel,
        }
    }
}

/// The call proper.
fn decide(
    instance: &Instance,
    store: &mut Store<HostState>,
    call: &Call<'_>,
    config: &Config,
) -> Result<Verdict, Stop> {
    let (event, message) = (guest_event(call.event), guest_message(call.message));
    let failed = |failure| Stop::Known(CallError::failed(failure, config));
    let mut outputs = Outputs::new(config, call.message);
    let verdict = match instance {
        Instance::Filter(filter) => {
            match filter.call_accept(store, &event, &message).map_err(Stop::Run)?.map_err(failed)? {
                types::Decision::Accept => Verdict::Accept,
                types::Decision::Reject(reason) => Verdict::Reject(cut(&reason, config.reason_bytes_max)),
            }
        }
        Instance::Transform(transform) => {
            let made = transform.call_apply(store, &event, &message).map_err(Stop::Run)?.map_err(failed)?;
            Verdict::Messages(outputs.messages(made)?)
        }
        Instance::Router(router) => {
            let made = router.call_route(store, &event, &message).map_err(Stop::Run)?.map_err(failed)?;
            Verdict::Dispatches(outputs.dispatches(made)?)
        }
    };
    Ok(verdict)
}

fn guest_event(event: &Event) -> types::Event {
    types::Event {
        id: event.id.to_string(),
        tenant: event.tenant.as_str().to_owned(),
        source: event.source.as_str().to_owned(),
        event_type: event.event_type.clone(),
        received_at_ms: event.received_at_ms,
        headers: guest_headers(&event.headers),
    }
}

fn guest_message(message: &Message) -> types::Message {
    types::Message {
        event_type: message.event_type.clone(),
        content_type: message.content_type.clone(),
        headers: guest_headers(&message.headers),
        body: message.body.to_vec(),
        ordering_key: message.ordering_key.clone(),
        delay_ms: message.delay_ms,
    }
}

fn guest_headers(headers: &[Header]) -> Vec<types::Header> {
    headers.iter().map(|header| types::Header { name: header.name.clone(), value: header.value.clone() }).collect()
}
