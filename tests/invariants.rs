//! Money invariants of the authorisation stage (docs/payments.md, I1 to I14) under random
//! histories.
//!
//! Related commands (the same payments, repeats, changed duplicates, wrong order, ticks, poison) go
//! through the stage; after every single one a model that knows nothing of the stage's code adds
//! everything up again and compares. `TAPTEST_SIZE` = quick, ci or night sets the number of
//! histories, `TAPTEST_SEED` runs one. A run that saw too little of anything fails.

#[path = "invariants/drawn.rs"]
mod drawn;
#[path = "invariants/model.rs"]
mod model;
#[path = "invariants/moves.rs"]
mod moves;
#[path = "invariants/player.rs"]
mod player;
#[path = "invariants/seen.rs"]
mod seen;

use drawn::Histories;
use player::Player;
use seen::Seen;

const HISTORIES: Histories =
    Histories { test: "invariants", moves: 500, quick: 100, ci: 2_000, night: 200_000 };

/// Goal: I1 to I14 hold at every position of every history. Method: see the head of this file.
#[test]
fn money_invariants_hold_at_every_position() {
    let mut seen = Seen::default();
    let played = HISTORIES.play(|_, moves| {
        let mut player = Player::default();
        for one in moves {
            player.play(one)?;
        }
        player.replay_is_equal()?;
        seen.add(&player.seen);
        Ok(())
    });
    println!("{seen}");
    if let Some(count) = played {
        seen.demand_enough(count);
    }
}
