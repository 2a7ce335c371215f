//! Windows and exceptions against the parts (I15, and I2 of their legs).
//!
//! Owns the walk over what was decided, by network and currency: each window closed once and the
//! sum of its parts, unchanged once settled, its net then 0; suspense the sum of the open
//! exceptions after every event.

use super::{
    accounts::Minor,
    avro::{long, record, text},
    evidence::{Evidence, PARTS},
    moves::{self, Legs},
    parts::{Part, Sealed, cutoff_in, key_in, totals_in},
    postings::{Totals, net_of},
    taken::Taken,
    verdict::{Invariant, Place, Verdict},
};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// What was said of one network and currency so far.
#[derive(Default)]
struct Desk<'a> {
    /// By id: what stands in suspense because of it.
    open: BTreeMap<&'a str, Minor>,
    closed: BTreeSet<i64>,
    settled: BTreeSet<i64>,
    /// By cut-off: what is owed to the network.
    net: BTreeMap<i64, Minor>,
}

pub fn judge(evidence: &Evidence, taken: &[Taken], sealed: &Sealed, verdict: &mut Verdict) {
    let mut desks: BTreeMap<String, Desk> = BTreeMap::new();
    for event in taken {
        if evidence.came_since(PARTS, event.source.partition).contains(&event.source.offset) {
            continue;
        }
        let key = key_in(&event.doc.fields);
        let at = (event.place(), &*event.id);
        verdict.same(Invariant::P3, at, "key", (Some(&*key), event.record.key_text()));
        let parts = sealed.get(&key).map_or(&[][..], Vec::as_slice);
        let currency = text(&event.doc.fields, "currency").unwrap_or("");
        take(desks.entry(key).or_default(), event, currency, parts, verdict);
    }
    for (key, parts) in sealed {
        left_open(parts, desks.get(key), verdict);
    }
}

fn take<'a>(
    desk: &mut Desk<'a>,
    event: &'a Taken,
    currency: &str,
    parts: &[Part],
    verdict: &mut Verdict,
) {
    let (fields, body) = (&event.doc.fields, event.doc.body());
    let at = (event.place(), &*event.id);
    let cutoff = cutoff_in(fields);
    let is_of_window = event.doc.kind.starts_with("Window");
    if let Some(cutoff) = cutoff.filter(|_| is_of_window) {
        let is_settled = desk.settled.contains(&cutoff);
        verdict.same(Invariant::I15, at, "settled before", (false, is_settled));
    }
    let legs = Legs::read(body);
    verdict.same(Invariant::I2, at, "left over", (BTreeMap::new(), legs.unbalanced()));
    if let Some(cutoff) = cutoff {
        *desk.net.entry(cutoff).or_default() += legs.sum(&["net"], currency);
    }
    match (event.doc.kind, cutoff) {
        ("WindowClosed", Some(cutoff)) => closed(desk, event, cutoff, parts, verdict),
        ("WindowCarried", Some(cutoff)) => {
            *desk.net.entry(cutoff).or_default() -= Minor::from(long(body, "minor").unwrap_or(0));
        }
        ("WindowSettled", Some(cutoff)) => {
            desk.settled.insert(cutoff);
            let net = desk.net.get(&cutoff).copied().unwrap_or(0);
            verdict.same(Invariant::I15, at, "net after settlement", (0, net));
        }
        ("ExceptionOpened", _) => {
            let Some(exception) = record(body, "exception") else { return };
            let id = text(exception, "id").unwrap_or("");
            let minor = Minor::from(long(exception, "suspense_minor").unwrap_or(0));
            let twice = desk.open.insert(id, minor).is_some();
            verdict.same(Invariant::I15, at, "opened before", (false, twice));
            if text(exception, "source") != Some("item") {
                let moved = -legs.sum(&["suspense"], currency);
                verdict.same(Invariant::I15, at, "moved into suspense", (minor, moved));
            }
        }
        ("ExceptionResolved", _) => {
            let minor = desk.open.remove(text(body, "exception_id").unwrap_or(""));
            let moved = legs.sum(&["suspense"], currency);
            verdict.same(Invariant::I15, at, "moved out of suspense", (minor, Some(moved)));
        }
        _ => {}
    }
    let stated = Minor::from(long(fields, "suspense_minor").unwrap_or(0));
    let open: Minor = desk.open.values().sum();
    verdict.same(Invariant::I15, at, "sum of the open exceptions", (open, stated));
}

fn closed(desk: &mut Desk, event: &Taken, cutoff: i64, parts: &[Part], verdict: &mut Verdict) {
    let (at, body) = ((event.place(), &*event.id), event.doc.body());
    let again = !desk.closed.insert(cutoff);
    verdict.same(Invariant::I15, at, "closed before", (false, again));
    let mut own: Vec<&Part> = parts.iter().filter(|part| part.cutoff == cutoff).collect();
    own.sort_by_key(|part| part.partition);
    let mut sums = Totals::default();
    let mut hash = Sha256::new();
    for part in &own {
        for (sum, minor) in sums.iter_mut().zip(part.totals) {
            *sum += minor;
        }
        hash.update(bytes(part.content));
    }
    verdict.same(Invariant::I15, at, "sum of the parts", (sums, totals_in(body)));
    let ranges = own.iter().map(|part| {
        let numbers = [i64::from(part.partition), part.from, part.to, part.totals[0] as i64];
        (numbers, part.content)
    });
    let stated = moves::records(body, "parts").into_iter().map(|part| {
        let number = |name| long(part, name).unwrap_or(-1);
        let numbers =
            [number("partition"), number("from_offset"), number("to_offset"), number("items")];
        (numbers, text(part, "content").unwrap_or(""))
    });
    let ranges = (ranges.collect::<Vec<_>>(), stated.collect::<Vec<_>>());
    verdict.same(Invariant::I15, at, "parts", ranges);
    let content = super::folder::hex(&hash.finalize());
    let stated = text(body, "content").map(str::to_owned);
    verdict.same(Invariant::I15, at, "hash of the parts", (Some(content), stated));
    let carried = Minor::from(long(body, "carried_minor").unwrap_or(0));
    let net = desk.net.entry(cutoff).or_default();
    *net += net_of(&sums) + carried;
    let stated = Minor::from(long(body, "net_minor").unwrap_or(0));
    verdict.same(Invariant::I15, at, "net", (*net, stated));
}

/// A cycle that every partition has sealed, and no window closed for it.
fn left_open(parts: &[Part], desk: Option<&Desk>, verdict: &mut Verdict) {
    let mut cycles: BTreeMap<i64, Vec<&Part>> = BTreeMap::new();
    for part in parts {
        cycles.entry(part.cutoff).or_default().push(part);
    }
    for (cutoff, own) in cycles {
        let whole = own.iter().all(|part| own.len() as i64 == i64::from(part.partitions));
        let is_closed = desk.is_some_and(|desk| desk.closed.contains(&cutoff));
        let Some(last) = own.last().filter(|_| whole) else { continue };
        let place = Place { offset: last.taken.record.offset, partition: last.taken.partition };
        let at = (place, &*last.taken.id);
        verdict.same(Invariant::I15, at, "window closed", (true, is_closed));
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    (0..hex.len()).step_by(2).filter_map(pair).collect()
}
