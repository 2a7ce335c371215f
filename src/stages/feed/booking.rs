//! Credits and debits that are no card payments: one item, one version, for all holders.
//!
//! Owns what is shown of money that a customer or the bank itself moved, and of a debit that was
//! refused. Keeps nothing: no later event names it again, a repeat is not one of these events. A
//! refusal while the account waits behind a dead letter is not remembered by authorisation: the
//! debit may still be made under the same id, so such a refusal is a line of its own.

use super::{Origin, audience::members, head::Change, head::Head, text::clean};
use crate::{
    domain::{
        command::{CreditKind, DebitKind},
        event::{AccountCredited, AccountDebited, CommandDeclined},
        feed::{
            Audience, FeedBody, FeedItem, FeedRecord, ItemChange, ItemKind, ItemStatus,
            TimelineStep,
        },
        reason::Reason,
    },
    stages::Transition,
};

/// What is shown of a booking.
pub(super) struct Shown<'e> {
    kind: ItemKind,
    amount_minor: i64,
    text: &'e str,
    reason: Option<Reason>,
}

pub(super) fn show(head: &Head, origin: &Origin, shown: &Shown) -> Transition<Change, FeedRecord> {
    let effects = members(head, None)
        .map(|(audience, customer_id)| {
            origin.record(customer_id, FeedBody::Item(Box::new(item(origin, shown, audience))))
        })
        .collect();
    Transition { change: None, effects }
}

pub(super) fn credited(event: &AccountCredited) -> Shown<'_> {
    Shown {
        kind: match event.kind {
            CreditKind::Interest => ItemKind::Interest,
            CreditKind::CashIn
            | CreditKind::TransferIn
            | CreditKind::Opening
            | CreditKind::Other => ItemKind::Credit,
        },
        amount_minor: event.amount_minor,
        text: &event.text,
        reason: None,
    }
}

pub(super) fn debited(event: &AccountDebited) -> Shown<'_> {
    Shown {
        kind: match event.kind {
            DebitKind::Fee => ItemKind::Fee,
            DebitKind::CashOut
            | DebitKind::TransferOut
            | DebitKind::StandingOrder
            | DebitKind::Other => ItemKind::Debit,
        },
        amount_minor: event.amount_minor,
        text: &event.text,
        reason: None,
    }
}

/// Of a debit; nobody sees that another command was refused.
pub(super) fn declined(event: &CommandDeclined) -> Shown<'_> {
    Shown {
        kind: ItemKind::Debit,
        amount_minor: event.amount_minor,
        text: "",
        reason: Some(event.reason),
    }
}

fn item(origin: &Origin, shown: &Shown, audience: Audience) -> FeedItem {
    let log_time = origin.event.log_time;
    let (change, status) = match shown.reason {
        Some(_) => (ItemChange::Declined, ItemStatus::Declined),
        None => (ItemChange::Booked, ItemStatus::Booked),
    };
    let currency = origin.balance.currency;
    FeedItem {
        item_id: item_id(origin, shown.reason),
        version: 1,
        created_at: log_time,
        audience,
        kind: shown.kind,
        status,
        change,
        amount_minor: shown.amount_minor,
        former_amount_minor: None,
        pending_minor: 0,
        refunded_minor: 0,
        currency,
        original_minor: shown.amount_minor,
        original_currency: currency,
        merchant_name: Box::default(),
        merchant_category: None,
        category_text: Box::default(),
        country: Box::default(),
        card_last_four: Box::default(),
        text: clean(shown.text),
        reason: shown.reason,
        flags: Vec::new(),
        release_at: None,
        possible_duplicate: false,
        balance: origin.balance,
        timeline: vec![TimelineStep { log_time, change, amount_minor: shown.amount_minor }],
    }
}

/// Every booking has a message; should one come without, its place in the log names it.
fn item_id(origin: &Origin, reason: Option<Reason>) -> Box<str> {
    match &origin.event.message_id {
        Some(id) if reason == Some(Reason::Diverted) => {
            format!("message/{id}@{}", origin.offset).into()
        }
        Some(id) => format!("message/{id}").into(),
        None => format!("message/@{}", origin.offset).into(),
    }
}
