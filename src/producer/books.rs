//! The producer's own books: every account's balance and every payment's counters, added up from
//! the amounts that the events name.
//!
//! Owns the second opinion: it is written apart from the domain's arithmetic and shares only the
//! wire names. After each event its sums must equal the balances and counters that the event
//! carries; then no posting was lost, doubled or invented, and the holds tie (I3, I4).

use crate::domain::{
    event::{AccountEvent, Event, PaymentAfter},
    ids::{AccountId, PaymentId},
    money::Currency,
    payment::Counters,
};
use std::collections::{BTreeMap, HashMap};

/// What an event did, by its own figures. Minor units, signed as the customer sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    pub booked_minor: i64,
    pub held_minor: i64,
}

#[derive(Debug)]
struct Balance {
    currency: Currency,
    booked_minor: i64,
    held_minor: i64,
    /// Before the first event that was read.
    start_minor: i64,
}

#[derive(Debug, Default)]
pub struct Books {
    accounts: HashMap<AccountId, Balance>,
    payments: HashMap<PaymentId, Counters>,
}

impl Books {
    /// Books the event; what does not tie is named in words.
    pub fn book(&mut self, event: &AccountEvent, wrong: &mut Vec<&'static str>) -> Effect {
        let effect = effect_of(&event.body);
        if let Some((payment, grown)) = growth_of(&event.body) {
            let sums = self.payments.entry(payment.payment_id.clone()).or_default();
            add(sums, &grown);
            if *sums != payment.counters {
                wrong.push("a payment's counters are not the sum of its events");
                *sums = payment.counters;
            }
            if sums.hold_below_zero() || sums.cleared_below_zero() {
                wrong.push("a hold or a cleared amount below 0");
            }
        }
        let Some(after) = event.balances else {
            if effect != Effect::default() {
                wrong.push("money moved on an event without balances");
            }
            return effect;
        };
        let opened = matches!(event.body, Event::AccountOpened(_));
        // An account that is older than what was read starts with what it must have had.
        let balance = self.accounts.entry(event.account_id.clone()).or_insert_with(|| Balance {
            currency: after.currency,
            booked_minor: if opened { 0 } else { after.booked_minor - effect.booked_minor },
            held_minor: if opened { 0 } else { after.held_minor - effect.held_minor },
            start_minor: if opened { 0 } else { after.booked_minor - effect.booked_minor },
        });
        balance.booked_minor += effect.booked_minor;
        balance.held_minor += effect.held_minor;
        if balance.booked_minor != after.booked_minor {
            wrong.push("a booked balance is not the sum of its events");
            balance.booked_minor = after.booked_minor;
        }
        if balance.held_minor != after.held_minor {
            wrong.push("a held balance is not the sum of its holds");
            balance.held_minor = after.held_minor;
        }
        effect
    }

    /// Σ of the accounts' changes since the first event that was read, per currency.
    pub fn moved_minor(&self) -> BTreeMap<Currency, i64> {
        let mut moved = BTreeMap::new();
        for balance in self.accounts.values() {
            *moved.entry(balance.currency).or_default() +=
                balance.booked_minor - balance.start_minor;
        }
        moved
    }

    pub fn booked_minor(&self) -> BTreeMap<AccountId, i64> {
        let accounts = self.accounts.iter();
        accounts.map(|(account, balance)| (account.clone(), balance.booked_minor)).collect()
    }
}

trait Sums {
    fn hold_below_zero(&self) -> bool;
    fn cleared_below_zero(&self) -> bool;
}

impl Sums for Counters {
    fn hold_below_zero(&self) -> bool {
        self.reversed_minor + self.released_minor + self.taken_minor > self.approved_minor
    }

    fn cleared_below_zero(&self) -> bool {
        self.presentment_reversed_minor > self.taken_minor + self.over_minor
    }
}

fn add(sums: &mut Counters, grown: &Counters) {
    sums.approved_minor += grown.approved_minor;
    sums.reversed_minor += grown.reversed_minor;
    sums.released_minor += grown.released_minor;
    sums.taken_minor += grown.taken_minor;
    sums.over_minor += grown.over_minor;
    sums.presentment_reversed_minor += grown.presentment_reversed_minor;
    sums.refunded_minor += grown.refunded_minor;
}

/// The payment of an event and by how much each of its counters grew.
fn growth_of(event: &Event) -> Option<(&PaymentAfter, Counters)> {
    let mut grown = Counters::default();
    let payment = match event {
        Event::PaymentAuthorised(event) => {
            grown.approved_minor = event.approved_minor;
            grown.reversed_minor = event.reversed_minor;
            grown.released_minor = event.released_minor;
            grown.taken_minor = event.taken_minor;
            &event.payment
        }
        Event::PaymentReversed(event) => {
            grown.reversed_minor = event.reversed_minor;
            &event.payment
        }
        Event::HoldExpired(event) => {
            grown.released_minor = event.released_minor;
            &event.payment
        }
        Event::PaymentPresented(event) => {
            grown.taken_minor = event.taken_minor;
            grown.over_minor = event.over_minor;
            grown.released_minor = event.released_minor;
            &event.payment
        }
        Event::PresentmentReversed(event) => {
            grown.presentment_reversed_minor = event.presentment_reversed_minor;
            &event.payment
        }
        Event::RefundAuthorised(event) => &event.payment,
        Event::PaymentRefunded(event) => {
            grown.refunded_minor = event.refunded_minor;
            &event.payment
        }
        _ => return None,
    };
    Some((payment, grown))
}

fn effect_of(event: &Event) -> Effect {
    let booked_minor = match event {
        Event::AccountCredited(event) => event.amount_minor,
        Event::AccountDebited(event) => -event.amount_minor,
        _ => 0,
    };
    let Some((_, grown)) = growth_of(event) else {
        return Effect { booked_minor, held_minor: 0 };
    };
    let back = grown.refunded_minor + grown.presentment_reversed_minor;
    let released = grown.reversed_minor + grown.released_minor;
    Effect {
        booked_minor: back - grown.taken_minor - grown.over_minor,
        held_minor: grown.approved_minor - released - grown.taken_minor,
    }
}
