//! The open end of a partition: records whose outputs the next owner still has to make (P1, P2, P3).
//!
//! Owns from where on that can be. An owner that stops or dies leaves what it fetched last without
//! outputs, or with the first of them; the next one begins at the committed offset and makes them.
//! Invariant: whatever a commit, a row or a later output vouches for is never open.

use super::{evidence::Evidence, outputs::Outputs, rows::Rows};

pub struct Tail {
    /// Everything below has all its outputs.
    done: i64,
    /// The newest record that has an event: perhaps not all of them.
    newest: i64,
}

impl Tail {
    pub fn of(partition: i32, evidence: &Evidence, rows: &Rows, events: &Outputs) -> Self {
        let own = evidence.committed.iter().filter(|commit| commit.partition == partition);
        let committed = own.map(|commit| commit.offset).max().unwrap_or(0);
        // Heads are written when every output up to them is acknowledged, and were read before.
        let beyond_rows = rows.positions.values().max().map_or(0, |pos| pos + 1);
        let newest = events.newest().unwrap_or(0);
        Self { done: committed.max(beyond_rows), newest }
    }

    /// Events of this record may still come: those of a partition come in the order of their sources.
    pub fn owes_events(&self, offset: i64) -> bool {
        self.owes(offset) && offset >= self.newest
    }

    /// What it leads to in other topics may still come: each partition has an order of its own.
    pub fn owes(&self, offset: i64) -> bool {
        offset >= self.done
    }
}

/// What is still to come, so that nobody takes the judgement for one of a pipeline at rest.
#[derive(Default)]
pub struct Owed {
    /// Fresh ticks come all the time, so one that waits for the next owner is no unrest.
    pub ticks: Count,
    pub commands: Count,
}

/// Records at ascending offsets, each counted once however much of it is still to come.
#[derive(Clone, Copy, Default)]
pub struct Count {
    records: u64,
    first: i64,
    newest: Option<i64>,
}

impl Count {
    pub fn note(&mut self, offset: i64) {
        if self.records == 0 {
            self.first = offset;
        }
        self.records += u64::from(self.newest != Some(offset));
        self.newest = Some(offset);
    }

    /// `None`: none.
    pub fn says(&self, what: &str, partition: i32) -> Option<String> {
        let Self { records, first, .. } = self;
        let says = format!("{records} {what} of partition {partition} from {first} on, which lack");
        (*records > 0).then(|| says + " outputs that the next owner makes")
    }
}
