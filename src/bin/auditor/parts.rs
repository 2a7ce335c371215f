//! Parts of cycles against the posting sets in their ranges (I15).
//!
//! Owns what was sealed, by network and currency: ranges that follow each other, totals that are
//! the sums of the sets in the range. Windows are judged by it.

use super::{
    accounts::Minor,
    avro::{Fields, long, record, text},
    evidence::{EVENTS, Evidence},
    moves,
    postings::{NetworkItem, TOTALS, Totals},
    taken::Taken,
    verdict::{Invariant, Verdict},
};
use std::collections::{BTreeMap, HashMap};

pub struct Part<'a> {
    pub taken: &'a Taken<'a>,
    pub partition: i32,
    pub partitions: i32,
    pub cutoff: i64,
    pub from: i64,
    pub to: i64,
    pub totals: Totals,
    pub content: &'a str,
}

/// By `network/currency`, in the order of their ids.
pub type Sealed<'a> = BTreeMap<String, Vec<Part<'a>>>;

pub fn totals_in(fields: &Fields) -> Totals {
    let Some(totals) = record(fields, "totals") else { return Totals::default() };
    TOTALS.map(|name| long(totals, name).unwrap_or(0).into())
}

pub fn cutoff_in(fields: &Fields) -> Option<i64> {
    long(record(fields, "cycle")?, "cutoff")
}

/// `network/currency` as a record's value says it.
pub fn key_in(fields: &Fields) -> String {
    let name = |name| text(fields, name).unwrap_or("");
    format!("{}/{}", name("network"), name("currency"))
}

pub fn judge<'a>(
    evidence: &Evidence,
    taken: &'a [Taken<'a>],
    items: &[NetworkItem],
    verdict: &mut Verdict,
) -> Sealed<'a> {
    let mut sealed = Sealed::new();
    for taken in taken.iter().filter(|taken| taken.doc.kind == "PartSealed") {
        let body = taken.doc.body();
        let number = |name| long(body, name).unwrap_or(-1);
        let part = Part {
            taken,
            partition: number("partition") as i32,
            partitions: number("partitions") as i32,
            cutoff: cutoff_in(body).unwrap_or(-1),
            from: number("from_offset"),
            to: number("to_offset"),
            totals: totals_in(body),
            content: text(body, "content").unwrap_or(""),
        };
        let key = key_in(&taken.doc.fields);
        let at = (taken.place(), &*taken.id);
        verdict.same(Invariant::P3, at, "key", (Some(&*key), taken.record.key_text()));
        verdict.same(Invariant::I15, at, "partition", (taken.source.partition, part.partition));
        verdict.same(Invariant::I15, at, "to offset", (taken.source.offset, part.to));
        let suspense = moves::records(body, "suspense");
        let owed = suspense.iter().map(|it| Minor::from(long(it, "owed_minor").unwrap_or(0))).sum();
        verdict.same(Invariant::I15, at, "in suspense", (part.totals[6], owed));
        sealed.entry(key).or_default().push(part);
    }
    let mut by_key: HashMap<(&str, i32), Vec<&NetworkItem>> = HashMap::new();
    for item in items {
        by_key.entry((&item.key, item.partition)).or_default().push(item);
    }
    for (key, parts) in &mut sealed {
        parts.sort_by(|one, other| {
            let order = |part: &Part| (part.partition, part.taken.source.offset, part.from);
            (order(one), one.taken.source.index).cmp(&(order(other), other.taken.source.index))
        });
        let mut former: Option<&Part> = None;
        for part in parts.iter() {
            let own = by_key.get(&(&**key, part.partition)).map_or(&[][..], Vec::as_slice);
            let former_part = former.filter(|it| it.partition == part.partition);
            // Sealed while the evidence was gathered: some of its range was not read.
            if !evidence.came_since(EVENTS, part.partition).contains(&part.to) {
                follows(part, former_part, own, verdict);
            }
            former = Some(part);
        }
    }
    sealed
}

/// Without gap or overlap after the part before it, and the sum of the items in its range.
fn follows(part: &Part, former: Option<&Part>, items: &[&NetworkItem], verdict: &mut Verdict) {
    let at = (part.taken.place(), &*part.taken.id);
    match former {
        Some(former) => {
            verdict.same(Invariant::I15, at, "from offset", (former.to, part.from));
            let later = part.cutoff > former.cutoff;
            verdict.same(Invariant::I15, at, "a later cut-off", (true, later));
        }
        None => {
            let left = items.iter().map(|item| item.offset).find(|offset| *offset < part.from);
            verdict.same(Invariant::I15, at, "an item before the first part", (None, left));
        }
    }
    let mut sums = Totals::default();
    for item in items.iter().filter(|item| (part.from..part.to).contains(&item.offset)) {
        for (sum, minor) in sums.iter_mut().zip(item.totals) {
            *sum += minor;
        }
    }
    verdict.same(Invariant::I15, at, "totals of the range", (sums, part.totals));
}
