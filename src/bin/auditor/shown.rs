//! What of an account's events is shown, from the events alone: which line, which version of it,
//! and the amounts that belong to it.
//!
//! Owns the lines of one account: a payment is one, counted up with each event that is seen of it,
//! also while nobody is there to see it; every other booking is one of its own. What gives back or
//! takes back of a payment that was never seen is not seen. Never asks who looks.

use super::{
    accounts::{Counters, Minor},
    avro::{self, Doc, Fields, long, text},
};
use std::collections::HashMap;

/// What every item of an event must say, whoever sees it.
pub struct Line {
    pub item_id: String,
    pub version: i64,
    pub created_at: i64,
    pub card: Option<String>,
    /// Any of them: where nothing stands, an asked amount may be shown.
    pub amounts: Vec<Minor>,
    pub pending: Minor,
    pub refunded: Minor,
    pub currency: String,
}

#[derive(Default)]
struct Payment {
    version: i64,
    created_at: i64,
    card: String,
    counters: Counters,
    /// By declines and announcements.
    asked: Vec<Minor>,
}

/// The payments of one account that were ever seen.
#[derive(Default)]
pub struct Shown(HashMap<String, Payment>);

impl Shown {
    /// The line that the event shows; `None`: it shows nothing.
    pub fn see(&mut self, event: &Doc, offset: i64) -> Option<Line> {
        let account_currency = text(avro::record(&event.fields, "balances")?, "currency")?;
        let body = event.body();
        match event.kind {
            "AccountCredited" | "AccountDebited" => Some(booking(event, offset, account_currency)),
            "CommandDeclined" if text(body, "kind") == Some("debit") => {
                Some(booking(event, offset, account_currency))
            }
            "PaymentDeclined" => self.declined(event, account_currency),
            "PaymentAuthorised" | "PaymentPresented" | "RefundAuthorised" | "PaymentRefunded" => {
                self.payment(event, true, account_currency)
            }
            "PaymentReversed" | "HoldExpired" | "PresentmentReversed" => {
                self.payment(event, false, account_currency)
            }
            _ => None,
        }
    }

    fn next(&mut self, payment_id: &str, event: &Doc) -> &mut Payment {
        let payment = self.0.entry(payment_id.to_owned()).or_default();
        payment.version += 1;
        if payment.version == 1 {
            payment.created_at = log_time(event);
        }
        payment
    }

    /// `begins`: it may be the first that is seen of the payment, and says whose card it is.
    fn payment(&mut self, event: &Doc, begins: bool, currency: &str) -> Option<Line> {
        let after = avro::record(event.body(), "payment")?;
        let payment_id = text(after, "payment_id")?;
        if !begins && !self.0.contains_key(payment_id) {
            return None;
        }
        let payment = self.next(payment_id, event);
        payment.counters = avro::record(after, "counters").map(Counters::read)?;
        if begins {
            payment.card = text(after, "card_token").unwrap_or("").to_owned();
        }
        if event.kind == "RefundAuthorised" {
            payment.asked.push(minor(event.body(), "announced_minor"));
        }
        Some(payment.line(payment_id, currency))
    }

    /// A decline leaves what stands as it is; where nothing ever stood, it is what is shown.
    fn declined(&mut self, event: &Doc, account_currency: &str) -> Option<Line> {
        let body = event.body();
        let payment_id = text(body, "payment_id")?;
        let payment = self.next(payment_id, event);
        payment.asked.push(minor(body, "requested_minor"));
        if payment.version == 1 {
            let purchase = avro::record(body, "purchase").unwrap_or_default();
            payment.card = text(purchase, "card_token").unwrap_or("").to_owned();
        }
        let asked_in = text(body, "currency").unwrap_or("");
        let counters = &payment.counters;
        let is_empty = counters.0[0] == 0 && counters.presented() == 0 && counters.0[6] == 0;
        Some(payment.line(payment_id, if is_empty { asked_in } else { account_currency }))
    }
}

impl Payment {
    fn line(&self, payment_id: &str, currency: &str) -> Line {
        let counters = &self.counters;
        let standing = counters.hold() + counters.cleared();
        let mut amounts = vec![standing];
        if standing == 0 {
            // What was promised, less what the merchant gave back of it, unless that was all.
            let [approved, reversed, .., refunded] = counters.0;
            let once = [approved - reversed, approved, counters.presented(), refunded];
            amounts = vec![once.into_iter().find(|minor| *minor != 0).unwrap_or(0)];
            amounts.extend(&self.asked);
        }
        Line {
            item_id: format!("payment/{payment_id}"),
            version: self.version,
            created_at: self.created_at,
            card: Some(self.card.clone()),
            amounts,
            pending: counters.hold(),
            refunded: counters.0[6],
            currency: currency.to_owned(),
        }
    }
}

/// One line, one version. A refusal while the account waits behind a dead letter is a line of its
/// own, because the same message may still be booked.
fn booking(event: &Doc, offset: i64, currency: &str) -> Line {
    let message_id = text(&event.fields, "message_id");
    let is_diverted = text(event.body(), "reason") == Some("diverted");
    let item_id = match message_id {
        Some(id) if !is_diverted => format!("message/{id}"),
        id => format!("message/{}@{offset}", id.unwrap_or("")),
    };
    Line {
        item_id,
        version: 1,
        created_at: log_time(event),
        card: None,
        amounts: vec![minor(event.body(), "amount_minor")],
        pending: 0,
        refunded: 0,
        currency: currency.to_owned(),
    }
}

fn log_time(event: &Doc) -> i64 {
    long(&event.fields, "log_time").unwrap_or(0)
}

fn minor(fields: &Fields, name: &str) -> Minor {
    long(fields, name).unwrap_or(0).into()
}
