//! Identity by position: ids of outputs, partitions of keys, buckets, and the chain of a key.
//!
//! Owns the auditor's own reading of these rules, written from their description and shared with
//! nobody: Kafka's murmur2, the text of `tapline-src`, SHA-256 for buckets and chains.

use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes of the single-object frame before a value's body.
const FRAME_BYTES: usize = 10;

/// Write timestamps of rows are this plus the log position.
pub const TIMESTAMP_BASE_US: i64 = 1 << 51;

/// The id of an output: `incarnation:partition:offset:index[:key]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    pub incarnation: i32,
    pub partition: i32,
    pub offset: i64,
    pub index: i32,
    /// Where it is not the record's own; empty for a passed-on tick.
    pub key: Option<Box<str>>,
}

impl Source {
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, ':');
        Some(Self {
            incarnation: parts.next()?.parse().ok()?,
            partition: parts.next()?.parse().ok()?,
            offset: parts.next()?.parse().ok()?,
            index: parts.next()?.parse().ok()?,
            key: parts.next().map(Box::from),
        })
    }

    /// Order of outputs within one source partition: offset, key, index.
    pub fn order(&self) -> (i64, &str, i32) {
        (self.offset, self.key.as_deref().unwrap_or(""), self.index)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Source { incarnation, partition, offset, index, key } = self;
        write!(f, "{incarnation}:{partition}:{offset}:{index}")?;
        key.iter().try_for_each(|key| write!(f, ":{key}"))
    }
}

/// Kafka's murmur2 (seed 0x9747b28c), without the sign, modulo the partition count.
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    let mix: u32 = 1_540_483_477;
    let mut hash = 2_538_058_380 ^ key.len() as u32;
    let whole = key.len() / 4 * 4;
    for four in key[..whole].chunks(4) {
        let mut word = 0;
        for (place, byte) in four.iter().enumerate() {
            word |= u32::from(*byte) << (place * 8);
        }
        word = word.wrapping_mul(mix);
        word ^= word >> 24;
        hash = hash.wrapping_mul(mix) ^ word.wrapping_mul(mix);
    }
    let rest = &key[whole..];
    for (place, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (place * 8);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(mix);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(mix);
    hash ^= hash >> 15;
    (hash & 0x7fff_ffff) as i32 % partitions.max(1)
}

/// First 8 bytes of SHA-256 of the key, big-endian, modulo the bucket count.
pub fn bucket_of(key: &str, buckets: i32) -> i32 {
    let hash = Sha256::digest(key.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    (u64::from_be_bytes(first) % buckets.max(1) as u64) as i32
}

/// First 8 bytes of SHA-256 over the previous chain and the value's body.
pub fn chain(previous: [u8; 8], value: &[u8]) -> [u8; 8] {
    let body = value.get(FRAME_BYTES..).unwrap_or_default();
    let hash = Sha256::new().chain_update(previous).chain_update(body).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the partitions of Java's producer. Method: the vectors of docs on topics.
    #[test]
    fn partitions() {
        for (key, count, partition) in [
            ("21", 12, 0),
            ("foobar", 12, 6),
            ("foobar", 64, 62),
            ("a-little-bit-long-string", 12, 8),
            ("acc-000001", 12, 2),
            ("é", 12, 3),
        ] {
            assert_eq!(partition_of(key.as_bytes(), count), partition, "{key}");
        }
    }

    /// Goal: ids survive their text, keys with colons too. Method: a table.
    #[test]
    fn sources() {
        for text in ["3:1:7:0", "3:1:7:0:", "3:1:7:2:acc", "3:1:7:0:a:b"] {
            assert_eq!(Source::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Source::parse("3:1:x:0"), None);
    }
}
