//! The load, live: sends planned commands to Kafka, reads the answers back, measures and proves.
//!
//! Owns pacing, latency and progress. What is sent and what must come back is `producer`'s; nothing
//! here decides about money. Latency is always from the planned time: a sender that falls behind
//! shows it, instead of measuring less.

pub mod answers;
pub mod bench;
pub mod beside;
pub mod cards;
pub mod cli;
pub mod closing;
pub mod crew;
pub mod fitted;
pub mod heads;
pub mod journal;
pub mod lane;
pub mod latency;
pub mod machine;
pub mod open_loop;
pub mod patience;
pub mod play;
pub mod told;
pub mod workers;
