//! In-memory twins of log and store: for trying out without servers and for tests.
//!
//! Owns plain data structures that behave as Kafka and Cassandra do when nothing goes wrong: a
//! record has one place for ever, the later write timestamp wins. Faults are the simulation's
//! business (tests/simulation), which wraps these. Nothing survives the process.

pub mod log;
pub mod store;
pub mod worker;

pub use log::MemoryLog;
pub use store::MemoryStore;
pub use worker::MemoryWorker;
