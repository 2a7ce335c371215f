//! The arithmetic of a trial balance: legs by currency and address, and what explains suspense.
//!
//! Owns the cut. Postings below it count; of decisions those that a network and currency made
//! before the first that lies beyond it, so what counts is a state that there once was. Items in
//! suspense are known one by one until their exception is open; of the rest only sums are kept.

use crate::domain::{
    ledger::{Address, Leg, PostingSet},
    money::Currency,
    window::{Exception, Source, WindowBody, WindowEvent},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Up to where the ledger counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    Now,
    /// Log time, milliseconds; that moment is beyond it.
    Before(i64),
    /// Offsets of the postings, by partition.
    Below(BTreeMap<i32, i64>),
}

type Key = (Box<str>, Currency);

/// Differences that are told.
const DIFFERENCES_MAX: usize = 10;

/// Decisions about one network and currency.
#[derive(Clone, Debug, Default)]
struct Decided {
    /// A decision beyond the cut was made; none counts from there on.
    is_over: bool,
    /// What the latest decision says that stands in suspense.
    said_minor: i128,
    /// By exception.
    open: BTreeMap<Box<str>, i64>,
}

pub struct Sums {
    cut: Cut,
    /// Log time of the first posting beyond the cut.
    beyond_ms: Option<i64>,
    balances: BTreeMap<(Currency, Address), i128>,
    /// Items in suspense without an exception, by partition and offset of their event.
    unsealed: BTreeMap<Key, BTreeMap<(i32, i64), i64>>,
    decided: BTreeMap<Key, Decided>,
    differences: Vec<String>,
}

/// One line of the trial balance; credit positive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Balance {
    pub currency: Currency,
    pub address: Address,
    pub minor: i64,
}

/// What stands in suspense, a debit, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuspenseProof {
    pub currency: Currency,
    pub ledger_minor: i64,
    pub exceptions_minor: i64,
    pub unsealed_minor: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summed {
    #[serde(skip)]
    pub before_ms: Option<i64>,
    /// Ascending by currency and address.
    pub balances: Vec<Balance>,
    /// Each is 0 unless something is broken.
    pub sums_minor: BTreeMap<Currency, i64>,
    pub suspense: Vec<SuspenseProof>,
    pub differences: Vec<String>,
}

impl Sums {
    pub fn new(cut: Cut) -> Self {
        let beyond_ms = match cut {
            Cut::Before(ms) => Some(ms),
            Cut::Now | Cut::Below(_) => None,
        };
        Self {
            cut,
            beyond_ms,
            balances: BTreeMap::new(),
            unsealed: BTreeMap::new(),
            decided: BTreeMap::new(),
            differences: Vec::new(),
        }
    }

    fn differ(&mut self, sentence: String) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(sentence);
        }
    }

    fn add(&mut self, legs: &[Leg]) {
        for leg in legs {
            let balance = self.balances.entry((leg.currency, leg.address)).or_default();
            *balance += i128::from(leg.minor);
        }
    }

    /// Takes a posting; those of one partition in their order, all before the first decision.
    /// `event`: partition and offset of the event behind it.
    pub fn take_set(&mut self, place: (i32, i64), event: Option<(i32, i64)>, set: &PostingSet) {
        let counts = match &self.cut {
            Cut::Now => true,
            Cut::Before(ms) => set.log_time.0 < *ms,
            Cut::Below(offsets) => offsets.get(&place.0).is_none_or(|offset| place.1 < *offset),
        };
        if !counts {
            let ms = self.beyond_ms.map_or(set.log_time.0, |ms| ms.min(set.log_time.0));
            self.beyond_ms = Some(ms);
            return;
        }
        self.add(&set.legs);
        let in_suspense = set.legs.iter().filter(|leg| leg.address == Address::Suspense);
        for leg in in_suspense {
            let items = self.unsealed.entry((set.network.clone(), leg.currency)).or_default();
            *items.entry(event.unwrap_or(place)).or_default() -= leg.minor;
        }
    }

    /// Takes a decision; those of one network and currency in their order.
    pub fn take_event(&mut self, event: &WindowEvent) {
        let key = (event.network.clone(), event.currency);
        let decided = self.decided.entry(key.clone()).or_default();
        // A part says its cut-off, and what lies before that was read before it.
        decided.is_over |= self.beyond_ms.is_some_and(|ms| event.at.0 > ms);
        if decided.is_over {
            return;
        }
        decided.said_minor = i128::from(event.suspense_minor);
        match &event.body {
            WindowBody::ExceptionOpened(opened) => {
                let exception = &opened.exception;
                decided.open.insert(exception.id.clone(), exception.suspense_minor);
                self.add(&opened.legs);
                if exception.source == Source::Item {
                    self.seal(&key, exception);
                }
            }
            WindowBody::ExceptionResolved(resolved) => {
                if decided.open.remove(&resolved.exception_id).is_none() {
                    let id = &resolved.exception_id;
                    self.differ(format!("exception {id} is resolved and was never opened"));
                }
                self.add(&resolved.legs);
            }
            WindowBody::Settled(settled) => self.add(&settled.legs),
            WindowBody::Closed(_)
            | WindowBody::Reconciled(_)
            | WindowBody::Broken(_)
            | WindowBody::Instructed(_)
            | WindowBody::Carried(_)
            | WindowBody::ResolutionRefused(_) => {}
        }
    }

    /// An item became an exception: its posting must be there, with the same amount. The last of a
    /// long list (`partition:offset+`) stands for all from its offset on.
    fn seal(&mut self, key: &Key, exception: &Exception) {
        let id = exception.id.strip_prefix("item:").unwrap_or(&exception.id);
        let is_rest = id.ends_with('+');
        let place = id.trim_end_matches('+').split_once(':').and_then(|(partition, offset)| {
            Some((partition.parse::<i32>().ok()?, offset.parse::<i64>().ok()?))
        });
        let mut left = i128::from(exception.suspense_minor);
        if let (Some(place), Some(items)) = (place, self.unsealed.get_mut(key)) {
            let to = if is_rest { (place.0, i64::MAX) } else { place };
            let mut taken: Vec<(i32, i64)> = Vec::new();
            for (at, minor) in items.range(place..=to) {
                left -= i128::from(*minor);
                taken.push(*at);
                if left == 0 {
                    break;
                }
            }
            items.retain(|at, _| !taken.contains(at));
        }
        if left != 0 {
            self.differ(format!(
                "exception {} stands for {} minor units, its postings for {}",
                exception.id,
                exception.suspense_minor,
                i128::from(exception.suspense_minor) - left
            ));
        }
    }

    pub fn finish(mut self) -> Summed {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for ((currency, _), minor) in &self.balances {
            *sums.entry(*currency).or_default() += minor;
        }
        for (currency, sum) in sums.iter().filter(|(_, sum)| **sum != 0) {
            self.differences.push(format!("{currency} sums to {sum} minor units, not to 0"));
        }
        let suspense = self.suspense();
        let balance = |((currency, address), minor): (&(Currency, Address), &i128)| Balance {
            currency: *currency,
            address: *address,
            minor: narrow(*minor),
        };
        Summed {
            before_ms: self.beyond_ms,
            balances: self.balances.iter().map(balance).collect(),
            sums_minor: sums.iter().map(|(currency, sum)| (*currency, narrow(*sum))).collect(),
            suspense,
            differences: self.differences,
        }
    }

    fn suspense(&mut self) -> Vec<SuspenseProof> {
        let mut wrong = Vec::new();
        for ((network, currency), decided) in &self.decided {
            let open: i128 = decided.open.values().map(|minor| i128::from(*minor)).sum();
            if open != decided.said_minor {
                wrong.push(format!(
                    "{network}/{currency} has {open} minor units of open exceptions and says {}",
                    decided.said_minor
                ));
            }
        }
        let currencies: BTreeSet<Currency> = self
            .balances
            .keys()
            .filter(|(_, address)| *address == Address::Suspense)
            .map(|(currency, _)| *currency)
            .chain(self.decided.iter().filter(|(_, it)| it.said_minor != 0).map(|(key, _)| key.1))
            .collect();
        let mut proofs = Vec::new();
        for currency in currencies {
            let legs = self.balances.get(&(currency, Address::Suspense)).copied();
            let ledger = -legs.unwrap_or_default();
            let of = |key: &Key| key.1 == currency;
            let said = self.decided.iter().filter(|(key, _)| of(key));
            let exceptions: i128 = said.map(|(_, decided)| decided.said_minor).sum();
            let items = self.unsealed.iter().filter(|(key, _)| of(key));
            let unsealed: i128 =
                items.flat_map(|(_, items)| items.values()).map(|minor| i128::from(*minor)).sum();
            if ledger != exceptions + unsealed {
                wrong.push(format!(
                    "{currency} has {ledger} minor units in suspense; open exceptions come to \
                     {exceptions}, items in no window yet to {unsealed}"
                ));
            }
            proofs.push(SuspenseProof {
                currency,
                ledger_minor: narrow(ledger),
                exceptions_minor: narrow(exceptions),
                unsealed_minor: narrow(unsealed),
            });
        }
        wrong.into_iter().for_each(|sentence| self.differ(sentence));
        proofs
    }
}

/// A sum that is no `i64` is broken anyway, and told as such before.
fn narrow(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
#[path = "sums_tests.rs"]
mod tests;
