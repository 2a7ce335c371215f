//! Outputs by their source (P3): copies dropped, order checked, handed on record by record.
//!
//! Owns what a reader of the events does: take each id once. A copy must be byte-equal to the first
//! of its id, apart from the trace headers; first occurrences must ascend by offset, key, index.
//! What each record should have led to is the fold's question.

use super::{
    evidence::{EVENTS, Rec},
    identity::Source,
    verdict::{Invariant, Place, Verdict},
};
use std::{collections::HashMap, ops::Range};

pub struct Output<'a> {
    pub source: Source,
    pub id: String,
    pub record: &'a Rec,
}

impl Output<'_> {
    pub fn place(&self) -> Place {
        Place { offset: self.source.offset, partition: self.source.partition }
    }
}

/// The outputs of a partition in the order of their ids, and how far they were handed out.
pub struct Outputs<'a> {
    all: Vec<Output<'a>>,
    next: usize,
}

impl<'a> Outputs<'a> {
    pub fn of(
        partition: i32,
        incarnation: Option<i32>,
        records: &'a [Rec],
        verdict: &mut Verdict,
    ) -> Self {
        let mut all: Vec<Output> = Vec::with_capacity(records.len());
        let mut known: HashMap<&str, usize> = HashMap::with_capacity(records.len());
        let mut newest = 0;
        for record in records {
            if record.is_silent() {
                continue;
            }
            let text = record.headers.text("tapline-src").unwrap_or("");
            let source = Source::parse(text).filter(|source| {
                source.partition == partition
                    && incarnation.is_none_or(|number| number == source.incarnation)
            });
            let Some(source) = source else {
                let place = Place { offset: record.offset, partition };
                let id = format!("{EVENTS} {partition}:{}", record.offset);
                let expected = format!("an id of partition {partition}");
                verdict.breach(Invariant::P3, place, id, expected, format!("`{text}`"));
                continue;
            };
            verdict.checked(Invariant::P3);
            if let Some(first) = known.get(text) {
                verdict.seen.copies += 1;
                copy(&all[*first], record, verdict);
                continue;
            }
            known.insert(text, all.len());
            all.push(Output { source, id: text.to_owned(), record });
            let (latest, this) = (&all[newest], &all[all.len() - 1]);
            if this.source.order() < latest.source.order() {
                let expected = format!("before {}", latest.id);
                verdict.breach(Invariant::P3, this.place(), text, expected, "after it");
            } else {
                newest = all.len() - 1;
            }
        }
        verdict.seen.events += all.len() as u64;
        all.sort_by(|one, other| one.source.order().cmp(&other.source.order()));
        Self { all, next: 0 }
    }

    /// Offset of the newest record that has one.
    pub fn newest(&self) -> Option<i64> {
        self.all.last().map(|output| output.source.offset)
    }

    /// The outputs of the record at this offset. Those of offsets passed over have no record.
    pub fn take(&mut self, offset: i64, verdict: &mut Verdict) -> Range<usize> {
        let end = |bound: i64, from: usize| {
            from + self.all[from..].partition_point(|output| output.source.offset < bound)
        };
        let start = end(offset, self.next);
        self.all[self.next..start].iter().for_each(|output| no_cause(output, verdict));
        self.next = end(offset.saturating_add(1), start);
        start..self.next
    }

    pub fn get(&self, range: Range<usize>) -> &[Output<'a>] {
        &self.all[range]
    }

    /// What is left has no record, but for those that came while the evidence was gathered.
    pub fn rest(&self, came_later: &Range<i64>, verdict: &mut Verdict) {
        let rest = self.all[self.next..].iter();
        let lost = rest.filter(|output| !came_later.contains(&output.source.offset));
        lost.for_each(|output| no_cause(output, verdict));
    }
}

fn no_cause(output: &Output, verdict: &mut Verdict) {
    let found = format!("no command at offset {}", output.source.offset);
    verdict.breach(Invariant::P3, output.place(), &*output.id, "a command as its source", found);
}

fn copy(first: &Output, copy: &Rec, verdict: &mut Verdict) {
    if !same(first.record, copy) {
        let found = format!("another record at offset {} of {EVENTS}", copy.offset);
        let expected = format!("the bytes at offset {}", first.record.offset);
        verdict.breach(Invariant::P3, first.place(), &*first.id, expected, found);
    }
}

/// Byte-equal but for the trace and the place in the log.
pub fn same(one: &Rec, other: &Rec) -> bool {
    let traced = |name: &str| matches!(name, "traceparent" | "tracestate");
    let own = one.headers.iter().filter(|(name, _)| !traced(name));
    let others = other.headers.iter().filter(|(name, _)| !traced(name));
    one.key == other.key && one.value == other.value && own.eq(others)
}
