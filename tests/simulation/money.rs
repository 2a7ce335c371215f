//! The money invariants, worked out again from the events alone: maps and sums.
//!
//! Owns a second opinion about balances. It never asks the stage or the domain's arithmetic: it
//! adds up what each event says it did and compares that with the balances the event carries.

use super::simulated::first_copies;
use crate::codec::{avro::Avro, headers, raw::RawRecord, schemas::Subject};
use crate::domain::command::CommandKind;
use crate::domain::event::{AccountEvent, AuthorisationKind, Event, PaymentAfter};
use crate::domain::{payment::Counters, reason::Reason};
use std::collections::{BTreeMap, BTreeSet};

/// A broken invariant: its name and what was found.
pub type Breach = (&'static str, String);

#[derive(Default)]
struct AccountSums {
    booked: i64,
    held: i64,
    limit: i64,
    payments: BTreeMap<String, [i64; 7]>,
    deadlines: BTreeMap<String, i64>,
    /// Message id -> was it put off because the account was diverted?
    decided: BTreeMap<String, bool>,
}

#[derive(Default)]
pub struct Auditor {
    accounts: BTreeMap<String, AccountSums>,
    /// Debits to other accounts: (receiver, message id) -> amount.
    sent: BTreeMap<(String, String), i64>,
    received: BTreeMap<(String, String), i64>,
    pub events: u64,
    pub expired: u64,
}

impl Auditor {
    /// One partition of events, from 0. `diverted`: accounts that were ever behind a dead letter,
    /// whose deadlines wait.
    pub fn partition(
        &mut self,
        records: &[RawRecord],
        diverted: &BTreeSet<String>,
    ) -> Result<(), Breach> {
        let (mut clock, mut former) = (0, 0);
        for record in first_copies(records) {
            let id = record.headers.text(headers::SRC).unwrap_or_default();
            let value = record.value.as_deref().unwrap_or_default();
            let event: AccountEvent = Avro::of(Subject::Events)
                .decode(value, &Default::default())
                .map_err(|error| ("I1 event readable", format!("{id}: {error}")))?;
            self.events += 1;
            if let Event::Tick(tick) = &event.body {
                if tick.time.0 <= clock {
                    return Err(("I14 log time runs back", format!("{id}: {}", tick.time.0)));
                }
                (former, clock) = (clock, tick.time.0);
                continue;
            }
            let waits = diverted.contains(event.account_id.as_str());
            let account = self.accounts.entry(event.account_id.as_str().to_owned()).or_default();
            let taken = account.take(&event, clock, if waits { 0 } else { former });
            taken.map_err(|(name, found)| (name, format!("{id} {}: {found}", event.account_id)))?;
            self.expired += u64::from(matches!(event.body, Event::HoldExpired(_)));
            self.transfer(&event);
        }
        let late = |account: &AccountSums| account.deadlines.values().any(|at| *at <= clock);
        for (id, account) in &self.accounts {
            let here = records.iter().any(|record| record.key_text() == Some(id));
            if here && !diverted.contains(id) && late(account) {
                return Err(("I14 hold still open after its deadline", id.clone()));
            }
        }
        Ok(())
    }

    fn transfer(&mut self, event: &AccountEvent) {
        let message = event.message_id.as_ref().map_or("", |id| id.as_str());
        match &event.body {
            Event::AccountDebited(debited) => {
                let Some(to) = &debited.transfer_to else { return };
                let id = format!("transfer:{message}");
                self.sent.insert((to.as_str().to_owned(), id), debited.amount_minor);
            }
            Event::AccountCredited(credited) if message.starts_with("transfer:") => {
                self.receive(event, message, credited.amount_minor);
            }
            Event::MovedToSuspense(moved) if message.starts_with("transfer:") => {
                self.receive(event, message, -moved.owed_minor);
            }
            _ => {}
        }
    }

    fn receive(&mut self, event: &AccountEvent, message: &str, amount: i64) {
        let id = message.strip_suffix(super::stage::SECOND_HALF).unwrap_or(message);
        let place = (event.account_id.as_str().to_owned(), id.to_owned());
        *self.received.entry(place).or_default() += amount;
    }

    /// At rest every transfer has arrived, whole and once.
    pub fn at_rest(&self, diverted: &BTreeSet<String>) -> Result<(), Breach> {
        for ((to, id), amount) in &self.sent {
            let received = self.received.get(&(to.clone(), id.clone())).copied().unwrap_or(0);
            if received != *amount && !diverted.contains(to) {
                return Err((
                    "I3 transfer",
                    format!("{id} to {to}: {amount} sent, {received} came"),
                ));
            }
        }
        Ok(())
    }
}

fn check(holds: bool, name: &'static str, found: impl FnOnce() -> String) -> Result<(), Breach> {
    if holds { Ok(()) } else { Err((name, found())) }
}

impl AccountSums {
    fn take(&mut self, event: &AccountEvent, clock: i64, former: i64) -> Result<(), Breach> {
        self.once(event)?;
        let before = (self.booked, self.held);
        self.book(event, clock, former)?;
        if let Some(balances) = &event.balances {
            self.limit = balances.overdraft_limit_minor;
            let told = (balances.booked_minor, balances.held_minor);
            let sums = (self.booked, self.held);
            check(told == sums, "I3 balances", || format!("told {told:?}, sums {sums:?}"))?;
        } else {
            check((self.booked, self.held) == (0, 0), "I3 balances", || "none told".into())?;
        }
        let moved = (self.booked, self.held) != before;
        let refusal = matches!(
            event.body,
            Event::PaymentDeclined(_)
                | Event::CommandDeclined(_)
                | Event::MessageRepeated(_)
                | Event::MessageConflicted(_)
                | Event::MovedToSuspense(_)
        );
        check(!(moved && refusal), "I5 refused but moved", || format!("{:?}", event.body))?;
        let available = self.booked - self.held + self.limit;
        let checked = match &event.body {
            Event::PaymentAuthorised(authorised) => {
                let taken = authorised.approved_minor - authorised.released_minor
                    > authorised.reversed_minor;
                authorised.kind != AuthorisationKind::Advice && taken
            }
            Event::AccountDebited(debited) => !debited.advice,
            _ => false,
        };
        check(!checked || available >= 0, "I6 over available", || format!("{available}"))
    }

    /// I10 and I11: one decision per message; every later one is the first answer again.
    fn once(&mut self, event: &AccountEvent) -> Result<(), Breach> {
        let Some(message) = &event.message_id else { return Ok(()) };
        let known = self.decided.get(message.as_str()).copied();
        let again = matches!(event.body, Event::MessageRepeated(_) | Event::MessageConflicted(_));
        let found = || format!("{message}: {:?}", event.body);
        if again {
            return check(known == Some(false), "I10 repeat of nothing", found);
        }
        let put_off = match &event.body {
            Event::PaymentDeclined(declined) => declined.reason == Reason::Diverted,
            Event::CommandDeclined(declined) => declined.reason == Reason::Diverted,
            _ => false,
        };
        // Behind a dead letter every message is put off, also a repeat of a decided one.
        if put_off && known == Some(false) {
            return Ok(());
        }
        check(known != Some(false), "I10 second effect", found)?;
        self.decided.insert(message.as_str().to_owned(), put_off);
        Ok(())
    }

    fn book(&mut self, event: &AccountEvent, clock: i64, former: i64) -> Result<(), Breach> {
        match &event.body {
            Event::AccountCredited(credited) => self.booked += credited.amount_minor,
            Event::AccountDebited(debited) => self.booked -= debited.amount_minor,
            Event::PaymentAuthorised(e) => {
                let grown = [e.approved_minor, e.reversed_minor, e.released_minor, e.taken_minor];
                let [approved, reversed, released, taken] = grown;
                self.payment(&e.payment, [approved, reversed, released, taken, 0, 0, 0])?;
            }
            Event::PaymentReversed(e) => {
                self.payment(&e.payment, [0, e.reversed_minor, 0, 0, 0, 0, 0])?;
            }
            Event::HoldExpired(e) => {
                let id = e.payment.payment_id.as_str();
                let deadline = self.deadlines.get(id).copied().unwrap_or(i64::MAX);
                let in_time = deadline <= clock && (former == 0 || deadline > former);
                let found = || format!("{id}: deadline {deadline}, ticks {former} and {clock}");
                check(in_time, "I14 expiry at its tick", found)?;
                self.payment(&e.payment, [0, 0, e.released_minor, 0, 0, 0, 0])?;
            }
            Event::PaymentPresented(e) => {
                let grown = [0, 0, e.released_minor, e.taken_minor, e.over_minor, 0, 0];
                let whole = e.taken_minor + e.over_minor == e.presented_minor;
                check(whole, "I12 presented in full", || format!("{e:?}"))?;
                self.payment(&e.payment, grown)?;
            }
            Event::PresentmentReversed(e) => {
                self.payment(&e.payment, [0, 0, 0, 0, 0, e.presentment_reversed_minor, 0])?;
            }
            Event::PaymentRefunded(e) => {
                self.payment(&e.payment, [0, 0, 0, 0, 0, 0, e.refunded_minor])?;
            }
            Event::CommandDeclined(declined) => {
                let refusable = declined.kind != CommandKind::Credit;
                check(refusable, "I12 must be accepted", || format!("{declined:?}"))?;
            }
            Event::PaymentDeclined(declined) => {
                let refusable = declined.kind != AuthorisationKind::Advice
                    || declined.reason == Reason::DeclinedElsewhere;
                check(refusable, "I12 must be accepted", || format!("{declined:?}"))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares the counters an event tells with what they were and what it says it did.
    fn payment(&mut self, after: &PaymentAfter, grown: [i64; 7]) -> Result<(), Breach> {
        let id = after.payment_id.as_str();
        let before = self.payments.get(id).copied().unwrap_or_default();
        let now = numbers(&after.counters);
        let found = || format!("{id}: {before:?} and {grown:?} make {now:?}");
        check((0..7).all(|i| now[i] >= before[i]), "I13 counters only grow", found)?;
        check((0..7).all(|i| now[i] == before[i] + grown[i]), "I4 counters add up", found)?;
        check(0 <= hold(&now) && hold(&now) <= now[0], "I4 hold within approved", found)?;
        check(cleared(&now) >= 0, "I4 cleared not negative", found)?;
        self.held += hold(&now) - hold(&before);
        self.booked += (now[6] - before[6]) - (cleared(&now) - cleared(&before));
        match after.deadline {
            Some(time) if hold(&now) > 0 => self.deadlines.insert(id.to_owned(), time.0),
            _ => self.deadlines.remove(id),
        };
        self.payments.insert(id.to_owned(), now);
        Ok(())
    }
}

fn numbers(c: &Counters) -> [i64; 7] {
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

fn hold(c: &[i64; 7]) -> i64 {
    c[0] - c[1] - c[2] - c[3]
}

fn cleared(c: &[i64; 7]) -> i64 {
    c[3] + c[4] - c[5]
}
