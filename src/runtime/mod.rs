//! The runtime: runs any stage over one partition of its input, with every effect once.
//!
//! Owns order, state in memory, seals, deadlines and the fuse. Knows no Kafka, no Cassandra and no
//! payments: bytes go through the ports, meaning through the stage. `partition.rs` is the whole
//! protocol as a state machine without I/O; the simulation and the live worker run the same.

pub mod acks;
pub mod board;
pub mod consume;
pub mod context;
pub mod dispatch;
pub mod due;
pub mod failure;
pub mod fuse;
pub mod halt;
pub mod heads;
pub mod health;
mod letters;
pub mod money;
mod outputs;
pub mod partition;
pub mod ports;
mod reads;
mod recall;
#[cfg(test)]
pub mod sabotage;
pub mod seal;
pub mod settings;
pub mod sides;
pub mod telemetry;
mod view;
