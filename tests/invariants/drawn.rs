//! Random histories, drawn from seeds: for every test that plays moves.
//!
//! Owns how a seed becomes moves, how many seeds each size has, and how a breach is told: shrunk to
//! the fewest moves that still show it, with the words that play it again. Never plays a move.
//! `TAPTEST_SIZE` = quick, ci or night; `TAPTEST_SEED` runs one.

use crate::{model::Verdict, moves::Move};
use proptest::{
    collection::vec,
    prelude::any,
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use std::{cell::RefCell, env};

/// The histories of one integration test: how many moves each has, and how many there are.
pub struct Histories {
    /// Name of the integration test.
    pub test: &'static str,
    pub moves: usize,
    pub quick: u64,
    pub ci: u64,
    pub night: u64,
}

impl Histories {
    /// Gives the moves of each seed to `play`; panics at the first breach.
    ///
    /// Shape: how many were played, so that the caller can demand that they had enough of
    /// everything; `None` where it was the one that was asked for, of which nothing is demanded.
    pub fn play(&self, play: impl FnMut(u64, &[Move]) -> Verdict) -> Option<u64> {
        let play = RefCell::new(play);
        if let Ok(seed) = env::var("TAPTEST_SEED") {
            self.play_one(seed.parse().expect("TAPTEST_SEED is a number"), &play);
            return None;
        }
        let count = self.count();
        (0..count).for_each(|seed| self.play_one(seed, &play));
        Some(count)
    }

    fn count(&self) -> u64 {
        match env::var("TAPTEST_SIZE").as_deref() {
            Ok("night") => self.night,
            Ok("ci") => self.ci,
            Ok("quick") | Err(_) => self.quick,
            Ok(other) => panic!("TAPTEST_SIZE is quick, ci or night, not {other}"),
        }
    }

    fn play_one(&self, seed: u64, play: &RefCell<impl FnMut(u64, &[Move]) -> Verdict>) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let config = Config { cases: 1, failure_persistence: None, ..Config::default() };
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let any_move = any::<(u8, u8, u16, u16)>()
            .prop_map(|(kind, payment, amount, options)| Move { kind, payment, amount, options });
        let result = TestRunner::new_with_rng(config, rng)
            .run(&vec(any_move, self.moves), |moves| {
                (play.borrow_mut())(seed, &moves).map_err(TestCaseError::fail)
            });
        if let Err(breach) = result {
            panic!("{breach}\nagain: TAPTEST_SEED={seed} cargo test --test {}", self.test);
        }
    }
}
