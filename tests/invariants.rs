//! Money invariants of the authorisation stage (docs/payments.md, I1 to I14) under random
//! histories.
//!
//! Related commands (the same payments, repeats, changed duplicates, wrong order, ticks, poison) go
//! through the stage; after every single one a model that knows nothing of the stage's code adds
//! everything up again and compares. `TAPTEST_SIZE` = quick, ci or night sets the number of
//! histories, `TAPTEST_SEED` runs one. A run that saw too little of anything fails.

#[path = "invariants/model.rs"]
mod model;
#[path = "invariants/moves.rs"]
mod moves;
#[path = "invariants/player.rs"]
mod player;
#[path = "invariants/seen.rs"]
mod seen;

use moves::Move;
use player::Player;
use proptest::{
    collection::vec,
    prelude::any,
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use seen::Seen;
use std::{cell::RefCell, env};

const COMMANDS: usize = 500;

fn histories() -> u64 {
    match env::var("TAPTEST_SIZE").as_deref() {
        Ok("night") => 200_000,
        Ok("ci") => 2_000,
        Ok("quick") | Err(_) => 100,
        Ok(other) => panic!("TAPTEST_SIZE is quick, ci or night, not {other}"),
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = any::<(u8, u8, u16, u16)>().prop_map(|(kind, payment, amount, options)| Move {
        kind,
        payment,
        amount,
        options,
    });
    vec(one, COMMANDS)
}

/// Plays one history; a breach is shrunk to the fewest commands that still show it.
fn play(seed: u64, seen: &RefCell<Seen>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let result = TestRunner::new_with_rng(config, rng).run(&moves(), |moves| {
        let mut player = Player::default();
        for one in &moves {
            player.play(one).map_err(TestCaseError::fail)?;
        }
        player.replay_is_equal().map_err(TestCaseError::fail)?;
        seen.borrow_mut().add(&player.seen);
        Ok(())
    });
    if let Err(breach) = result {
        panic!("{breach}\nagain: TAPTEST_SEED={seed} cargo test --test invariants");
    }
}

/// Goal: I1 to I14 hold at every position of every history. Method: see the head of this file.
#[test]
fn money_invariants_hold_at_every_position() {
    let seen = RefCell::new(Seen::default());
    if let Ok(seed) = env::var("TAPTEST_SEED") {
        play(seed.parse().expect("TAPTEST_SEED is a number"), &seen);
        println!("{}", seen.borrow());
        return;
    }
    for seed in 0..histories() {
        play(seed, &seen);
    }
    println!("{}", seen.borrow());
    seen.borrow().demand_enough(histories());
}
