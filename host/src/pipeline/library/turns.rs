//! Whose turn it is: work that a tenant may have done once at a time, and all together a few times, such as compiling.
//!
//! Those who wait of one tenant are served in the order in which they lined up; the tenants one after the other, so that one with a
//! hundred modules to compile delays another's one by one compilation, not by a hundred.

use crate::model::TenantName;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Who has work done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A tenant.
    Tenant(TenantName),
    /// The operator.
    Operator,
    /// The host itself, which makes anew what it had already.
    Host,
}

/// The turns. Cheap to clone; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Mutex<State>>);

/// A place in the line. Dropping it leaves the line.
#[derive(Debug)]
pub struct Place(oneshot::Receiver<Turn>);

/// A turn. It ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    scope: Scope,
    /// Whether one of the slots is still taken.
    working: bool,
    turns: Turns,
}

#[derive(Debug)]
struct State {
    free_slots: usize,
    /// Those who wait or work.
    lines: HashMap<Scope, Line>,
    /// Those of them who could begin if there were a slot, each once; the first is next.
    rotation: VecDeque<Scope>,
}

#[derive(Debug, Default)]
struct Line {
    busy: bool,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

impl Turns {
    /// At most `slots` at work at once.
    pub(super) fn new(slots: usize) -> Self {
        let state = State { free_slots: slots, lines: HashMap::new(), rotation: VecDeque::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Takes the next place in the line of `scope`.
    pub(super) fn line_up(&self, scope: &Scope) -> Place {
        let (sender, place) = oneshot::channel();
        let mut state = self.lock();
        let line = state.lines.entry(scope.clone()).or_default();
        line.waiting.push_back(sender);
        if !line.busy && line.waiting.len() == 1 {
            state.rotation.push_back(scope.clone());
        }
        drop(state);
        self.begin();
        Place(place)
    }

    /// Begins what may begin.
    fn begin(&self) {
        loop {
            // The lock is free again behind this line: a turn that finds nobody takes it when it ends, which is at once.
            let Some((scope, sender)) = self.lock().next() else { return };
            drop(sender.send(Turn { scope, working: true, turns: self.clone() }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<(Scope, oneshot::Sender<Turn>)> {
        while self.free_slots > 0 {
            let scope = self.rotation.pop_front()?;
            let line = self.lines.get_mut(&scope)?;
            line.waiting.retain(|sender| !sender.is_closed());
            if let Some(sender) = line.waiting.pop_front() {
                line.busy = true;
                self.free_slots -= 1;
                return Some((scope, sender));
            }
            self.lines.remove(&scope);
        }
        None
    }

    fn end(&mut self, scope: &Scope) {
        let Some(line) = self.lines.get_mut(scope) else { return };
        line.busy = false;
        if line.waiting.is_empty() {
            self.lines.remove(scope);
        } else {
            self.rotation.push_back(scope.clone());
        }
    }
}

impl Place {
    /// Waits for the turn; none where the host is going down.
    pub async fn turn(self) -> Option<Turn> {
        self.0.await.ok()
    }
}

impl Turn {
    /// The work is done, and another scope's may begin. Those of the same scope still wait, until the turn is dropped.
    pub fn work_done(&mut self) {
        if std::mem::take(&mut self.working) {
            self.turns.lock().free_slots += 1;
            self.turns.begin();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.free_slots += usize::from(self.working);
        state.end(&self.scope);
        drop(state);
        self.turns.begin();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Scope {
        Scope::Tenant(name.parse().unwrap())
    }

    fn begun(place: &mut Place) -> Option<Turn> {
        place.0.try_recv().ok()
    }

    #[test]
    fn one_at_a_time_for_each_and_two_in_all() {
        let turns = Turns::new(2);
        let mut places: Vec<Place> = ["a", "a", "b", "c"].iter().map(|name| turns.line_up(&tenant(name))).collect();
        let mut at_work: Vec<Option<Turn>> = places.iter_mut().map(begun).collect();
        let who = |at_work: &[Option<Turn>]| at_work.iter().map(Option::is_some).collect::<Vec<_>>();
        assert_eq!(who(&at_work), [true, false, true, false]);
        at_work[2] = None;
        assert!(begun(&mut places[1]).is_none(), "its own scope is at work");
        at_work[3] = begun(&mut places[3]);
        assert!(at_work[3].is_some());
        at_work[0] = None;
        assert!(begun(&mut places[1]).is_some());
    }

    #[test]
    fn scopes_take_turns_however_many_of_one_wait() {
        let turns = Turns::new(1);
        let mut places: Vec<_> = ["a", "a", "a", "a", "b", "b"].map(|name| (name, turns.line_up(&tenant(name)))).into();
        let mut order = String::new();
        while let Some((name, turn)) = places.iter_mut().find_map(|(name, place)| Some((*name, begun(place)?))) {
            if order.is_empty() {
                places.push(("c", turns.line_up(&tenant("c"))));
            }
            order += name;
            drop(turn);
        }
        assert_eq!(order, "abcabaa");
    }

    #[test]
    fn whoever_leaves_the_line_holds_up_nobody() {
        let turns = Turns::new(1);
        let mut first = turns.line_up(&tenant("a"));
        let turn = begun(&mut first);
        let (second, mut third) = (turns.line_up(&tenant("a")), turns.line_up(&tenant("a")));
        drop(second);
        drop(turn);
        assert!(begun(&mut third).is_some());
        drop(third);
        assert!(turns.lock().lines.is_empty() && turns.lock().rotation.is_empty());
    }

    #[test]
    fn work_that_is_done_makes_room_for_others_not_for_ones_own() {
        let turns = Turns::new(1);
        let (mut a1, mut a2, mut b) =
            (turns.line_up(&tenant("a")), turns.line_up(&tenant("a")), turns.line_up(&Scope::Operator));
        let mut turn = begun(&mut a1).unwrap();
        assert!(begun(&mut b).is_none());
        turn.work_done();
        turn.work_done();
        let others = begun(&mut b).unwrap();
        assert!(begun(&mut a2).is_none());
        drop((turn, others));
        assert!(begun(&mut a2).is_some());
        assert_eq!(turns.lock().free_slots, 1, "all are through");
    }
}
