//! The feed as customers read it: pages of lines, and the accounts of a customer.
//!
//! Owns reading of the table `feed_item`, which the feed stage's runtime writes. A row's bytes are
//! the record of `feed.items.v1` itself. Never writes. Invariant: lines come in the order of
//! `domain::feed_page`, each in its newest stored version.

use super::{
    failure::StoreError,
    heads::Heads,
    incarnations::Incarnation,
    months::{HOLDINGS, Months},
    store::LogPartition,
};
use crate::codec::{
    avro::{Avro, RegistryIds},
    partitioner::{bucket_of, partition_of},
    schemas::Subject,
    snapshot::Row,
};
use crate::domain::{
    feed::{BalanceAfter, FeedRecord},
    feed_page::{AccountLine, Cursor, Page},
    ids::{AccountId, CustomerId},
    time::LogTime,
};
use crate::stages::{Stage, feed};
use scylla::{
    client::session::Session, serialize::row::SerializeRow, statement::prepared::PreparedStatement,
};
use std::sync::Arc;

/// Rows of one customer's accounts that are read; more than anybody has.
const ROWS_MAX: i32 = 2_000;

/// January 1970 in months since January of year 0.
const MONTH_ZERO: i64 = 1970 * 12;

pub struct FeedItems {
    session: Arc<Session>,
    buckets: u32,
    months: Months,
    ids: RegistryIds,
    select_first: PreparedStatement,
    select_same: PreparedStatement,
    select_older: PreparedStatement,
    heads: Heads,
    log: Incarnation,
}

/// The store's partition of a month of a bucket.
pub fn period_of(created_at: LogTime) -> i32 {
    i32::try_from(created_at.month() - MONTH_ZERO).unwrap_or(i32::MAX)
}

impl FeedItems {
    /// `log`: of `payments.events.v1`; `buckets`: `feed.buckets`, fixed for its life.
    pub async fn open(
        session: Arc<Session>,
        keyspace: &str,
        log: &Incarnation,
        buckets: u32,
        ids: RegistryIds,
    ) -> Result<Self, StoreError> {
        let of_item = |rest: &str| {
            format!(
                "SELECT image FROM {keyspace}.feed_item \
                 WHERE incarnation = ? AND bucket = ? AND period = ? AND key = ?{rest} LIMIT ?"
            )
        };
        let prepare = async |text: String| {
            let mut statement = session.prepare(text).await.map_err(StoreError::unreachable)?;
            statement.set_is_idempotent(true);
            Ok::<_, StoreError>(statement)
        };
        Ok(Self {
            months: Months::open(session.clone(), keyspace, log.number).await?,
            buckets,
            ids,
            select_first: prepare(of_item("")).await?,
            select_same: prepare(of_item(" AND ordering = ? AND item > ?")).await?,
            select_older: prepare(of_item(" AND ordering < ?")).await?,
            heads: Heads::open(session.clone(), keyspace, feed::Feed::NAME).await?,
            log: log.clone(),
            session,
        })
    }

    pub fn incarnation(&self) -> i32 {
        self.log.number
    }

    /// Lines after the cursor, newest first, by walking the months that exist. `is_exact`: see
    /// `Months::of`.
    pub async fn page(
        &self,
        customer: &CustomerId,
        before: Option<&Cursor>,
        limit: usize,
        is_exact: bool,
    ) -> Result<Page, StoreError> {
        let bucket = self.bucket(customer);
        let until = before.map(|cursor| period_of(LogTime(cursor.created_ms)));
        let mut lines = Vec::new();
        for period in self.months.of(bucket, until, is_exact).await? {
            // One more than asked for says whether there is a next page.
            let left = |lines: &Vec<FeedRecord>| (limit + 1 - lines.len()) as i32;
            let place = (self.log.number, bucket, period, customer.as_str());
            let (a, b, c, d) = place;
            match before.filter(|_| Some(period) == until) {
                None => {
                    let values = (a, b, c, d, left(&lines));
                    self.read(&self.select_first, values, &mut lines).await?;
                }
                Some(cursor) => {
                    // The order is mixed (newest first, names ascending), so it is two reads.
                    let values = (a, b, c, d, cursor.created_ms, &*cursor.line, left(&lines));
                    self.read(&self.select_same, values, &mut lines).await?;
                    if lines.len() <= limit {
                        let values = (a, b, c, d, cursor.created_ms, left(&lines));
                        self.read(&self.select_older, values, &mut lines).await?;
                    }
                }
            }
            if lines.len() > limit {
                break;
            }
        }
        Ok(Page::cut(lines, limit))
    }

    /// The accounts that are or were the customer's, by account; empty: nobody by that name.
    ///
    /// The rows beside the months hold a record for each account the customer came to, with the
    /// balance of that moment; where the account stands now, the feed stage's own head says. It is
    /// written with the lines, after them. An account that was left stands as it was left.
    pub async fn accounts(&self, customer: &CustomerId) -> Result<Vec<AccountLine>, StoreError> {
        let bucket = self.bucket(customer);
        let values = (self.log.number, bucket, HOLDINGS, customer.as_str(), ROWS_MAX);
        let mut records = Vec::new();
        self.read(&self.select_first, values, &mut records).await?;
        let mut lines = AccountLine::gather(&records);
        for line in lines.iter_mut().filter(|line| !line.removed) {
            if let Some((balance, offset)) = self.standing(&line.account_id).await?
                && offset >= line.offset
            {
                (line.balance, line.offset) = (balance, offset);
            }
        }
        Ok(lines)
    }

    /// The account's balance in the feed's head, and the position through which it is known.
    async fn standing(&self, id: &AccountId) -> Result<Option<(BalanceAfter, i64)>, StoreError> {
        let key = id.as_str().as_bytes();
        let partition = partition_of(key, self.log.partitions);
        let bucket = bucket_of(key, self.log.buckets.unsigned_abs());
        let log = LogPartition { incarnation: self.log.number, partition };
        let Some(image) = self.heads.one(log, bucket, id.as_str()).await? else { return Ok(None) };
        let head = Avro::of(Subject::FeedHead).decode::<Row<feed::Head>>(&image, &self.ids);
        let row = head.map_err(StoreError::unreadable)?;
        Ok(row.state.balance.map(|balance| (balance, row.pos)))
    }

    fn bucket(&self, customer: &CustomerId) -> i32 {
        bucket_of(customer.as_str().as_bytes(), self.buckets) as i32
    }

    async fn read(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
        records: &mut Vec<FeedRecord>,
    ) -> Result<(), StoreError> {
        let avro = Avro::of(Subject::FeedItems);
        let rows = self.session.execute_unpaged(statement, values).await?;
        let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
        for row in rows.rows::<(Vec<u8>,)>().map_err(StoreError::unreadable)? {
            let (image,) = row.map_err(StoreError::unreadable)?;
            records.push(avro.decode(&image, &self.ids).map_err(StoreError::unreadable)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::DAY_MS;

    /// Goal: a line is looked for in the month it was written to. Method: edges of months.
    #[test]
    fn periods() {
        for (day, period) in [(0, 0), (30, 0), (31, 1), (8_401, 276), (8_765, 287), (-1, -1)] {
            assert_eq!(period_of(LogTime(day * DAY_MS)), period, "day {day}");
        }
    }
}
