//! The heads of one stage as Cassandra keeps them: many to a row.
//!
//! Owns the shape of the tables `<stage>_head`. A bucket is a Cassandra partition, a slot one of its
//! rows, a head one cell of the slot's map under the head's key: a cell costs the server two
//! thirds of what a row does (docs/adr/0019-heads-in-slots.md). Cells are added and never taken out, each with
//! its own write timestamp, so that the later position wins for each key.

use super::{
    failure::StoreError,
    store::{LogPartition, prepare, timestamp_us},
};
use crate::codec::partitioner::slot_of;
use crate::runtime::ports::{Batch, RowWrite};
use futures_util::TryStreamExt;
use scylla::{
    client::session::Session, statement::batch::Batch as CqlBatch,
    statement::prepared::PreparedStatement,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// Slots read per page at takeover: some hundred heads each where a bucket is large.
const PAGE_SLOTS: i32 = 4;

pub struct Heads {
    session: Arc<Session>,
    select_all: PreparedStatement,
    select_one: PreparedStatement,
    add: PreparedStatement,
}

impl Heads {
    pub async fn open(
        session: Arc<Session>,
        keyspace: &str,
        stage: &str,
    ) -> Result<Self, StoreError> {
        let table = format!("{keyspace}.{stage}_head");
        let bucket = "incarnation = ? AND log_partition = ? AND bucket = ?";
        let prepare = async |text: String| prepare(&session, text).await;
        let mut select_all = prepare(format!("SELECT images FROM {table} WHERE {bucket}")).await?;
        select_all.set_page_size(PAGE_SLOTS);
        Ok(Self {
            select_all,
            select_one: prepare(format!(
                "SELECT images[?] FROM {table} WHERE {bucket} AND slot = ?"
            ))
            .await?,
            add: prepare(format!(
                "UPDATE {table} USING TIMESTAMP ? SET images = images + ? \
                 WHERE {bucket} AND slot = ?"
            ))
            .await?,
            session,
        })
    }

    /// Reads all heads of a bucket and hands them on slot by slot, in no order.
    pub async fn load(
        &self,
        log: LogPartition,
        bucket: u32,
        mut take: impl FnMut(Box<str>, Vec<u8>),
    ) -> Result<(), StoreError> {
        type Images = HashMap<String, Vec<u8>>;
        let values = (log.incarnation, log.partition, bucket as i32);
        let pager = self.session.execute_iter(self.select_all.clone(), values).await?;
        let mut slots = pager.rows_stream::<(Images,)>().map_err(StoreError::unreadable)?;
        while let Some((images,)) = slots.try_next().await.map_err(StoreError::unreachable)? {
            images.into_iter().for_each(|(key, image)| take(key.into(), image));
        }
        Ok(())
    }

    /// One head; `None` where the key has none.
    pub async fn one(
        &self,
        log: LogPartition,
        bucket: u32,
        key: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let values = (key, log.incarnation, log.partition, bucket as i32, slot(key));
        let rows = self.session.execute_unpaged(&self.select_one, values).await?;
        let rows = rows.into_rows_result().map_err(StoreError::unreadable)?;
        // A slot that lacks the key answers with a null.
        let first = rows.maybe_first_row::<(Option<Vec<u8>>,)>().map_err(StoreError::unreadable)?;
        Ok(first.and_then(|(image,)| image))
    }

    /// Writes a batch of heads in `statements`, which is empty: one statement for each slot.
    pub async fn write(
        &self,
        mut statements: CqlBatch,
        log: LogPartition,
        batch: &Batch,
    ) -> Result<(), StoreError> {
        let at_us = timestamp_us(batch.through);
        let values: Vec<_> = by_slot(&batch.rows)
            .into_iter()
            .map(|(slot, images)| {
                (at_us, images, log.incarnation, log.partition, batch.bucket as i32, slot)
            })
            .collect();
        for _ in &values {
            statements.append_statement(self.add.clone());
        }
        self.session.batch(&statements, values).await?;
        Ok(())
    }
}

fn slot(key: &str) -> i32 {
    slot_of(key.as_bytes()).into()
}

fn by_slot(rows: &[RowWrite]) -> BTreeMap<i32, BTreeMap<&str, &[u8]>> {
    let mut slots: BTreeMap<i32, BTreeMap<&str, &[u8]>> = BTreeMap::new();
    for row in rows {
        slots.entry(slot(&row.key)).or_default().insert(&row.key, &row.bytes);
    }
    slots
}
