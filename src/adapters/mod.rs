//! Adapters: the edges of the process. One adapter never names another.

pub mod cassandra;
pub mod gateways;
pub mod http;
pub mod kafka;
pub mod memory;
