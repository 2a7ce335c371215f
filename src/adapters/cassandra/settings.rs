//! How the Cassandra session is set up: contact points, keyspace, credentials, load.
//!
//! Owns the shape only. Never opens a session and never checks a value (`config` did).
//! Invariant: with one replica the consistency is ONE, with more it is QUORUM, both ways.

use std::path::PathBuf;

use crate::runtime::settings::Secret;

/// Everything about Cassandra that a deployment chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CassandraSettings {
    /// `host:port`, at least one.
    pub contact: Vec<String>,
    pub keyspace: String,
    /// Name of the data centre whose nodes are asked; `None` asks any.
    pub local_dc: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub tls: bool,
    /// Certificate authority of the nodes; needs `tls`.
    pub tls_ca_path: Option<PathBuf>,
    /// Used when the keyspace is created.
    pub replication_factor: u16,
    /// Requests in flight in all, 32 to 256 for a good rate.
    pub in_flight: usize,
}

impl CassandraSettings {
    /// Whether reads and writes need a quorum: a single replica is its own.
    pub fn needs_quorum(&self) -> bool {
        self.replication_factor > 1
    }
}
