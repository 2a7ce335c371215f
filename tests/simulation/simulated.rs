//! What a stage must say of itself to be simulated.
//!
//! Owns the few questions in which the stages of the simulation differ for world, owners and judge:
//! bytes, topics, what is written to its input beside its records, and the second opinion about the
//! outputs at the end.

use super::money::Breach;
use super::script::Record;
use super::world::TOPICS;
use crate::adapters::memory::MemoryLog;
use crate::codec::{
    StageCodec,
    avro::Avro,
    headers::{self, HeaderList},
    raw::RawRecord,
    schemas::Subject,
};
use crate::domain::{command::Tick, rules::Rules};
use crate::stages::{Stage, Topic};
use std::collections::BTreeSet;

/// What an audit of the main output saw.
#[derive(Clone, Copy, Default)]
pub struct Audited {
    pub events: u64,
    pub expired: u64,
}

/// The log at rest, for a second opinion.
pub struct Topics<'w> {
    pub log: &'w MemoryLog,
    pub partitions: i32,
}

impl<'w> Topics<'w> {
    /// Every partition of a topic (`world::TOPICS`), from 0.
    pub fn of(&self, topic: usize) -> impl Iterator<Item = &'w [RawRecord]> + use<'w> {
        let log = self.log;
        (0..self.partitions).map(move |number| log.read(TOPICS[topic], number, 0, usize::MAX))
    }
}

/// A record without a source, as the outside writes it.
pub fn record_of(subject: Subject, key: &str, value: &impl serde::Serialize) -> Record {
    let mut bytes = Vec::new();
    Avro::of(subject).encode(value, &mut bytes);
    (Some(key.into()), Some(bytes), HeaderList::new())
}

/// The first copy of each record; one without a source is its only copy.
pub fn first_copies(records: &[RawRecord]) -> impl Iterator<Item = &RawRecord> {
    let mut ids = BTreeSet::new();
    records.iter().filter(move |record| {
        record.headers.text(headers::SRC).is_none_or(|id| ids.insert(id.to_owned()))
    })
}

pub trait Simulated: Stage<Rules = Rules, Head: std::fmt::Debug> + Sized {
    type Codec: StageCodec<Self>;

    fn codec(partitions: i32) -> Self::Codec;

    /// Place of an output topic in `world::TOPICS`.
    fn topic_number(topic: Topic) -> usize;

    /// A tick of its input topic. Never asked of a stage without ticks.
    fn tick(tick: Tick) -> Record;

    /// The operator's word that releases a fuse through an offset.
    fn release_fuse(through_offset: i64) -> Record;

    /// A second opinion about what all partitions have published. `diverted`: keys that were ever
    /// behind a dead letter.
    fn audit(topics: &Topics<'_>, diverted: &BTreeSet<String>) -> Result<Audited, Breach>;

    /// A value of the main output, readable.
    fn told(value: Option<&[u8]>) -> String;
}
