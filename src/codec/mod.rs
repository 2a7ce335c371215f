//! Codec: bytes to domain and back, and everything that surrounds the bytes of a record.
//!
//! Owns the Avro schemas, the frames, the headers, the limits of what is accepted, the checkpoint's
//! bytes and the form of a dead letter. Never talks to Kafka or Cassandra and never decides about
//! money. Invariant: the same value gives the same bytes, in every run and on every machine.
//!
//! `raw` a record as read; `frame` positions, ids, hash chain; `headers`; `schemas` the table
//! of compiled-in schemas; `avro` encode and decode: `binary` the current version, `resolve` the
//! others; `limits` and `reserved` what is refused, `codes` under which names; `dead_letter`;
//! `partitioner`; `births` the first records of topics; `control` an operator's word to one stage;
//! `repeats` what was published again; `inlet` what all codecs of stages do alike; `snapshot`
//! checkpoint rows; `rules` files; `topics` their table; `json` records for people, masked;
//! `authorisation`, `posting`, `windows`, `feed` and `push` the codecs of those stages.

pub mod authorisation;
pub mod avro;
pub mod binary;
pub mod births;
pub mod codes;
pub mod control;
pub mod dead_letter;
pub mod feed;
pub mod frame;
pub mod headers;
mod inlet;
pub mod json;
pub mod limits;
pub mod partitioner;
pub mod posting;
pub mod push;
pub mod raw;
pub mod repeats;
pub mod reserved;
pub mod resolve;
pub mod rules;
pub mod schemas;
pub mod snapshot;
pub mod topics;
pub mod windows;

#[cfg(test)]
mod tests;

use crate::stages::{Poison, Stage};
use avro::Schema;
use dead_letter::{Letter, Origin};
use raw::RawRecord;
use snapshot::Row;

/// Sets the decoder's allocation limit to 1 MiB for the whole process; may be called often. Must
/// come before any other use of Avro, because the library takes the first value it sees.
pub fn init() {
    apache_avro::util::max_allocation_bytes(1024 * 1024);
}

/// Why a value could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Never applicable: dead-lettered.
    Poison(Poison),
    /// Written by a newer release: the partition stops until this worker is upgraded.
    UnknownSchema(Schema),
}

impl DecodeError {
    pub(crate) fn poison(code: &'static str) -> Self {
        DecodeError::Poison(Poison { code })
    }
}

impl From<Poison> for DecodeError {
    fn from(poison: Poison) -> Self {
        DecodeError::Poison(poison)
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DecodeError::Poison(poison) => write!(f, "poison {}", poison.code),
            DecodeError::UnknownSchema(schema) => write!(f, "unknown schema {schema}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Bytes of one stage. Encoding cannot fail: types and schemas are compared by tests/schemas.rs.
pub trait StageCodec<S: Stage>: Send + Sync + 'static {
    /// Decodes and checks the value and its surroundings (key, partition, sizes).
    fn decode(&self, record: &RawRecord) -> Result<S::Input, DecodeError>;

    /// The record's key, if its later records must follow it into the dead letters: readable, of
    /// this partition, and no partition's own.
    fn divertible_key<'r>(&self, record: &'r RawRecord) -> Option<&'r str>;

    /// The record as a dead letter.
    fn dead_letter(&self, origin: &Origin<'_>) -> Letter;

    /// Appends the framed value of an output.
    fn encode_output(&self, output: &S::Output, value: &mut Vec<u8>);

    /// The CloudEvents type of an output.
    fn ce_type(&self, output: &S::Output) -> &'static str;

    /// Appends the checkpoint bytes of a head.
    fn encode_row(&self, row: &Row<S::Head>, row_bytes: &mut Vec<u8>);

    fn decode_row(&self, row_bytes: &[u8]) -> Result<Row<S::Head>, DecodeError>;

    /// Appends the checkpoint bytes of an item that left the head.
    fn encode_side(&self, item: &S::Item, row_bytes: &mut Vec<u8>);

    fn decode_side(&self, row_bytes: &[u8]) -> Result<S::Item, DecodeError>;
}
