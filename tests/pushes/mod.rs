//! The simulation of the push stage: the real executor between twins of log, store and gateways
//! that may do everything wrong that the real ones may.
//!
//! Owns the sizes, the tests and how a failure is told. A seed decides everything, in one thread and
//! in simulated time; `world` what exists, `draw` what it is made of, `happen` and `asked` what comes
//! about, `gateway` what gateways do, `judge` what must be, `records` what stands in the log, `cases`
//! the named stories.

mod asked;
mod cases;
mod draw;
mod gateway;
mod happen;
mod judge;
pub(crate) mod records;
mod world;

use crate::runtime::sabotage::{self, Bug};
use judge::Violation;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::{Seen, World};

/// Seeds of the size that is asked for.
fn seeds() -> u64 {
    match std::env::var("TAPTEST_SIZE").as_deref() {
        Ok("ci") => 2_000,
        Ok("night") => 100_000,
        _ => 300,
    }
}

fn run(seed: u64, print: bool) -> (u64, Seen, Option<Violation>) {
    let mut world = World::random(seed, print);
    let ran = catch_unwind(AssertUnwindSafe(|| world.live()));
    if let Err(panic) = ran {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        return (0, world.seen, Some(("P13 no panic", text.unwrap_or_default())));
    }
    let violation = world.violation.take().or_else(|| judge::at_the_end(&world));
    (world.hash(), world.seen, violation)
}

fn expect_clean(seed: u64, print: bool) -> (u64, Seen) {
    let (hash, seen, violation) = run(seed, print);
    if let Some((name, found)) = violation {
        panic!(
            "seed {seed} breaks {name}: {found}\nrepeat: TAPTEST_SEED={seed} cargo test --lib \
             pushes::random_worlds -- --nocapture"
        );
    }
    (hash, seen)
}

/// Goal: whatever gateways, store, log and owners do, each obligation ends as it must. Method: seeds
/// against the judge; one in 50 twice; everything that can go wrong went wrong often enough.
#[test]
fn random_worlds() {
    if let Some(seed) = std::env::var("TAPTEST_SEED").ok().and_then(|text| text.parse().ok()) {
        expect_clean(seed, true);
        return;
    }
    let (seeds, mut all) = (seeds(), Seen::default());
    for seed in 0..seeds {
        let (hash, seen) = expect_clean(seed, false);
        if seed % 50 == 0 {
            assert_eq!(hash, expect_clean(seed, false).0, "seed {seed} did not run the same twice");
        }
        all.add(&seen);
    }
    println!("{seeds} seeds: {all:?}");
    for (name, least) in [
        ("obligations", 10.0),
        ("crashes", 0.5),
        ("takeovers", 0.5),
        ("zombies", 0.1),
        ("sends", 10.0),
        ("accepted", 5.0),
        ("retries", 1.0),
        ("lost answers", 0.5),
        ("copies", 0.3),
        ("letters", 0.1),
        ("breakers opened", 0.1),
        ("full", 0.02),
        ("delivered", 3.0),
        ("rejected", 0.05),
        ("expired", 0.05),
        ("muted", 0.3),
        ("preference", 0.3),
        ("superseded", 0.05),
    ] {
        let count = all.get(name);
        assert!(count as f64 >= seeds as f64 * least, "too few {name}: {count}");
    }
}

/// Goal: the simulation is not blind. Method: each bug, switched on alone, breaks a named invariant
/// within 300 seeds.
#[test]
fn sabotage_of_pushes_is_caught() {
    sabotage::expect_caught(Bug::PUSH, |_| {
        (0..300).find_map(|seed| Some((seed, run(seed, false).2?.0)))
    });
}
