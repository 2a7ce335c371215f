//! One partition of the input: which of its records are still open, and what may be committed.
//!
//! Owns the offsets, the ids that are under way or ended lately, the records not yet taken, the
//! fuse and why the partition stands. Invariant: nothing at or above an open offset is committed,
//! and an offset is open from the moment its record is taken until its outcome is acknowledged.

use crate::codec::{avro::Schema, raw::RawRecord};
use crate::runtime::fuse::{Fuse, FuseSettings};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Ids of ended obligations that are remembered, in each partition.
const ENDED_MAX: usize = 10_000;

/// Why a partition stands before a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halted {
    SchemaUnknown { offset: i64, schema: Schema },
    FuseBlown { offset: i64 },
}

pub(super) struct Lane {
    /// Offset of the newest record seen, taken or not.
    pub fetched: i64,
    /// Everything at or below was taken.
    pub taken: i64,
    pub committed: i64,
    pub open: BTreeSet<i64>,
    pub backlog: VecDeque<RawRecord>,
    pub fuse: Fuse,
    pub halted: Option<Halted>,
    /// Ids under way, with the ticket that their outcome will have.
    pub under_way: BTreeMap<Box<str>, u64>,
    ended: BTreeSet<Box<str>>,
    ended_order: VecDeque<Box<str>>,
    pub taken_records: u64,
    pub taken_broker_ms: Option<i64>,
}

impl Lane {
    pub fn new(start: i64, fuse: FuseSettings) -> Self {
        Self {
            fetched: start - 1,
            taken: start - 1,
            committed: start,
            open: BTreeSet::new(),
            backlog: VecDeque::new(),
            fuse: Fuse::new(fuse),
            halted: None,
            under_way: BTreeMap::new(),
            ended: BTreeSet::new(),
            ended_order: VecDeque::new(),
            taken_records: 0,
            taken_broker_ms: None,
        }
    }

    /// The next offset that a takeover may start from: below everything open. Unlike in other stages
    /// the fuse holds nothing back: a takeover would push again what stands after a dead letter, and
    /// people would see it. The price: a new owner counts its dead letters from zero.
    pub fn committable(&self) -> i64 {
        self.open.first().copied().unwrap_or(self.taken + 1)
    }

    pub fn has_ended(&self, id: &str) -> bool {
        self.ended.contains(id)
    }

    pub fn ended(&mut self, id: Box<str>) {
        self.under_way.remove(&id);
        if self.ended.insert(id.clone()) {
            self.ended_order.push_back(id);
        }
        if self.ended_order.len() > ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }
}
