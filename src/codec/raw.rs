//! A record as it was read from the log: bytes and where they stood.
//!
//! Owns what can be said about a record before its value is decoded: its key as text, the id of
//! the output it is, whether an operator sent it again. Never judges; `limits` does.

use super::{
    dead_letter::TimestampType,
    frame::OutputId,
    headers::{HeaderList, REPLAY_ID, SRC},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    pub partition: i32,
    pub offset: i64,
    /// The broker's time of the record.
    pub timestamp_ms: i64,
    pub timestamp_type: TimestampType,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: HeaderList,
}

impl RawRecord {
    pub fn key_text(&self) -> Option<&str> {
        self.key.as_deref().and_then(|key| std::str::from_utf8(key).ok())
    }

    /// The id of the output that this record is; `None` for records of the outside.
    pub fn source(&self) -> Option<OutputId> {
        self.headers.text(SRC)?.parse().ok()
    }

    /// Sent again by an operator, out of the dead letters.
    pub fn is_redriven(&self) -> bool {
        self.headers.contains(REPLAY_ID)
    }
}
