//! A second opinion: the balances and payments of one account, added up from events alone.
//!
//! Owns the plainest possible fold: counters as seven numbers, a ledger of named accounts, and the
//! first answer of every message. Shares nothing with the stage but the shapes of events.

use crate::seen::Seen;
use std::collections::BTreeMap;
use tapline::domain::{
    account::{Account, Item},
    event::{AccountEvent, AuthorisationKind, Event, PaymentAfter},
    payment::{Counters, Flag, ItemId, PaymentStatus},
    reason::Reason,
    time::LogTime,
};

pub type Verdict = Result<(), String>;

macro_rules! must {
    ($holds:expr, $($words:tt)+) => {
        if !$holds { return Err(format!($($words)+)); }
    };
}
pub(crate) use must;

/// A V E M O K F.
type Seven = [i64; 7];
const A: usize = 0;
const V: usize = 1;
const E: usize = 2;
const M: usize = 3;
const O: usize = 4;
const K: usize = 5;
const F: usize = 6;

fn seven(c: &Counters) -> Seven {
    [
        c.approved_minor,
        c.reversed_minor,
        c.released_minor,
        c.taken_minor,
        c.over_minor,
        c.presentment_reversed_minor,
        c.refunded_minor,
    ]
}

fn hold(c: &Seven) -> i64 {
    c[A] - c[V] - c[E] - c[M]
}

fn cleared(c: &Seven) -> i64 {
    c[M] + c[O] - c[K]
}

#[derive(Default)]
pub struct Model {
    payments: BTreeMap<String, Seven>,
    deadlines: BTreeMap<String, Option<LogTime>>,
    /// cust, held, net, nostro: credits positive; their sum is 0 (I2, I3).
    ledger: BTreeMap<&'static str, i64>,
    overdraft_minor: i64,
    credits_minor: i64,
    debits_minor: i64,
}

/// What the first answer to a message was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct First {
    pub accepted_minor: i64,
    pub reason: Option<Reason>,
}

impl Model {
    fn post(&mut self, debit: &'static str, credit: &'static str, minor: i64) {
        *self.ledger.entry(debit).or_default() -= minor;
        *self.ledger.entry(credit).or_default() += minor;
    }

    fn balance(&self, account: &str) -> i64 {
        self.ledger.get(account).copied().unwrap_or(0)
    }

    /// Takes one event in and checks it against everything known before it.
    pub fn take(&mut self, event: &AccountEvent, seen: &mut Seen) -> Verdict {
        let available_before = self.balance("cust") + self.overdraft_minor;
        let booked_before = self.balance("cust") + self.balance("held");
        self.fold(&event.body, event.log_time, seen)?;
        let Some(balances) = event.balances else {
            must!(self.ledger.values().all(|minor| *minor == 0), "money on an unknown account");
            return Ok(());
        };
        let (cust, held) = (self.balance("cust"), self.balance("held"));
        must!(self.ledger.values().sum::<i64>() == 0, "I3: the ledger does not sum to 0");
        must!(balances.held_minor == held, "I3: held {held}, event {balances:?}");
        must!(balances.booked_minor == cust + held, "I3: booked {}, {balances:?}", cust + held);
        must!(balances.overdraft_limit_minor == self.overdraft_minor, "I3: overdraft {balances:?}");
        let available = cust + self.overdraft_minor;
        must!(balances.available_minor() == available, "I3: available {available}");
        self.check_refusal(&event.body, available == available_before)?;
        self.check_available(&event.body, available, available_before)?;
        let releases = matches!(event.body, Event::PaymentReversed(_) | Event::HoldExpired(_));
        must!(!releases || booked_before == cust + held, "I8: a release moved booked");
        Ok(())
    }

    fn check_refusal(&self, body: &Event, unmoved: bool) -> Verdict {
        let refused = matches!(
            body,
            Event::PaymentDeclined(_)
                | Event::CommandDeclined(_)
                | Event::MessageRepeated(_)
                | Event::MessageConflicted(_)
                | Event::MovedToSuspense(_)
                | Event::OriginalNotFound(_)
                | Event::RefundAuthorised(_)
        );
        must!(!refused || unmoved, "I5: {body:?} moved money");
        Ok(())
    }

    /// I6: what may be refused never takes more than is available.
    fn check_available(&self, body: &Event, after: i64, before: i64) -> Verdict {
        let checked = match body {
            Event::PaymentAuthorised(e) => e.kind != AuthorisationKind::Advice,
            Event::AccountDebited(e) => !e.advice,
            _ => false,
        };
        must!(!checked || after == before || after >= 0, "I6: {body:?} left {after}");
        let may_fall = matches!(
            body,
            Event::PaymentAuthorised(_)
                | Event::PaymentPresented(_)
                | Event::AccountDebited(_)
                | Event::AccountChanged(_)
        );
        must!(may_fall || after >= before, "I6: {body:?} lowered available");
        Ok(())
    }

    fn fold(&mut self, body: &Event, clock: LogTime, seen: &mut Seen) -> Verdict {
        match body {
            Event::AccountOpened(e) => self.overdraft_minor = e.overdraft_limit_minor,
            Event::AccountChanged(e) => self.overdraft_minor = e.overdraft_limit_minor,
            Event::PaymentAuthorised(e) => {
                let (a, v) = (e.approved_minor, e.reversed_minor);
                let (r, t) = (e.released_minor, e.taken_minor);
                self.post("cust", "held", a);
                self.post("held", "cust", v + r);
                self.post("held", "net", t);
                must!(a <= e.requested_minor || v == 0, "approved more than asked");
                return self.grow(&e.payment, &[(A, a), (V, v), (E, r), (M, t)], seen);
            }
            Event::PaymentReversed(e) => {
                self.post("held", "cust", e.reversed_minor);
                return self.grow(&e.payment, &[(V, e.reversed_minor)], seen);
            }
            Event::HoldExpired(e) => {
                let id = e.payment.payment_id.as_str();
                let deadline = self.deadlines.get(id).copied().flatten();
                must!(deadline.is_some_and(|d| d <= clock), "I14: {id} expired early {deadline:?}");
                let rest = self.payments.get(id).map_or(0, hold);
                must!(rest == e.released_minor && rest > 0, "I14: {id} expired {rest}");
                self.post("held", "cust", e.released_minor);
                return self.grow(&e.payment, &[(E, e.released_minor)], seen);
            }
            Event::PaymentPresented(e) => {
                let (m, o, r) = (e.taken_minor, e.over_minor, e.released_minor);
                must!(e.presented_minor == m + o, "I12: presented in part");
                self.post("held", "net", m);
                self.post("cust", "net", o);
                self.post("held", "cust", r);
                return self.grow(&e.payment, &[(M, m), (O, o), (E, r)], seen);
            }
            Event::PresentmentReversed(e) => {
                let k = e.presentment_reversed_minor;
                self.post("net", "cust", k);
                let id = e.payment.payment_id.as_str();
                let before = self.payments.get(id).map_or(0, hold);
                self.grow(&e.payment, &[(K, k)], seen)?;
                must!(before == hold(&self.payments[id]), "I13: a hold made by a reversal");
            }
            Event::RefundAuthorised(e) => return self.grow(&e.payment, &[], seen),
            Event::PaymentRefunded(e) => {
                self.post("net", "cust", e.refunded_minor);
                return self.grow(&e.payment, &[(F, e.refunded_minor)], seen);
            }
            Event::AccountCredited(e) => {
                self.post("nostro", "cust", e.amount_minor);
                self.credits_minor += e.amount_minor;
            }
            Event::AccountDebited(e) => {
                self.post("cust", "nostro", e.amount_minor);
                self.debits_minor += e.amount_minor;
            }
            Event::HolderChanged(_)
            | Event::CardChanged(_)
            | Event::PaymentDeclined(_)
            | Event::OriginalNotFound(_)
            | Event::CommandDeclined(_)
            | Event::MovedToSuspense(_)
            | Event::MessageRepeated(_)
            | Event::MessageConflicted(_)
            | Event::Tick(_) => {}
        }
        Ok(())
    }

    /// Adds what the event says and compares with the payment that it carries.
    fn grow(&mut self, after: &PaymentAfter, by: &[(usize, i64)], seen: &mut Seen) -> Verdict {
        let id = after.payment_id.as_str();
        let counters = self.payments.entry(id.into()).or_default();
        for (counter, minor) in by {
            must!(*minor >= 0, "I13: a counter of {id} fell by {minor}");
            counters[*counter] += minor;
        }
        must!(*counters == seven(&after.counters), "{id} is {counters:?}, event {after:?}");
        let open = hold(counters);
        must!(0 <= open && open <= counters[A], "I4: hold {open} of {id}");
        must!(cleared(counters) >= 0, "cleared below 0: {after:?}");
        must!((open > 0) == after.deadline.is_some(), "I14: a hold without an end: {after:?}");
        self.deadlines.insert(id.into(), after.deadline);
        check_status(counters, after)?;
        seen.count(&format!("status {}", crate::moves::wire(after.status)));
        for flag in &after.flags {
            seen.count(&format!("flag {}", crate::moves::wire(*flag)));
        }
        Ok(())
    }

    /// The whole head and all side rows against the model, from a full re-sum.
    pub fn compare(&self, head: &Account, side_rows: &BTreeMap<ItemId, Item>) -> Verdict {
        let (mut held, mut booked) = (0, self.credits_minor - self.debits_minor);
        let mut payments = 0;
        let left = side_rows.iter().filter(|(id, _)| !head.items.contains_key(*id));
        for (id, item) in head.items.iter().chain(left) {
            let Item::Payment(payment) = item else { continue };
            let id = id.as_str().strip_prefix("p:").unwrap_or_default();
            let counters = seven(&payment.counters);
            let known = self.payments.get(id).copied().unwrap_or_default();
            must!(counters == known, "{id}: head {counters:?}, events {known:?}");
            held += hold(&counters);
            booked += counters[F] - cleared(&counters);
            payments += usize::from(self.payments.contains_key(id));
        }
        must!(payments == self.payments.len(), "a payment was lost");
        let standing = &head.standing;
        must!(standing.held_minor == held, "I4: held {} is not {held}", standing.held_minor);
        must!(
            standing.booked_minor == booked,
            "I3: booked {} is not {booked}",
            standing.booked_minor
        );
        self.compare_totals(head)
    }

    fn compare_totals(&self, head: &Account) -> Verdict {
        let sum = |counters: &[usize]| -> i64 {
            self.payments.values().map(|c| counters.iter().map(|i| c[*i]).sum::<i64>()).sum()
        };
        let totals = head.standing.totals;
        for (name, total, wanted) in [
            ("approved", totals.approved_minor, sum(&[A])),
            ("given back", totals.given_back_minor, sum(&[V, E])),
            ("presented", totals.presented_minor, sum(&[M, O])),
            ("presentments reversed", totals.presentment_reversed_minor, sum(&[K])),
            ("refunded", totals.refunded_minor, sum(&[F])),
            ("credited", totals.credited_minor, self.credits_minor),
            ("debited", totals.debited_minor, self.debits_minor),
        ] {
            must!(total == wanted, "total {name} {total} is not {wanted}");
        }
        Ok(())
    }

    /// I14: after a tick no hold is open whose end has come.
    pub fn none_overdue(&self, clock: LogTime) -> Verdict {
        for (id, deadline) in &self.deadlines {
            must!(deadline.is_none_or(|d| d > clock), "I14: {id} is overdue since {deadline:?}");
        }
        Ok(())
    }
}

/// Status by the table of payments.md, written again. A declined or reversed payment without any
/// money cannot be told from counters alone.
fn check_status(c: &Seven, after: &PaymentAfter) -> Verdict {
    let (open, presented, cleared) = (hold(c), c[M] + c[O], cleared(c));
    let wanted: &[PaymentStatus] = if open > 0 && presented == 0 {
        &[PaymentStatus::Pending]
    } else if open > 0 {
        &[PaymentStatus::PartiallyCleared]
    } else if cleared > 0 {
        &[PaymentStatus::Cleared]
    } else if presented > 0 {
        &[PaymentStatus::ClearingReversed]
    } else if c[E] > 0 {
        &[PaymentStatus::Expired]
    } else if c[V] > 0 {
        &[PaymentStatus::Reversed]
    } else if c[F] > 0 {
        &[PaymentStatus::CreditOnly, PaymentStatus::Reversed]
    } else {
        &[
            PaymentStatus::Declined,
            PaymentStatus::Verified,
            PaymentStatus::CreditOnly,
            PaymentStatus::Reversed,
        ]
    };
    must!(wanted.contains(&after.status), "status of {after:?}");
    let flag = |flag| after.flags.contains(&flag);
    must!(flag(Flag::Refunded) == (c[F] >= cleared && cleared > 0), "refunded: {after:?}");
    must!(flag(Flag::PartlyRefunded) == (0 < c[F] && c[F] < cleared), "partly: {after:?}");
    must!(after.flags.is_sorted(), "flags out of order: {after:?}");
    Ok(())
}
