//! Posting sets against the events that they book: I2, I3, and P3 of their topic.
//!
//! Owns one partition at a time: which events must have a set, what its legs must move, and the
//! balances that follow. Hands on what concerns networks, so that parts can be judged by it.

use super::{
    accounts::{Balances, Minor},
    avro::{self, long, text},
    evidence::{EVENTS, Evidence},
    identity::Source,
    moves::{self, Legs, Moves},
    taken::Taken,
    verdict::{Invariant, Place, Verdict},
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Wire names of a cycle's totals, in the order of `Totals`.
pub const TOTALS: [&str; 7] = [
    "items",
    "purchases_minor",
    "purchase_reversals_minor",
    "refunds_minor",
    "interchange_minor",
    "fees_minor",
    "suspense_minor",
];

pub type Totals = [Minor; 7];

/// What we owe the network.
pub fn net_of(totals: &Totals) -> Minor {
    totals[1] - totals[2] - totals[3] - totals[4] + totals[5] + totals[6]
}

/// A network item: what one set adds to its cycle.
pub struct NetworkItem {
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub totals: Totals,
}

/// Account, address, network, currency.
type Ledger = HashMap<(String, String, String, String), Minor>;

pub fn judge(evidence: &Evidence, sets: &[Taken], verdict: &mut Verdict) -> Vec<NetworkItem> {
    let mut by_source: BTreeMap<(i32, i64), Vec<&Taken>> = BTreeMap::new();
    for set in sets {
        by_source.entry((set.source.partition, set.source.offset)).or_default().push(set);
    }
    let incarnation = sets.first().map_or(1, |set| set.source.incarnation);
    let (mut items, mut ledger) = (Vec::new(), Ledger::new());
    for (partition, records) in &evidence.events {
        let mut known = HashSet::new();
        for record in records {
            if record.is_silent() {
                continue;
            }
            if !known.insert(record.headers.text("tapline-src").unwrap_or("")) {
                continue;
            }
            let Ok(event) = avro::read(EVENTS, record.value.as_deref().unwrap_or_default()) else {
                continue;
            };
            let place = Place { offset: record.offset, partition: *partition };
            let own = by_source.remove(&(*partition, record.offset)).unwrap_or_default();
            let said = moves::of(&event);
            let (first, others) = match own.split_first() {
                Some((first, others)) if said.is_any => (Some(*first), others),
                _ => (None, &own[..]),
            };
            verdict.checked(Invariant::P3);
            for other in others {
                let found = "one set more";
                verdict.breach(Invariant::P3, place, &*other.id, "as many as money moves", found);
            }
            let id = Source {
                incarnation,
                partition: *partition,
                offset: record.offset,
                index: 0,
                key: None,
            };
            let id = id.to_string();
            match first {
                Some(set) => {
                    belongs(set, record.key_text(), &event, &id, verdict);
                    legs(set, &said, verdict);
                    after(set, &mut ledger, verdict);
                    network_items(set, event.kind, &mut items);
                }
                None if said.is_any => {
                    let expected = format!("a set for {}", event.kind);
                    verdict.breach(Invariant::P3, place, &*id, expected, "none");
                }
                None => {}
            }
            agrees(&event, (place, &id), &ledger, verdict);
        }
    }
    for ((partition, offset), sets) in by_source {
        if evidence.came_since(EVENTS, partition).contains(&offset) {
            continue;
        }
        for set in sets {
            let found = "no event, or the copy of one";
            verdict.breach(Invariant::P3, set.place(), &*set.id, "an event as its source", found);
        }
    }
    items
}

fn belongs(set: &Taken, key: Option<&str>, event: &avro::Doc, id: &str, verdict: &mut Verdict) {
    let at = (set.place(), &*set.id);
    let fields = &set.doc.fields;
    verdict.same(Invariant::P3, at, "id", (id, &set.id));
    verdict.same(Invariant::P3, at, "key", (key, set.record.key_text()));
    verdict.same(Invariant::P3, at, "account", (key, text(fields, "account_id")));
    verdict.same(Invariant::P7, at, "partition", (set.source.partition, set.partition));
    let message = (text(&event.fields, "message_id"), text(fields, "message_id"));
    verdict.same(Invariant::P3, at, "message", message);
    let times = (long(&event.fields, "log_time"), long(fields, "log_time"));
    verdict.same(Invariant::P3, at, "log time", times);
}

fn legs(set: &Taken, said: &Moves, verdict: &mut Verdict) {
    let at = (set.place(), &*set.id);
    let legs = Legs::read(&set.doc.fields);
    verdict.same(Invariant::I2, at, "left over", (BTreeMap::new(), legs.unbalanced()));
    let mut moved = legs.moves(said);
    if moved.settled == said.settled || moved.network == said.network {
        moved.settled.clone_from(&said.settled);
    }
    verdict.same(Invariant::I3, at, "moves", (said, &moved));
    let foreign = legs.0.keys().find(|(address, currency)| {
        matches!(&**address, "cust" | "held" | "unknown") && *currency != said.currency
    });
    verdict.same(Invariant::I3, at, "leg of another currency", (None, foreign));
}

/// Balances after the set are the fold of all legs so far.
fn after(set: &Taken, ledger: &mut Ledger, verdict: &mut Verdict) {
    let at = (set.place(), &*set.id);
    let fields = &set.doc.fields;
    let account = text(fields, "account_id").unwrap_or("");
    let network = text(fields, "network").unwrap_or("");
    let mut expected = BTreeMap::new();
    for ((address, currency), minor) in Legs::read(fields).0 {
        let network = if address == "net" { network } else { "" };
        let key = (account.to_owned(), address.clone(), network.to_owned(), currency.clone());
        let balance = ledger.entry(key).or_default();
        *balance += minor;
        expected.insert((address, network.to_owned(), currency), *balance);
    }
    let mut stated = BTreeMap::new();
    for after in moves::records(fields, "after") {
        let name = |name| text(after, name).unwrap_or("").to_owned();
        let key = (name("address"), name("network"), name("currency"));
        stated.insert(key, Minor::from(long(after, "minor").unwrap_or(0)));
    }
    verdict.same(Invariant::I3, at, "balances after", (expected, stated));
}

/// cust = booked - held, and held is held, after every event that states balances.
fn agrees(event: &avro::Doc, at: (Place, &str), ledger: &Ledger, verdict: &mut Verdict) {
    let Some(balances) = avro::record(&event.fields, "balances").map(Balances::read) else {
        return;
    };
    let account = text(&event.fields, "account_id").unwrap_or("");
    let sum = |address: &str| {
        let (none, currency) = (String::new(), balances.currency.clone());
        let key = (account.to_owned(), address.to_owned(), none, currency);
        ledger.get(&key).copied().unwrap_or(0)
    };
    let expected = (balances.booked - balances.held, balances.held);
    verdict.same(Invariant::I3, at, "cust and held", (expected, (sum("cust"), sum("held"))));
}

fn network_items(set: &Taken, kind: &str, items: &mut Vec<NetworkItem>) {
    let legs = Legs::read(&set.doc.fields);
    let network = text(&set.doc.fields, "network").unwrap_or("");
    for (_, currency) in legs.0.keys().filter(|(address, _)| address == "net") {
        let sum = |address| legs.sum(&[address], currency);
        let mut totals = Totals::default();
        totals[0] = 1;
        let side = legs.sum(moves::NETWORK_SIDE, currency);
        match kind {
            "PresentmentReversed" => totals[2] = -side,
            "PaymentRefunded" => totals[3] = -side,
            _ => totals[1] = side,
        }
        totals[4] = sum("interchange");
        totals[5] = -sum("scheme_fees");
        totals[6] = -sum("suspense");
        items.push(NetworkItem {
            partition: set.source.partition,
            offset: set.source.offset,
            key: format!("{network}/{currency}"),
            totals,
        });
    }
}
