//! Checkpoint bytes: the row of a head and the row of an item that left it.
//!
//! Owns their shape; the schemas are `authorisation.head` and `authorisation.side`. Framed like a
//! record, so that rows of older releases can be told and read. Invariant: the same row gives the
//! same bytes, or two owners of one partition could not overwrite each other without harm.

use super::frame::Chain;
use serde::{Deserialize, Serialize};

/// The last record taken from one source partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub incarnation: i32,
    pub partition: i32,
    pub offset: i64,
    pub key: Box<str>,
    pub index: i32,
}

/// The row of one key. Default: the state of a key of which nothing was ever read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row<H> {
    /// Offset of the last record that changed this row; -1 before the first.
    pub pos: i64,
    /// Ascending by (incarnation, partition), one entry each.
    pub seen: Vec<Seen>,
    /// Running number of the key's latest output; 0 before the first.
    pub seq: i64,
    pub chain: Chain,
    /// The key waits behind a dead letter, and the latest record that does.
    pub diverted_through: Option<i64>,
    /// The latest record that was poison itself: the fuse counts it again after a takeover.
    pub poisoned_at: Option<i64>,
    pub state: H,
}

impl<H: Default> Default for Row<H> {
    fn default() -> Self {
        Self {
            pos: -1,
            seen: Vec::new(),
            seq: 0,
            chain: Chain::default(),
            diverted_through: None,
            poisoned_at: None,
            state: H::default(),
        }
    }
}

/// One item that left the head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideRow<I> {
    pub item: I,
}
