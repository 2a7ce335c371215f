//! Kafka: the only place that names its client.
//!
//! Owns the producer (one per process), the consumer of a stage (one polling thread), reading a log
//! for people and proofs, and the topics. Where the client's behaviour surprises, the comment says
//! so and a test in tests/real.rs guards it (docs: speed settings in docs/benchmarks.md).

pub mod client;
pub mod groups;
pub mod intake;
pub mod reader;
pub mod sender;
pub mod settings;
pub mod topics;
