//! The input topic of a stage, as its codec knows it: partitions, sizes, schemas, prefix.
//!
//! Owns what the codecs of all stages do alike with a record before they look at what is particular
//! to it, and the reading of an event for the stages that follow it. Never looks at state.
//! Invariant: the answer depends on the record and the partition count alone.

use super::{
    DecodeError,
    avro::{Avro, RegistryIds},
    dead_letter::{self, Letter, Origin},
    limits::{self, Sizes},
    raw::RawRecord,
};
use crate::domain::{
    command::PARTITION_KEY,
    event::{AccountEvent, Event},
};
use crate::stages::Poison;
use serde::de::DeserializeOwned;

#[derive(Clone)]
pub(super) struct Inlet {
    pub partitions: i32,
    pub sizes: Sizes,
    pub ids: RegistryIds,
    topic_prefix: String,
}

impl Inlet {
    /// `partitions`: the partition count of the input topic, at least 1.
    pub fn new(partitions: i32, sizes: Sizes, ids: RegistryIds, topic_prefix: &str) -> Self {
        assert!(partitions > 0, "a topic has at least one partition");
        Self { partitions, sizes, ids, topic_prefix: topic_prefix.to_owned() }
    }

    /// Of `payments.events.v1`. `sizes`: those of commands; an event repeats what a command said and
    /// says little more.
    pub fn of_events(partitions: i32, sizes: Sizes, ids: RegistryIds, topic_prefix: &str) -> Self {
        let value_bytes_max = sizes.value_bytes_max.saturating_mul(2);
        Self::new(partitions, Sizes { value_bytes_max, ..sizes }, ids, topic_prefix)
    }

    /// The record's key, if it is one and stands where it belongs.
    pub fn key<'r>(&self, record: &'r RawRecord) -> Result<&'r str, Poison> {
        limits::key(record, &self.sizes, self.partitions)
    }

    /// The key, if it is not the partition's own.
    pub fn divertible_key<'r>(&self, record: &'r RawRecord) -> Option<&'r str> {
        self.key(record).ok().filter(|key| *key != PARTITION_KEY)
    }

    /// What the record says, and its `key` or what is wrong with its surroundings: see
    /// `limits::decode`.
    pub fn decode<'r, T: DeserializeOwned>(
        &self,
        record: &'r RawRecord,
        key: Result<&'r str, Poison>,
        avro: &Avro,
    ) -> Result<(T, Result<&'r str, Poison>), DecodeError> {
        limits::decode(record, key, &self.sizes, (avro, &self.ids))
    }

    /// An event, under its account's key or, a tick, under the partition's own.
    pub fn event(
        &self,
        record: &RawRecord,
        key: Result<&str, Poison>,
        events: &Avro,
    ) -> Result<AccountEvent, DecodeError> {
        let (event, key): (AccountEvent, _) = self.decode(record, key, events)?;
        let key = key?;
        let whole_partition = matches!(event.body, Event::Tick(_));
        if event.account_id.as_str() != key || whole_partition != (key == PARTITION_KEY) {
            return Err(DecodeError::poison("wrong_key"));
        }
        Ok(event)
    }

    pub fn dead_letter(&self, origin: &Origin<'_>) -> Letter {
        dead_letter::letter(origin, &self.topic_prefix)
    }
}
