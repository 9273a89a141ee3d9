//! `powercut`: the same as `crash`, on a disk that loses what was not synced: any part of it, at every cut.
//!
//! With `UNSYNCED=1` the disk answers every fdatasync and fsync of the rounds without doing it, as if the host did not call it. Then the
//! books must show losses: it proves that this test can fail.

use super::disk::{DATABASE, Disk, Mounted, is_there};
use super::random::Random;
use super::support::Host;
use super::world::{World, sweeping, tell};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long nothing may arrive before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where losses are expected.
const PATIENCE_UNSYNCED: Duration = Duration::from_secs(3);

/// How many starts on a new disk are cut.
const FIRST_STARTS: u64 = 8;

/// Runs so many rounds. Answers whether the books balance or, where nothing is synced, whether they do not.
pub(crate) async fn run(rounds: u64, seed: u64, lies: bool) -> bool {
    if let Err(why) = is_there() {
        println!("powercut: skipped: this machine has no FUSE: {why}");
        return true;
    }
    let mut round =
        Rounds { random: Random::new(seed), world: World::new(seed).await, lies, unopened: 0, unsynced_most: 0 };
    let began = Instant::now();
    let (mut mounted, mut host) = round.begin().await;
    for number in 1..=rounds {
        if !round.run(&mut mounted, &mut host, number == rounds).await {
            // Nothing is to be had from this disk any more.
            drop(host);
            drop(mounted);
            (mounted, host) = round.begin().await;
        }
        if number.is_multiple_of(10) {
            let (acked, used) = (round.world.ledger.acked_so_far(), mounted.disk().used() >> 20);
            let seconds = began.elapsed().as_secs_f64();
            println!("powercut: {number} rounds, {acked} acknowledged, {used} MiB on the disk, {seconds:.0} s");
        }
    }
    round.world.quiet(&host, PATIENCE).await;
    println!("powercut: at most {} KiB were written to the database between two syncs", round.unsynced_most >> 10);
    let (mut counts, first_arrivals) = round.world.ledger.close();
    if lies {
        // One host after the other began to count anew.
        (counts.wrong, counts.wrongs) = (0, Vec::new());
        println!("powercut: nothing was synced: {} of {rounds} cuts left a store that does not open", round.unopened);
    }
    let well = tell("powercut", rounds, &counts, &first_arrivals);
    if lies { counts.lost > 0 } else { well }
}

struct Rounds {
    random: Random,
    world: World,
    lies: bool,
    unopened: u64,
    /// In bytes, what opening it writes aside.
    unsynced_most: u64,
}

impl Rounds {
    fn patience(&self) -> Duration {
        if self.lies { PATIENCE_UNSYNCED } else { PATIENCE }
    }

    /// A new host on a new disk.
    async fn begin(&mut self) -> (Mounted, Host) {
        let mut mounted = Mounted::new(Disk::new()).expect("it mounted before");
        let mut host = Host::start_on(mounted.data(), &sweeping()).await.expect("a new host starts");
        // Nothing is promised yet, but what a cut leaves of the very first starts must not be in the way of another.
        host.kill().await;
        mounted.mount_again(|disk| *disk = Disk::new());
        for _ in 0..FIRST_STARTS {
            host.start_and_kill(Duration::from_micros(self.random.within(0, 200_000))).await;
            self.cut(&mut mounted, &mut host).await;
        }
        host.try_start_again().await.unwrap_or_else(|why| panic!("after {FIRST_STARTS} starts that were cut: {why}"));
        self.world.configure(&host).await;
        mounted.disk().trouble.lies = self.lies;
        (mounted, host)
    }

    /// Load, cut, start. Answers whether the host is of use after that.
    async fn run(&mut self, mounted: &mut Mounted, host: &mut Host, last: bool) -> bool {
        mounted.disk().unsynced_most(DATABASE);
        let load = self.world.load.start(&host.ingest);
        self.world.acked(self.random.within(100, 1500), PATIENCE).await;
        self.world.delivered(self.random.within(0, 200), PATIENCE).await;
        self.unsynced_most = self.unsynced_most.max(mounted.disk().unsynced_most(DATABASE));
        if self.random.percent(80) {
            self.cut(mounted, host).await;
        } else {
            host.kill().await;
            self.world.ledger.killed();
        }
        load.end().await;
        while self.random.percent(50) {
            host.start_and_kill(Duration::from_micros(self.random.within(0, 400_000))).await;
            if self.random.percent(50) {
                self.cut(mounted, host).await;
            } else {
                // Only killed: the next finds what the kernel has, on the disk or not.
                self.world.ledger.killed();
            }
        }
        let left = std::env::var_os("KEEP").map(|dir| (PathBuf::from(dir), copy(mounted)));
        let mut started = host.try_start_again().await;
        if started.is_ok() && host.admin.get("/v1/tenants/acme").await.status != 200 {
            started = Err("the host starts, and has forgotten its configuration".to_owned());
        }
        if let Err(why) = started {
            println!("powercut: {why}");
            self.unopened += 1;
            if let Some((dir, files)) = left {
                put(&dir, files);
            }
            self.world.ledger.write_off();
            return false;
        }
        self.world.ledger.ready();
        self.world.load.send_again(&host.ingest).await;
        if (last || self.lies || self.random.percent(75)) && !self.world.drained(self.patience()).await {
            self.world.ledger.write_off();
        }
        self.world.receiver.rest().await;
        true
    }

    async fn cut(&mut self, mounted: &mut Mounted, host: &mut Host) {
        host.kill().await;
        self.world.ledger.killed();
        mounted.mount_again(|disk| disk.cut(&mut self.random));
    }
}

/// What is on the disk.
fn copy(mounted: &Mounted) -> Vec<(PathBuf, Vec<u8>)> {
    mounted.disk().files().into_iter().map(|(path, bytes)| (path, bytes.to_vec())).collect()
}

/// Writes what a cut has left, for whoever looks into it.
fn put(dir: &Path, files: Vec<(PathBuf, Vec<u8>)>) {
    for (path, bytes) in files {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    println!("powercut: what was left on the disk is in {}", dir.display());
}
