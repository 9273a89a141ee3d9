//! Ticks of a real pipeline over a store in memory, at times that the test says.

use super::*;
use crate::clock::Clock;
use crate::config::{Kind, MasterKey, ResourceId, parse};
use crate::ids::Ids;
use crate::ingest::reserve::Reservations;
use crate::pipeline::{Library, Pipeline, Published};
use crate::runtime::{self, Compiler, Executor, Runtime};
use crate::statistics::Recorder;
use crate::store::{CompiledFiles, Configure, EventFilter, ModuleFiles, ResourceKey};
use crate::telemetry::Health;
use serde_json::{Value, json};

/// 2026-11-30T08:00:00Z.
const EIGHT: u64 = 1_796_025_600_000;
const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;

/// The tenant `acme` with the source `s`, and what makes its ticks.
struct World {
    store: Store,
    taker: Taker,
    _dir: tempfile::TempDir,
}

fn acme() -> TenantName {
    "acme".parse().unwrap()
}

fn snapshot(schedule: &Value, disabled: bool) -> Snapshot {
    with_quotas(&json!({}), schedule, disabled)
}

fn with_quotas(quotas: &Value, schedule: &Value, disabled: bool) -> Snapshot {
    let of = |kind, name: &str, spec: Value| {
        let id = ResourceId { tenant: Some(acme()), kind, name: name.to_owned() };
        (id, parse(kind, spec.to_string().as_bytes()).unwrap())
    };
    let source = json!({ "schedule": schedule, "disabled": disabled });
    let records = [of(Kind::Tenant, "acme", json!({ "quotas": quotas })), of(Kind::Source, "s", source)];
    Snapshot::build(1, records, &MasterKey::new([1; 32])).unwrap()
}

fn daily(missed: &str) -> Value {
    json!({ "cron": "0 10 * * *", "event_type": "t", "missed": missed })
}

impl World {
    async fn new() -> Self {
        Self::with(snapshot(&daily("once"), false), &[("acme", "s")]).await
    }

    /// One with these sources.
    async fn with(snapshot: Snapshot, sources: &[(&str, &str)]) -> Self {
        let (dir, health) = (tempfile::tempdir().unwrap(), Health::default());
        let store = Store::in_memory(&crate::store::Config::default(), &health).unwrap();
        let there = sources.iter().map(|(tenant, name)| {
            let tenant = Some(tenant.parse().unwrap());
            (ResourceKey { tenant, kind: "source", name: (*name).to_owned() }, "{}".into())
        });
        let configure = Configure { puts: there.collect(), ..Configure::default() };
        store.commit(Transition::Configure(configure)).await.unwrap();
        let config = runtime::Config { threads: 1, ..runtime::Config::default() };
        let runtime = Runtime::start(config.clone()).unwrap();
        let files = ModuleFiles::open(&dir.path().join("modules")).unwrap();
        let compiled =
            CompiledFiles::open(&dir.path().join("compiled"), runtime.engine_id(), &[1; 32], |_| true).unwrap();
        let (recorder, clock) = (Recorder::new(&crate::statistics::Config::default()), Clock::manual(EIGHT));
        let pipeline = Pipeline::new(
            store.clone(),
            Published::new(snapshot),
            Arc::new(Executor::start(&config, &health).unwrap()),
            Library::new(runtime, Compiler::InProcess, files, compiled),
            recorder.clone(),
            clock.clone(),
            crate::pipeline::Config::default(),
        );
        Self {
            store,
            taker: Taker { pipeline, recorder, clock, ids: Ids::default(), reservations: Reservations::default() },
            _dir: dir,
        }
    }

    /// A worker that begins at this time.
    async fn worker(&self, schedule: &Value, now_ms: u64) -> Vec<Known> {
        find(&self.store, &snapshot(schedule, false), Vec::new(), now_ms).await.unwrap()
    }

    async fn look(&self, known: &mut [Known], now_ms: u64) {
        self.taker.clock.set_ms(now_ms);
        while look(&self.taker, &self.store, known).await.unwrap() {}
    }

    /// When the events were to be, in the order of their commits.
    fn ticks(&self) -> Vec<u64> {
        let reader = self.store.reader();
        let mut events = reader.list_events(&acme(), &EventFilter::default(), None, 500).unwrap().items;
        events.sort_by_key(|event| event.seq);
        let at = |id| {
            serde_json::from_slice::<Value>(&reader.body(&acme(), id).unwrap()).unwrap()["scheduled_at_ms"].as_u64()
        };
        events.iter().map(|event| at(event.id).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_tick_is_made_once_whoever_makes_it_and_whatever_the_clock_does() {
    let world = World::new().await;
    let (mut first, ten) = (world.worker(&daily("all"), EIGHT).await, EIGHT + 2 * HOUR);
    // One that found the same and does not know of the other, as after a write of which nobody learnt the outcome.
    let mut second = world.worker(&daily("all"), EIGHT + HOUR).await;
    world.look(&mut first, ten - 1).await;
    assert_eq!(world.ticks(), [0; 0]);
    world.look(&mut first, ten).await;
    world.look(&mut second, ten).await;
    // It sees that the store has come further, and goes on from there.
    assert!(second[0].is_lost);
    let mut second = world.worker(&daily("all"), ten).await;
    world.look(&mut first, ten + 999).await;
    assert_eq!(world.ticks(), [ten]);
    let event = &world.store.reader().list_events(&acme(), &EventFilter::default(), None, 9).unwrap().items[0];
    assert_eq!((event.event_type.as_str(), event.source.as_str(), event.received_at_ms), ("t", "s", ten));

    // A start after which the clock stands in the past, and then goes on.
    let mut third = world.worker(&daily("all"), EIGHT).await;
    for now_ms in [EIGHT, ten, ten + HOUR, ten + DAY, ten + DAY + 1] {
        world.look(&mut third, now_ms).await;
    }
    world.look(&mut second, ten + DAY + 2).await;
    let mut second = world.worker(&daily("all"), ten + DAY + 2).await;
    world.look(&mut second, ten + 2 * DAY).await;
    assert_eq!(world.ticks(), [ten, ten + DAY, ten + 2 * DAY]);
}

#[tokio::test]
async fn what_becomes_due_while_others_are_made_is_made_too() {
    let world = World::new().await;
    let minutely = json!({ "cron": "* * * * *", "event_type": "t", "missed": "all" });
    let mut known = world.worker(&minutely, EIGHT).await;
    let minute = |n: u64| EIGHT + n * 60_000;
    world.taker.clock.set_ms(minute(3));
    assert!(make_next(&world.taker, &world.store, &mut known[0]).await.unwrap());
    world.taker.clock.set_ms(minute(4));
    while make_next(&world.taker, &world.store, &mut known[0]).await.unwrap() {}
    assert_eq!(world.ticks(), [1, 2, 3, 4].map(minute));
}

#[tokio::test]
async fn what_was_missed_while_the_host_did_not_run_is_made_up_for_as_the_schedule_says() {
    for (missed, expected) in [("skip", vec![]), ("once", vec![2]), ("all", vec![0, 1, 2])] {
        let (world, ten) = (World::new().await, EIGHT + 2 * HOUR);
        world.worker(&daily(missed), EIGHT).await;
        let now_ms = ten + 2 * DAY + HOUR;
        let mut known = world.worker(&daily(missed), now_ms).await;
        world.look(&mut known, now_ms).await;
        let mut expected: Vec<u64> = expected.into_iter().map(|day| ten + day * DAY).collect();
        assert_eq!(world.ticks(), expected, "{missed}");
        world.look(&mut known, ten + 3 * DAY).await;
        expected.push(ten + 3 * DAY);
        assert_eq!(world.ticks(), expected, "{missed}");
    }
}

#[tokio::test]
async fn what_was_due_while_a_quota_was_used_up_is_made_up_for_as_the_schedule_says() {
    for (missed, expected) in [("skip", vec![0]), ("once", vec![0, 2]), ("all", vec![0, 1, 2])] {
        let (world, ten) = (World::new().await, EIGHT + 2 * HOUR);
        let schedule = daily(missed);
        let bounded = with_quotas(&json!({ "stored_bytes_max": 1 }), &schedule, false);
        let mut known = find(&world.store, &bounded, Vec::new(), EIGHT).await.unwrap();
        for day in 0..3 {
            world.look(&mut known, ten + day * DAY).await;
            world.look(&mut known, ten + day * DAY + HOUR).await;
        }
        assert_eq!(world.ticks(), [ten], "{missed}: its body is more than the tenant may store");
        // Now there is room.
        let free = snapshot(&schedule, false);
        let mut known = find(&world.store, &free, known, ten + 2 * DAY + 2 * HOUR).await.unwrap();
        world.look(&mut known, ten + 2 * DAY + 2 * HOUR).await;
        let expected: Vec<u64> = expected.into_iter().map(|day| ten + day * DAY).collect();
        assert_eq!(world.ticks(), expected, "{missed}");
    }
}

#[tokio::test]
async fn a_schedule_that_was_changed_or_disabled_begins_anew() {
    let world = World::new().await;
    world.worker(&daily("all"), EIGHT).await;
    let hourly = json!({ "cron": "0 * * * *", "event_type": "t", "missed": "all" });
    let nine = EIGHT + DAY + HOUR;
    let mut known = world.worker(&hourly, nine - 1).await;
    world.look(&mut known, nine).await;
    assert_eq!(world.ticks(), [nine]);

    let mut disabled = find(&world.store, &snapshot(&hourly, true), known, nine + 1).await.unwrap();
    world.look(&mut disabled, nine + 5 * HOUR).await;
    let mut known = find(&world.store, &snapshot(&hourly, false), disabled, nine + 5 * HOUR).await.unwrap();
    world.look(&mut known, nine + 6 * HOUR).await;
    assert_eq!(world.ticks(), [nine, nine + 6 * HOUR]);
}

#[tokio::test]
async fn a_schedule_that_was_something_else_meanwhile_begins_anew() {
    let world = World::new().await;
    let known = world.worker(&daily("all"), EIGHT).await;
    end(&world.store, &known[0].way, EIGHT + DAY).await.unwrap();
    // Who still has the old one makes nothing of it any more.
    let mut late = known;
    world.look(&mut late, EIGHT + DAY + 1).await;
    let mut again = world.worker(&daily("all"), EIGHT + 5 * DAY).await;
    world.look(&mut again, EIGHT + 5 * DAY + 3 * HOUR).await;
    assert_eq!(world.ticks(), [EIGHT + 5 * DAY + 2 * HOUR]);
}

#[tokio::test]
async fn tenants_have_their_ticks_in_turn_however_many_one_has_missed() {
    let of = |tenant: &str, kind, name: &str, spec: Value| {
        let id = ResourceId { tenant: Some(tenant.parse().unwrap()), kind, name: name.to_owned() };
        (id, parse(kind, spec.to_string().as_bytes()).unwrap())
    };
    let hourly = json!({ "schedule": { "cron": "0 * * * *", "event_type": "t", "missed": "all" } });
    let sources = [("acme", "a"), ("acme", "b"), ("zeta", "s")];
    let snapshot = || {
        let tenants = ["acme", "zeta"].map(|tenant| of(tenant, Kind::Tenant, tenant, json!({})));
        let sources = sources.map(|(tenant, name)| of(tenant, Kind::Source, name, hourly.clone()));
        Snapshot::build(1, tenants.into_iter().chain(sources), &MasterKey::new([1; 32])).unwrap()
    };
    let world = World::with(snapshot(), &sources).await;
    let mut known = find(&world.store, &snapshot(), Vec::new(), EIGHT).await.unwrap();
    world.look(&mut known, EIGHT + 50 * HOUR).await;
    let reader = world.store.reader();
    let mut events: Vec<(u64, String, String)> = Vec::new();
    for tenant in ["acme", "zeta"] {
        let listed = reader.list_events(&tenant.parse().unwrap(), &EventFilter::default(), None, 500).unwrap().items;
        events.extend(listed.iter().map(|it| (it.seq, it.tenant.to_string(), it.source.to_string())));
    }
    events.sort();
    assert_eq!(events.len(), 150);
    let in_turn: Vec<&str> = events.iter().take(100).map(|(_, tenant, _)| tenant.as_str()).collect();
    assert_eq!(in_turn, ["acme", "zeta"].repeat(50), "a tick of one, and one of the other");
}
