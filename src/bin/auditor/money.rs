//! The money of one account, event by event (I1, I3 to I6, I8, I13, I14).
//!
//! Owns the fold: what an event says happened is added up, and what it says the balances and
//! counters are afterwards must be that sum. Each event is judged at its own log position. Never
//! asks which command caused it; `messages` does.

use super::{
    accounts::{Account, Balances, Counters, Deadlines, Minor, Payment, growth},
    avro::{self, Doc, Fields, flag, long, text, texts},
    currencies,
    verdict::{Invariant, Place, Verdict},
};
use std::collections::HashMap;

/// An event under judgement.
pub struct Judged<'a> {
    pub doc: &'a Doc,
    pub id: &'a str,
    pub place: Place,
    pub account: &'a str,
    /// Log time at the event's source position.
    pub clock: i64,
}

impl Judged<'_> {
    fn at(&self) -> (Place, &str) {
        (self.place, self.id)
    }
}

/// Kinds that answer without moving anything.
pub fn is_refusal(kind: &str) -> bool {
    matches!(
        kind,
        "PaymentDeclined"
            | "CommandDeclined"
            | "MessageRepeated"
            | "MessageConflicted"
            | "MovedToSuspense"
            | "OriginalNotFound"
            | "RefundAuthorised"
    )
}

/// Adds the event to the account and compares.
pub fn apply(
    account: &mut Account,
    deadlines: &mut Deadlines,
    event: &Judged<'_>,
    verdict: &mut Verdict,
) {
    let before = account.stated.clone();
    amounts(event, verdict);
    standing(account, event);
    if let Some(after) = avro::record(event.doc.body(), "payment") {
        payment(account, deadlines, event, after, verdict);
    } else if event.doc.kind == "PaymentDeclined" {
        let named = text(event.doc.body(), "payment_id").unwrap_or("");
        account.payments.entry(named.into()).or_default().was_declined = true;
    }
    let amount = Minor::from(long(event.doc.body(), "amount_minor").unwrap_or(0));
    match event.doc.kind {
        "AccountCredited" => {
            account.booked += amount;
            account.totals.credited += amount;
        }
        "AccountDebited" => {
            account.booked -= amount;
            account.totals.debited += amount;
        }
        _ => {}
    }
    let stated = avro::record(&event.doc.fields, "balances").map(Balances::read);
    balances(account, before.as_ref(), stated.as_ref(), event, verdict);
    if let Some(stated) = &stated {
        available(before.as_ref(), stated, event, verdict);
    }
    account.stated = stated;
}

/// I1: no amount below zero, but the one that has a sign by nature.
fn amounts(event: &Judged<'_>, verdict: &mut Verdict) {
    let body = event.doc.body();
    for (name, _) in body.iter().filter(|(name, _)| name.ends_with("_minor")) {
        let minor = long(body, name).unwrap_or(0);
        verdict.checked(Invariant::I1);
        if minor < 0 && name != "owed_minor" {
            let found = format!("{name} {minor}");
            verdict.breach(Invariant::I1, event.place, event.id, "no negative amount", found);
        }
    }
}

/// Currency, status and limit follow from what opens and changes the account.
fn standing(account: &mut Account, event: &Judged<'_>) {
    let body = event.doc.body();
    match event.doc.kind {
        "AccountOpened" => {
            account.currency = text(body, "currency").map(str::to_owned);
            account.status = "open".to_owned();
        }
        "AccountChanged" => account.status = text(body, "status").unwrap_or("").to_owned(),
        _ => return,
    }
    account.limit = long(body, "overdraft_limit_minor").unwrap_or(0).into();
}

fn payment(
    account: &mut Account,
    deadlines: &mut Deadlines,
    event: &Judged<'_>,
    after: &Fields,
    verdict: &mut Verdict,
) {
    let payment_id = text(after, "payment_id").unwrap_or("");
    let stated = avro::record(after, "counters").map(Counters::read).unwrap_or_default();
    let growth = growth(event.doc);
    let payment = account.payments.entry(payment_id.into()).or_default();
    let former = payment.counters;
    let sum = former.plus(&growth);
    verdict.checked(Invariant::I13);
    let falls = growth.0.iter().any(|by| *by < 0)
        || former.0.iter().zip(stated.0).any(|(before, after)| after < *before);
    let revived = event.doc.kind == "PresentmentReversed" && sum.hold() > former.hold();
    if falls || revived {
        let found = format!("{former:?} then {stated:?}");
        verdict.breach(Invariant::I13, event.place, event.id, "counters only grow", found);
    }
    verdict.same(Invariant::I4, event.at(), "counters A V E M O K F", (sum.0, stated.0));
    verdict.checked(Invariant::I4);
    if sum.hold() < 0 || sum.hold() > sum.0[0] || sum.cleared() < 0 {
        let found = format!("payment {payment_id}: hold {}, cleared {}", sum.hold(), sum.cleared());
        verdict.breach(Invariant::I4, event.place, event.id, "0 <= hold <= approved", found);
    }
    presented(payment, event, after, verdict);
    deadline((payment, payment_id), deadlines, event, (after, sum), verdict);
    payment.counters = sum;
    payment.is_tombstone |= texts(after, "flags").contains(&"tombstone");
    account.held += sum.hold() - former.hold();
    account.booked += sum.booked() - former.booked();
    account.totals.given_back += growth.0[1] + growth.0[2];
}

/// A presentment takes the hold first; what goes over it says why (I6).
fn presented(payment: &Payment, event: &Judged<'_>, after: &Fields, verdict: &mut Verdict) {
    if event.doc.kind != "PaymentPresented" {
        return;
    }
    let body = event.doc.body();
    let minor = |name| Minor::from(long(body, name).unwrap_or(0));
    let (asked, over) = (minor("presented_minor"), minor("over_minor"));
    let from_hold = asked.min(payment.counters.hold());
    let parts = (from_hold, asked - from_hold);
    verdict.same(
        Invariant::I3,
        event.at(),
        "taken and over",
        (parts, (minor("taken_minor"), over)),
    );
    if over <= 0 {
        return;
    }
    let flags = texts(after, "flags");
    let reasons: &[&str] = if payment.counters.0[0] > 0 {
        &["over", "late", "after_reversal"]
    } else if payment.was_declined {
        &["after_decline"]
    } else if payment.is_tombstone {
        &["after_reversal"]
    } else {
        &["forced"]
    };
    verdict.checked(Invariant::I6);
    if !reasons.iter().any(|reason| flags.contains(reason)) {
        let expected = format!("a reason for going over: {reasons:?}");
        verdict.breach(Invariant::I6, event.place, event.id, expected, format!("{flags:?}"));
    }
}

/// I14: an open hold has a deadline that is still to come.
fn deadline(
    (payment, payment_id): (&mut Payment, &str),
    deadlines: &mut Deadlines,
    event: &Judged<'_>,
    (after, sum): (&Fields, Counters),
    verdict: &mut Verdict,
) {
    let entry = |deadline: i64| (deadline, event.account.into(), payment_id.into());
    if let Some(known) = payment.deadline {
        deadlines.remove(&entry(known));
    }
    payment.deadline = long(after, "deadline");
    if let Some(deadline) = payment.deadline {
        deadlines.insert(entry(deadline));
    }
    verdict.checked(Invariant::I14);
    let right = match payment.deadline {
        Some(deadline) => sum.hold() > 0 && deadline > event.clock,
        None => sum.hold() <= 0,
    };
    if !right {
        let found = format!("hold {} with deadline {:?}", sum.hold(), payment.deadline);
        let expected = format!("a deadline after {} iff there is a hold", event.clock);
        verdict.breach(Invariant::I14, event.place, event.id, expected, found);
    }
}

/// The sums against what the event says.
fn balances(
    account: &Account,
    before: Option<&Balances>,
    stated: Option<&Balances>,
    event: &Judged<'_>,
    verdict: &mut Verdict,
) {
    let kind = event.doc.kind;
    if is_refusal(kind) {
        verdict.same(Invariant::I5, event.at(), "balances", (before, stated));
    }
    if matches!(kind, "PaymentReversed" | "HoldExpired") {
        let booked = |balances: Option<&Balances>| balances.map(|balances| balances.booked);
        verdict.same(Invariant::I8, event.at(), "booked", (booked(before), booked(stated)));
    }
    let sum = account.balances();
    verdict.same(
        Invariant::I1,
        event.at(),
        "balances are stated",
        (sum.is_some(), stated.is_some()),
    );
    let (Some(sum), Some(stated)) = (sum, stated) else { return };
    verdict.same(Invariant::I1, event.at(), "currency", (&sum.currency, &stated.currency));
    verdict.checked(Invariant::I1);
    if !currencies::is_known(&stated.currency) {
        let found = stated.currency.clone();
        verdict.breach(Invariant::I1, event.place, event.id, "a currency of ISO 4217", found);
    }
    verdict.same(Invariant::I3, event.at(), "booked", (sum.booked, stated.booked));
    verdict.same(Invariant::I3, event.at(), "overdraft limit", (sum.limit, stated.limit));
    verdict.same(Invariant::I4, event.at(), "held", (sum.held, stated.held));
}

/// I6: a request may use what is available and no more; little else may push below it.
fn available(
    before: Option<&Balances>,
    stated: &Balances,
    event: &Judged<'_>,
    verdict: &mut Verdict,
) {
    verdict.checked(Invariant::I6);
    let (kind, body) = (event.doc.kind, event.doc.body());
    let former = before.map_or(0, Balances::available);
    let available = stated.available();
    if available >= 0 || available >= former {
        return;
    }
    let limit_fell = before.is_some_and(|before| stated.limit < before.limit);
    let allowed = match kind {
        "PaymentAuthorised" => text(body, "kind") == Some("advice"),
        "AccountDebited" => flag(body, "advice"),
        "PaymentPresented" => long(body, "over_minor").unwrap_or(0) > 0,
        "AccountChanged" => limit_fell,
        _ => false,
    };
    if !allowed {
        let found = format!("{kind} took available from {former} to {available}");
        verdict.breach(Invariant::I6, event.place, event.id, "available >= 0", found);
    }
}

/// I4 once more, from a full sum instead of the running one.
pub fn sums(accounts: &HashMap<Box<str>, Account>, partition: i32, verdict: &mut Verdict) {
    for (key, account) in accounts {
        let holds = account.payments.values().map(|payment| payment.counters.hold()).sum();
        let place = Place { offset: i64::MAX, partition };
        verdict.same(Invariant::I4, (place, key), "sum of holds", (account.held, holds));
    }
}
