//! One window: the presentments of one network, currency and cycle, from open to settled.
//!
//! Owns its sums and what is still owed for it. Never decides when it moves on: `parts` closes,
//! `reconcile` compares, `settle` pays. Invariant: `outstanding_minor` is the balance of `net` in
//! the ledger for this cycle, and 0 once it is settled.

use crate::domain::{
    cycle::Cycle,
    settlement::{Class, ContentHash, CycleTotals, NetworkReport},
    window::{ClassTally, PartRange},
};
use serde::{Deserialize, Serialize};

/// Where a window stands (S3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Parts are missing.
    Open,
    /// All parts are there; no report yet.
    Closed,
    /// The report is explained. Passed through: an instruction follows in the same step.
    Reconciled,
    Instructed,
    Settled,
    /// The report is not explained: waits for a person.
    Broken,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub cycle: Cycle,
    pub status: Status,
    /// Ascending by partition.
    pub parts: Vec<PartRange>,
    pub totals: CycleTotals,
    /// Present once it is closed.
    pub content: Option<ContentHash>,
    /// Net that earlier windows gave to this one when it closed.
    pub carried_minor: i64,
    /// Net that differences moved here from suspense, or from here to a later window.
    pub differences_minor: i64,
    /// Net that the unexplained rest moved here from suspense.
    pub unexplained_minor: i64,
    pub paid_minor: i64,
    /// Ascending by class.
    pub tally: Vec<ClassTally>,
    pub report: Option<NetworkReport>,
    /// The statement line that paid it; empty: none did alone.
    pub settled_by: Box<str>,
}

impl Window {
    pub fn open(cycle: Cycle) -> Self {
        Self {
            cycle,
            status: Status::Open,
            parts: Vec::new(),
            totals: CycleTotals::default(),
            content: None,
            carried_minor: 0,
            differences_minor: 0,
            unexplained_minor: 0,
            paid_minor: 0,
            tally: Vec::new(),
            report: None,
            settled_by: "".into(),
        }
    }

    /// What we still owe for this window; below zero: what is owed to us.
    pub fn outstanding_minor(&self) -> i64 {
        self.totals.net_minor()
            + self.carried_minor
            + self.differences_minor
            + self.unexplained_minor
            - self.paid_minor
    }

    /// Differences still count: nothing was agreed with the network yet.
    pub fn is_unreported(&self) -> bool {
        matches!(self.status, Status::Open | Status::Closed)
    }

    pub fn part(&self, partition: i32) -> Option<&PartRange> {
        self.parts.iter().find(|part| part.partition == partition)
    }

    /// Counts one difference under its class.
    pub fn count(&mut self, class: Class, claimed_minor: i64) {
        let place = self.tally.partition_point(|tally| tally.class < class);
        match self.tally.get_mut(place).filter(|tally| tally.class == class) {
            Some(tally) => {
                tally.count += 1;
                tally.claimed_minor = tally.claimed_minor.saturating_add(claimed_minor);
            }
            None => self.tally.insert(place, ClassTally { class, count: 1, claimed_minor }),
        }
    }
}
