//! The session: one connection per node, no retries by the driver on its own judgement.
//!
//! Owns connecting with patience (a server may come up after us) and the consistency. Requests are
//! few and large (batches of a bucket), so one connection carries them and our own semaphore bounds
//! them.

use super::{failure::StoreError, settings::CassandraSettings};
pub use scylla::client::session::Session;
use scylla::{
    client::{PoolSize, execution_profile::ExecutionProfile, session_builder::SessionBuilder},
    statement::Consistency,
};
use std::{num::NonZeroUsize, time::Duration};

/// Longer than the server's own write time-out, so that its answer comes first.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(12);

/// Connects once. The keyspace need not exist: every statement names it.
pub async fn connect(settings: &CassandraSettings) -> Result<Session, StoreError> {
    if settings.tls {
        // Never plaintext where encryption was asked for.
        return Err(StoreError::Refused(
            "cassandra.tls is set, but this build has no TLS for Cassandra".to_owned(),
        ));
    }
    let consistency = if settings.needs_quorum() { Consistency::Quorum } else { Consistency::One };
    let profile = ExecutionProfile::builder()
        .consistency(consistency)
        .request_timeout(Some(REQUEST_TIMEOUT))
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(&settings.contact)
        .pool_size(PoolSize::PerHost(NonZeroUsize::MIN))
        .disallow_shard_aware_port(true)
        .connection_timeout(Duration::from_secs(5))
        .default_execution_profile_handle(profile.into_handle());
    if let Some(name) = &settings.local_dc {
        builder = builder.prefer_datacenter(name.clone());
    }
    if let (Some(user), Some(password)) = (&settings.username, &settings.password) {
        builder = builder.user(user, password.reveal());
    }
    builder.build().await.map_err(|error| {
        StoreError::Unreachable(format!("{}: {error}", settings.contact.join(",")))
    })
}

/// One real call: the server answers a query.
pub async fn is_answering(settings: &CassandraSettings) -> Result<(), StoreError> {
    let session = connect(settings).await?;
    session.query_unpaged("SELECT now() FROM system.local", &[]).await?;
    Ok(())
}
