//! What modules see of their state, with a store behind it: run after run, as the pipeline does it.

use super::*;
use crate::model::{Digest, EventId, Run, RunStatus};
use crate::runtime::{StateAccess, StateError};
use crate::store::{Accept, Config, Configure, Outcome, ResourceKey, RouteRun, RoutedRun, Store, Transition};
use crate::telemetry::Health;
use bytes::Bytes;
use std::fmt;

const NOON: u64 = 1_709_294_400_000;
const HOUR: u64 = 60 * 60 * 1000;

/// A store with one route, and the bounds of its state.
struct World {
    store: Store,
    bounds: StateConfig,
    events: u128,
}

fn step() -> StepKey {
    "m".parse().unwrap()
}

impl World {
    async fn new() -> Self {
        let store = Store::in_memory(&Config::default(), &Health::default()).unwrap();
        let route = ResourceKey { tenant: Some("acme".parse().unwrap()), kind: "route", name: "r".to_owned() };
        let configure = Configure { puts: vec![(route, Bytes::from("{}"))], ..Configure::default() };
        store.commit(Transition::Configure(configure)).await.unwrap();
        Self { store, bounds: StateConfig::default(), events: 0 }
    }

    fn event(&mut self, ms: u64) -> Event {
        self.events += 1;
        Event::new(EventId::new(ms, self.events), "acme".parse().unwrap(), "s".parse().unwrap(), 0)
    }

    fn states(&self, event: &Event, origin: Origin) -> RunState {
        RunState::stored(self.store.reader(), "r".parse().unwrap(), event, origin, self.bounds.clone())
    }

    /// One run of one call, of an event at this time, committed.
    async fn run<T>(&mut self, ms: u64, call: impl FnOnce(&mut dyn StateAccess) -> T) -> T {
        let event = self.event(ms);
        let states = self.states(&event, Origin::Live);
        let answer = once(&states, step(), true, call);
        assert_eq!(self.commit(event, states.finish(true).0).await, Outcome::Done);
        answer
    }

    async fn commit(&self, event: Event, states: Vec<StateChange>) -> Outcome {
        self.commit_as(RunStatus::Filtered, event, states).await
    }

    async fn commit_as(&self, status: RunStatus, event: Event, states: Vec<StateChange>) -> Outcome {
        let route = "r".parse().unwrap();
        let run = |status| Run { status, ..Run::new(event.id, &route, 0, Digest::of(b"plan"), NOON) };
        let routed = |status| RoutedRun { run: run(status), deliveries: Vec::new() };
        let (pending, done) = (vec![routed(RunStatus::Pending)], routed(status));
        let tenant = event.tenant.clone();
        let accept = Accept { event, body: Bytes::new(), dedup_until_ms: None, runs: pending };
        self.store.commit(Transition::Accept(Box::new(accept))).await.unwrap();
        let route_run = RouteRun { tenant, routed: done, states };
        self.store.commit(Transition::Route(Box::new(route_run))).await.unwrap()
    }
}

/// One call of a step.
fn once<T>(states: &RunState, step: StepKey, keep: bool, call: impl FnOnce(&mut dyn StateAccess) -> T) -> T {
    let handle = states.begin(step);
    let answer = call(&mut *handle.lock().unwrap());
    states.end(keep);
    answer
}

fn wait(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
}

/// The bound that an answer names.
fn bound<T: fmt::Debug>(answer: Result<T, StateError>) -> &'static str {
    match answer {
        Err(StateError::Limit { bound, .. }) => bound,
        other => panic!("{other:?} is not a limit"),
    }
}

#[test]
fn what_one_run_writes_the_next_one_reads() {
    wait(async {
        let mut world = World::new().await;
        world
            .run(NOON, |state| {
                assert_eq!(state.get("a"), Ok(None));
                state.set("a", b"1".to_vec(), 0).unwrap();
                assert_eq!(state.get("a"), Ok(Some(b"1".to_vec())), "a call sees its own writes");
            })
            .await;
        world.run(NOON, |state| state.remove("nothing there")).await.unwrap();
        world
            .run(NOON, |state| {
                assert_eq!(state.get("a"), Ok(Some(b"1".to_vec())));
                state.remove("a").unwrap();
                assert_eq!(state.get("a"), Ok(None));
            })
            .await;
        assert_eq!(world.run(NOON, |state| state.get("a")).await, Ok(None));
    });
}

#[test]
fn a_number_is_decimal_text_and_its_time_counts_from_the_first_increment() {
    wait(async {
        let mut world = World::new().await;
        for (hours, by, sum) in [(0, 1, 1), (1, 5, 6), (2, -9, -3)] {
            assert_eq!(world.run(NOON + hours * HOUR, |state| state.increment("n", by, 3 * 3600)).await, Ok(sum));
        }
        assert_eq!(world.run(NOON + 3 * HOUR - 1, |state| state.get("n")).await, Ok(Some(b"-3".to_vec())));
        assert_eq!(world.run(NOON + 3 * HOUR, |state| state.increment("n", 1, 3600)).await, Ok(1), "a new window");

        let most = i64::MAX.to_string();
        world.run(NOON, |state| state.set("most", most.clone().into_bytes(), 0)).await.unwrap();
        world.run(NOON, |state| state.set("text", b"seven".to_vec(), 0)).await.unwrap();
        for (key, words) in [("most", "beyond a signed number"), ("text", "`text` is not a decimal number")] {
            let refused = world.run(NOON, |state| state.increment(key, 1, 0)).await.unwrap_err();
            assert!(matches!(&refused, StateError::InputInvalid(why) if why.contains(words)), "{refused:?}");
        }
        assert_eq!(world.run(NOON, |state| state.increment("most", 0, 0)).await, Ok(i64::MAX));
    });
}

#[test]
fn time_is_the_events_and_never_goes_back() {
    wait(async {
        let mut world = World::new().await;
        world.run(NOON, |state| state.set("short", b"1".to_vec(), 60)).await.unwrap();
        assert_eq!(world.run(NOON + 59_999, |state| state.get("short")).await, Ok(Some(b"1".to_vec())));
        assert_eq!(world.run(NOON + 60_000, |state| state.get("short")).await, Ok(None));
        // Only who writes moves the time on.
        assert_eq!(world.run(NOON, |state| state.get("short")).await, Ok(Some(b"1".to_vec())));
        world.run(NOON + HOUR, |state| state.set("other", Vec::new(), 0)).await.unwrap();
        // An earlier event, rerun: what had expired by the later one stays so, and what it writes lasts from then on.
        world
            .run(NOON, |state| {
                assert_eq!(state.get("short"), Ok(None));
                state.set("short", b"2".to_vec(), 60).unwrap();
            })
            .await;
        assert_eq!(world.run(NOON + HOUR + 59_999, |state| state.get("short")).await, Ok(Some(b"2".to_vec())));
        world.run(NOON + HOUR, |state| state.set("short", b"3".to_vec(), 0)).await.unwrap();
        assert_eq!(world.run(NOON + 9 * HOUR, |state| state.get("short")).await, Ok(Some(b"3".to_vec())));
    });
}

#[test]
fn a_failed_call_is_taken_back_and_the_calls_around_it_stay() {
    wait(async {
        let mut world = World::new().await;
        let event = world.event(NOON);
        let states = world.states(&event, Origin::Live);
        let add = |keep| once(&states, step(), keep, |state| state.increment("n", 1, 0)).unwrap();
        assert_eq!([add(true), add(false), add(true)], [1, 2, 2]);
        let other: StepKey = "m:2".parse().unwrap();
        assert_eq!(once(&states, other, true, |state| state.increment("n", 1, 0)), Ok(1), "each step has its own");
        assert_eq!(world.commit(event, states.finish(true).0).await, Outcome::Done);
        assert_eq!(world.run(NOON, |state| state.get("n")).await, Ok(Some(b"2".to_vec())));
        let heads = world.store.reader().states_of(&"acme".parse().unwrap(), &"r".parse().unwrap()).unwrap();
        assert_eq!(
            heads.iter().map(|(step, head)| (step.as_str(), head.keys)).collect::<Vec<_>>(),
            [("m", 1), ("m:2", 1)]
        );
    });
}

#[test]
fn a_replay_reads_and_keeps_nothing_and_a_test_begins_empty() {
    wait(async {
        let mut world = World::new().await;
        world.run(NOON, |state| state.increment("n", 7, 0)).await.unwrap();
        for (origin, sum) in [(Origin::Replay, 8), (Origin::Test, 1), (Origin::Rerun, 8)] {
            let event = world.event(NOON);
            let states = world.states(&event, origin);
            let add = |by| once(&states, step(), true, |state| state.increment("n", by, 0)).unwrap();
            assert_eq!([add(1), add(1)], [sum, sum + 1], "{origin:?}");
            assert_eq!(states.finish(true).0.len(), usize::from(origin == Origin::Rerun));
        }
    });
}

#[test]
fn a_run_that_read_what_has_changed_since_is_not_stored() {
    wait(async {
        let mut world = World::new().await;
        let event = world.event(NOON);
        let states = world.states(&event, Origin::Live);
        assert_eq!(once(&states, step(), true, |state| state.get("n")), Ok(None));
        world.run(NOON, |state| state.increment("n", 1, 0)).await.unwrap();
        assert_eq!(world.commit(event, states.finish(true).0).await, Outcome::StateChanged);
    });
}

#[test]
fn a_run_may_begin_before_the_one_before_it_is_stored() {
    wait(async {
        let mut world = World::new().await;
        world.bounds.keys_max = 4;
        world.run(NOON, |state| state.increment("n", 1, 0)).await.unwrap();
        world.run(NOON, |state| state.set("old", Vec::new(), 60)).await.unwrap();
        let mut carried = Carried::default();
        let mut waiting = Vec::new();
        for (ms, done, sum) in [(0, true, 2), (60_000, true, 3), (0, false, 4), (0, true, 4)] {
            let event = world.event(NOON + ms);
            let states = world.states(&event, Origin::Live).after(carried);
            assert_eq!(once(&states, step(), true, |state| state.increment("n", 1, 0)), Ok(sum));
            let key = format!("k{}", waiting.len());
            once(&states, step(), true, |state| state.set(&key, Vec::new(), 0)).unwrap();
            let (changes, next) = states.finish(done);
            carried = next.unwrap();
            waiting.push((event, changes));
        }
        let event = world.event(NOON);
        let states = world.states(&event, Origin::Live).after(carried);
        // Four keys: `old` went when its time was over, the third run wrote nothing.
        let full = once(&states, step(), true, |state| state.set("one-more", Vec::new(), 0));
        assert_eq!(bound(full), "pipeline.state.keys_max");
        for (event, changes) in waiting {
            assert_eq!(world.commit(event, changes).await, Outcome::Done);
        }
        let reader = world.store.reader();
        let (tenant, route) = ("acme".parse().unwrap(), "r".parse().unwrap());
        let page = reader.list_state(&tenant, &route, &step(), "", None, 10).unwrap();
        assert_eq!(page.items.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["k0", "k1", "k3", "n"]);
        assert_eq!(reader.state(&tenant, &route, &step()).unwrap().unwrap().keys, 4);
    });
}

#[test]
fn a_call_made_again_beside_another_finds_what_that_one_found() {
    wait(async {
        let mut world = World::new().await;
        world.run(NOON, |state| state.increment("n", 7, 0)).await.unwrap();
        let event = world.event(NOON);
        let states = world.states(&event, Origin::Live);
        once(&states, step(), true, |state| state.increment("n", 1, 0)).unwrap();
        let handle = states.begin(step());
        states.note_found();
        let call = |by| handle.lock().unwrap().increment("n", by, 0).unwrap();
        assert_eq!([call(1), call(1)], [9, 10]);
        handle.lock().unwrap().get("none").unwrap();
        let beside = states.as_found();
        states.end(true);
        assert_eq!(world.commit(event, states.finish(true).0).await, Outcome::Done);
        assert_eq!(beside.carried_bytes(), "n8none".len());
        let handle = beside.begin(step());
        assert_eq!(handle.lock().unwrap().increment("n", 5, 0), Ok(13));
        beside.end(true);
        assert!(beside.finish(true).0.is_empty(), "it changes nothing");
    });
}

#[test]
fn a_run_that_makes_a_state_is_waited_for_and_one_that_built_on_what_was_not_stored_is_refused() {
    wait(async {
        let mut world = World::new().await;
        let event = world.event(NOON);
        let states = world.states(&event, Origin::Live);
        once(&states, step(), true, |state| state.increment("n", 1, 0)).unwrap();
        let (changes, carried) = states.finish(true);
        assert!(carried.is_none(), "nobody knows its id");
        assert_eq!(world.commit(event, changes).await, Outcome::Done);

        let event = world.event(NOON);
        let states = world.states(&event, Origin::Live);
        once(&states, step(), true, |state| state.increment("n", 1, 0)).unwrap();
        let (_lost, carried) = states.finish(true);
        let event = world.event(NOON);
        let states = world.states(&event, Origin::Live).after(carried.unwrap());
        assert_eq!(once(&states, step(), true, |state| state.increment("n", 1, 0)), Ok(3));
        assert_eq!(world.commit(event, states.finish(true).0).await, Outcome::StateChanged);
    });
}

#[test]
fn every_bound_is_kept_and_named() {
    wait(async {
        let mut world = World::new().await;
        world.bounds = StateConfig {
            key_bytes_max: 8,
            value_bytes_max: 100,
            keys_max: 3,
            bytes_max: 200,
            writes_per_call_max: 5,
            bytes_per_run_max: 2_000,
            ttl_s_max: 60,
            steps_per_route_max: 2,
        };
        world
            .run(NOON, |state| {
                assert_eq!(bound(state.get("123456789")), "pipeline.state.key_bytes_max");
                assert_eq!(bound(state.set("k", vec![0; 101], 0)), "pipeline.state.value_bytes_max");
                assert_eq!(bound(state.set("k", vec![0; 1], 61)), "pipeline.state.ttl_s_max");
                for wrong in ["", "a\0b"] {
                    assert!(matches!(state.get(wrong), Err(StateError::InputInvalid(_))));
                }
                for key in ["a", "b", "c"] {
                    state.set(key, vec![0; 49], 0).unwrap();
                }
                assert_eq!(bound(state.set("d", vec![0; 1], 0)), "pipeline.state.keys_max");
                assert_eq!(bound(state.set("c", vec![0; 100], 0)), "pipeline.state.bytes_max");
                state.remove("a").unwrap();
                state.set("c", vec![0; 100], 0).unwrap();
                assert_eq!(bound(state.remove("a")), "pipeline.state.writes_per_call_max");
            })
            .await;
        // What is stored counts as well.
        let full = world.run(NOON, |state| (state.set("d", vec![0; 1], 0), state.set("e", vec![0; 1], 0))).await;
        assert_eq!((full.0, bound(full.1)), (Ok(()), "pipeline.state.keys_max"));

        let event = world.event(NOON);
        let states = world.states(&event, Origin::Live);
        for _ in 0..4 {
            once(&states, step(), true, |state| state.set("c", vec![0; 100], 0)).unwrap();
        }
        let one_more = once(&states, step(), true, |state| state.set("c", vec![0; 100], 0));
        assert_eq!(bound(one_more), "pipeline.state.bytes_per_run_max");

        let event = world.event(NOON);
        let states = world.states(&event, Origin::Live);
        let add = |step: &str| once(&states, step.parse().unwrap(), true, |state| state.increment("n", 1, 0));
        assert_eq!((add("second"), bound(add("third"))), (Ok(1), "pipeline.state.steps_per_route_max"));
    });
}

#[test]
fn what_is_expired_goes_with_later_writes_and_makes_room_where_it_is_needed() {
    wait(async {
        let mut world = World::new().await;
        world.bounds.keys_max = 50;
        for n in 0..50 {
            world.run(NOON, |state| state.set(&format!("k{n}"), Vec::new(), 60)).await.unwrap();
        }
        let full = world.run(NOON + 59_999, |state| state.set("more", Vec::new(), 0)).await;
        assert_eq!(bound(full), "pipeline.state.keys_max");
        // Half of a run's room is made in a call that fails: nothing is counted twice.
        let event = world.event(NOON + 60_000);
        let states = world.states(&event, Origin::Live);
        once(&states, step(), false, |state| state.set("more", Vec::new(), 0)).unwrap();
        once(&states, step(), true, |state| state.set("more", Vec::new(), 0)).unwrap();
        assert_eq!(world.commit(event, states.finish(true).0).await, Outcome::Done);
        let head = |world: &World| {
            world.store.reader().state(&"acme".parse().unwrap(), &"r".parse().unwrap(), &step()).unwrap().unwrap()
        };
        assert_eq!((head(&world).keys, head(&world).bytes), (1, 4));

        for n in 0..40 {
            world.run(NOON + 60_000, |state| state.set(&format!("k{n}"), Vec::new(), 60)).await.unwrap();
        }
        world.run(NOON + 2 * HOUR, |state| state.set("more", Vec::new(), 0)).await.unwrap();
        assert_eq!(head(&world).keys, 1 + 40 - 16, "a few go with every run that writes");
    });
}

#[test]
fn a_run_that_is_held_for_what_it_saw_is_not_stored_where_that_never_came_to_be() {
    wait(async {
        let mut world = World::new().await;
        world.run(NOON, |state| state.set("k", b"1".to_vec(), 0)).await.unwrap();
        let event = world.event(NOON);
        let first = world.states(&event, Origin::Live);
        once(&first, step(), true, |state| state.set("k", b"2".to_vec(), 0)).unwrap();
        let (_, carried) = first.finish(true);
        // The first is not stored after all; the second failed over what it had found.
        let event = world.event(NOON);
        let second = world.states(&event, Origin::Live).after(carried.unwrap());
        once(&second, step(), false, |state| assert_eq!(state.get("k").unwrap(), Some(b"2".to_vec())));
        let (changes, _) = second.finish(false);
        assert!(changes.iter().all(|change| change.writes.is_empty()));
        assert_eq!(world.commit_as(RunStatus::Dropped, event, changes).await, Outcome::StateChanged);
        // And one that was right about it is.
        let event = world.event(NOON);
        let third = world.states(&event, Origin::Live);
        once(&third, step(), false, |state| assert_eq!(state.get("k").unwrap(), Some(b"1".to_vec())));
        assert_eq!(world.commit_as(RunStatus::Dropped, event, third.finish(false).0).await, Outcome::Done);
    });
}

#[test]
fn what_is_expired_makes_room_also_before_it_is_stored_and_a_series_sweeps_on() {
    wait(async {
        let mut world = World::new().await;
        world.run(NOON, |state| state.set("first", b"1".to_vec(), 0)).await.unwrap();
        world.bounds.keys_max = 3;
        let mut carried = Carried::default();
        for (hours, key) in [(0, "a"), (0, "b"), (2, "c"), (2, "d")] {
            let event = world.event(NOON + hours * HOUR);
            let states = world.states(&event, Origin::Live).after(carried);
            once(&states, step(), true, |state| state.set(key, b"1".to_vec(), 3600)).unwrap();
            carried = states.finish(true).1.unwrap();
        }

        // More entries that expire together than one run takes along: each run of a series goes on where the one before it was.
        let mut world = World::new().await;
        for key in 0..3 * SWEPT_MAX {
            world.run(NOON, |state| state.set(&format!("k{key:03}"), b"1".to_vec(), 3600)).await.unwrap();
        }
        let mut carried = Carried::default();
        let mut swept = Vec::new();
        for _ in 0..3 {
            let event = world.event(NOON + 2 * HOUR);
            let states = world.states(&event, Origin::Live).after(carried);
            once(&states, step(), true, |state| state.set("now", b"1".to_vec(), 0)).unwrap();
            let (changes, next) = states.finish(true);
            swept.push(changes[0].writes.iter().filter(|(_, entry)| entry.is_none()).count());
            carried = next.unwrap();
        }
        assert_eq!(swept, [SWEPT_MAX; 3]);
    });
}
