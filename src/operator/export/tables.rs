//! The two tables of an export: their columns, and a record as rows of them.
//!
//! Owns the names that people's queries use: a column is never renamed and never means another
//! thing later. Amounts are minor units beside their currency. Nothing of a card or a customer is
//! ever in a row.

use super::{
    columns::{Cell, Column, Kind, optional, required},
    days::Row,
};
use crate::codec::{
    schemas::Subject,
    topics::{EVENTS, POSTINGS},
};
use crate::domain::{
    command::Purchase,
    event::{AccountEvent, Event, PaymentAfter, SettlementAmount},
    ids::PaymentId,
    ledger::PostingSet,
    money::Currency,
    reason::Reason,
};
use crate::operator::account::word;
use crate::stages::Topic;

/// One table: where it comes from and what its columns are.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Also the folder of its files.
    pub name: &'static str,
    pub topic: Topic,
    pub subject: Subject,
    pub columns: &'static [Column],
}

pub const POSTING_TABLE: Table = Table {
    name: "postings",
    topic: POSTINGS,
    subject: Subject::Postings,
    columns: &[
        required("source", Kind::Text),
        required("leg", Kind::Int),
        required("account_id", Kind::Text),
        required("log_time", Kind::Time),
        required("kind", Kind::Text),
        optional("payment_id", Kind::Text),
        optional("message_id", Kind::Text),
        optional("network", Kind::Text),
        optional("cycle_cutoff", Kind::Time),
        optional("cycle_business_date", Kind::Day),
        optional("cycle_number", Kind::Int),
        required("address", Kind::Text),
        required("currency", Kind::Text),
        required("minor", Kind::Long),
        optional("text", Kind::Text),
        required("rules_version", Kind::Int),
    ],
};

pub const EVENT_TABLE: Table = Table {
    name: "events",
    topic: EVENTS,
    subject: Subject::Events,
    columns: &[
        required("source", Kind::Text),
        required("account_id", Kind::Text),
        required("log_time", Kind::Time),
        required("kind", Kind::Text),
        optional("message_id", Kind::Text),
        optional("payment_id", Kind::Text),
        optional("status", Kind::Text),
        optional("reason", Kind::Text),
        optional("network", Kind::Text),
        optional("channel", Kind::Text),
        optional("merchant_name", Kind::Text),
        optional("merchant_category", Kind::Int),
        optional("country", Kind::Text),
        optional("currency", Kind::Text),
        optional("booked_minor", Kind::Long),
        optional("held_minor", Kind::Long),
        optional("overdraft_limit_minor", Kind::Long),
        required("approved_minor", Kind::Long),
        required("reversed_minor", Kind::Long),
        required("released_minor", Kind::Long),
        required("presented_minor", Kind::Long),
        required("presentment_reversed_minor", Kind::Long),
        required("refunded_minor", Kind::Long),
        required("credited_minor", Kind::Long),
        required("debited_minor", Kind::Long),
        required("declined_minor", Kind::Long),
        required("suspense_minor", Kind::Long),
        optional("settlement_minor", Kind::Long),
        optional("settlement_currency", Kind::Text),
    ],
};

/// One row for each leg. `id`: the output's, which joins it to its event.
pub fn legs_of(set: &PostingSet, id: &str, unmask: bool) -> Vec<Row> {
    let text = |text: Option<&str>| text.map_or(Cell::None, Cell::text);
    let cycle = set.cycle;
    let row = |(number, leg): (i32, &crate::domain::ledger::Leg)| {
        let name = if leg.minor < 0 { "debit_minor" } else { "credit_minor" };
        Row {
            cells: vec![
                Cell::Text(id.to_owned()),
                Cell::Int(number),
                Cell::Text(set.account_id.to_string()),
                Cell::Long(set.log_time.0),
                Cell::Text(set.kind.name().to_owned()),
                text(set.payment_id.as_ref().map(|id| id.as_str())),
                text(set.message_id.as_ref().map(|id| id.as_str())),
                Cell::text(&set.network),
                cycle.map_or(Cell::None, |cycle| Cell::Long(cycle.cutoff.0)),
                cycle.map_or(Cell::None, |cycle| Cell::Int(cycle.business_date)),
                cycle.map_or(Cell::None, |cycle| Cell::Int(cycle.number)),
                Cell::Text(word(&leg.address)),
                Cell::Text(leg.currency.to_string()),
                Cell::Long(leg.minor),
                if unmask { Cell::text(&set.text) } else { Cell::None },
                Cell::Int(set.rules_version),
            ],
            sums: vec![(leg.currency, name, leg.minor)],
        }
    };
    (0..).zip(&set.legs).map(row).collect()
}

/// What an event's columns say beyond its envelope; minor units, of the account's currency.
#[derive(Clone, Debug, Default)]
struct Fact<'e> {
    kind: &'static str,
    payment: Option<&'e PaymentId>,
    status: Option<String>,
    reason: Option<Reason>,
    purchase: Option<&'e Purchase>,
    network: &'e str,
    currency: Option<Currency>,
    approved_minor: i64,
    reversed_minor: i64,
    released_minor: i64,
    presented_minor: i64,
    presentment_reversed_minor: i64,
    refunded_minor: i64,
    credited_minor: i64,
    debited_minor: i64,
    declined_minor: i64,
    suspense_minor: i64,
    settlement: Option<SettlementAmount>,
}

impl<'e> Fact<'e> {
    fn of(kind: &'static str) -> Self {
        Self { kind, ..Self::default() }
    }

    fn after(kind: &'static str, payment: &'e PaymentAfter) -> Self {
        let status = Some(word(&payment.status));
        Self { payment: Some(&payment.payment_id), status, ..Self::of(kind) }
    }
}

/// `None`: a tick, which is no fact about an account.
fn fact(event: &AccountEvent) -> Option<Fact<'_>> {
    Some(match &event.body {
        Event::AccountOpened(_) => Fact::of("account_opened"),
        Event::AccountChanged(_) => Fact::of("account_changed"),
        Event::HolderChanged(_) => Fact::of("holder_changed"),
        Event::CardChanged(_) => Fact::of("card_changed"),
        Event::PaymentAuthorised(e) => Fact {
            purchase: Some(&e.purchase),
            approved_minor: e.approved_minor,
            reversed_minor: e.reversed_minor,
            released_minor: e.released_minor,
            presented_minor: e.taken_minor,
            settlement: e.settlement,
            ..Fact::after("payment_authorised", &e.payment)
        },
        Event::PaymentDeclined(e) => Fact {
            payment: Some(&e.payment_id),
            reason: Some(e.reason),
            purchase: Some(&e.purchase),
            currency: Some(e.currency),
            declined_minor: e.requested_minor,
            ..Fact::of("payment_declined")
        },
        Event::PaymentReversed(e) => {
            Fact { reversed_minor: e.reversed_minor, ..Fact::after("payment_reversed", &e.payment) }
        }
        Event::HoldExpired(e) => {
            Fact { released_minor: e.released_minor, ..Fact::after("hold_expired", &e.payment) }
        }
        Event::PaymentPresented(e) => Fact {
            purchase: Some(&e.purchase),
            presented_minor: e.presented_minor,
            released_minor: e.released_minor,
            settlement: e.settlement,
            ..Fact::after("payment_presented", &e.payment)
        },
        Event::PresentmentReversed(e) => Fact {
            network: &e.network,
            presentment_reversed_minor: e.presentment_reversed_minor,
            suspense_minor: -e.excess_minor,
            ..Fact::after("presentment_reversed", &e.payment)
        },
        Event::RefundAuthorised(e) => {
            Fact { purchase: Some(&e.purchase), ..Fact::after("refund_authorised", &e.payment) }
        }
        Event::PaymentRefunded(e) => Fact {
            purchase: Some(&e.purchase),
            refunded_minor: e.refunded_minor,
            settlement: e.settlement,
            ..Fact::after("payment_refunded", &e.payment)
        },
        Event::OriginalNotFound(e) => {
            Fact { payment: Some(&e.payment_id), ..Fact::of("original_not_found") }
        }
        Event::AccountCredited(e) => {
            Fact { credited_minor: e.amount_minor, ..Fact::of("account_credited") }
        }
        Event::AccountDebited(e) => {
            Fact { debited_minor: e.amount_minor, ..Fact::of("account_debited") }
        }
        Event::CommandDeclined(e) => Fact {
            reason: Some(e.reason),
            declined_minor: e.amount_minor,
            ..Fact::of("command_declined")
        },
        Event::MovedToSuspense(e) => Fact {
            payment: e.payment_id.as_ref(),
            reason: Some(e.reason),
            network: &e.network,
            currency: Some(e.currency),
            suspense_minor: e.owed_minor,
            ..Fact::of("moved_to_suspense")
        },
        Event::MessageRepeated(e) => {
            Fact { payment: e.payment_id.as_ref(), ..Fact::of("message_repeated") }
        }
        Event::MessageConflicted(e) => {
            Fact { payment: e.payment_id.as_ref(), ..Fact::of("message_conflicted") }
        }
        Event::Tick(_) => return None,
    })
}

/// One row; `None`: a tick.
pub fn event(event: &AccountEvent, id: &str) -> Option<Row> {
    let fact = fact(event)?;
    let optional = |text: Option<&str>| text.map_or(Cell::None, Cell::text);
    let long = |minor: Option<i64>| minor.map_or(Cell::None, Cell::Long);
    let (purchase, balances) = (fact.purchase, event.balances);
    // What a message said in another currency than the account's is in that one.
    let currency = fact.currency.or(balances.map(|balances| balances.currency));
    let network = purchase.map_or(fact.network, |purchase| &purchase.network);
    let channel = purchase.map(|purchase| word(&purchase.channel));
    let amounts = [
        ("approved_minor", fact.approved_minor),
        ("reversed_minor", fact.reversed_minor),
        ("released_minor", fact.released_minor),
        ("presented_minor", fact.presented_minor),
        ("presentment_reversed_minor", fact.presentment_reversed_minor),
        ("refunded_minor", fact.refunded_minor),
        ("credited_minor", fact.credited_minor),
        ("debited_minor", fact.debited_minor),
        ("declined_minor", fact.declined_minor),
        ("suspense_minor", fact.suspense_minor),
    ];
    let mut cells = vec![
        Cell::Text(id.to_owned()),
        Cell::Text(event.account_id.to_string()),
        Cell::Long(event.log_time.0),
        Cell::Text(fact.kind.to_owned()),
        optional(event.message_id.as_ref().map(|id| id.as_str())),
        optional(fact.payment.map(|id| id.as_str())),
        optional(fact.status.as_deref()),
        optional(fact.reason.map(Reason::name)),
        Cell::text(network),
        optional(channel.as_deref()),
        optional(purchase.map(|purchase| &*purchase.merchant_name)),
        purchase.and_then(|purchase| purchase.merchant_category).map_or(Cell::None, Cell::Int),
        optional(purchase.map(|purchase| &*purchase.country)),
        optional(currency.as_ref().map(Currency::as_str)),
        long(balances.map(|balances| balances.booked_minor)),
        long(balances.map(|balances| balances.held_minor)),
        long(balances.map(|balances| balances.overdraft_limit_minor)),
    ];
    cells.extend(amounts.map(|(_, minor)| Cell::Long(minor)));
    cells.push(long(fact.settlement.map(|settlement| settlement.minor)));
    let settlement = fact.settlement.map(|settlement| settlement.currency);
    cells.push(optional(settlement.as_ref().map(Currency::as_str)));
    let moved = amounts.into_iter().filter(|(_, minor)| *minor != 0);
    let sums = currency.map(|of| moved.map(|(name, minor)| (of, name, minor)).collect());
    Some(Row { cells, sums: sums.unwrap_or_default() })
}
