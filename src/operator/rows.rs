//! The authorisation stage's rows for commands: heads and side rows, read one by one or all.
//!
//! Owns where a key's row lies (murmur2 for the partition, the bucket's hash within it) and the
//! words for what goes wrong in the store. Reads only.

use super::{connect, logs, print::say, records};
use crate::adapters::cassandra::{
    failure::StoreError,
    incarnations::{self, Incarnation},
    store::{LogPartition, Store},
};
use crate::codec::{
    avro::{Avro, RegistryIds},
    partitioner::{bucket_of, partition_of},
    schemas::Subject,
    snapshot::{Row, SideRow},
    topics::COMMANDS,
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::account::{Account, Item};
use crate::runtime::{failure::Class, ports::SideRead};
use crate::stages::{Stage, authorisation::Authorisation};
use crate::worker::{EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE};
use futures_util::{StreamExt, stream};
use std::sync::Arc;

/// Buckets read at the same time in a scan.
const SCANS_IN_FLIGHT: usize = 8;

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

/// A row as it was found: decoded, and its bytes for the whole picture.
pub struct Head {
    pub row: Row<Account>,
    pub bytes: Vec<u8>,
}

/// One version of an item that left its head.
pub struct Side {
    /// The record whose step let it leave.
    pub pos: i64,
    pub item: Item,
}

pub struct Rows {
    store: Store,
    ids: RegistryIds,
    incarnation: Incarnation,
}

impl Rows {
    /// Errors: exit code 5 where Cassandra does not answer, 4 where there is no installation.
    pub async fn open(config: &Config) -> Result<Self, i32> {
        let ids = records::registry_ids(config)?;
        let session = Arc::new(connect::cassandra(config).await?);
        let topic = config.kafka.topic(COMMANDS.0);
        let keyspace = &config.cassandra.keyspace;
        let missing = |what: String| {
            say(&format!(
                "{what}\nRun `tapline tables apply --execute` and `topics apply --execute`."
            ));
            EXIT_REFUSED
        };
        let known = incarnations::of_topic(&session, keyspace, &topic).await;
        let incarnation = known
            .map_err(|error| missing(format!("keyspace {keyspace} cannot be read: {error}")))?
            .ok_or_else(|| missing(format!("topic {topic} is not registered in {keyspace}")))?;
        let store = Store::open(session, &config.cassandra, Authorisation::NAME)
            .await
            .map_err(|error| missing(error.to_string()))?;
        Ok(Self { store, ids, incarnation })
    }

    pub fn ids(&self) -> &RegistryIds {
        &self.ids
    }

    pub fn place(&self, key: &str) -> Place {
        Place::of(key, self.incarnation.partitions, self.incarnation.buckets)
    }

    /// One read; `None` where nothing is stored under the account.
    pub async fn head(&self, account: &str) -> Result<Option<Head>, i32> {
        let place = self.place(account);
        let log = self.log(place.partition);
        let read = self.store.load_head(log, place.bucket, account).await;
        match read.map_err(failed)? {
            Some(bytes) => Ok(Some(Head { row: self.row(account, &bytes)?, bytes })),
            None => Ok(None),
        }
    }

    /// One read: the newest version of an item that left the head.
    pub async fn side(&self, account: &str, item: &str) -> Result<Option<Side>, i32> {
        let place = self.place(account);
        let (bucket, below) = (place.bucket, i64::MAX);
        let read = SideRead { below, bucket, key: account.into(), item: item.into() };
        let found = self.store.read_side(self.log(place.partition), &read).await;
        match found.map_err(failed)? {
            Some((pos, bytes)) => Ok(Some(Side { pos, item: self.item(account, &bytes)? })),
            None => Ok(None),
        }
    }

    /// Keys of all accounts whose head has the item, by reading every bucket.
    pub async fn accounts_with(
        &self,
        item: &str,
        progress: &mut Progress,
    ) -> Result<Vec<String>, i32> {
        let needle = item.as_bytes();
        let scans = self.buckets().map(|(partition, bucket)| async move {
            let mut found = Vec::new();
            let take = |key: Box<str>, bytes: Vec<u8>| {
                // Ids are stored as they are written: a row without the bytes need not be decoded.
                if bytes.windows(needle.len()).any(|window| window == needle) {
                    found.push((key, bytes));
                }
            };
            self.store.load_heads(self.log(partition), bucket, take).await.map(|()| found)
        });
        let mut scans = stream::iter(scans).buffer_unordered(SCANS_IN_FLIGHT);
        let (mut accounts, mut done) = (Vec::new(), 0);
        while let Some(scan) = scans.next().await {
            for (key, bytes) in scan.map_err(failed)? {
                if self.row(&key, &bytes)?.state.items.contains_key(item) {
                    accounts.push(key.into_string());
                }
            }
            done += 1;
            progress.at(done, "");
        }
        accounts.sort_unstable();
        Ok(accounts)
    }

    /// Keys of all accounts with a side row of the item, by reading every bucket.
    pub async fn accounts_beside(
        &self,
        item: &str,
        progress: &mut Progress,
    ) -> Result<Vec<String>, i32> {
        let scans = self.buckets().map(|(partition, bucket)| async move {
            let mut found = Vec::new();
            let take = |key: String, id: String, _, _| {
                if id == item {
                    found.push(key);
                }
            };
            self.store.load_sides(self.log(partition), bucket, take).await.map(|()| found)
        });
        let mut scans = stream::iter(scans).buffer_unordered(SCANS_IN_FLIGHT);
        let (mut accounts, mut done) = (Vec::new(), 0);
        while let Some(scan) = scans.next().await {
            accounts.extend(scan.map_err(failed)?);
            done += 1;
            progress.at(done, "");
        }
        accounts.sort_unstable();
        accounts.dedup();
        Ok(accounts)
    }

    /// How many buckets a scan reads.
    pub fn bucket_count(&self) -> u64 {
        self.buckets().count() as u64
    }

    fn buckets(&self) -> impl Iterator<Item = (i32, u32)> + use<> {
        let buckets = self.incarnation.buckets.unsigned_abs();
        (0..self.incarnation.partitions)
            .flat_map(move |partition| (0..buckets).map(move |bucket| (partition, bucket)))
    }

    fn log(&self, partition: i32) -> LogPartition {
        LogPartition { incarnation: self.incarnation.number, partition }
    }

    fn row(&self, account: &str, bytes: &[u8]) -> Result<Row<Account>, i32> {
        Avro::of(Subject::Head).decode(bytes, &self.ids).map_err(|error| unreadable(account, error))
    }

    fn item(&self, account: &str, bytes: &[u8]) -> Result<Item, i32> {
        let row = Avro::of(Subject::Side).decode::<SideRow<Item>>(bytes, &self.ids);
        row.map(|row| row.item).map_err(|error| unreadable(account, error))
    }
}

fn failed(error: StoreError) -> i32 {
    say(&error.to_string());
    match error.class() {
        Class::Retryable => EXIT_UNREACHABLE,
        Class::Fatal => EXIT_FAILED,
    }
}

fn unreadable(account: &str, error: crate::codec::DecodeError) -> i32 {
    say(&format!(
        "the row of account {account} cannot be read: {error}; if a newer release wrote it, use that \
         release's tapline"
    ));
    EXIT_FAILED
}

/// Nothing is stored under the id; exit code 1.
pub fn not_found(what: &str) -> i32 {
    say(what);
    EXIT_NOT_FOUND
}

/// Ran, but the answer is no (docs: exit codes).
pub const EXIT_NOT_FOUND: i32 = 1;

/// Account ids are keys: the same check as the worker's, so that a typing error is not a "no".
pub fn check_account(id: &str) -> Result<(), i32> {
    if id.is_empty() || id.len() > 64 || id.starts_with("tapline.") {
        say(&format!(
            "`{id}` can be no account: ids have 1 to 64 bytes, none begins with `tapline.`"
        ));
        return Err(logs::EXIT_USAGE);
    }
    Ok(())
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
