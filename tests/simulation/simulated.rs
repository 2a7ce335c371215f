//! What a stage must say of itself to be simulated.
//!
//! Owns the few questions in which the stages of the simulation differ for world, owners and judge:
//! bytes, topics, and the second opinion about the outputs at the end.

use crate::codec::{StageCodec, raw::RawRecord};
use crate::domain::rules::Rules;
use crate::stages::{Stage, Topic};
use std::collections::BTreeSet;

/// What an audit of the main output saw.
#[derive(Clone, Copy, Default)]
pub struct Audited {
    pub events: u64,
    pub expired: u64,
}

pub trait Simulated: Stage<Rules = Rules, Head: std::fmt::Debug> + Sized {
    type Codec: StageCodec<Self>;

    fn codec(partitions: i32) -> Self::Codec;

    /// Place of an output topic in `world::TOPICS`.
    fn topic_number(topic: Topic) -> usize;

    /// A second opinion about the main output of all partitions. `diverted`: keys that were ever
    /// behind a dead letter.
    fn audit(
        events: &[&[RawRecord]],
        diverted: &BTreeSet<String>,
    ) -> Result<Audited, (&'static str, String)>;

    /// A value of the main output, readable.
    fn told(value: Option<&[u8]>) -> String;
}
