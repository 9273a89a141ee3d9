//! A seeded simulation: the planner with its gates, the decisions about attempts, and what the store makes of them, over a store in memory and a clock
//! of its own. Everything that takes time takes a random time, everything may happen in any order, and the process crashes in between.
//!
//! `make simulate SEEDS=10000` runs many seeds; `SEED=n` runs one again. What must hold is checked at every step (`watch`), and at the end:
//! nothing accepted is lost. Whoever waits for a wake that never comes ends the simulation with something pending, which is a loss.

mod receiver;
mod setup;
mod totals;
mod watch;
mod world;

use setup::Setup;
use std::sync::atomic::{AtomicU64, Ordering};
use totals::Totals;
use world::World;

/// How many seeds run where nobody says.
const SEEDS: u64 = 300;

/// Says which seed it was, if its test panics.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulate: seed {0} failed; `make simulate SEED={0}` runs it alone", self.0);
        }
    }
}

fn given(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`: give a number")))
}

fn run(seed: u64) -> Totals {
    let _named = Named(seed);
    World::new(seed, Setup::random(seed)).run()
}

#[test]
fn random_schedules_keep_every_promise() {
    let (first, count) = match given("SEED") {
        Some(seed) => (seed, 1),
        None => (1, given("SEEDS").unwrap_or(SEEDS)),
    };
    let next = AtomicU64::new(first);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let totals = std::thread::scope(|scope| {
        let work = || {
            let mut totals = Totals::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    return totals;
                }
                totals.add(&run(seed));
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().fold(Totals::default(), |mut all, worker| {
            all.add(&worker.join().unwrap());
            all
        })
    });
    println!("simulate: seeds={count} {totals}");
    if count >= 100 {
        totals.assert_all_happened();
    }
}

#[test]
fn a_seed_runs_the_same_way_again() {
    assert_eq!(run(7).to_string(), run(7).to_string());
}

#[test]
fn a_good_lane_beside_a_dead_one_waits_hardly_longer_than_alone() {
    for seed in 1..=20 {
        let _named = Named(seed);
        let wait_ms = |beside| World::new(seed, Setup::good_lane(beside)).run().mean_wait_ms("good");
        let (alone, beside) = (wait_ms(false), wait_ms(true));
        assert!(beside <= alone * 1.2, "seed {seed}: {beside:.1} ms beside a dead one, {alone:.1} ms alone");
    }
}
