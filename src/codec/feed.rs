//! The codec of the feed stage: events in, records of customers out; and their reading by others.
//!
//! Owns the order of checks of an event as this stage reads it, what a record of `feed.items.v1`
//! must be for whoever reads it, and the CloudEvents type of both its bodies. Never decides who
//! sees what. Invariant: the answer depends on the record and the partition count alone.

use super::{
    DecodeError, StageCodec,
    avro::{Avro, RegistryIds},
    dead_letter::{Letter, Origin},
    inlet::Inlet,
    limits::{self, Sizes},
    raw::RawRecord,
    schemas::Subject,
    snapshot::{Row, SideRow},
};
use crate::domain::{
    command::PARTITION_KEY,
    event::AccountEvent,
    feed::{FeedBody, FeedRecord},
    settlement::Birth,
    time::LogTime,
};
use crate::stages::Poison;
use crate::stages::feed::{Feed, Head, life::Life};

pub struct FeedCodec {
    inlet: Inlet,
    events: &'static Avro,
    items: &'static Avro,
    heads: &'static Avro,
    sides: &'static Avro,
}

impl FeedCodec {
    /// `partitions`: the partition count of the input topic, at least 1. `sizes`: those of commands.
    pub fn new(partitions: i32, sizes: Sizes, ids: RegistryIds, topic_prefix: &str) -> Self {
        Self {
            inlet: Inlet::of_events(partitions, sizes, ids, topic_prefix),
            events: Avro::of(Subject::Events),
            items: Avro::of(Subject::FeedItems),
            heads: Avro::of(Subject::FeedHead),
            sides: Avro::of(Subject::FeedSide),
        }
    }
}

impl StageCodec<Feed> for FeedCodec {
    fn decode(&self, record: &RawRecord) -> Result<AccountEvent, DecodeError> {
        self.inlet.event(record, self.inlet.key(record), self.events)
    }

    fn divertible_key<'r>(&self, record: &'r RawRecord) -> Option<&'r str> {
        self.inlet.divertible_key(record)
    }

    fn dead_letter(&self, origin: &Origin<'_>) -> Letter {
        self.inlet.dead_letter(origin)
    }

    fn encode_output(&self, output: &FeedRecord, value: &mut Vec<u8>) {
        self.items.encode(output, value);
    }

    fn ce_type(&self, output: &FeedRecord) -> &'static str {
        feed_type(&output.body)
    }

    fn encode_row(&self, row: &Row<Head>, row_bytes: &mut Vec<u8>) {
        self.heads.encode(row, row_bytes);
    }

    fn decode_row(&self, row_bytes: &[u8]) -> Result<Row<Head>, DecodeError> {
        self.heads.decode(row_bytes, &self.inlet.ids)
    }

    fn encode_side(&self, item: &Life, row_bytes: &mut Vec<u8>) {
        self.sides.encode(&SideRow { item }, row_bytes);
    }

    fn decode_side(&self, row_bytes: &[u8]) -> Result<Life, DecodeError> {
        self.sides.decode::<SideRow<Life>>(row_bytes, &self.inlet.ids).map(|row| row.item)
    }
}

/// `tapline.feed.<what happened>.v1` of a record of `feed.items.v1`.
pub fn feed_type(body: &FeedBody) -> &'static str {
    match body {
        FeedBody::Item(_) => "tapline.feed.item_changed.v1",
        FeedBody::Holding(_) => "tapline.feed.holding_changed.v1",
        FeedBody::Birth(_) => "tapline.feed.birth.v1",
    }
}

/// The key of a record of `feed.items.v1`: a customer, whose name may be as long as any text, or
/// the partition's own.
pub fn key<'r>(record: &'r RawRecord, sizes: &Sizes, partitions: i32) -> Result<&'r str, Poison> {
    let key_bytes_max = sizes.key_bytes_max.max(sizes.string_bytes_max);
    limits::key(record, &Sizes { key_bytes_max, ..*sizes }, partitions)
}

/// Reads a record of `feed.items.v1`, for the push stage and for everybody who shows it.
///
/// `partitions`: of that topic. Errors: an unknown schema before all else; what is too large, or
/// stands under another key than its customer's or in another partition than its key's, is poison.
pub fn decode_record(
    record: &RawRecord,
    partitions: i32,
    sizes: &Sizes,
    ids: &RegistryIds,
) -> Result<FeedRecord, DecodeError> {
    let value_bytes_max = sizes.value_bytes_max.saturating_mul(2);
    let sizes = Sizes { value_bytes_max, ..*sizes };
    let key = key(record, &sizes, partitions);
    let (read, key): (FeedRecord, _) =
        limits::decode(record, key, &sizes, (Avro::of(Subject::FeedItems), ids))?;
    let key = key?;
    let is_birth = matches!(read.body, FeedBody::Birth(_));
    let is_own = if is_birth { key == PARTITION_KEY } else { read.customer_id.as_str() == key };
    if is_own { Ok(read) } else { Err(DecodeError::poison("wrong_key")) }
}

/// The first record of a partition, under `PARTITION_KEY`: of nobody, from nowhere.
pub fn birth() -> FeedRecord {
    FeedRecord {
        customer_id: "".into(),
        account_id: "".into(),
        log_time: LogTime::ZERO,
        partition: -1,
        offset: -1,
        body: FeedBody::Birth(Birth {}),
    }
}
