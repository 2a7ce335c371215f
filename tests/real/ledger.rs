//! The judge of the settlement cases: what the topics say, added up again from their records.
//!
//! Owns reading without repeats (all copies of one output must be the same bytes) and the checks:
//! each event that moves money has one set, sets are balanced, the ledger is what the events say,
//! windows are what the log says, suspense is the sum of the open exceptions. Legs are folded
//! here; only an item's share of its window is counted by the stage's own `recount`.

use super::{ground::Site, watch};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use tapline::codec::{
    self,
    avro::{Avro, RegistryIds},
    frame::OutputId,
    raw::RawRecord,
    schemas::Subject,
    topics::{self, EVENTS, POSTINGS, WINDOWS, dead_letters_of},
};
use tapline::domain::{
    event::{AccountEvent, Event},
    ids::AccountId,
    ledger::{Address, Leg, PostingSet},
    money::Currency,
    rules::Rules,
    settlement::{ContentHash, CycleTotals},
    time::LogTime,
    window::{ExceptionOpened, WindowBody, WindowClosed, WindowEvent},
};
use tapline::stages::{
    Topic,
    settlement::{posting::part::recount, windows::window_content},
};

/// One output of a stage, its first copy.
pub struct Told<T> {
    pub partition: i32,
    pub offset: i64,
    /// The record that it came from.
    pub source: (i32, i64),
    pub value: T,
}

pub struct Ledger {
    pub events: Vec<Told<AccountEvent>>,
    pub postings: Vec<Told<PostingSet>>,
    pub windows: Vec<Told<WindowEvent>>,
    /// Copies that a next owner published again.
    pub repeats: usize,
}

/// Network, currency and cut-off.
pub type WindowName = (Box<str>, Currency, LogTime);

impl Ledger {
    pub fn read(site: &Site) -> Self {
        let mut repeats = 0;
        let events = told(site, EVENTS, Subject::Events, &mut repeats);
        let postings = told(site, POSTINGS, Subject::Postings, &mut repeats);
        let windows = told(site, WINDOWS, Subject::Windows, &mut repeats);
        Self { events, postings, windows, repeats }
    }

    pub fn closed(&self) -> BTreeMap<WindowName, &WindowClosed> {
        let mut closed = BTreeMap::new();
        for event in &self.windows {
            if let (WindowBody::Closed(body), Some(cycle)) = (&event.value.body, event.value.cycle)
            {
                let name = (event.value.network.clone(), event.value.currency, cycle.cutoff);
                let twice = closed.insert(name, body);
                assert!(twice.is_none(), "closed twice: {:?}", event.value);
            }
        }
        closed
    }

    /// The places of the events that move money and have no posting set yet.
    pub fn unposted(&self) -> Vec<(i32, i64)> {
        let posted: BTreeSet<(i32, i64)> = self.postings.iter().map(|it| it.source).collect();
        self.moving().into_iter().filter(|place| !posted.contains(place)).collect()
    }

    /// Events after which a balance is another one, and money without an account.
    fn moving(&self) -> BTreeSet<(i32, i64)> {
        let mut balances: BTreeMap<&AccountId, (i64, i64)> = BTreeMap::new();
        let mut moving = BTreeSet::new();
        for event in &self.events {
            let known = balances.entry(&event.value.account_id).or_default();
            let after = event.value.balances.map_or(*known, |it| (it.booked_minor, it.held_minor));
            // Some of what nobody can be asked for is nothing: a hold, or a reversal of one.
            let is_lost =
                matches!(&event.value.body, Event::MovedToSuspense(lost) if lost.owed_minor != 0);
            if after != *known || is_lost {
                moving.insert((event.partition, event.offset));
            }
            *known = after;
        }
        moving
    }

    /// Every check at once; the site's dead letters too.
    pub fn judge(&self, site: &Site) {
        self.judge_postings();
        self.judge_balances();
        self.judge_windows(site);
        self.judge_suspense();
        for (stage, _) in topics::inputs() {
            let topic = site.config.kafka.topic(&dead_letters_of(stage));
            assert_eq!(watch::everything(site, &topic).len(), 0, "dead letters of {stage}");
        }
    }

    fn judge_postings(&self) {
        let mut posted = BTreeSet::new();
        for set in &self.postings {
            assert!(posted.insert(set.source), "posted twice: {:?}", set.value);
            assert!(sums(&set.value.legs).values().all(|sum| *sum == 0), "{:?}", set.value);
        }
        let moving = self.moving();
        let lost: Vec<_> = moving.difference(&posted).collect();
        assert!(lost.is_empty(), "events that move money without a posting set: {lost:?}");
        // An authorisation read after its presentment makes a hold and gives it back: a set, too.
        for set in self.postings.iter().filter(|set| !moving.contains(&set.source)) {
            let own = |leg: &&Leg| matches!(leg.address, Address::Cust | Address::Held);
            let moved: i64 = set.value.legs.iter().filter(own).map(|leg| leg.minor).sum();
            let held = set.value.legs.iter().filter(|leg| leg.address == Address::Held);
            let held: i64 = held.map(|leg| leg.minor).sum();
            assert_eq!((moved, held), (0, 0), "posted for nothing: {:?}", set.value);
        }
        let all = self.postings.iter().flat_map(|it| &it.value.legs);
        let decided = self.windows.iter().flat_map(|it| legs_of(&it.value.body));
        let sums = sums(all.chain(decided));
        assert!(!sums.is_empty() && sums.values().all(|sum| *sum == 0), "{sums:?}");
    }

    /// The ledger, folded from legs, against the last balances that authorisation told.
    fn judge_balances(&self) {
        let mut ledger: BTreeMap<(&AccountId, Address, &str, Currency), i64> = BTreeMap::new();
        for Told { value: set, .. } in &self.postings {
            let network = |address| if address == Address::Net { &*set.network } else { "" };
            for leg in &set.legs {
                let key = (&set.account_id, leg.address, network(leg.address), leg.currency);
                *ledger.entry(key).or_default() += leg.minor;
            }
            for after in &set.after {
                let key = (&set.account_id, after.address, &*after.network, after.currency);
                assert_eq!(ledger.get(&key), Some(&after.minor), "balance after {set:?}");
            }
        }
        let last: BTreeMap<&AccountId, _> = self
            .events
            .iter()
            .filter_map(|it| Some((&it.value.account_id, it.value.balances?)))
            .collect();
        assert!(!last.is_empty(), "no account was seen");
        for (account, balances) in last {
            let of = |address| {
                ledger.get(&(account, address, "", balances.currency)).copied().unwrap_or_default()
            };
            let found = (of(Address::Cust) + of(Address::Held), of(Address::Held));
            assert_eq!(found, (balances.booked_minor, balances.held_minor), "ledger of {account}");
        }
    }

    /// Each closed window is what its ranges of the log say.
    fn judge_windows(&self, site: &Site) {
        let rules = codec::rules::parse(include_str!("../../rules/1.toml")).expect("the rules");
        let mut ends: BTreeMap<(Box<str>, Currency, i32), i64> = BTreeMap::new();
        for ((network, currency, cutoff), closed) in self.closed() {
            let name = format!("{network}/{currency}/{}", cutoff.0);
            assert_eq!(closed.parts.len(), site.partitions() as usize, "parts of {name}");
            let (mut totals, mut parts) = (CycleTotals::default(), closed.parts.clone());
            for part in &mut parts {
                let end = ends.entry((network.clone(), currency, part.partition));
                let begins = *end.or_insert(part.from_offset);
                assert_eq!(begins, part.from_offset, "a part of {name} leaves a gap");
                ends.insert((network.clone(), currency, part.partition), part.to_offset);
                let range = part.from_offset..part.to_offset;
                let (found, content) =
                    self.recounted((&network, currency), part.partition, range, &rules);
                assert_eq!((found.items, content), (part.items, part.content), "part of {name}");
                totals = totals.plus(&found).expect("small sums");
                part.content = content;
            }
            assert_eq!(totals, closed.totals, "totals of {name}");
            assert_eq!(window_content(&parts), closed.content, "content of {name}");
        }
    }

    fn recounted(
        &self,
        (network, currency): (&str, Currency),
        partition: i32,
        range: std::ops::Range<i64>,
        rules: &Rules,
    ) -> (CycleTotals, ContentHash) {
        let own = self.events.iter().filter(|it| it.partition == partition);
        let own = own.filter(|it| range.contains(&it.offset));
        let counted = own.map(|it| (it.offset, &it.value, rules));
        let tally = recount(network, currency, counted).expect("small sums");
        (tally.totals, tally.content)
    }

    /// Suspense in the ledger is the sum of the open exceptions, and what the last event of each
    /// network and currency says.
    fn judge_suspense(&self) {
        let mut told: BTreeMap<(&str, Currency), i64> = BTreeMap::new();
        let mut open: BTreeMap<(&str, Currency, &str), i64> = BTreeMap::new();
        let (mut listed, mut decided) = (0, 0);
        for Told { value: event, .. } in &self.windows {
            let (network, currency) = (&*event.network, event.currency);
            told.insert((network, currency), event.suspense_minor);
            decided -= at(legs_of(&event.body), Address::Suspense);
            match &event.body {
                WindowBody::ExceptionOpened(ExceptionOpened { exception, .. }) => {
                    open.insert((network, currency, &exception.id), exception.suspense_minor);
                }
                WindowBody::ExceptionResolved(resolved) => {
                    open.remove(&(network, currency, &*resolved.exception_id));
                }
                _ => {}
            }
            listed = open.values().sum();
            let own = open.iter().filter(|((of, cur, _), _)| (*of, *cur) == (network, currency));
            assert_eq!(own.map(|(_, minor)| minor).sum::<i64>(), event.suspense_minor, "{event:?}");
        }
        let sealed = |set: &&Told<PostingSet>| {
            let cycle = set.value.cycle.map_or(LogTime::ZERO, |cycle| cycle.cutoff);
            let currency = set.value.legs.first().map(|leg| leg.currency);
            let closed = self.closed();
            currency
                .is_some_and(|cur| closed.contains_key(&(set.value.network.clone(), cur, cycle)))
        };
        let suspended = self
            .postings
            .iter()
            .filter(|set| set.value.legs.iter().any(|leg| leg.address == Address::Suspense));
        let booked: i64 =
            suspended.filter(sealed).map(|it| -at(&it.value.legs, Address::Suspense)).sum();
        assert_eq!(booked + decided, listed, "suspense and the open exceptions");
        assert_eq!(told.values().sum::<i64>(), listed);
    }

    /// What postings and decisions leave at `net` of one window: 0 once it is settled.
    pub fn net_minor(&self, (network, currency, cutoff): &WindowName) -> i64 {
        let is_cycle = |cycle: Option<tapline::domain::cycle::Cycle>| {
            cycle.is_some_and(|cycle| cycle.cutoff == *cutoff)
        };
        let own = |leg: &&Leg| leg.address == Address::Net && leg.currency == *currency;
        let posted = self.postings.iter().map(|it| &it.value);
        let posted = posted.filter(|set| *set.network == **network && is_cycle(set.cycle));
        let posted: i64 = posted.flat_map(|set| &set.legs).filter(own).map(|leg| leg.minor).sum();
        let decided = self.windows.iter().map(|it| &it.value);
        let decided = decided.filter(|event| event.network == *network && is_cycle(event.cycle));
        let legs = decided.flat_map(|event| legs_of(&event.body)).filter(own);
        posted + legs.map(|leg| leg.minor).sum::<i64>()
    }
}

fn legs_of(body: &WindowBody) -> &[Leg] {
    match body {
        WindowBody::Settled(settled) => &settled.legs,
        WindowBody::ExceptionOpened(opened) => &opened.legs,
        WindowBody::ExceptionResolved(resolved) => &resolved.legs,
        WindowBody::Closed(_)
        | WindowBody::Reconciled(_)
        | WindowBody::Broken(_)
        | WindowBody::Instructed(_)
        | WindowBody::Carried(_)
        | WindowBody::ResolutionRefused(_) => &[],
    }
}

fn sums<'l>(legs: impl IntoIterator<Item = &'l Leg>) -> BTreeMap<Currency, i64> {
    let mut sums = BTreeMap::new();
    for leg in legs {
        *sums.entry(leg.currency).or_default() += leg.minor;
    }
    sums
}

fn at(legs: &[Leg], address: Address) -> i64 {
    legs.iter().filter(|leg| leg.address == address).map(|leg| leg.minor).sum()
}

/// Every output of a topic once, in its partition's order. The birth records have no source and
/// are left out.
fn told<T: DeserializeOwned>(
    site: &Site,
    topic: Topic,
    subject: Subject,
    repeats: &mut usize,
) -> Vec<Told<T>> {
    let mut first: BTreeMap<OutputText, RawRecord> = BTreeMap::new();
    let mut told = Vec::new();
    for raw in watch::everything(site, &site.config.kafka.topic(topic.0)) {
        let Some(id) = raw.source() else { continue };
        // Distinct source partitions may meet in one partition of a topic that is keyed anew.
        let text = (raw.partition, id.to_string());
        if let Some(known) = first.get(&text) {
            let same = (&known.key, &known.value) == (&raw.key, &raw.value);
            assert!(same, "two outputs with the id {} in {topic:?}", text.1);
            *repeats += 1;
            continue;
        }
        let value = decoded(subject, &raw);
        let OutputId { source, .. } = id;
        let source = (source.partition, source.offset);
        told.push(Told { partition: raw.partition, offset: raw.offset, source, value });
        first.insert(text, raw);
    }
    told
}

type OutputText = (i32, String);

fn decoded<T: DeserializeOwned>(subject: Subject, raw: &RawRecord) -> T {
    let value = raw.value.as_deref().unwrap_or_default();
    let value = Avro::of(subject).decode(value, &RegistryIds::default());
    value.unwrap_or_else(|error| panic!("a record of ours: {error}"))
}

/// The windows' topic alone: it is short, and read again and again.
pub fn windows(site: &Site) -> Vec<WindowEvent> {
    let told = told(site, WINDOWS, Subject::Windows, &mut 0);
    told.into_iter().map(|it| it.value).collect()
}
