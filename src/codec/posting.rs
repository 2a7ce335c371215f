//! The codec of the posting stage: events in, posting sets and sealed parts out, head rows.
//!
//! Owns the order of checks of an event as a record, and the CloudEvents type of every output.
//! Invariant: the answer depends on the record and the partition count alone. A key that is named
//! like a part is refused and diverts nobody: the part of that name has nothing to do with it.

use super::{
    DecodeError, StageCodec,
    avro::{Avro, RegistryIds},
    dead_letter::{self, Letter, Origin},
    limits::{self, Sizes},
    raw::RawRecord,
    schemas::Subject,
    snapshot::Row,
    windows::settlement_type,
};
use crate::domain::{
    command::PARTITION_KEY,
    event::{AccountEvent, Event},
};
use crate::stages::{
    Poison,
    settlement::posting::{Head, KEY_RESERVED, NoItem, Output, PART_PREFIX, Posting},
};

pub struct PostingCodec {
    partitions: i32,
    sizes: Sizes,
    ids: RegistryIds,
    topic_prefix: String,
    events: &'static Avro,
    postings: &'static Avro,
    parts: &'static Avro,
    heads: &'static Avro,
}

impl PostingCodec {
    /// `partitions`: the partition count of the input topic, at least 1. `sizes`: those of commands;
    /// an event repeats what a command said and says little more.
    pub fn new(partitions: i32, sizes: Sizes, ids: RegistryIds, topic_prefix: &str) -> Self {
        assert!(partitions > 0, "a topic has at least one partition");
        let value_bytes_max = sizes.value_bytes_max.saturating_mul(2);
        Self {
            partitions,
            sizes: Sizes { value_bytes_max, ..sizes },
            ids,
            topic_prefix: topic_prefix.to_owned(),
            events: Avro::of(Subject::Events),
            postings: Avro::of(Subject::Postings),
            parts: Avro::of(Subject::Parts),
            heads: Avro::of(Subject::PostingHead),
        }
    }

    /// The key, if it is an account's or the partition's, and stands where it belongs.
    fn key<'r>(&self, record: &'r RawRecord) -> Result<&'r str, Poison> {
        let key = limits::key(record, &self.sizes, self.partitions)?;
        if key.starts_with(PART_PREFIX) { Err(KEY_RESERVED) } else { Ok(key) }
    }
}

impl StageCodec<Posting> for PostingCodec {
    fn decode(&self, record: &RawRecord) -> Result<AccountEvent, DecodeError> {
        let key = self.key(record);
        let (event, key): (AccountEvent, _) =
            limits::decode(record, key, &self.sizes, (self.events, &self.ids))?;
        let key = key?;
        let whole_partition = matches!(event.body, Event::Tick(_));
        if event.account_id.as_str() != key || whole_partition != (key == PARTITION_KEY) {
            return Err(DecodeError::poison("wrong_key"));
        }
        Ok(event)
    }

    fn divertible_key<'r>(&self, record: &'r RawRecord) -> Option<&'r str> {
        self.key(record).ok().filter(|key| *key != PARTITION_KEY)
    }

    fn dead_letter(&self, origin: &Origin<'_>) -> Letter {
        dead_letter::letter(origin, &self.topic_prefix)
    }

    fn encode_output(&self, output: &Output, value: &mut Vec<u8>) {
        match output {
            Output::Posting(set) => self.postings.encode(set, value),
            Output::Part(record) => self.parts.encode(record, value),
        }
    }

    fn ce_type(&self, output: &Output) -> &'static str {
        match output {
            Output::Posting(_) => "tapline.ledger.posted.v1",
            Output::Part(record) => settlement_type(&record.body),
        }
    }

    fn encode_row(&self, row: &Row<Head>, row_bytes: &mut Vec<u8>) {
        self.heads.encode(row, row_bytes);
    }

    fn decode_row(&self, row_bytes: &[u8]) -> Result<Row<Head>, DecodeError> {
        self.heads.decode(row_bytes, &self.ids)
    }

    fn encode_side(&self, item: &NoItem, _: &mut Vec<u8>) {
        match *item {}
    }

    fn decode_side(&self, _: &[u8]) -> Result<NoItem, DecodeError> {
        Err(DecodeError::poison("undecodable_value"))
    }
}
