//! The codec of the posting stage: events in, posting sets and sealed parts out, head rows.
//!
//! Owns the order of checks of an event as a record, and the CloudEvents type of every output.
//! Invariant: the answer depends on the record and the partition count alone. A key that is named
//! like a part is refused and diverts nobody: the part of that name has nothing to do with it.

use super::{
    DecodeError, StageCodec,
    avro::{Avro, RegistryIds},
    dead_letter::{Letter, Origin},
    inlet::Inlet,
    limits::Sizes,
    raw::RawRecord,
    schemas::Subject,
    snapshot::Row,
    windows::settlement_type,
};
use crate::domain::{command::PARTITION_KEY, event::AccountEvent};
use crate::stages::{
    Poison,
    settlement::posting::{Head, KEY_RESERVED, NoItem, Output, PART_PREFIX, Posting},
};

pub struct PostingCodec {
    inlet: Inlet,
    events: &'static Avro,
    postings: &'static Avro,
    parts: &'static Avro,
    heads: &'static Avro,
}

impl PostingCodec {
    /// `partitions`: the partition count of the input topic, at least 1. `sizes`: those of commands.
    pub fn new(partitions: i32, sizes: Sizes, ids: RegistryIds, topic_prefix: &str) -> Self {
        Self {
            inlet: Inlet::of_events(partitions, sizes, ids, topic_prefix),
            events: Avro::of(Subject::Events),
            postings: Avro::of(Subject::Postings),
            parts: Avro::of(Subject::Parts),
            heads: Avro::of(Subject::PostingHead),
        }
    }

    /// The key, if it is an account's or the partition's, and stands where it belongs.
    fn key<'r>(&self, record: &'r RawRecord) -> Result<&'r str, Poison> {
        let key = self.inlet.key(record)?;
        if key.starts_with(PART_PREFIX) { Err(KEY_RESERVED) } else { Ok(key) }
    }
}

impl StageCodec<Posting> for PostingCodec {
    fn decode(&self, record: &RawRecord) -> Result<AccountEvent, DecodeError> {
        self.inlet.event(record, self.key(record), self.events)
    }

    fn divertible_key<'r>(&self, record: &'r RawRecord) -> Option<&'r str> {
        self.key(record).ok().filter(|key| *key != PARTITION_KEY)
    }

    fn dead_letter(&self, origin: &Origin<'_>) -> Letter {
        self.inlet.dead_letter(origin)
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
        self.heads.decode(row_bytes, &self.inlet.ids)
    }

    fn encode_side(&self, item: &NoItem, _: &mut Vec<u8>) {
        match *item {}
    }

    fn decode_side(&self, _: &[u8]) -> Result<NoItem, DecodeError> {
        Err(DecodeError::poison("undecodable_value"))
    }
}
