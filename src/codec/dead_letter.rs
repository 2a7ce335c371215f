//! Dead letters: a record that can never be applied, as it was, with what an operator must know.
//!
//! Owns their header list (operations.md 1.4), byte for byte as redrive tools for Kafka expect it.
//! Nothing in it comes from a clock, a host, a retry or the value, so it replays byte-equal and
//! leaks no card data. Invariant: a second failure keeps the first origin.

use super::{avro, codes, headers::HeaderList, raw::RawRecord};
use crate::stages::{Poison, Topic};

pub const TOPIC: &str = "kafka_dlt-original-topic";
pub const PARTITION: &str = "kafka_dlt-original-partition";
pub const OFFSET: &str = "kafka_dlt-original-offset";
pub const TIMESTAMP: &str = "kafka_dlt-original-timestamp";
pub const TIMESTAMP_TYPE: &str = "kafka_dlt-original-timestamp-type";
pub const CONSUMER_GROUP: &str = "kafka_dlt-original-consumer-group";
pub const EXCEPTION_FQCN: &str = "kafka_dlt-exception-fqcn";
pub const EXCEPTION_MESSAGE: &str = "kafka_dlt-exception-message";
pub const ERROR_CODE: &str = "tapline-error-code";
pub const FAILED_STAGE: &str = "tapline-failed-stage";
pub const SCHEMA: &str = "tapline-schema";

/// Written anew at every failure.
const OF_THE_FAILURE: [&str; 5] =
    [EXCEPTION_FQCN, EXCEPTION_MESSAGE, ERROR_CODE, FAILED_STAGE, SCHEMA];

/// Who set a record's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

impl TimestampType {
    fn name(self) -> &'static str {
        match self {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        }
    }
}

/// Where the record stood and why it failed.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub raw: &'a RawRecord,
    pub stage: &'static str,
    pub input: Topic,
    pub poison: Poison,
}

/// A dead letter, for the partition of the record's own number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub key: Option<Vec<u8>>,
    /// The record's own; none where it holds a card number.
    pub value: Option<Vec<u8>>,
    pub headers: HeaderList,
}

/// The record as a dead letter. `topic_prefix`: of the installation.
pub fn letter(origin: &Origin<'_>, topic_prefix: &str) -> Letter {
    let raw = origin.raw;
    let keeps_value = origin.poison.code != "pan_in_clear";
    Letter {
        key: raw.key.clone(),
        value: raw.value.clone().filter(|_| keeps_value),
        headers: headers(origin, topic_prefix),
    }
}

/// The record's own headers, untouched and in order, then those of the failure.
fn headers(origin: &Origin<'_>, topic_prefix: &str) -> HeaderList {
    let (raw, code) = (origin.raw, origin.poison.code);
    let mut out = HeaderList::new();
    for (name, value) in raw.headers.iter().filter(|(name, _)| !OF_THE_FAILURE.contains(name)) {
        out.push(name, value);
    }
    let topic = format!("{topic_prefix}{}", origin.input.0);
    // The live group's name, also in a replay.
    let group = format!("tapline.{}", origin.stage);
    let first: [(&str, &[u8]); 6] = [
        (TOPIC, topic.as_bytes()),
        (PARTITION, &raw.partition.to_be_bytes()),
        (OFFSET, &raw.offset.to_be_bytes()),
        (TIMESTAMP, &raw.timestamp_ms.to_be_bytes()),
        (TIMESTAMP_TYPE, raw.timestamp_type.name().as_bytes()),
        (CONSUMER_GROUP, group.as_bytes()),
    ];
    for (name, value) in first {
        if !raw.headers.contains(name) {
            out.push(name, Some(value));
        }
    }
    out.push_text(EXCEPTION_FQCN, &format!("tapline.{code}"));
    out.push_text(EXCEPTION_MESSAGE, codes::sentence(code));
    out.push_text(ERROR_CODE, code);
    out.push_text(FAILED_STAGE, origin.stage);
    if let Some(Ok((schema, _))) = raw.value.as_deref().map(avro::split) {
        out.push_text(SCHEMA, &schema.to_string());
    }
    out
}
