//! The store of one stage: heads and side rows in buckets.
//!
//! Owns the statements of a stage and how often they are repeated. A write is the rows of one bucket
//! in one unlogged batch, with timestamps made of log positions, repeated with the same bytes until
//! acknowledged: a time-out says nothing about whether the write landed.

use super::{failure::StoreError, heads::Heads, settings::CassandraSettings};
use crate::runtime::{
    failure::{Class, pauses},
    ports::{Batch, SideRead, Table},
};
use futures_util::TryStreamExt;
use scylla::{
    client::session::Session,
    statement::{
        batch::{Batch as CqlBatch, BatchType},
        prepared::PreparedStatement,
    },
};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Write timestamps lie above any clock until 2041, so that a write or delete without one loses
/// (pipeline.md section 4).
const TIMESTAMP_BASE_US: i64 = 1 << 51;

/// Side rows read per page.
const PAGE_ROWS: i32 = 5_000;

pub fn timestamp_us(pos: i64) -> i64 {
    TIMESTAMP_BASE_US + pos
}

/// Which log partition a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogPartition {
    pub incarnation: i32,
    pub partition: i32,
}

pub struct Store {
    session: Arc<Session>,
    heads: Heads,
    insert_side: PreparedStatement,
    select_side: PreparedStatement,
    select_sides: PreparedStatement,
    /// Of a stage with a read model.
    insert_read: Option<PreparedStatement>,
    in_flight: Semaphore,
}

impl Store {
    pub async fn open(
        session: Arc<Session>,
        settings: &CassandraSettings,
        stage: &str,
    ) -> Result<Self, StoreError> {
        let keyspace = &settings.keyspace;
        let bucket = "incarnation = ? AND log_partition = ? AND bucket = ?";
        let prepare = async |text: String| prepare(&session, text).await;
        Ok(Self {
            heads: Heads::open(session.clone(), keyspace, stage).await?,
            insert_side: prepare(format!(
                "INSERT INTO {keyspace}.{stage}_side \
                 (incarnation, log_partition, bucket, key, item, pos, image) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
            ))
            .await?,
            select_side: prepare(format!(
                "SELECT pos, image FROM {keyspace}.{stage}_side \
                 WHERE {bucket} AND key = ? AND item = ? AND pos < ? LIMIT 1"
            ))
            .await?,
            select_sides: prepare(format!(
                "SELECT key, item, pos, image FROM {keyspace}.{stage}_side WHERE {bucket}"
            ))
            .await?,
            insert_read: None,
            in_flight: Semaphore::new(settings.in_flight),
            session,
        })
    }

    /// Makes the store take rows of the stage's read model too.
    pub async fn open_reads(&mut self, keyspace: &str, stage: &str) -> Result<(), StoreError> {
        let insert = format!(
            "INSERT INTO {keyspace}.{stage}_item \
             (incarnation, bucket, period, key, ordering, item, image) \
             VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
        );
        self.insert_read = Some(prepare(&self.session, insert).await?);
        Ok(())
    }

    /// Reads all heads of a bucket and hands them on, in no order. Not repeated: a failure in the
    /// middle is the caller's to repeat (loading the same row twice is harmless).
    pub async fn load_heads(
        &self,
        log: LogPartition,
        bucket: u32,
        take: impl FnMut(Box<str>, Vec<u8>),
    ) -> Result<(), StoreError> {
        self.heads.load(log, bucket, take).await
    }

    /// One head; `None` where the key has none.
    pub async fn load_head(
        &self,
        log: LogPartition,
        bucket: u32,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.heads.one(log, bucket, key).await
    }

    /// All side rows of a bucket, newest version first per item.
    pub async fn load_sides(
        &self,
        log: LogPartition,
        bucket: u32,
        mut take: impl FnMut(String, String, i64, Vec<u8>),
    ) -> Result<(), StoreError> {
        let values = (log.incarnation, log.partition, bucket as i32);
        let pager = self.session.execute_iter(self.select_sides.clone(), values).await?;
        let mut rows = pager
            .rows_stream::<(String, String, i64, Vec<u8>)>()
            .map_err(StoreError::unreadable)?;
        while let Some((key, item, pos, image)) =
            rows.try_next().await.map_err(StoreError::unreachable)?
        {
            take(key, item, pos, image);
        }
        Ok(())
    }

    /// Writes a batch; returns when it is acknowledged, or with a failure that repeating cannot
    /// cure. `go_on` hears of every repeat and may end them (the partition was revoked).
    pub async fn write(
        &self,
        log: LogPartition,
        batch: &Batch,
        mut go_on: impl FnMut(&StoreError) -> bool,
    ) -> Result<(), StoreError> {
        let mut pauses = pauses();
        loop {
            let failure = match self.write_once(log, batch).await {
                Ok(()) => return Ok(()),
                Err(failure) if failure.class() == Class::Fatal => return Err(failure),
                Err(failure) => failure,
            };
            if !go_on(&failure) {
                return Ok(());
            }
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    async fn write_once(&self, log: LogPartition, batch: &Batch) -> Result<(), StoreError> {
        let _permit = self.in_flight.acquire().await;
        let mut statements = CqlBatch::new(BatchType::Unlogged);
        statements.set_is_idempotent(true);
        let LogPartition { incarnation, partition } = log;
        let (bucket, rows) = (batch.bucket as i32, batch.rows.iter());
        match batch.table {
            Table::Heads => self.heads.write(statements, log, batch).await?,
            Table::Sides => {
                let values = rows.map(|row| {
                    let (key, image) = (&*row.key, row.bytes.as_ref());
                    let at = timestamp_us(batch.stamp(row));
                    let item = row.item.as_deref().unwrap_or_default();
                    (incarnation, partition, bucket, key, item, row.pos, image, at)
                });
                repeat(&mut statements, &self.insert_side, batch.rows.len());
                self.session.batch(&statements, values.collect::<Vec<_>>()).await?;
            }
            Table::Reads { period } => {
                let statement = self.insert_read.as_ref().expect("opened with its read model");
                let values = rows.map(|row| {
                    let (key, image) = (&*row.key, row.bytes.as_ref());
                    let at = timestamp_us(batch.stamp(row));
                    let item = row.item.as_deref().unwrap_or_default();
                    (incarnation, bucket, period, key, row.order, item, image, at)
                });
                repeat(&mut statements, statement, batch.rows.len());
                self.session.batch(&statements, values.collect::<Vec<_>>()).await?;
            }
        }
        Ok(())
    }

    /// The newest version of an item below a position.
    pub async fn read_side(
        &self,
        log: LogPartition,
        read: &SideRead,
    ) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        let _permit = self.in_flight.acquire().await;
        let values = (
            log.incarnation,
            log.partition,
            read.bucket as i32,
            &*read.key,
            &*read.item,
            read.below,
        );
        let rows = self.session.execute_unpaged(&self.select_side, values).await?;
        let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
        rows.maybe_first_row::<(i64, Vec<u8>)>().map_err(StoreError::unreadable)
    }
}

fn repeat(statements: &mut CqlBatch, statement: &PreparedStatement, times: usize) {
    (0..times).for_each(|_| statements.append_statement(statement.clone()));
}

pub(super) async fn prepare(
    session: &Session,
    text: String,
) -> Result<PreparedStatement, StoreError> {
    let prepared = session.prepare(text).await;
    let mut statement = prepared.map_err(|error| StoreError::Unreachable(error.to_string()))?;
    statement.set_is_idempotent(true);
    statement.set_page_size(PAGE_ROWS);
    Ok(statement)
}
