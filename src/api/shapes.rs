//! The shapes of answers: what a line of the feed and an account look like to a program.
//!
//! Owns the JSON forms and, by their derived schemas, half of the OpenAPI document. Amounts are
//! integers and decimal text together, times RFC 3339 in UTC, enums their wire names. A field is
//! never taken away or given another meaning within `/v1`; new ones may come.

use super::money::Amount;
use crate::codec::frame::{SourcePos, ce_time};
use crate::domain::{
    feed::{BalanceAfter, FeedBody, FeedItem, FeedRecord, TimelineStep},
    feed_page::{AccountLine, Page},
    money::Currency,
    time::LogTime,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What an account holds after an event. available = booked - held + overdraft limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Balance {
    pub booked: Amount,
    pub held: Amount,
    pub available: Amount,
}

impl Balance {
    fn of(balance: &BalanceAfter) -> Self {
        let amount = |minor| Amount::new(minor, balance.currency);
        Self {
            booked: amount(balance.booked_minor),
            held: amount(balance.held_minor),
            available: amount(balance.available_minor),
        }
    }
}

/// Where a card payment was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Merchant {
    pub name: String,
    /// ISO 18245.
    pub category: Option<i32>,
    /// The category in words; its number where it is unknown.
    pub category_text: String,
    /// ISO 3166 alpha-2; empty where unknown.
    pub country: String,
}

/// One step in a line's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Step {
    /// RFC 3339, UTC.
    pub at: String,
    #[schema(example = "authorised")]
    pub change: String,
    /// What this step moved, promised or gave back.
    pub amount: Amount,
}

/// One line of a feed: a payment, or money that came or went otherwise. Its version grows; keep the
/// highest of each `line`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Item {
    /// Names the line among the customer's own: account, slash, item.
    #[schema(example = "acc-000001/payment/p-17")]
    pub line: String,
    pub account_id: String,
    pub version: i32,
    /// RFC 3339, UTC. The line's place in the feed; never changes.
    pub created_at: String,
    /// RFC 3339, UTC. Of this version.
    pub updated_at: String,
    /// Of the event that made this version; see `Tapline-Position`.
    #[schema(example = "2:7:123456")]
    pub position: String,
    /// Why the customer sees it: `card_holder`, `owner` or `disponent`.
    pub audience: String,
    /// `purchase`, `cash_withdrawal`, `refund`, `verification`, `credit`, `interest`, `debit`, `fee`.
    pub kind: String,
    /// `pending`, `partly_cleared`, `cleared`, `declined`, `reversed`, `expired`, `partly_refunded`,
    /// `refunded`, `announced`, `booked`, `verified`.
    pub status: String,
    /// What made this version.
    pub change: String,
    /// Money comes in; else it goes out. Amounts have no sign.
    pub is_incoming: bool,
    pub amount: Amount,
    /// What the former version showed, where it was something else.
    pub former_amount: Option<Amount>,
    /// Of the amount, still promised and not booked.
    pub pending: Amount,
    pub refunded: Amount,
    /// What the merchant charged, in its currency.
    pub original: Amount,
    /// Absent on what is no card payment.
    pub merchant: Option<Merchant>,
    pub card_last_four: Option<String>,
    /// Of a credit or debit; may be empty.
    pub text: String,
    /// Why it was declined.
    pub reason: Option<String>,
    pub flags: Vec<String>,
    /// RFC 3339, UTC. When what is promised is given back at the latest.
    pub release_at: Option<String>,
    /// Same card, merchant and amount within ten minutes: a hint.
    pub possible_duplicate: bool,
    /// Of the account, after this version.
    pub balance: Balance,
    /// The first step and the newest of the others, oldest first.
    pub timeline: Vec<Step>,
}

/// A page of a feed, newest line first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FeedPage {
    pub items: Vec<Item>,
    /// Path and query of the next page; absent on the last one.
    pub next: Option<String>,
    /// Gives the next page as `before`; absent on the last one.
    pub next_cursor: Option<String>,
}

/// An account as the customer stands to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Account {
    pub account_id: String,
    /// `owner`, `disponent`, or `card_holder` who holds no more than a card of it.
    pub audience: String,
    /// The customer left it: what they saw stays, nothing new comes and the balance is not theirs.
    pub is_removed: bool,
    /// Absent where removed.
    pub balance: Option<Balance>,
    /// RFC 3339, UTC. Of the event that the balance stands at.
    pub updated_at: String,
    /// Of that event.
    pub position: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Accounts {
    pub accounts: Vec<Account>,
}

/// The wire name of an enum's value.
pub fn word<T: Serialize>(value: &T) -> String {
    let value = serde_json::to_value(value).ok();
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn utc(time: LogTime) -> String {
    ce_time(time)
}

fn position(incarnation: i32, partition: i32, offset: i64) -> String {
    SourcePos { incarnation, partition, offset }.to_string()
}

impl Step {
    fn of(step: &TimelineStep, currency: Currency) -> Self {
        Self {
            at: utc(step.log_time),
            change: word(&step.change),
            amount: Amount::new(step.amount_minor, currency),
        }
    }
}

impl Item {
    /// `None`: the record is no line of a feed.
    pub fn of(record: &FeedRecord, incarnation: i32) -> Option<Self> {
        match &record.body {
            FeedBody::Item(item) => Some(Self::of_item(record, item, incarnation)),
            FeedBody::Holding(_) | FeedBody::Birth(_) => None,
        }
    }

    fn of_item(record: &FeedRecord, item: &FeedItem, incarnation: i32) -> Self {
        let amount = |minor| Amount::new(minor, item.currency);
        let is_card = !item.merchant_name.is_empty() || item.merchant_category.is_some();
        let merchant = is_card.then(|| Merchant {
            name: item.merchant_name.to_string(),
            category: item.merchant_category,
            category_text: item.category_text.to_string(),
            country: item.country.to_string(),
        });
        let last_four = &item.card_last_four;
        Self {
            line: format!("{}/{}", record.account_id, item.item_id),
            account_id: record.account_id.to_string(),
            version: item.version,
            created_at: utc(item.created_at),
            updated_at: utc(record.log_time),
            position: position(incarnation, record.partition, record.offset),
            audience: word(&item.audience),
            kind: word(&item.kind),
            status: word(&item.status),
            change: word(&item.change),
            is_incoming: item.kind.is_incoming(),
            amount: amount(item.amount_minor),
            former_amount: item.former_amount_minor.map(amount),
            pending: amount(item.pending_minor),
            refunded: amount(item.refunded_minor),
            original: Amount::new(item.original_minor, item.original_currency),
            merchant,
            card_last_four: (!last_four.is_empty()).then(|| last_four.to_string()),
            text: item.text.to_string(),
            reason: item.reason.map(|reason| reason.name().to_owned()),
            flags: item.flags.iter().map(word).collect(),
            release_at: item.release_at.map(utc),
            possible_duplicate: item.possible_duplicate,
            balance: Balance::of(&item.balance),
            timeline: item.timeline.iter().map(|step| Step::of(step, item.currency)).collect(),
        }
    }
}

impl FeedPage {
    /// `path`: of the request, for the link; `limit` goes into it.
    pub fn of(page: &Page, incarnation: i32, path: &str, limit: usize) -> Self {
        let cursor = page.next.as_ref().map(ToString::to_string);
        Self {
            items: page.lines.iter().filter_map(|it| Item::of(it, incarnation)).collect(),
            next: cursor.as_ref().map(|cursor| format!("{path}?limit={limit}&before={cursor}")),
            next_cursor: cursor,
        }
    }
}

impl Account {
    pub fn of(line: &AccountLine, incarnation: i32) -> Self {
        Self {
            account_id: line.account_id.to_string(),
            audience: word(&line.audience),
            is_removed: line.removed,
            balance: (!line.removed).then(|| Balance::of(&line.balance)),
            updated_at: utc(line.log_time),
            position: position(incarnation, line.partition, line.offset),
        }
    }
}
