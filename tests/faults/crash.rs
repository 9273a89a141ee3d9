//! `crash`: kill -9 at random moments under load, start again, drain, and balance the books.
//!
//! Some of the hosts are killed a second time while they start; some are not given the time to drain, so that what one life left, and
//! the one before, is still there in the third.

use super::random::Random;
use super::support::Host;
use super::world::{World, sweeping, tell};
use std::time::{Duration, Instant};

/// How long nothing may arrive before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs so many rounds. Answers whether the books balance.
pub(crate) async fn run(rounds: u64, seed: u64) -> bool {
    let mut random = Random::new(seed);
    let world = World::new(seed).await;
    let mut host = Host::start_with(&sweeping()).await;
    world.configure(&host).await;
    let began = Instant::now();
    for round in 1..=rounds {
        let load = world.load.start(&host.ingest);
        world.acked(random.within(200, 2400), PATIENCE).await;
        world.delivered(random.within(0, 200), PATIENCE).await;
        kill(&world, &mut host).await;
        load.end().await;
        while random.percent(20) {
            host.start_and_kill(Duration::from_micros(random.within(0, 300_000))).await;
            world.ledger.killed();
        }
        host.start_again().await;
        world.ledger.ready();
        world.load.send_again(&host.ingest).await;
        if (round == rounds || random.percent(75)) && !world.drained(PATIENCE).await {
            println!("crash: round {round}: something acknowledged does not arrive");
            break;
        }
        if round.is_multiple_of(10) {
            let acked = world.ledger.acked_so_far();
            println!("crash: {round} rounds, {acked} acknowledged, {:.0} s", began.elapsed().as_secs_f64());
        }
        world.receiver.rest().await;
    }
    world.quiet(&host, PATIENCE).await;
    let (counts, first_arrivals) = world.ledger.close();
    tell("crash", rounds, &counts, &first_arrivals)
}

async fn kill(world: &World, host: &mut Host) {
    host.kill().await;
    world.ledger.killed();
}
