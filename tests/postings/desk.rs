//! One partition of the posting stage, and a ledger of its own that checks every record.
//!
//! Owns what the runtime does around a step: scopes, ticks, due parts, changes. Beside it stands
//! the plainest possible ledger: every leg of every set added up by account, address and currency.
//! After each record the two are compared and everything must sum to 0.

use crate::{
    events::{self, PARTITIONS, reloaded},
    model::{Verdict, must},
};
use std::collections::BTreeMap;
use tapline::{
    codec::{avro::RegistryIds, limits::Sizes, posting::PostingCodec},
    domain::{
        event::AccountEvent,
        ledger::{Address, PostingKind, PostingSet},
        money::Currency,
        rules::Rules,
        settlement::{PartSealed, SettlementInput},
        time::LogTime,
    },
    stages::{
        Cause, Outgoing, Refused, Scope, Stage,
        settlement::posting::{
            self, Head, Output, Posting, clearing::clearing, parse_part_key, part::recount,
            part_key,
        },
    },
};

/// (account, address, network, currency).
type Place = (String, Address, String, Currency);

pub struct Desk {
    pub heads: BTreeMap<Box<str>, Head>,
    pub rules: Rules,
    pub clock: LogTime,
    pub offset: i64,
    pub sets: Vec<PostingSet>,
    pub parts: Vec<(Box<str>, PartSealed)>,
    /// The log as the stage read it, with the time in force.
    pub log: Vec<(i64, LogTime, AccountEvent)>,
    ledger: BTreeMap<Place, i64>,
    /// Of what each part has sealed so far: net, and owed in suspense.
    sealed: BTreeMap<Box<str>, (i64, i64)>,
    /// Saves and loads each head before each step.
    pub forgetful: bool,
    codec: PostingCodec,
}

pub fn codec() -> PostingCodec {
    PostingCodec::new(PARTITIONS, Sizes::default(), RegistryIds::default(), "")
}

impl Desk {
    pub fn new(rules: Rules) -> Self {
        let heads = Posting::standing_keys(&rules).into_iter().map(|key| (key, Head::default()));
        Self {
            heads: heads.collect(),
            rules,
            clock: LogTime::ZERO,
            offset: 0,
            sets: Vec::new(),
            parts: Vec::new(),
            log: Vec::new(),
            ledger: BTreeMap::new(),
            sealed: BTreeMap::new(),
            forgetful: false,
            codec: codec(),
        }
    }

    /// Reads one record and checks all that must hold after it.
    pub fn take(&mut self, event: &AccountEvent) -> Verdict {
        let refused =
            |key: &str, refused: Refused| format!("{key}: {} at {event:?}", refused.code());
        match Posting::scope(event) {
            Scope::Tick(tick) => {
                if tick.time > self.clock {
                    self.clock = tick.time;
                    for key in self.due() {
                        let given = self.step(&key, Cause::Due).map_err(|e| refused(&key, e))?;
                        self.publish(&key, given);
                    }
                    must!(self.due().is_empty(), "something is still due at {:?}", self.clock);
                }
            }
            Scope::KeyAnd(other) => {
                for key in [Box::from(event.account_id.as_str()), other] {
                    let given =
                        self.step(&key, Cause::Record(event)).map_err(|e| refused(&key, e))?;
                    self.publish(&key, given);
                }
            }
            Scope::Key => {
                let key = event.account_id.as_str();
                let given = self.step(key, Cause::Record(event)).map_err(|e| refused(key, e))?;
                self.publish(key, given);
            }
            other => return Err(format!("{other:?}")),
        }
        self.log.push((self.offset, self.clock, event.clone()));
        self.offset += 1;
        self.check(event)
    }

    fn due(&self) -> Vec<Box<str>> {
        let is_due = |key: &str, head: &Head| {
            Posting::deadline(key, head, &self.rules).is_some_and(|due| due <= self.clock)
        };
        let due = self.heads.iter().filter(|(key, head)| is_due(key, head));
        due.map(|(key, _)| key.clone()).collect()
    }

    /// Steps one key and applies the change; nothing is changed where it is refused.
    pub fn step(
        &mut self,
        key: &str,
        cause: Cause<AccountEvent>,
    ) -> Result<Vec<Outgoing<Output>>, Refused> {
        let head = self.heads.entry(key.into()).or_default();
        if self.forgetful {
            *head = reloaded(&self.codec, head);
        }
        let context = events::context(self.clock, &self.rules, self.offset);
        let transition = Posting::step(&context, key, head, cause)?;
        if let Some(change) = transition.change {
            assert!(Posting::apply(head, change).is_empty(), "nothing leaves");
        }
        Ok(transition.effects)
    }

    fn publish(&mut self, key: &str, effects: Vec<Outgoing<Output>>) {
        for effect in effects {
            match effect.body {
                Output::Posting(set) => {
                    assert_eq!((effect.topic, effect.key.as_deref()), (posting::POSTINGS, None));
                    assert_eq!(set.account_id.as_str(), key);
                    self.post(&set);
                    self.sets.push(set);
                }
                Output::Part(record) => {
                    assert_eq!(effect.topic, posting::PARTS);
                    let SettlementInput::Part(part) = record.body else { panic!("{record:?}") };
                    let own = part_key(&record.network, record.currency);
                    assert_eq!(&*own, key);
                    assert_eq!(effect.key.as_deref(), own.strip_prefix("part:"));
                    let sums = self.sealed.entry(own.clone()).or_default();
                    sums.0 += part.totals.net_minor();
                    sums.1 += part.suspense.iter().map(|item| item.owed_minor).sum::<i64>();
                    self.parts.push((own, part));
                }
            }
        }
    }

    /// I2, I3: a set sums to 0 per currency, has no empty leg, and says the balances after it.
    fn post(&mut self, set: &PostingSet) {
        assert!(!set.legs.is_empty() && set.legs.iter().all(|leg| leg.minor != 0), "{set:?}");
        let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
        for leg in &set.legs {
            *sums.entry(leg.currency).or_default() += leg.minor;
            *self.ledger.entry(place(set, leg.address, leg.currency)).or_default() += leg.minor;
        }
        assert!(sums.values().all(|minor| *minor == 0), "I2: {set:?}");
        for after in &set.after {
            let network = if after.address == Address::Net { &*set.network } else { "" };
            assert_eq!(&*after.network, network, "{set:?}");
            assert_eq!(after.minor, self.ledger[&place(set, after.address, after.currency)]);
        }
        for leg in &set.legs {
            let told = set
                .after
                .iter()
                .filter(|after| (after.address, after.currency) == (leg.address, leg.currency));
            assert_eq!(told.count(), 1, "{set:?}");
        }
    }

    /// The sum over all accounts at one address.
    pub fn sum(&self, address: Address, network: &str, currency: Currency) -> i64 {
        let fits = |(_, at, of, in_currency): &Place| {
            (*at, &**of, *in_currency) == (address, network, currency)
        };
        self.ledger.iter().filter(|(place, _)| fits(place)).map(|(_, minor)| minor).sum()
    }

    pub fn balance(
        &self,
        account: &str,
        address: Address,
        network: &str,
        currency: Currency,
    ) -> i64 {
        let place = (account.to_owned(), address, network.to_owned(), currency);
        self.ledger.get(&place).copied().unwrap_or(0)
    }

    fn check(&self, event: &AccountEvent) -> Verdict {
        let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
        for ((.., currency), minor) in &self.ledger {
            *sums.entry(*currency).or_default() += minor;
        }
        must!(sums.values().all(|minor| *minor == 0), "I3: {sums:?} after {event:?}");
        if let Some(balances) = event.balances {
            let of =
                |address| self.balance(event.account_id.as_str(), address, "", balances.currency);
            let (cust, held) = (of(Address::Cust), of(Address::Held));
            must!(cust + held == balances.booked_minor, "booked {}: {event:?}", cust + held);
            must!(held == balances.held_minor, "held {held}: {event:?}");
        }
        self.check_heads()?;
        self.check_parts()
    }

    /// The heads are the ledger and nothing more: no balance of 0, in order.
    fn check_heads(&self) -> Verdict {
        let mut balances = 0;
        for (key, head) in &self.heads {
            let known = head.account.as_ref().map_or(&[][..], |account| &account.balances);
            for balance in known {
                let network = balance.network.to_string();
                let place = (key.to_string(), balance.address, network, balance.currency);
                let minor = self.ledger.get(&place).copied();
                must!(minor == Some(balance.minor) && balance.minor != 0, "{key}: {balance:?}");
            }
            let order = |balance: &tapline::domain::ledger::BalanceAfter| {
                (balance.address, balance.currency, balance.network.clone())
            };
            must!(known.is_sorted_by(|a, b| order(a) < order(b)), "{key} is out of order");
            balances += known.len();
        }
        let open = self.ledger.values().filter(|minor| **minor != 0).count();
        must!(balances == open, "{balances} balances in heads, {open} in the ledger");
        Ok(())
    }

    /// Per network and currency: all that parts counted, sealed and open, is what stands at `net`
    /// and in suspense.
    fn check_parts(&self) -> Verdict {
        let mut suspense: BTreeMap<Currency, i64> = BTreeMap::new();
        for (key, head) in &self.heads {
            let Some((network, currency)) = parse_part_key(key) else { continue };
            let (mut net, mut owed) = self.sealed.get(key).copied().unwrap_or_default();
            if let Some(part) = &head.part {
                net += part.tally.totals.net_minor();
                let listed: i64 = part.suspense.iter().map(|item| item.owed_minor).sum();
                must!(listed == part.tally.totals.suspense_minor, "suspense of {key}");
                owed += listed;
            }
            let booked = self.sum(Address::Net, network, currency);
            must!(net == booked, "{key} counts {net}, net is {booked}");
            *suspense.entry(currency).or_default() += owed;
        }
        for (currency, owed) in suspense {
            let booked = self.sum(Address::Suspense, "", currency);
            must!(owed == -booked, "{currency}: {owed} in exceptions, suspense is {booked}");
        }
        Ok(())
    }

    /// S4: every sealed part again from the log; every item in the cycle that its set names; the
    /// ranges and cut-offs of a part without a gap.
    pub fn check_sealed(&self) -> Verdict {
        let mut latest: BTreeMap<&str, &PartSealed> = BTreeMap::new();
        for (key, part) in &self.parts {
            let (network, currency) = parse_part_key(key).ok_or("a part's key")?;
            // Every record is one offset, from 0 on.
            let place = |offset: i64| usize::try_from(offset).expect("no offset is negative");
            let range = self.log[place(part.from_offset)..place(part.to_offset)].iter();
            let events = range.clone().map(|(offset, _, event)| (*offset, event, &self.rules));
            let again = recount(network, currency, events).ok_or("too large")?;
            must!(again.totals == part.totals, "{key}: {:?}, again {:?}", part, again);
            must!(again.content == part.content, "{key}: another hash");
            for (_, time, event) in range {
                let counted = clearing(event)
                    .is_some_and(|item| (item.network, item.currency) == (network, currency));
                let in_cycle = *time < part.cycle.cutoff;
                must!(!counted || in_cycle, "{key}: an item of {time:?} in {:?}", part.cycle);
            }
            let calendar = self.rules.calendar_of(network, currency);
            if let Some(former) = latest.insert(key, part) {
                let next = calendar.next_cutoff(former.cycle.cutoff);
                must!(part.cycle == next, "{key}: {:?} after {:?}", part.cycle, former.cycle);
                must!(part.from_offset == former.to_offset, "{key}: a gap of offsets");
                must!(!part.first || former.first && former.totals.items == 0, "{key}: first");
            } else {
                must!(part.first, "{key}: not the first");
            }
        }
        for set in self.sets.iter().filter(|set| set.cycle.is_some()) {
            let net = set.legs.iter().find(|leg| leg.address == Address::Net);
            let currency = net.ok_or("a cycle without a net leg")?.currency;
            let calendar = self.rules.calendar_of(&set.network, currency);
            must!(set.cycle == Some(calendar.next_cutoff(set.log_time)), "cycle of {set:?}");
        }
        Ok(())
    }

    /// The sets as words: `kind: address±minor...`, a currency other than EUR after its amount.
    pub fn words(&self, from: usize) -> String {
        self.sets[from..].iter().map(words).collect::<Vec<_>>().join("; ")
    }
}

fn place(set: &PostingSet, address: Address, currency: Currency) -> Place {
    let network = if address == Address::Net { set.network.to_string() } else { String::new() };
    (set.account_id.to_string(), address, network, currency)
}

fn words(set: &PostingSet) -> String {
    let legs = set.legs.iter().map(|leg| {
        let currency = match leg.currency.as_str() {
            "EUR" => "",
            other => other,
        };
        format!(" {}{:+}{currency}", crate::driver::wire(leg.address), leg.minor)
    });
    assert_eq!(crate::driver::wire(set.kind), set.kind.name());
    format!("{}:{}", set.kind.name(), legs.collect::<String>())
}

/// Kinds that came up, for tests that must have seen them all.
pub fn kinds(sets: &[PostingSet]) -> BTreeMap<PostingKind, usize> {
    let mut kinds = BTreeMap::new();
    for set in sets {
        *kinds.entry(set.kind).or_default() += 1;
    }
    kinds
}
