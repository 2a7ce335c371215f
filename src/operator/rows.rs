//! The authorisation stage's rows for commands: heads and side rows, read one by one or all.
//!
//! Owns what an account's rows say and the scans over all accounts; where they lie is
//! `stage_rows`'s. Reads only.

pub use super::stage_rows::Place;
use super::{
    logs,
    print::say,
    stage_rows::{SCANS_IN_FLIGHT, StageRows, failed},
};
use crate::adapters::cassandra::session::Session;
use crate::codec::{
    avro::RegistryIds,
    schemas::Subject,
    snapshot::{Row, SideRow},
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::account::{Account, Item};
use crate::runtime::ports::SideRead;
use crate::stages::authorisation::Authorisation;
use futures_util::{StreamExt, stream};
use std::sync::Arc;

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

pub struct Rows(StageRows);

impl Rows {
    /// Errors: those of `StageRows::open`.
    pub async fn open(config: &Config) -> Result<Self, i32> {
        StageRows::open::<Authorisation>(config).await.map(Self)
    }

    /// The same on a session that is open.
    pub async fn on(session: Arc<Session>, config: &Config) -> Result<Self, i32> {
        StageRows::on::<Authorisation>(session, config).await.map(Self)
    }

    pub fn ids(&self) -> &RegistryIds {
        &self.0.ids
    }

    pub fn place(&self, key: &str) -> Place {
        self.0.place(key)
    }

    /// One read; `None` where nothing is stored under the account.
    pub async fn head(&self, account: &str) -> Result<Option<Head>, i32> {
        match self.0.head(account).await? {
            Some(bytes) => Ok(Some(Head { row: self.row(account, &bytes)?, bytes })),
            None => Ok(None),
        }
    }

    /// One read: the newest version of an item that left the head.
    pub async fn side(&self, account: &str, item: &str) -> Result<Option<Side>, i32> {
        let place = self.place(account);
        let (bucket, below) = (place.bucket, i64::MAX);
        let read = SideRead { below, bucket, key: account.into(), item: item.into() };
        let found = self.0.store.read_side(self.0.log(place.partition), &read).await;
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
        let scans = self.0.buckets().map(|(partition, bucket)| async move {
            let mut found = Vec::new();
            let take = |key: Box<str>, bytes: Vec<u8>| {
                // Ids are stored as they are written: a row without the bytes need not be decoded.
                if bytes.windows(needle.len()).any(|window| window == needle) {
                    found.push((key, bytes));
                }
            };
            self.0.store.load_heads(self.0.log(partition), bucket, take).await.map(|()| found)
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
        let scans = self.0.buckets().map(|(partition, bucket)| async move {
            let mut found = Vec::new();
            let take = |key: String, id: String, _, _| {
                if id == item {
                    found.push(key);
                }
            };
            self.0.store.load_sides(self.0.log(partition), bucket, take).await.map(|()| found)
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
        self.0.buckets().count() as u64
    }

    fn row(&self, account: &str, bytes: &[u8]) -> Result<Row<Account>, i32> {
        self.0.decode(Subject::Head, &format!("account {account}"), bytes)
    }

    fn item(&self, account: &str, bytes: &[u8]) -> Result<Item, i32> {
        let row =
            self.0.decode::<SideRow<Item>>(Subject::Side, &format!("account {account}"), bytes);
        row.map(|row| row.item)
    }
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
