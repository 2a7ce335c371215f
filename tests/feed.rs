//! The feed stage: who sees what of every event, and what it says.
//!
//! Tables say what each event becomes; random histories go through the real authorisation stage and
//! then through this one, and an audience that knows nothing of the stage's code says after every
//! record who must have got which version. `TAPTEST_SIZE` = quick, ci or night sets the number of
//! histories, `TAPTEST_SEED` runs one.

#[path = "feed/audience.rs"]
mod audience;
#[path = "feed/desk.rs"]
mod desk;
#[path = "invariants/drawn.rs"]
mod drawn;
#[path = "scenarios/driver.rs"]
#[allow(dead_code)]
mod driver;
#[path = "events/mod.rs"]
mod events;
#[path = "feed/histories.rs"]
mod histories;
#[path = "invariants/model.rs"]
#[allow(dead_code)]
mod model;
#[path = "invariants/moves.rs"]
#[allow(dead_code)]
mod moves;
#[path = "feed/payments.rs"]
mod payments;
#[path = "invariants/player.rs"]
#[allow(dead_code)]
mod player;
#[path = "feed/records.rs"]
mod records;
#[path = "invariants/seen.rs"]
#[allow(dead_code)]
mod seen;
#[path = "feed/side_rows.rs"]
mod side_rows;
#[path = "feed/texts.rs"]
mod texts;
#[path = "feed/watcher.rs"]
mod watcher;
