//! tapline: card taps into settled money, a customer's feed and a push, on Kafka and Cassandra.
//!
//! Layers, each naming only those below it (checked by tests/tidy.rs):
//! `adapters` → `runtime` → `codec` → `stages` → `domain`. ARCHITECTURE.md tells the whole story.

pub mod adapters;
pub mod api;
pub mod clearing;
pub mod codec;
pub mod config;
pub mod console;
pub mod domain;
pub mod fake_gateway;
pub mod load;
pub mod logging;
pub mod operator;
pub mod producer;
pub mod runtime;
pub mod stack;
pub mod stages;
pub mod worker;

/// In the library's own tests, so that the sabotage switches exist in no other build.
#[cfg(test)]
#[path = "../tests/simulation/mod.rs"]
mod simulation;

/// The same for the executor of pushes.
#[cfg(test)]
#[path = "../tests/pushes/mod.rs"]
mod pushes;

/// Records of a feed for tests, those of the page too.
#[cfg(test)]
#[path = "../tests/page/records.rs"]
mod feed_records;

/// Folders of tests, those outside the library too.
#[cfg(test)]
#[path = "../tests/scratch/mod.rs"]
mod scratch;
