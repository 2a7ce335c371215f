//! The edges of a partition: what it asks of the outside and what comes back.
//!
//! Everything is asked without waiting and answered by an `Arrival`, in any order and possibly much
//! later. Payloads are bytes; only the codec knows more. A port that cannot do what it was asked
//! repeats it until it can, with the same bytes: there is no answer "failed" but the end of the
//! process. Live, the ports are Kafka and Cassandra; in the simulation they are twins that may do
//! everything wrong that the real ones may.

use crate::codec::{headers::HeaderList, raw::RawRecord};
use crate::stages::Topic;
use std::sync::Arc;

/// Where an output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The partition number the input came from (same-key outputs, ticks, dead letters).
    Partition(i32),
    /// Wherever Kafka's murmur2 puts the key.
    ByKey,
}

/// One record to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    pub topic: PublishTopic,
    pub destination: Destination,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: HeaderList,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishTopic {
    Output(Topic),
    DeadLetters,
}

/// The table of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Heads,
    /// Items that left their heads; rows have an `item`.
    Sides,
    /// The stage's read model; rows have an `item` and their place among the key's rows.
    Reads {
        period: i32,
    },
}

/// One row of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct RowWrite {
    pub key: Arc<str>,
    pub item: Option<Box<str>>,
    /// Of a read model's row, see `stages::ReadRow`; else 0.
    pub order: i64,
    pub pos: i64,
    /// Shared with the head that rests.
    pub bytes: Arc<[u8]>,
}

impl RowWrite {
    pub fn head(key: Arc<str>, pos: i64, bytes: Arc<[u8]>) -> Self {
        Self { key, item: None, order: 0, pos, bytes }
    }

    pub fn side(key: Arc<str>, item: Box<str>, pos: i64, bytes: Arc<[u8]>) -> Self {
        Self { key, item: Some(item), order: 0, pos, bytes }
    }
}

/// Rows of one bucket, written as one single-partition batch. Repeated unchanged until acked.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub seal: u64,
    /// Position that the seal reaches through.
    pub through: i64,
    pub index: usize,
    pub table: Table,
    pub bucket: u32,
    pub rows: Vec<RowWrite>,
}

impl Batch {
    /// The position that a row's write timestamp is made of. A head is its key's state as of the
    /// whole seal, whatever record changed it last, so the heads of a batch share one timestamp; the
    /// other rows are versions and stand at their own.
    pub fn stamp(&self, row: &RowWrite) -> i64 {
        match self.table {
            Table::Heads => self.through,
            Table::Sides | Table::Reads { .. } => row.pos,
        }
    }
}

/// Asks for the newest version below `below` of one item that left the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideRead {
    /// The record that needs it.
    pub below: i64,
    pub bucket: u32,
    pub key: Arc<str>,
    pub item: Box<str>,
}

pub trait Ports<R> {
    /// Publishes in order; `Arrival::Acknowledged` once all of the ticket are acked.
    fn publish(&mut self, ticket: u64, records: Vec<Publish>);
    /// `Arrival::Written` once acked at quorum.
    fn write(&mut self, batch: Arc<Batch>);
    /// `Arrival::SideRow`.
    fn read(&mut self, read: SideRead);
    /// A hint that may be lost: there is no answer.
    fn commit(&mut self, next_offset: i64);
    /// `Arrival::Rules` once the version is known; until then the partition waits.
    fn load_rules(&mut self, version: i32);
    /// Fetch again from this offset (after a look ahead for the release of the fuse).
    fn seek(&mut self, offset: i64);
}

/// What comes back from the outside.
pub enum Arrival<R> {
    /// Rows of the store at takeover: key and bytes, any order, any number of times.
    Heads(Vec<(Box<str>, Vec<u8>)>),
    /// The log's end, looked up after the heads were read: no stored position may lie at or above.
    LogEnd(i64),
    /// All heads have arrived; consumption begins.
    Loaded,
    /// Records in order of offset.
    Fetched(Vec<RawRecord>),
    Acknowledged {
        ticket: u64,
    },
    Written {
        seal: u64,
        index: usize,
    },
    SideRow {
        below: i64,
        item: Box<str>,
        version: Option<(i64, Vec<u8>)>,
    },
    Rules {
        version: i32,
        rules: Arc<R>,
    },
    /// The interval between seals is over.
    SealDue,
    /// Look again at what stopped the partition: an upgrade of tables may have cured it.
    Retry,
    /// Stop taking records; seal what was applied. The partition reports `is_drained`.
    Drain,
}
