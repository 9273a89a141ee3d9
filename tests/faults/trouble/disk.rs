//! A disk that is full, that fails, and that is slow.

use super::super::disk::{DATABASE, Disk, Mounted, SyncErrors, Trouble};
use super::super::random::Random;
use super::super::support::{Host, until};
use super::super::world::{SETTINGS, World};
use http::StatusCode;
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How long something may take that should come soon.
const PATIENCE: Duration = Duration::from_secs(60);
/// The reserve of a host on a small disk.
const FREE_BYTES_MIN: u64 = 16 << 20;
/// How many bytes there are above the reserve, to begin with.
const ROOM_BYTES: u64 = 32 << 20;
/// With less than this the disk is low.
const LOW_BYTES: u64 = 24 << 20;

/// How often the slow disk's syncs are let.
const SYNCS_LET: usize = 30;

/// How often a disk fails and is cut.
const ERRORS: usize = 3;

/// A host with its load, on a disk that is well as yet.
async fn begin(seed: u64, settings: &str) -> (Mounted, Host, World) {
    let world = World::new(seed).await;
    let mounted = Mounted::new(Disk::new()).expect("it mounted before");
    let host = Host::start_on(mounted.data(), &format!("{SETTINGS}{settings}")).await.expect("a new host starts");
    world.configure(&host).await;
    host.put("/v1/tenants/ops", &json!({ "operational_events": "all" })).await;
    (mounted, host, world)
}

/// The disk comes to its reserve: events are refused, deliveries and reads go on; and when there is room again, all goes on.
pub(super) async fn full(seed: u64) -> Result<String, String> {
    let (mounted, host, world) =
        begin(seed, &format!("store.free_bytes_min = {FREE_BYTES_MIN}\nstore.free_bytes_low = {LOW_BYTES}\n")).await;
    bound(&mounted, FREE_BYTES_MIN + ROOM_BYTES);
    let load = world.load.start(&host.ingest);
    world.refused(50, PATIENCE).await;
    let refused = load.end().await.refused;
    let other = refused.iter().find(|refused| **refused != (StatusCode::INSUFFICIENT_STORAGE, "disk_full".to_owned()));
    if refused.len() < 50 || other.is_some() {
        return Err(format!("{} events were refused, one with {other:?}", refused.len()));
    }
    if !world.drained(PATIENCE).await {
        return Err("deliveries do not go on while the disk is full".to_owned());
    }
    let acked = world.ledger.acked_so_far();
    host.admin.get("/v1/tenants/acme/events?limit=10").await.expect(200);
    world.readyz(&host, true, PATIENCE).await;
    overseer_is_told(&host, &["disk.low"]).await;
    mounted.disk().trouble = Trouble::default();
    again(&host, &world, 500).await?;
    overseer_is_told(&host, &["disk.low", "disk.ok"]).await;
    let counts = world.settle(&host, PATIENCE).await?;
    Ok(format!(
        "{} events refused with 507 disk_full while {acked} arrived and were read; {} more taken when there was room",
        refused.len(),
        counts.acked - acked
    ))
}

/// Somebody else fills the disk to its last byte, so that a write fails under way.
pub(super) async fn filled(seed: u64) -> Result<String, String> {
    let (mounted, host, world) = begin(seed, "store.free_bytes_min = 4194304\n").await;
    let fill = |disk: &mut Disk| disk.trouble.bytes_max = Some(disk.used());
    failing(&mounted, &host, &world, fill, 1).await
}

/// Every fdatasync fails for a while.
pub(super) fn fail_syncs(disk: &mut Disk) {
    disk.trouble.sync_errors = SyncErrors::All;
}

/// The first to fail is one of the database: what it was to keep is not what was committed last, which the journal has.
pub(super) fn fail_syncs_from_database(disk: &mut Disk) {
    disk.trouble.sync_errors = SyncErrors::From(disk.ino(DATABASE).expect("the store has a database"));
}

/// Every write fails for a while.
pub(super) fn fail_writes(disk: &mut Disk) {
    disk.trouble.write_errors = true;
}

/// I/O errors, and a cut of the power after them; again and again. What a failed sync did not keep is still in the kernel's memory until the
/// cut, and the host may have read it there.
pub(super) async fn errors(seed: u64, fail: fn(&mut Disk)) -> Result<String, String> {
    let (mut mounted, mut host, world) = begin(seed, "").await;
    let (mut random, mut told, mut acked) = (Random::new(seed), String::new(), 0);
    for time in 1..=ERRORS {
        told = failing(&mounted, &host, &world, fail, time).await?;
        let load = world.load.start(&host.ingest);
        world.acked(random.within(1, 1000), PATIENCE).await;
        host.kill().await;
        world.ledger.killed();
        load.end().await;
        mounted.mount_again(|disk| disk.cut(&mut random));
        host.try_start_again().await?;
        acked = world.settle(&host, PATIENCE).await?.acked;
    }
    Ok(format!("{told}; and all {acked} after a cut of the power, {ERRORS} times"))
}

/// Load, a store that fails for it, and what has to come then: refusals, the reason at `/readyz`, reads; and when the disk is well again
/// a host that is ready by itself, which has said so each time, and books that balance.
async fn failing(
    mounted: &Mounted,
    host: &Host,
    world: &World,
    fail: impl FnOnce(&mut Disk),
    time: usize,
) -> Result<String, String> {
    let load = world.load.start(&host.ingest);
    world.acked(500, PATIENCE).await;
    fail(&mut mounted.disk());
    let ready = world.readyz(host, false, PATIENCE).await;
    world.refused(10, PATIENCE).await;
    let refused = load.end().await.refused;
    let reason = ready["workers"].as_array().into_iter().flatten().find_map(|worker| worker["last_error"].as_str());
    let reason = reason.ok_or_else(|| format!("/readyz gives no reason: {ready}"))?.to_owned();
    // Whichever comes first: a write that fails, or a look at the room.
    let expected = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::INSUFFICIENT_STORAGE];
    if let Some(other) = refused.iter().find(|(status, _)| !expected.contains(status)) {
        return Err(format!("refused with {other:?}"));
    }
    read_while_failed(host).await;
    // What was in flight when the store failed goes again.
    world.ledger.killed();
    let acked = world.ledger.acked_so_far();
    mounted.disk().trouble = Trouble::default();
    world.readyz(host, true, PATIENCE).await;
    world.ledger.ready();
    again(host, world, 500).await?;
    overseer_is_told(host, &vec!["host.restarted"; time]).await;
    let counts = world.settle(host, PATIENCE).await?;
    Ok(format!(
        "{} events refused; /readyz: \"{reason}\"; ready again by itself, and {acked} + {} arrived, {} of them twice",
        refused.len(),
        counts.acked - acked,
        counts.in_flight
    ))
}

/// Every sync takes its time: none ends before it is let. Until the first has nothing is acknowledged, and reads are answered all the while.
pub(super) async fn slow(seed: u64) -> Result<String, String> {
    let (mounted, host, world) = begin(seed, "").await;
    let mut held = mounted.disk().hold_syncs();
    let load = world.load.start(&host.ingest);
    let told = held_back(&mounted, &host, &world, &mut held).await;
    // Also where it failed: no process ends in the midst of a sync.
    mounted.disk().let_all();
    load.end().await;
    told?;
    let counts = world.settle(&host, PATIENCE).await?;
    Ok(format!("none of {} taken before a sync had ended, and the host was ready and read all the while", counts.acked))
}

async fn held_back(
    mounted: &Mounted,
    host: &Host,
    world: &World,
    held: &mut watch::Receiver<usize>,
) -> Result<(), String> {
    for time in 0..SYNCS_LET {
        let waits = timeout(PATIENCE, held.wait_for(|held| *held > 0)).await;
        waits.map_err(|_| "the host does not sync".to_owned())?.map_err(|error| error.to_string())?;
        host.admin.get("/v1/tenants/acme/events?limit=10").await.expect(200);
        world.readyz(host, true, PATIENCE).await;
        let acked = world.ledger.acked_so_far();
        if time == 0 && acked > 0 {
            return Err(format!("{acked} events were acknowledged before any sync had ended"));
        }
        mounted.disk().let_held();
    }
    Ok(())
}

fn bound(mounted: &Mounted, room_bytes: u64) {
    let mut disk = mounted.disk();
    let bytes_max = disk.used() + room_bytes;
    disk.trouble.bytes_max = Some(bytes_max);
}

/// Waits until whoever looks after all tenants was told this of the host, each once, in this order. What is said of tenants is beside it, and so
/// is the room where that is not what it is about.
async fn overseer_is_told(host: &Host, wanted: &[&str]) {
    let about = |event_type: &str| {
        wanted.iter().any(|one| one.split_once('.').map(|(family, _)| family) == event_type.split('.').next())
    };
    until(&format!("the overseer to be told {wanted:?}"), || async {
        let page = host.admin.get("/v1/tenants/ops/events?limit=500").await.expect(200);
        let mut events = page["items"].as_array().cloned().unwrap_or_default();
        events.sort_by_key(|event| event["seq"].as_u64());
        let types = events.iter().filter_map(|event| event["event_type"].as_str()).filter(|told| about(told));
        types.eq(wanted.iter().copied()).then_some(())
    })
    .await;
}

/// Reads go on where the database lets them; else the refusal says that they come again.
async fn read_while_failed(host: &Host) {
    let answer = host.admin.get("/v1/tenants/acme/events?limit=10").await;
    if answer.status != 200 {
        assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (503, Some("store_unavailable")));
        assert!(answer.headers.contains_key("retry-after"));
    }
}

/// Events are taken again: so many more of them.
async fn again(host: &Host, world: &World, more: u64) -> Result<(), String> {
    let before = world.ledger.acked_so_far();
    let load = world.load.start(&host.ingest);
    world.acked(more, PATIENCE).await;
    let report = load.end().await;
    if world.ledger.acked_so_far() < before + more {
        return Err(format!("events are not taken again: {:?}", report.refused.last()));
    }
    Ok(())
}
