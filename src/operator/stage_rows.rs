//! One stage's rows in the store, as commands read them: where they lie, and how to decode them.
//!
//! Owns where a key's row lies (murmur2 for the partition, the bucket's hash within it) and the
//! words for what goes wrong in the store. Knows no stage's state; `rows` and `books` do. Reads
//! only.

use super::{connect, print::say, records};
use crate::adapters::cassandra::{
    failure::StoreError,
    incarnations::{self, Incarnation},
    session::Session,
    store::{LogPartition, Store},
};
use crate::codec::{
    DecodeError,
    avro::{Avro, RegistryIds},
    partitioner::{bucket_of, partition_of},
    schemas::Subject,
};
use crate::config::Config;
use crate::runtime::failure::Class;
use crate::stages::Stage;
use crate::worker::{EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Buckets read at the same time in a scan.
pub const SCANS_IN_FLIGHT: usize = 8;

/// Where the rows of a key lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub partition: i32,
    pub bucket: u32,
}

impl Place {
    pub fn of(key: &str, partitions: i32, buckets: i32) -> Self {
        Self {
            partition: partition_of(key.as_bytes(), partitions),
            bucket: bucket_of(key.as_bytes(), buckets.unsigned_abs()),
        }
    }
}

pub struct StageRows {
    pub store: Store,
    pub ids: RegistryIds,
    incarnation: Incarnation,
}

impl StageRows {
    /// Errors: exit code 5 where Cassandra does not answer, 4 where there is no installation.
    pub async fn open<S: Stage>(config: &Config) -> Result<Self, i32> {
        Self::on::<S>(Arc::new(connect::cassandra(config).await?), config).await
    }

    /// The same on a session that is open. Errors: exit code 4 where there is no installation.
    pub async fn on<S: Stage>(session: Arc<Session>, config: &Config) -> Result<Self, i32> {
        let ids = records::registry_ids(config)?;
        let topic = config.kafka.topic(S::INPUT.0);
        let keyspace = &config.cassandra.keyspace;
        let known = incarnations::of_topic(&session, keyspace, &topic).await;
        let incarnation = known
            .map_err(|error| missing(&format!("keyspace {keyspace} cannot be read: {error}")))?
            .ok_or_else(|| missing(&format!("topic {topic} is not registered in {keyspace}")))?;
        let store = Store::open(session, &config.cassandra, S::NAME)
            .await
            .map_err(|error| missing(&error.to_string()))?;
        Ok(Self { store, ids, incarnation })
    }

    pub fn place(&self, key: &str) -> Place {
        Place::of(key, self.incarnation.partitions, self.incarnation.buckets)
    }

    pub fn log(&self, partition: i32) -> LogPartition {
        LogPartition { incarnation: self.incarnation.number, partition }
    }

    /// Every bucket, partition by partition: what a scan reads.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u32)> + use<> {
        let buckets = self.incarnation.buckets.unsigned_abs();
        (0..self.incarnation.partitions)
            .flat_map(move |partition| (0..buckets).map(move |bucket| (partition, bucket)))
    }

    /// The bytes of the key's head; `None` where nothing is stored.
    pub async fn head(&self, key: &str) -> Result<Option<Vec<u8>>, i32> {
        let place = self.place(key);
        let read = self.store.load_head(self.log(place.partition), place.bucket, key).await;
        read.map_err(failed)
    }

    /// `whose`: the row's name for people, such as `account acc-1`.
    pub fn decode<T: DeserializeOwned>(
        &self,
        subject: Subject,
        whose: &str,
        bytes: &[u8],
    ) -> Result<T, i32> {
        Avro::of(subject).decode(bytes, &self.ids).map_err(|error| unreadable(whose, error))
    }
}

fn missing(what: &str) -> i32 {
    say(&format!("{what}\nRun `tapline tables apply --execute` and `topics apply --execute`."));
    EXIT_REFUSED
}

/// Says what the store said; exit code 5 or 3.
pub fn failed(error: StoreError) -> i32 {
    say(&error.to_string());
    match error.class() {
        Class::Retryable => EXIT_UNREACHABLE,
        Class::Fatal => EXIT_FAILED,
    }
}

fn unreadable(whose: &str, error: DecodeError) -> i32 {
    say(&format!(
        "the row of {whose} cannot be read: {error}; if a newer release wrote it, use that \
         release's tapline"
    ));
    EXIT_FAILED
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a row is looked for where the worker writes it. Method: golden vector of murmur2
    /// and SHA-256("abc"), which begins ba7816bf 8f01cfea.
    #[test]
    fn places() {
        let place = Place::of("acc-000001", 12, 16);
        assert_eq!(place.partition, 2);
        assert_eq!(Place::of("abc", 12, 16).bucket, 0xa);
    }
}
