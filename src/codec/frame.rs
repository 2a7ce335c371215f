//! Where a record stands, which output it is, and the chain over a key's outputs.
//!
//! Owns the source position, the id of an output with its text form (header `tapline-src`) and the
//! hash chain. Identity is derived from the log, never drawn: two runs give the same ids. Order of
//! ids within one source partition: offset, key, index.

use super::avro::FRAME_BYTES;
pub use super::headers::{Provenance, ce_time, headers};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Place of a record in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePos {
    /// Number of the input log's incarnation, unique over all topics.
    pub incarnation: i32,
    pub partition: i32,
    pub offset: i64,
}

impl fmt::Display for SourcePos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.incarnation, self.partition, self.offset)
    }
}

/// The `index`-th output of a key's step for the record at `source`: identity, deduplication key
/// and idempotency key in one.
///
/// Text: `incarnation:partition:offset:index`, and `:key` after it where the key is given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputId {
    pub source: SourcePos,
    /// The key whose step made it; absent where it is the output record's own key. Empty (and then
    /// the text ends in a colon) for a tick that is passed on.
    pub key: Option<Box<str>>,
    pub index: i32,
}

impl fmt::Display for OutputId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.index)?;
        match &self.key {
            Some(key) => write!(f, ":{key}"),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not `incarnation:partition:offset:index` with an optional `:key` after it")]
pub struct OutputIdError;

impl FromStr for OutputId {
    type Err = OutputIdError;

    fn from_str(text: &str) -> Result<Self, OutputIdError> {
        fn number<T: FromStr>(part: Option<&str>) -> Result<T, OutputIdError> {
            part.and_then(|text| text.parse().ok()).ok_or(OutputIdError)
        }
        // A key may hold colons itself: it is all that follows the fourth.
        let mut parts = text.splitn(5, ':');
        let source = SourcePos {
            incarnation: number(parts.next())?,
            partition: number(parts.next())?,
            offset: number(parts.next())?,
        };
        Ok(Self { source, index: number(parts.next())?, key: parts.next().map(Box::from) })
    }
}

/// The first 8 bytes of SHA-256 over the previous chain and the value without its frame; zero
/// before the first output. Header `tapline-chain` as 16 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Chain(pub [u8; 8]);

/// The chain after an output. `value`: as written, with the single-object frame.
pub fn chain(previous: &Chain, value: &[u8]) -> Chain {
    let mut hash = Sha256::new();
    hash.update(previous.0);
    hash.update(value.get(FRAME_BYTES..).unwrap_or_default());
    let mut chain = [0; 8];
    chain.copy_from_slice(&hash.finalize()[..8]);
    Chain(chain)
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl FromStr for Chain {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(|number| Chain(number.to_be_bytes()))
    }
}

impl serde::Serialize for Chain {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Chain {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Chain;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("8 bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Chain, E> {
                bytes.try_into().map(Chain).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: ids survive their text form and nothing else is taken. Method: a table, both ways.
    #[test]
    fn output_ids_as_text() {
        for (text, key) in [
            ("3:11:9000000000:0", None),
            ("3:11:9000000000:0:", Some("")),
            ("3:11:9000000000:0:acc-1", Some("acc-1")),
            ("3:11:9000000000:0:a:b", Some("a:b")),
        ] {
            let source = SourcePos { incarnation: 3, partition: 11, offset: 9_000_000_000 };
            let id = OutputId { source, key: key.map(Box::from), index: 0 };
            assert_eq!(id.to_string(), text);
            assert_eq!(text.parse(), Ok(id));
        }
        for text in ["", "3:11:9", "3:11:x:0", "3:11:9:", "99999999999:0:0:0"] {
            assert_eq!(text.parse::<OutputId>(), Err(OutputIdError), "{text}");
        }
    }

    /// Goal: the chain covers the value's body, not its frame. Method: SHA-256 of 8 zero bytes and
    /// "abc", computed elsewhere; another frame changes nothing.
    #[test]
    fn chain_vector() {
        let one = chain(&Chain::default(), b"0123456789abc");
        assert_eq!(one, chain(&Chain::default(), b"9876543210abc"));
        assert_eq!(one.to_string(), "f3652e4ce938bb99");
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_ne!(chain(&one, b"0123456789abc"), one);
    }
}
