//! The state that the steps of one run see: what is stored, with what the run itself wrote laid over it. Nothing is written here; the
//! caller stores what [`RunState::finish`] says, together with the run's outcome. The next run may begin before that is on disk: what it
//! has to know of it is [`Carried`].
//!
//! What must hold:
//!
//! - A call that fails leaves the state as it found it.
//! - Every bound is checked in `access` and nowhere else, before anything is kept.
//! - Time is the event's, and never goes back: the time of a state is that of the latest event that wrote to it, or the present one's
//!   where that came later. So a run that is made again, however late, sees and does the same.
//! - What was read is told with what was written: if it has changed by then, the store refuses, and the run is made again.

mod access;
mod bounds;
mod source;
#[cfg(test)]
mod tests;

pub use bounds::{StateConfig, StateConfigError};

use crate::model::{Event, Origin, RouteName, StepKey};
use crate::runtime::StateHandle;
use crate::store::{Reader, StateChange, StateHead};
use source::{Size, Source, Step, Writes};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many expired entries go with what a run writes.
const SWEPT_MAX: usize = 16;

/// The states of one run's steps. Clones are the same.
#[derive(Clone, Debug)]
pub struct RunState(Arc<Mutex<States>>);

#[derive(Debug)]
struct States {
    source: Source,
    bounds: StateConfig,
    event_ms: u64,
    /// Whether what is written is to be kept.
    keeps: bool,
    /// What runs before this one wrote and is perhaps not stored yet, of steps that this run did not ask for yet.
    carried: Carried,
    /// Steps that were called already.
    steps: BTreeMap<StepKey, Step>,
    /// The step that is called now; its state is read when it is first asked for.
    step: Option<(StepKey, Option<Step>)>,
    call: Call,
    /// What the run's writes take so far, as `bytes_per_run_max` counts.
    run_bytes: u64,
}

/// States as they will be when the runs so far are stored. Empty where nothing is under way.
#[derive(Clone, Debug, Default)]
pub struct Carried(BTreeMap<StepKey, CarriedStep>);

/// One step's state as it will be.
#[derive(Clone, Debug)]
struct CarriedStep {
    head: StateHead,
    writes: Arc<Writes>,
    /// The last of the stored entries that went for being expired: those before it are gone, or written anew.
    swept: Option<(u64, String)>,
}

/// The call under way, and what to go back to if it fails.
#[derive(Debug, Default)]
struct Call {
    writes: Writes,
    count: u64,
    size_before: Size,
    run_bytes_before: u64,
    /// What the call found under each key that it asked for, where somebody wants to know.
    found: Option<Writes>,
}

impl RunState {
    /// The states of a route's steps, for a run of this event. A replay sees them and changes nothing; a test begins with none.
    #[must_use]
    pub fn stored(reader: Reader, route: RouteName, event: &Event, origin: Origin, bounds: StateConfig) -> Self {
        let source = Source::Store { reader, tenant: event.tenant.clone(), route };
        match origin {
            Origin::Live | Origin::Rerun => Self::new(source, event.received_at_ms, true, bounds),
            Origin::Replay => Self::new(source, event.received_at_ms, false, bounds),
            Origin::Test => Self::empty(event, bounds),
        }
    }

    /// The same, after runs that may not be stored yet.
    #[must_use]
    pub fn after(self, carried: Carried) -> Self {
        self.lock().carried = carried;
        self
    }

    /// States that begin empty and are not kept: for tests, and for runs of a route that is gone.
    #[must_use]
    pub fn empty(event: &Event, bounds: StateConfig) -> Self {
        Self::new(Source::Empty, event.received_at_ms, false, bounds)
    }

    fn new(source: Source, event_ms: u64, keeps: bool, bounds: StateConfig) -> Self {
        let states = States {
            source,
            bounds,
            event_ms,
            keeps,
            carried: Carried::default(),
            steps: BTreeMap::new(),
            step: None,
            call: Call::default(),
            run_bytes: 0,
        };
        Self(Arc::new(Mutex::new(states)))
    }

    /// Begins a call of a step. What is written from here on is taken back, unless [`RunState::end`] says otherwise.
    #[must_use]
    pub fn begin(&self, step: StepKey) -> StateHandle {
        let mut states = self.lock();
        let known = states.steps.remove(&step);
        let size_before = known.as_ref().map(|step| step.size).unwrap_or_default();
        states.call = Call { size_before, run_bytes_before: states.run_bytes, ..Call::default() };
        states.step = Some((step, known));
        self.0.clone()
    }

    /// Notes what the call under way finds, for [`RunState::as_found`].
    pub fn note_found(&self) {
        self.lock().call.found = Some(Writes::new());
    }

    /// The state as the call under way found it, as far as it asked: for a call that is to be made again beside it, and to change nothing.
    #[must_use]
    pub fn as_found(&self) -> Self {
        let states = self.lock();
        let found = states.call.found.clone().unwrap_or_default();
        let mut carried = Carried::default();
        if let Some((key, Some(step))) = &states.step {
            let Size { keys, bytes } = states.call.size_before;
            let head = StateHead { id: 0, revision: 0, keys, bytes, time_ms: step.time_ms };
            carried.0.insert(key.clone(), CarriedStep { head, writes: Arc::new(found), swept: None });
        }
        Self::new(Source::Empty, states.event_ms, false, states.bounds.clone()).after(carried)
    }

    /// How many bytes it carries.
    #[must_use]
    pub fn carried_bytes(&self) -> usize {
        self.lock().carried.bytes()
    }

    /// Ends the call: `keep` what it wrote, or go back to what was before it.
    pub fn end(&self, keep: bool) {
        let mut states = self.lock();
        let Call { writes, size_before, run_bytes_before, .. } = std::mem::take(&mut states.call);
        // A state that was never asked for is not one that the run saw.
        let Some((key, Some(mut step))) = states.step.take() else { return };
        if keep {
            step.writes.extend(writes);
        } else {
            step.size = size_before;
            states.run_bytes = run_bytes_before;
        }
        states.steps.insert(key, step);
    }

    /// What to store with the outcome of a run that is `done`: every state that it saw, and what it wrote. With each state that it wrote to
    /// go a few entries that are expired. And what the next run has to know, if it begins before that is stored; none where it cannot,
    /// because this one made a state, whose id the store gives. A run that is not done changes nothing; what it saw is told all the same,
    /// for it must not end so for something that never came to be.
    #[must_use]
    pub fn finish(&self, done: bool) -> (Vec<StateChange>, Option<Carried>) {
        let mut states = self.lock();
        let (mut changes, mut carried) = (Vec::new(), Some(std::mem::take(&mut states.carried)));
        for (key, mut step) in std::mem::take(&mut states.steps) {
            if !(done && states.keeps) {
                step.writes.clear();
            }
            if !step.writes.is_empty() {
                // What cannot be read now goes another time.
                for expired in states.source.expired(&step, step.swept.as_ref(), SWEPT_MAX).unwrap_or_default() {
                    let _ = states.source.sweep(&mut step, expired.1.clone());
                    step.swept = Some(expired);
                }
            }
            carried = carried.and_then(|carried| carried.with(&key, &step));
            if states.keeps {
                let Step { seen, time_ms, writes, .. } = step;
                changes.push(StateChange { step: key, seen, time_ms, writes: writes.into_iter().collect() });
            }
        }
        (changes, carried)
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carried {
    /// How many bytes it holds, in keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entries = self.0.values().flat_map(|step| step.writes.iter());
        entries.map(|(key, entry)| key.len() + entry.as_ref().map_or(0, |entry| entry.value.len())).sum()
    }

    /// With this step as the run left it.
    fn with(mut self, key: &StepKey, step: &Step) -> Option<Self> {
        let wrote = !step.writes.is_empty();
        let Some(mut head) = step.seen else { return (!wrote).then_some(self) };
        let mut writes = Arc::clone(&step.carried);
        if wrote {
            head.revision += 1;
            (head.keys, head.bytes, head.time_ms) = (step.size.keys, step.size.bytes, step.time_ms);
            Arc::make_mut(&mut writes).extend(step.writes.clone());
        }
        self.0.insert(key.clone(), CarriedStep { head, writes, swept: step.swept.clone() });
        Some(self)
    }
}
