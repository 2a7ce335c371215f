//! Cassandra: the only place that names its driver.
//!
//! Owns the session, the tables, and the store of heads and side rows. Every write carries the log
//! position as its timestamp and is repeated unchanged until it is acknowledged, so a late or second
//! writer writes the same bytes. Never uses a lightweight transaction on the payment path.

pub mod clearing_files;
pub mod failure;
pub mod feed_items;
mod heads;
pub mod incarnations;
pub mod months;
pub mod push_targets;
pub mod rules;
pub mod session;
pub mod settings;
pub mod store;
pub mod tables;
