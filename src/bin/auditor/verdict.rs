//! The verdict: per invariant how much was checked, how much is broken, and the first offender.
//!
//! Owns the list of invariants that this auditor judges and what a finding says. The first finding
//! of an invariant is the one at the lowest log position, because what follows it is often only its
//! consequence. Never prints anything.

use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Invariant {
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I8,
    I10,
    I11,
    I12,
    I13,
    I14,
    I15,
    P3,
    P4,
    P5,
    P7,
    P9,
    P10,
    P11,
    P12,
    P14,
}

impl Invariant {
    pub const ALL: &'static [(Invariant, &'static str)] = &[
        (Self::I1, "amounts are whole minor units of a known currency, one per account"),
        (Self::I2, "every set of legs sums to 0 per currency"),
        (Self::I3, "booked is the sum of what was posted, and as every event says"),
        (Self::I4, "0 <= hold <= approved; held is the sum of the open holds"),
        (Self::I5, "what was refused or repeated leaves every balance as it was"),
        (Self::I6, "never over available but by the ways that allow it"),
        (Self::I8, "releasing a hold never changes booked"),
        (Self::I10, "one effect per message; repeats get the first answer, changes a conflict"),
        (Self::I11, "declined stays declined"),
        (Self::I12, "advices, credits and presentments are never refused"),
        (Self::I13, "the seven counters only grow"),
        (Self::I14, "a hold ends at the first tick at or after its deadline; time never runs back"),
        (
            Self::I15,
            "parts tile the log, a window is its parts and never changes; suspense is open",
        ),
        (
            Self::P3,
            "each command has exactly its outputs: in order, without gap, copies byte-equal",
        ),
        (Self::P4, "a row equals the fold of the log up to its position"),
        (Self::P5, "committed offsets stand at a fresh tick or 0, below the log's end"),
        (Self::P7, "keys stand in their partition and bucket, the log is the recorded one"),
        (Self::P9, "per event and holder at it one item, for nobody else; rows are the newest"),
        (
            Self::P10,
            "an obligation ends once; delivered was accepted; one body per key, none muted",
        ),
        (Self::P11, "each bad record is a dead letter once, unchanged; nothing passes it"),
        (Self::P12, "acked: exactly one decision; unknown: at most one; never sent: none"),
        (Self::P14, "no card number in clear"),
    ];
}

/// Where an offender stands: source partition and offset. Outside any log: the end of all order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Place {
    pub offset: i64,
    pub partition: i32,
}

#[derive(Clone, Debug, serde::Serialize)]
pub struct Finding {
    pub place: Place,
    /// Id of the output, row, record or message that offends.
    pub id: String,
    pub expected: String,
    pub found: String,
    /// Everything that the evidence holds about it; filled in after the audit.
    pub records: Vec<String>,
}

#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Tally {
    pub checked: u64,
    pub breaches: u64,
    pub first: Option<Finding>,
}

/// How much evidence there was.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Seen {
    pub partitions: u64,
    /// Without ticks and records of the partition.
    pub commands: u64,
    /// Without copies.
    pub events: u64,
    pub copies: u64,
    pub fresh_ticks: u64,
    pub dead_letters: u64,
    pub heads: u64,
    pub sides: u64,
    /// Without copies.
    pub feed_items: u64,
    pub feed_rows: u64,
    /// Without repeats.
    pub outcomes: u64,
    pub requests: u64,
}

#[derive(Debug, Default)]
pub struct Verdict {
    pub seen: Seen,
    pub tallies: BTreeMap<Invariant, Tally>,
    /// Why no judgement is possible.
    pub unjudged: Vec<String>,
    /// What was not there to be judged and need not be.
    pub left_out: Vec<String>,
}

impl Verdict {
    pub fn checked(&mut self, invariant: Invariant) {
        self.tallies.entry(invariant).or_default().checked += 1;
    }

    pub fn breach(
        &mut self,
        invariant: Invariant,
        place: Place,
        id: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        let tally = self.tallies.entry(invariant).or_default();
        tally.breaches += 1;
        if tally.first.as_ref().is_none_or(|first| place < first.place) {
            tally.first = Some(Finding {
                place,
                id: id.into(),
                expected: expected.into(),
                found: found.into(),
                records: Vec::new(),
            });
        }
    }

    /// Counts a check and notes the breach where the two differ.
    pub fn same<T: PartialEq + std::fmt::Debug>(
        &mut self,
        invariant: Invariant,
        (place, id): (Place, &str),
        what: &str,
        (expected, found): (T, T),
    ) {
        self.checked(invariant);
        if expected != found {
            self.breach(
                invariant,
                place,
                id,
                format!("{what} {expected:?}"),
                format!("{what} {found:?}"),
            );
        }
    }

    /// Adds what was found further down the pipeline. Where both broke an invariant, what comes
    /// later is often only the consequence, so the first finding stays.
    pub fn follow(&mut self, later: Verdict) {
        for (invariant, more) in later.tallies {
            let tally = self.tallies.entry(invariant).or_default();
            tally.checked += more.checked;
            tally.breaches += more.breaches;
            tally.first = tally.first.take().or(more.first);
        }
        self.seen.feed_items += later.seen.feed_items;
        self.seen.feed_rows += later.seen.feed_rows;
        self.seen.outcomes += later.seen.outcomes;
        self.seen.requests += later.seen.requests;
        self.unjudged.extend(later.unjudged);
        self.left_out.extend(later.left_out);
    }

    pub fn is_broken(&self) -> bool {
        self.tallies.values().any(|tally| tally.breaches > 0)
    }

    /// 0 clean, 1 breach, 2 nothing could be judged.
    pub fn exit_code(&self) -> u8 {
        if !self.unjudged.is_empty() { 2 } else { u8::from(self.is_broken()) }
    }
}
