//! The ledger's oracle: what posting and windows must have made of a folder that was played.
//!
//! Owns the comparison of posting sets and closed windows with the publishers' own figures and with
//! the accounts' last events. Consumes `ledger.postings.v1` and `settlement.windows.v1`, each
//! partition in its order, without repeats. Trusts no sum of the stages: balances are those that
//! the sets name, and every total is added up here. Rules: docs/payments.md, "Real data".

use super::{
    amount::decimal,
    bank_days::Days,
    dated::day_text,
    oracle::{NAMED_MAX, OracleLine},
};
use crate::domain::{
    ids::AccountId,
    ledger::{Address, BalanceAfter, Leg, PostingSet},
    money::Currency,
    time::{DAY_MS, LogTime},
    window::{WindowBody, WindowEvent},
};
use std::collections::{BTreeMap, HashMap};

/// What is known of a folder before it is played.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its network; with a `-` behind it, what the ids of its accounts begin with.
    pub name: &'static str,
    pub currency: Currency,
    /// The data's first and last day; one cycle each, sealed by the tick of the day after.
    pub first: LogTime,
    pub last: LogTime,
    /// Purchases less refunds of its cards.
    pub cleared_minor: i64,
    /// Empty where the publisher gives no balances.
    pub closings: Vec<Closing>,
}

/// What an account's statement must close with on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    pub account: AccountId,
    pub day: LogTime,
    pub minor: i64,
}

impl Closing {
    /// The bank's own closing balance and the roundings listed so far, of every day that is judged.
    pub fn all_of(days: &Days) -> Vec<Self> {
        let judged = days.all.iter().filter(|day| day.judged);
        judged
            .map(|day| Self {
                account: day.account.clone(),
                day: day.day,
                minor: day.bank_minor + day.discrepancy_minor,
            })
            .collect()
    }
}

/// A balance's place within an account.
type Place = (Address, Box<str>, Currency);

/// Network and cut-off; the currency is the folder's.
type Window = (Box<str>, LogTime);

/// One window as it closed.
#[derive(Debug)]
struct Closed {
    business_date: i32,
    parts: usize,
    /// Purchases less reversals and refunds.
    cleared_minor: i64,
    net_minor: i64,
}

/// Judges one folder. The verdict may be asked at any time; it is final once posting and windows
/// have read everything.
#[derive(Debug)]
pub struct LedgerOracle {
    expected: Expected,
    prefix: String,
    partitions: usize,
    sets: usize,
    unbalanced: usize,
    /// Balances that are not those before the set and its legs.
    broken: usize,
    balances: HashMap<AccountId, BTreeMap<Place, i64>>,
    /// By how much the sum of all balances changed, by currency and day.
    moved: BTreeMap<(Currency, i64), i64>,
    /// By account and day: cust + held after the last set of the day.
    closings: HashMap<AccountId, BTreeMap<i64, i64>>,
    /// Sum of the legs at net.
    posted: BTreeMap<Window, i64>,
    closed: BTreeMap<Window, Closed>,
    /// Windows that closed a second time.
    again: usize,
}

impl LedgerOracle {
    /// `partitions`: of the ledger; a window is whole with the parts of all of them.
    pub fn new(expected: Expected, partitions: usize) -> Self {
        Self {
            prefix: format!("{}-", expected.name),
            expected,
            partitions,
            sets: 0,
            unbalanced: 0,
            broken: 0,
            balances: HashMap::new(),
            moved: BTreeMap::new(),
            closings: HashMap::new(),
            posted: BTreeMap::new(),
            closed: BTreeMap::new(),
            again: 0,
        }
    }

    pub fn post(&mut self, set: &PostingSet) {
        if !set.account_id.as_str().starts_with(&self.prefix) {
            return; // of another play
        }
        self.sets += 1;
        let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
        for leg in &set.legs {
            *sums.entry(leg.currency).or_default() += leg.minor;
            if leg.address == Address::Net && leg.currency == self.expected.currency {
                let cutoff = set.cycle.map_or(LogTime::ZERO, |cycle| cycle.cutoff);
                *self.posted.entry((set.network.clone(), cutoff)).or_default() += leg.minor;
            }
        }
        self.unbalanced += usize::from(sums.values().any(|sum| *sum != 0));
        self.carry_on(set);
    }

    /// Takes the balances that the set names, and compares them with those before it.
    fn carry_on(&mut self, set: &PostingSet) {
        let day = set.log_time.day();
        let balances = self.balances.entry(set.account_id.clone()).or_default();
        let is_of =
            |leg: &Leg, it: &BalanceAfter| (leg.address, leg.currency) == (it.address, it.currency);
        let unnamed =
            set.legs.iter().filter(|leg| !set.after.iter().any(|after| is_of(leg, after)));
        self.broken += unnamed.count();
        for after in &set.after {
            let place = (after.address, after.network.clone(), after.currency);
            let balance = balances.entry(place).or_default();
            let legs = set.legs.iter().filter(|leg| is_of(leg, after));
            let grown_minor: i64 = legs.map(|leg| leg.minor).sum();
            self.broken += usize::from(*balance + grown_minor != after.minor);
            *self.moved.entry((after.currency, day)).or_default() += after.minor - *balance;
            *balance = after.minor;
        }
        let own = |(address, _, currency): &Place| {
            matches!(address, Address::Cust | Address::Held) && *currency == self.expected.currency
        };
        let own_minor = balances.iter().filter(|(place, _)| own(place)).map(|(_, minor)| *minor);
        let closing_minor = own_minor.sum();
        self.closings.entry(set.account_id.clone()).or_default().insert(day, closing_minor);
    }

    /// Looks at windows of the folder's currency, whichever network they are of.
    pub fn decide(&mut self, event: &WindowEvent) {
        let (Some(cycle), WindowBody::Closed(body)) = (event.cycle, &event.body) else { return };
        if event.currency != self.expected.currency {
            return;
        }
        let totals = &body.totals;
        let closed = Closed {
            business_date: cycle.business_date,
            parts: body.parts.len(),
            cleared_minor: totals.purchases_minor
                - totals.purchase_reversals_minor
                - totals.refunds_minor,
            net_minor: totals.net_minor(),
        };
        let earlier = self.closed.insert((event.network.clone(), cycle.cutoff), closed);
        self.again += usize::from(earlier.is_some());
    }

    /// `booked_minor`: of every account of the folder, in its last event.
    pub fn verdict(&self, booked_minor: &BTreeMap<AccountId, i64>) -> Vec<OracleLine> {
        let mut lines = vec![
            OracleLine::listed("posting sets", self.sets),
            OracleLine::equal("posting sets that do not sum to 0", 0, self.unbalanced),
            OracleLine::equal("balances that are not the former plus the legs", 0, self.broken),
        ];
        lines.append(&mut self.trial_lines());
        if !self.expected.closings.is_empty() {
            lines.append(&mut self.closing_lines());
        }
        let held_at = |(account, minor): &(&AccountId, &i64)| {
            self.closing_minor(account, i64::MAX) == **minor
        };
        lines.push(OracleLine::equal(
            "accounts whose ledger equals their last event",
            booked_minor.len(),
            booked_minor.iter().filter(held_at).count(),
        ));
        lines.append(&mut self.window_lines());
        lines
    }

    /// The sum over all accounts and addresses at the end of each day, the tick after it left out.
    fn trial_lines(&self) -> Vec<OracleLine> {
        let mut sums: BTreeMap<Currency, i64> = BTreeMap::new();
        let mut moved = BTreeMap::<i64, Vec<(Currency, i64)>>::new();
        for ((currency, day), minor) in &self.moved {
            moved.entry(*day).or_default().push((*currency, *minor));
        }
        let add = |day: &[(Currency, i64)], sums: &mut BTreeMap<Currency, i64>| {
            day.iter().for_each(|(currency, minor)| *sums.entry(*currency).or_default() += minor);
        };
        let (first, last) = (self.expected.first.day(), self.expected.last.day());
        let (mut days, mut closing, mut lines) = (0, 0, Vec::new());
        for before in moved.range(..first) {
            add(before.1, &mut sums);
        }
        for day in first..=last {
            add(moved.get(&day).map_or(&[], Vec::as_slice), &mut sums);
            days += 1;
            closing += usize::from(sums.values().all(|sum| *sum == 0));
            for (currency, minor) in sums.iter().filter(|(_, minor)| **minor != 0) {
                if lines.len() < NAMED_MAX {
                    let name = format!("trial balance on {}", day_text(LogTime(day * DAY_MS)));
                    lines.push(OracleLine::money(&name, 0, *minor, *currency));
                }
            }
        }
        for after in moved.range(last + 1..) {
            add(after.1, &mut sums);
        }
        let name = "days whose trial balance closes at 0.00";
        lines.insert(0, OracleLine::equal(name, days, closing));
        sums.entry(self.expected.currency).or_default();
        let ends = sums.iter();
        lines.extend(ends.map(|(currency, minor)| {
            OracleLine::money("trial balance after the last tick", 0, *minor, *currency)
        }));
        lines
    }

    /// cust + held at the end of a day, which may be that of an earlier one; 0 before the first set.
    fn closing_minor(&self, account: &AccountId, day: i64) -> i64 {
        let days = self.closings.get(account);
        let until_day = days.and_then(|days| days.range(..=day).next_back());
        until_day.map_or(0, |(_, minor)| *minor)
    }

    fn closing_lines(&self) -> Vec<OracleLine> {
        let (mut same, mut lines) = (0, Vec::new());
        for closing in &self.expected.closings {
            let found_minor = self.closing_minor(&closing.account, closing.day.day());
            if found_minor == closing.minor {
                same += 1;
            } else if lines.len() < NAMED_MAX {
                let name = format!("statement of {} on {}", closing.account, day_text(closing.day));
                let currency = self.expected.currency;
                lines.push(OracleLine::money(&name, closing.minor, found_minor, currency));
            }
        }
        let count = self.expected.closings.len();
        let name = "account-days whose statement closes as the bank's";
        lines.insert(0, OracleLine::equal(name, count, same));
        lines
    }

    fn window_lines(&self) -> Vec<OracleLine> {
        let Expected { name, currency, first, last, cleared_minor, .. } = &self.expected;
        let own = || self.closed.iter().filter(|((network, _), _)| **network == **name);
        let days = first.day()..=last.day();
        let is_whole = |closed: &&Closed| {
            days.contains(&i64::from(closed.business_date)) && closed.parts == self.partitions
        };
        let whole = own().map(|(_, closed)| closed).filter(is_whole).count();
        let found_minor = own().map(|(_, closed)| closed.cleared_minor).sum();
        let mut lines = vec![
            OracleLine::equal(
                &format!("windows of {name} closed with the parts of all partitions"),
                days.clone().count(),
                whole,
            ),
            OracleLine::equal("windows closed twice", 0, self.again),
            OracleLine::money(
                &format!("purchases less refunds in the windows of {name}"),
                *cleared_minor,
                found_minor,
                *currency,
            ),
        ];
        let differing = self.differing_windows();
        let name = "windows whose net is not that of their postings";
        lines.push(OracleLine::equal(name, 0, differing.len()));
        for ((network, cutoff), posted_minor, closed_minor) in differing.iter().take(NAMED_MAX) {
            let until = day_text(*cutoff);
            let closed = closed_minor.map_or_else(
                || "not closed".to_owned(),
                |closed_minor| decimal(closed_minor, *currency),
            );
            lines.push(OracleLine {
                name: format!("net of {network}/{currency} until {until}"),
                expected: decimal(*posted_minor, *currency),
                found: closed,
                ok: false,
            });
        }
        lines
    }

    /// Windows, the sums of the postings' legs at net, and what the windows say of them.
    fn differing_windows(&self) -> Vec<(&Window, i64, Option<i64>)> {
        let posted = self.posted.iter().map(|(window, minor)| (window, *minor));
        let empty = self.closed.keys().filter(|window| !self.posted.contains_key(*window));
        let all = posted.chain(empty.map(|window| (window, 0)));
        all.map(|(window, minor)| (window, minor, self.closed.get(window)))
            .map(|(window, minor, closed)| (window, minor, closed.map(|closed| closed.net_minor)))
            .filter(|(_, posted_minor, closed_minor)| *closed_minor != Some(*posted_minor))
            .collect()
    }
}
