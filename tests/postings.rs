//! The posting stage: legs of every event, and the parts of cycles.
//!
//! Tables say what each row of the table of postings books and what a cycle is made of; random
//! histories go through the real authorisation stage and then through this one, and a ledger that
//! knows nothing of the stage's code adds everything up again after every record. `TAPTEST_SIZE` =
//! quick, ci or night sets the number of histories, `TAPTEST_SEED` runs one.

#[path = "postings/desk.rs"]
mod desk;
#[path = "invariants/drawn.rs"]
mod drawn;
#[path = "scenarios/driver.rs"]
#[allow(dead_code)]
mod driver;
#[path = "events/mod.rs"]
mod events;
#[path = "postings/example.rs"]
mod example;
#[path = "postings/histories.rs"]
mod histories;
#[path = "invariants/model.rs"]
#[allow(dead_code)]
mod model;
#[path = "invariants/moves.rs"]
#[allow(dead_code)]
mod moves;
#[path = "postings/parts.rs"]
mod parts;
#[path = "invariants/player.rs"]
#[allow(dead_code)]
mod player;
#[path = "postings/records.rs"]
mod records;
#[path = "postings/rows.rs"]
mod rows;
#[path = "invariants/seen.rs"]
#[allow(dead_code)]
mod seen;
#[path = "postings/words.rs"]
mod words;
