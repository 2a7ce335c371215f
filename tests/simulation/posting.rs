//! The posting stage, as it is, in the simulation: its input is what the first stage published.
//!
//! Owns the second opinion about the ledger: sums of legs, made here, against the balances in the
//! sets, against the balances in the events, and against the parts that were sealed.

use super::money::Breach;
use super::script::Record;
use super::simulated::{Audited, Simulated, Topics, first_copies};
use crate::codec::{
    avro::Avro, births, control, headers::HeaderList, posting::PostingCodec, raw::RawRecord,
    schemas::Subject,
};
use crate::domain::command::{PARTITION_KEY, Tick};
use crate::domain::cycle::Cycle;
use crate::domain::event::AccountEvent;
use crate::domain::ledger::{Address, Leg, PostingSet};
use crate::domain::settlement::{PartSealed, SettlementInput, SettlementRecord};
use crate::stages::settlement::posting::{PARTS, POSTINGS, Posting};
use crate::stages::{Scope, Stage, Topic};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// Place of the parts in `world::TOPICS`.
pub const PARTS_NUMBER: usize = 3;

impl Simulated for Posting {
    type Codec = PostingCodec;

    fn codec(partitions: i32) -> PostingCodec {
        PostingCodec::new(partitions, Default::default(), Default::default(), "")
    }

    fn topic_number(topic: Topic) -> usize {
        let of = [POSTINGS, Topic(""), Topic(""), PARTS];
        of.iter().position(|known| *known == topic).expect("an output of the stage")
    }

    fn tick(tick: Tick) -> Record {
        (Some(PARTITION_KEY.into()), Some(births::tick_event(tick)), HeaderList::new())
    }

    /// A birth's twin, with the word in its header.
    fn release_fuse(through_offset: i64) -> Record {
        let through_offset = through_offset.max(0).cast_unsigned();
        let scope = Scope::FuseRelease { through_offset };
        let (name, text) = control::header(Posting::NAME, &scope).expect("a word");
        let mut headers = HeaderList::new();
        headers.push_text(name, &text);
        (Some(PARTITION_KEY.into()), births::birth_value(Posting::INPUT), headers)
    }

    fn audit(topics: &Topics<'_>, diverted: &BTreeSet<String>) -> Result<Audited, Breach> {
        let mut ledger = Ledger::default();
        for postings in topics.of(0) {
            for posting in first_copies(postings) {
                ledger.take(posting)?;
            }
        }
        for events in topics.of(1) {
            ledger.compare(events, diverted)?;
        }
        let mut parts: Vec<(Box<str>, PartSealed)> = Vec::new();
        for records in topics.of(PARTS_NUMBER) {
            for part in first_copies(records) {
                let SettlementRecord { network, body, .. } = read(Subject::Parts, part)?;
                let SettlementInput::Part(part) = body else {
                    return Err(("S4 a part", format!("{body:?}")));
                };
                parts.push((network, part));
            }
        }
        parts_follow(&parts)?;
        // What a diverted account cleared is in its part and not in the ledger.
        if diverted.is_empty() {
            ledger.compare_parts(&parts)?;
        }
        Ok(Audited { events: ledger.sets, expired: 0 })
    }

    fn told(value: Option<&[u8]>) -> String {
        let value = value.unwrap_or_default();
        let set = Avro::of(Subject::Postings).decode::<PostingSet>(value, &Default::default());
        format!("{set:?}")
    }
}

pub fn read<T: DeserializeOwned>(subject: Subject, record: &RawRecord) -> Result<T, Breach> {
    let value = record.value.as_deref().unwrap_or_default();
    let read = Avro::of(subject).decode(value, &Default::default());
    read.map_err(|error| ("S1 output readable", error.to_string()))
}

/// What the sets say, added up.
#[derive(Default)]
struct Ledger {
    /// By account, address, network and currency.
    balances: BTreeMap<(String, Address, Box<str>, String), i64>,
    /// What was posted to net, by network and partition of the events: offset there, amount, and the
    /// cycle that the set names. Before the first tick there is no time to name one.
    cleared: BTreeMap<(Box<str>, i32), Vec<(i64, i64, Option<Cycle>)>>,
    sets: u64,
}

impl Ledger {
    fn take(&mut self, posting: &RawRecord) -> Result<(), Breach> {
        let set: PostingSet = read(Subject::Postings, posting)?;
        let source = posting.source().ok_or(("S1 a set has a source", format!("{set:?}")))?.source;
        self.sets += 1;
        let account = set.account_id.as_str();
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for Leg { address, currency, minor } in &set.legs {
            *sums.entry(currency.to_string()).or_default() += minor;
            let network = if *address == Address::Net { set.network.clone() } else { "".into() };
            let place = (account.to_owned(), *address, network, currency.to_string());
            *self.balances.entry(place).or_default() += minor;
            if *address == Address::Net {
                let of_network = self.cleared.entry((set.network.clone(), source.partition));
                of_network.or_default().push((source.offset, *minor, set.cycle));
            }
        }
        if sums.values().any(|sum| *sum != 0) {
            return Err(("S1 a set is balanced", format!("{set:?}")));
        }
        for after in &set.after {
            let place = (
                account.to_owned(),
                after.address,
                after.network.clone(),
                after.currency.to_string(),
            );
            let sum = self.balances.get(&place).copied().unwrap_or(0);
            if sum != after.minor {
                return Err(("S1 balances after a set", format!("{place:?} is {sum}: {set:?}")));
            }
        }
        Ok(())
    }

    /// The last word of the events about each account.
    fn compare(&self, events: &[RawRecord], diverted: &BTreeSet<String>) -> Result<(), Breach> {
        let mut last = BTreeMap::new();
        for event in first_copies(events) {
            if let Ok(event) = read::<AccountEvent>(Subject::Events, event)
                && let Some(balances) = event.balances
            {
                last.insert(event.account_id.as_str().to_owned(), balances);
            }
        }
        for (account, balances) in last {
            if diverted.contains(&account) {
                continue;
            }
            let of = |address| {
                let place =
                    (account.clone(), address, Box::from(""), balances.currency.to_string());
                self.balances.get(&place).copied().unwrap_or(0)
            };
            let found = (of(Address::Cust), of(Address::Held));
            let (booked, held) = (balances.booked_minor, balances.held_minor);
            if found != (booked - held, held) {
                return Err(("S1 ledger is the events'", format!("{account}: {found:?}")));
            }
        }
        Ok(())
    }

    /// A sealed part is what the ledger has posted of its range, under its cycle.
    fn compare_parts(&self, parts: &[(Box<str>, PartSealed)]) -> Result<(), Breach> {
        for (network, part) in parts {
            let cleared = self.cleared.get(&(network.clone(), part.partition));
            let range = part.from_offset..part.to_offset;
            let of_part: Vec<_> =
                cleared.into_iter().flatten().filter(|item| range.contains(&item.0)).collect();
            let posted: i64 = of_part.iter().map(|item| item.1).sum();
            let is_named = of_part.iter().all(|item| item.2.is_none_or(|it| it == part.cycle));
            if posted != part.totals.net_minor() || !is_named {
                return Err((
                    "S4 a part is its postings",
                    format!("{network}: {posted}, {part:?}"),
                ));
            }
        }
        Ok(())
    }
}

/// The parts of each partition follow each other without a gap, whatever was done twice.
fn parts_follow(parts: &[(Box<str>, PartSealed)]) -> Result<(), Breach> {
    let mut by_partition: BTreeMap<(&str, i32), Vec<&PartSealed>> = BTreeMap::new();
    for (network, part) in parts {
        by_partition.entry((network, part.partition)).or_default().push(part);
    }
    for ((network, partition), mut parts) in by_partition {
        parts.sort_by_key(|part| part.cycle.cutoff);
        let follows = |pair: &[&PartSealed]| {
            pair[0].to_offset == pair[1].from_offset && pair[0].cycle.cutoff < pair[1].cycle.cutoff
        };
        if !parts.windows(2).all(follows) {
            return Err(("S3 parts without a gap", format!("{network} p{partition}: {parts:?}")));
        }
    }
    Ok(())
}
