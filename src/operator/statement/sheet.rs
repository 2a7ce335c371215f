//! The arithmetic of a statement: postings of one account in their order become a month's sheet.
//!
//! Owns the checks. Amounts are summed from the legs, balances are those that the postings carry,
//! so opening + lines = closing compares two accounts of the same money. Invariant: what is held
//! is in no booked total; booked = cust + held, since a hold only moves money between the two.

use crate::domain::{
    ledger::{Address, LedgerAccount, PostingKind, PostingSet},
    money::Currency,
    time::LogTime,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Differences that are told; a broken account has as many as postings.
const DIFFERENCES_MAX: usize = 10;

/// A calendar month: months since January of year 0, as `LogTime::month` counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(i64);

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (year, month) = text.split_once('-')?;
            let is_plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            let is_formed =
                (year.len(), month.len()) == (4, 2) && is_plain(year) && is_plain(month);
            let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
            (is_formed && (1..=12).contains(&month)).then_some(Self(year * 12 + month - 1))
        };
        parsed().ok_or_else(|| format!("`{text}` is no month; write it like 2026-11"))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

/// What the account's row says, and how far it has come in the log of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub position: i64,
    pub booked_minor: i64,
    pub held_minor: i64,
}

impl Standing {
    pub fn of(position: i64, ledger: &LedgerAccount) -> Self {
        let sum = |addresses: &[Address]| {
            let own = ledger.balances.iter().filter(|it| addresses.contains(&it.address));
            own.map(|balance| balance.minor).sum()
        };
        Self {
            position,
            booked_minor: sum(&[Address::Cust, Address::Held]),
            held_minor: sum(&[Address::Held]),
        }
    }
}

/// One booked movement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub at_ms: i64,
    pub kind: PostingKind,
    /// The payment, else the message.
    pub id: String,
    pub text: String,
    pub amount_minor: i64,
    pub balance_minor: i64,
}

/// What was held at the end of the month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pending {
    pub payment_id: String,
    pub text: String,
    pub held_minor: i64,
}

/// A month that is summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub month: Month,
    pub currency: Option<Currency>,
    pub opening_minor: i64,
    pub closing_minor: i64,
    pub pending_minor: i64,
    pub lines: Vec<Line>,
    pub pending: Vec<Pending>,
    pub differences: Vec<String>,
}

/// Balances as the latest posting carries them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Balances {
    cust_minor: i64,
    held_minor: i64,
}

impl Balances {
    fn booked_minor(self) -> i64 {
        self.cust_minor.saturating_add(self.held_minor)
    }
}

pub struct Sheet {
    month: Month,
    head: Option<Standing>,
    at_head: Balances,
    currency: Option<Currency>,
    is_empty: bool,
    carried: Balances,
    opening: Balances,
    closing: Balances,
    lines: Vec<Line>,
    /// Of payments that hold something, with what was last said of them.
    holds: BTreeMap<Box<str>, (i64, Box<str>)>,
    differences: Vec<String>,
}

impl Sheet {
    pub fn new(month: Month, head: Option<Standing>) -> Self {
        Self {
            month,
            head,
            at_head: Balances::default(),
            currency: None,
            is_empty: true,
            carried: Balances::default(),
            opening: Balances::default(),
            closing: Balances::default(),
            lines: Vec::new(),
            holds: BTreeMap::new(),
            differences: Vec::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    pub fn has_head(&self) -> bool {
        self.head.is_some()
    }

    fn differ(&mut self, sentence: String) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(sentence);
        }
    }

    /// Takes the account's next posting. `event`: the offset of the event behind it.
    pub fn take(&mut self, event: Option<i64>, set: &PostingSet) {
        let month = Month(set.log_time.month());
        self.is_empty = false;
        let moved = Balances {
            cust_minor: self.moved_minor(set, Address::Cust),
            held_minor: self.moved_minor(set, Address::Held),
        };
        let before = self.carried;
        let after = Balances {
            cust_minor: after_minor(set, Address::Cust).unwrap_or(before.cust_minor),
            held_minor: after_minor(set, Address::Held).unwrap_or(before.held_minor),
        };
        if after.cust_minor != before.cust_minor.saturating_add(moved.cust_minor)
            || after.held_minor != before.held_minor.saturating_add(moved.held_minor)
        {
            let at = LogTime(set.log_time.0);
            self.differ(format!(
                "the posting of {} does not lead from the balance before it to the one it carries",
                super::utc(at.0)
            ));
        }
        self.carried = after;
        if self.head.is_some_and(|head| event.is_none_or(|event| event <= head.position)) {
            self.at_head = after;
        }
        if month > self.month {
            return;
        }
        self.hold(set, moved.held_minor);
        self.closing = after;
        let amount_minor = moved.booked_minor();
        if month < self.month {
            self.opening = after;
        } else if amount_minor != 0 {
            let (payment, message) = (&set.payment_id, &set.message_id);
            let payment = payment.as_ref().map(|id| id.as_str());
            let id = payment.or(message.as_ref().map(|id| id.as_str())).unwrap_or_default();
            self.lines.push(Line {
                at_ms: set.log_time.0,
                kind: set.kind,
                id: id.to_owned(),
                text: set.text.to_string(),
                amount_minor,
                balance_minor: after.booked_minor(),
            });
        }
    }

    fn moved_minor(&mut self, set: &PostingSet, address: Address) -> i64 {
        let mut moved_minor: i64 = 0;
        for leg in set.legs.iter().filter(|leg| leg.address == address) {
            let currency = *self.currency.get_or_insert(leg.currency);
            if currency != leg.currency {
                self.differ(format!("money of {currency} and of {} on one account", leg.currency));
            }
            moved_minor = moved_minor.saturating_add(leg.minor);
        }
        moved_minor
    }

    fn hold(&mut self, set: &PostingSet, moved_minor: i64) {
        let Some(payment) = set.payment_id.as_ref().filter(|_| moved_minor != 0) else { return };
        let (held_minor, text) = self.holds.entry(payment.as_str().into()).or_default();
        *held_minor = held_minor.saturating_add(moved_minor);
        if !set.text.is_empty() {
            *text = set.text.clone();
        }
        if *held_minor == 0 {
            self.holds.remove(payment.as_str());
        }
    }

    /// Sums the month up and compares.
    pub fn close(mut self) -> Closed {
        let (opening_minor, closing_minor) =
            (self.opening.booked_minor(), self.closing.booked_minor());
        let lines_minor: i128 = self.lines.iter().map(|it| i128::from(it.amount_minor)).sum();
        if i128::from(opening_minor) + lines_minor != i128::from(closing_minor) {
            self.differ(format!(
                "opening {opening_minor} and lines {lines_minor} come to {}, not to closing \
                 {closing_minor} (minor units)",
                i128::from(opening_minor) + lines_minor
            ));
        }
        let pending_minor = self.closing.held_minor;
        let held_minor: i128 = self.holds.values().map(|(minor, _)| i128::from(*minor)).sum();
        if held_minor != i128::from(pending_minor) {
            self.differ(format!(
                "pending payments hold {held_minor}, the balance held is {pending_minor}"
            ));
        }
        if let Some(head) = self.head {
            let log = (self.at_head.booked_minor(), self.at_head.held_minor);
            if log != (head.booked_minor, head.held_minor) {
                self.differ(format!(
                    "at offset {} the account's row has booked {} and held {}, the log {} and {}",
                    head.position, head.booked_minor, head.held_minor, log.0, log.1
                ));
            }
        }
        let pending = |(payment, (held_minor, text)): (Box<str>, (i64, Box<str>))| Pending {
            payment_id: payment.into(),
            text: text.into(),
            held_minor,
        };
        Closed {
            month: self.month,
            currency: self.currency,
            opening_minor,
            closing_minor,
            pending_minor,
            lines: self.lines,
            pending: self.holds.into_iter().map(pending).collect(),
            differences: self.differences,
        }
    }
}

fn after_minor(set: &PostingSet, address: Address) -> Option<i64> {
    set.after.iter().rfind(|balance| balance.address == address).map(|balance| balance.minor)
}

#[cfg(test)]
#[path = "sheet_tests.rs"]
mod tests;
